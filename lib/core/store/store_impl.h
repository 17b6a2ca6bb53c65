/* SPDX-License-Identifier: Apache-2.0 */

/* The store's inside: shared by its transactions, events and log side. */

#ifndef SWKI_STORE_STORE_IMPL_H
#define SWKI_STORE_STORE_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "core/store/index.h"
#include "core/store/view.h"
#include "swarmkit/request.pb-c.h"

/* A write of a transaction. Each pointer is a reference. */
struct swki_write {
    enum swki_change change;
    struct swki_object *object; /* new one; the last for a delete */
    struct swki_object *old;    /* before an update, or NULL */
    size_t encoded_end;         /* of its action in the entry */
};

struct swki_writes {
    struct swki_write *items;
    size_t count;
    size_t size;
};

/* A request, while it is proposed and once it is remembered. */
struct swki_store_request {
    struct swki_link link;
    uint64_t index;
    const char *object_id; /* behind the key */
    char key[];
};

/* The latest that were carried out, by key, and in the order of the log. */
struct swki_request_log {
    const struct swk_alloc *alloc;
    struct swki_map map;
    struct swki_link list;
    size_t count;
};

void swki_request_log_init(struct swki_request_log *log,
                           const struct swk_alloc *alloc);
void swki_request_log_fini(struct swki_request_log *log);

/* NULL for no memory. */
struct swki_store_request *swki_store_request_new(const struct swk_alloc *alloc,
                                      const char *key, const char *object_id);

/* Takes the request (NULL for none), and forgets the oldest if there are too
 * many. Without memory for it it is forgotten at once: then a retry that comes
 * to another leader is an ordinary request. */
void swki_request_log_add(struct swki_request_log *log,
                          struct swki_store_request *request, uint64_t index);

/* Puts others, which are taken, in the place of what is remembered. */
void swki_request_log_replace(struct swki_request_log *log,
                              struct swki_request_log *others);

/* The same for one that was decoded; what is out of limits is left out. */
void swki_request_log_take(struct swki_request_log *log,
                           const Swkpb__Rpc__DoneRequest *message,
                           uint64_t index);

/* A transaction that was proposed, in the order of the log. */
struct swki_pending {
    struct swki_link link;
    uint64_t index;
    struct swki_view *view;
    struct swki_writes writes;
    struct swki_store_request *request; /* that it carries out, or NULL */
    enum swki_actor actor;
    uint64_t cause;
    swki_tx_done_fn done;
    void *done_ctx;
};

struct swki_store {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_proposer proposer;
    struct swki_versions versions;
    struct swki_view *head;
    struct swki_view *committed;
    struct swki_link pending;
    size_t in_flight;
    struct swki_link watches;
    struct swki_tx *tx; /* the open one, or NULL */
    struct swki_request_log requests;
    struct swki_keys keys;     /* room to work in */
    struct swki_keys old_keys;
    uint64_t denials;
    struct swki_store_observer observer; /* its functions are NULL for none */
    uint64_t cause; /* of what is committed now */
    int failed; /* why this copy diverges; it then refuses all work */
};

struct swki_tx {
    struct swki_store *store;
    enum swki_actor actor;
    swk_wall wall;
    uint64_t index; /* of the entry that it will be; 0 if none can be made */
    const struct swki_view *base; /* what the view is a fork of */
    struct swki_view *view;
    struct swki_writer writer;
    struct swki_writes writes;
    struct swki_buf entry;
    size_t encoded; /* writes in the entry so far */
    struct swki_store_request *request; /* that it carries out, or NULL */
    size_t request_writes;        /* what there was when it was named */
    struct swk_error failure; /* of the last write; code 0 for none */
    bool is_broken; /* memory was short half-way: it can only be aborted */
    bool is_stale;  /* what it was built upon is gone */
};

/* A transaction of the store's own: without actor, checks and proposal. */
struct swki_tx *swki_tx_open(struct swki_store *store);

/* Plain writes, which check what keeps the tables sound and no more. They take
 * the object, on failure too. */
int swki_tx_put_new(struct swki_tx *tx, struct swki_object *object,
                    struct swk_error *err);
int swki_tx_put_next(struct swki_tx *tx, const struct swki_object *old,
                     struct swki_object *object, struct swk_error *err);
int swki_tx_put_gone(struct swki_tx *tx, const struct swki_object *old,
                     struct swk_error *err);

/* Names and kinds that collide. */
int swki_names_check_create(const struct swki_view *view,
                            const struct swki_object *object,
                            struct swk_error *err);
int swki_names_check_update(const struct swki_view *view,
                            const struct swki_object *object,
                            struct swk_error *err);
int swki_names_check_delete(const struct swki_view *view,
                            const struct swki_object *object,
                            struct swk_error *err);

/* Encodes the writes that are not in the entry yet. */
int swki_tx_encode(struct swki_tx *tx, struct swk_error *err);

/* Ends a transaction of the store's own: it becomes head and committed. */
void swki_tx_install(struct swki_tx *tx, uint64_t index);

void swki_writes_fini(struct swki_writes *writes,
                      const struct swk_alloc *alloc);

/* Tells the watches of a feed about a transaction. */
void swki_events_publish(struct swki_store *store, enum swki_feed feed,
                         const struct swki_writes *writes, uint64_t index);
/* Tells the watches of a feed that all may be different. */
void swki_events_reset(struct swki_store *store, enum swki_feed feed,
                       uint64_t index);

/* Watches that outlive the store get no more events. */
void swki_events_detach(struct swki_store *store);

/* An object of a decoded message, which shares what it can: with its old
 * version, and a task with its service. NULL for no memory. */
struct swki_object *swki_store_take(const struct swki_view *view,
                                    const struct swk_alloc *alloc,
                                    enum swki_kind kind,
                                    ProtobufCMessage *message,
                                    const struct swki_object *old);

/* Tells the observer of the writes of a transaction. */
struct swki_store_ending {
    enum swki_actor actor;
    enum swki_fate fate;
    uint64_t index;
    uint64_t cause;
    const char *request;
};

void swki_store_tell_observer(const struct swki_store *store,
                              const struct swki_writes *writes,
                              const struct swki_store_ending *ending);

/* The oldest proposal is committed. */
void swki_store_commit_oldest(struct swki_store *store);

#endif
