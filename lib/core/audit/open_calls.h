/* SPDX-License-Identifier: Apache-2.0 */

/* Calls that have begun, and who made them. */

#ifndef SWKI_CORE_AUDIT_OPEN_CALLS_H
#define SWKI_CORE_AUDIT_OPEN_CALLS_H

#include "base/map.h"
#include "core/audit/line.h"
#include "wire/methods.h"
#include "wire/service.h"

struct swki_open_call {
    char key[24]; /* its number among open calls, as text */
    uint64_t number;
    const struct swki_method *method;
    struct swki_caller caller; /* its texts are copies */
    /* What the request names, or "". */
    char object[SWKI_AUDIT_TEXT_MAX];
    char name[SWKI_AUDIT_TEXT_MAX];
    uint64_t version;
    char texts[]; /* of the caller */
};

struct swki_open_calls {
    const struct swk_alloc *alloc;
    struct swki_map map;
    uint64_t last_number;
};

void swki_open_calls_init(struct swki_open_calls *calls,
                          const struct swk_alloc *alloc);
void swki_open_calls_fini(struct swki_open_calls *calls);

/* NULL for no memory. */
struct swki_open_call *swki_open_calls_add(struct swki_open_calls *calls,
                                           uint64_t call_id,
                                           const struct swki_method *method,
                                           const struct swki_caller *caller);
struct swki_open_call *swki_open_calls_find(const struct swki_open_calls *calls,
                                            uint64_t call_id);
/* Forgets and frees. */
void swki_open_calls_remove(struct swki_open_calls *calls,
                            struct swki_open_call *call);

/* Looks in a request for the object that it is about: its ID, else the name of
 * what is to be made, and the version that a change is based on. */
void swki_open_call_look(struct swki_open_call *call,
                         const ProtobufCMessage *request);

#endif
