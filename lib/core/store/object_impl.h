/* SPDX-License-Identifier: Apache-2.0 */

/* The inside of an object, for the store alone. */

#ifndef SWKI_STORE_OBJECT_IMPL_H
#define SWKI_STORE_OBJECT_IMPL_H

#include <stdatomic.h>

#include "core/store/object.h"

enum {
    /* Pieces of memory that an object may keep: its own, and others'. What
     * would need more is copied. */
    SWKI_OBJECT_PARTS_MAX = 4,
    /* Fields of the widest of the ten messages, and one for unknown fields. */
    SWKI_OBJECT_FIELDS_MAX = 19,
};

/* Memory that the fields of one object, or of several, point into. */
struct swki_part {
    atomic_uint refs;
    bool is_shared; /* another object was told to point into it */
    struct swki_arena arena;
};

/* The message follows in the same allocation. */
struct swki_object {
    atomic_uint refs;
    uint8_t kind; /* enum swki_kind */
    bool is_sealed;
    uint8_t parts_count;
    /* By field: which of the parts it points into, or NO_PART. */
    uint8_t owners[SWKI_OBJECT_FIELDS_MAX];
    uint32_t row;            /* its place in the table */
    uint64_t born;           /* the store's epoch that it came in */
    struct swki_object *next; /* among what a version no longer needs */
    const struct swk_alloc *alloc;
    const struct swki_object *base; /* what it is an edit of, until sealed */
    struct swki_part *parts[SWKI_OBJECT_PARTS_MAX]; /* the first is its own */
    Swkpb__Meta meta;
    Swkpb__Version version;
    Swkpb__Timestamp created_at;
    Swkpb__Timestamp updated_at;
    _Alignas(max_align_t) unsigned char message[];
};

const ProtobufCMessageDescriptor *swki_kind_type(enum swki_kind kind);

/* A new object with a deep copy of the message, which it may share with the old
 * version (may be NULL) where the two are equal; NULL for no memory. */
struct swki_object *swki_object_from_message(const struct swk_alloc *alloc,
                                             enum swki_kind kind,
                                             const ProtobufCMessage *message,
                                             const struct swki_object *old);

/* Sets the meta of an object that is not sealed: its version, the time of the
 * change, and that of its creation unless it has one. */
void swki_object_stamp(struct swki_object *object, uint64_t index,
                       swk_wall wall);

/* Moves an object's version, before anyone but its transaction has seen it. */
void swki_object_restamp(struct swki_object *object, uint64_t index);

/* Ends the making of an object. Returns 0 or SWK_ENOMEM; the object then may
 * still be released only. */
int swki_object_seal(struct swki_object *object);

/* Bytes that an object holds alone, for measuring. */
size_t swki_object_memory(const struct swki_object *object);

#endif
