/* SPDX-License-Identifier: Apache-2.0 */

/* One call while it is served: what every handler is given and uses. */

#ifndef SWKI_CONTROL_REQUEST_H
#define SWKI_CONTROL_REQUEST_H

#include "base/arena.h"
#include "base/rng.h"
#include "core/control/ca_change.h"
#include "core/control/control.h"

/* The lists of a request's filters, and what they are compared with. */
struct swki_texts {
    size_t count;
    char *const *items;
};

struct swki_labels {
    size_t count;
    const void *entries; /* of any map<string, string> */
};

struct swki_filter {
    struct swki_texts names;
    struct swki_texts name_prefixes;
    struct swki_texts id_prefixes;
    struct swki_labels labels;
};

#define SWKI_TEXTS(message, field)                                             \
    ((struct swki_texts){(message)->n_##field, (message)->field})
#define SWKI_LABELS(message, field)                                            \
    ((struct swki_labels){(message)->n_##field, (message)->field})

struct swki_control_request {
    const struct swki_control_config *config;
    struct swki_rng *rng;
    swk_wall wall;
    const struct swki_call *call;
    struct swki_answers *answers;
    struct swki_arena *arena; /* for the answer; emptied by the next call */
    const char *key; /* by which a retry of this write is known; may be NULL */
    struct swki_ca_change *ca_change; /* that is being prepared */
};

/* Answers a request of the method's type, or returns why it fails. */
typedef int (*swki_control_handler)(struct swki_control_request *r,
                                    const void *request,
                                    struct swk_error *err);

/* -- Reading -------------------------------------------------------------- */

const struct swki_view *swki_control_view(const struct swki_control_request *r);

/* The object, SWK_EINVAL for an empty ID, or SWK_ENOTFOUND. */
int swki_control_find(const struct swki_view *view, enum swki_kind kind,
                      const char *id, const struct swki_object **out_object,
                      struct swk_error *err);

/* SWK_EEXIST if an object of the kind has the name, letter case aside. */
int swki_control_name_free(const struct swki_view *view, enum swki_kind kind,
                           const char *name, struct swk_error *err);

/* Messages to list, in the request's arena. */
struct swki_found {
    size_t count;
    size_t size;
    void **items;
};

/* Points *out_message at what is listed of an object, or leaves NULL there to
 * leave it out. SWK_ENOMEM if memory is short. */
typedef int (*swki_control_pick)(struct swki_control_request *r,
                                 const struct swki_object *object,
                                 const void *filters,
                                 const void **out_message);

/* Lists what pick takes out of all that selector finds in the committed view.
 */
int swki_control_list(struct swki_control_request *r, enum swki_kind kind,
                      const struct swki_selector *selector,
                      swki_control_pick pick, const void *filters,
                      struct swki_found *out_found, struct swk_error *err);

/* A selector for any of the texts; NULL for no memory. */
const struct swki_selector *
swki_control_any_of(struct swki_control_request *r, enum swki_by by,
                    struct swki_texts texts);

/* The cheapest selector that finds all a filter of names and IDs allows. */
const struct swki_selector *
swki_control_plan(struct swki_control_request *r,
                  const struct swki_filter *filter);

/* -- Matching ------------------------------------------------------------- */

/* No entries: no restriction. */
bool swki_texts_allow(struct swki_texts texts, const char *text);
bool swki_prefixes_allow(struct swki_texts prefixes, const char *text);
bool swki_labels_allow(struct swki_labels wanted, struct swki_labels labels);
struct swki_labels swki_annotations_labels(const Swkpb__Annotations *a);
const char *swki_annotations_name(const Swkpb__Annotations *a);

/* All of the filter's kinds must allow the object. */
bool swki_filter_all(const struct swki_filter *filter, const char *id,
                     const char *name, struct swki_labels labels);
/* Any entry of names, name prefixes (letter case aside) and ID prefixes, and
 * then the labels. */
bool swki_filter_any(const struct swki_filter *filter, const char *id,
                     const char *name, struct swki_labels labels);

/* -- Writing -------------------------------------------------------------- */

int swki_control_begin(struct swki_control_request *r, struct swki_tx **out_tx,
                       struct swk_error *err);

/* A new ID in the object's memory; NULL for no memory. */
char *swki_control_new_id(struct swki_control_request *r,
                          struct swki_object *object);

/* Makes an edit claim the version the caller read, for the store to compare;
 * meta_field is &message->meta. */
int swki_control_claim_version(struct swki_object *object,
                               Swkpb__Meta **meta_field,
                               const Swkpb__Version *version,
                               struct swk_error *err);

/* A message in the object's memory; NULL for no memory. */
Swkpb__Version *swki_control_version(struct swki_object *object,
                                     uint64_t index);

/* Makes the transaction carry out this call, after its write of the object. */
int swki_control_carry(const struct swki_control_request *r,
                       struct swki_tx *tx, const char *object_id,
                       struct swk_error *err);

/*
 * Creates or updates the object (taken, on failure too), ends the transaction,
 * and gives the stored object. On failure the
 * transaction is over.
 */
int swki_control_store(struct swki_control_request *r, struct swki_tx *tx,
                       struct swki_object *object, enum swki_change change,
                       const struct swki_object **out_object,
                       uint64_t *out_index, struct swk_error *err);

/* The same for a deletion. */
int swki_control_delete(struct swki_control_request *r, struct swki_tx *tx,
                        enum swki_kind kind, const char *id,
                        uint64_t *out_index, struct swk_error *err);

/* -- Answering ------------------------------------------------------------ */

void swki_control_reply(struct swki_control_request *r,
                        const ProtobufCMessage *message, uint64_t index);

#endif
