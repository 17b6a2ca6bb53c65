/* SPDX-License-Identifier: Apache-2.0 */

/* The inside of an object, for the store alone. */

#ifndef SWKI_STORE_OBJECT_IMPL_H
#define SWKI_STORE_OBJECT_IMPL_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/store/object.h"

enum {
    /* Objects whose memory one may keep. What would need more is copied. */
    SWKI_OBJECT_LENDERS_MAX = 3,
    /* Fields of the widest of the ten messages, and one for unknown fields. */
    SWKI_OBJECT_FIELDS_MAX = 19,
};

/*
 * An object is one allocation: this, the message, and room for what the message
 * points to. Of that, later versions and other objects may keep using parts. So
 * an object is counted twice: by those who use it, and by those who use its
 * memory, which are itself and its borrowers. It gives up what it borrows when
 * the first count ends, and is freed when the second does.
 */
struct swki_object {
    atomic_uint refs;
    atomic_uint memory_refs;
    uint32_t row; /* its place in the table */
    uint8_t kind; /* enum swki_kind */
    bool is_sealed;
    bool is_lender; /* another object was told to point into its memory */
    uint8_t lenders_count;
    /* By field: which lender it points into, or one of the places below. */
    uint8_t owners[SWKI_OBJECT_FIELDS_MAX];
    struct swki_object *lenders[SWKI_OBJECT_LENDERS_MAX];
    uint64_t born;            /* the store's epoch that it came in */
    struct swki_object *next; /* among what a version no longer needs */
    const struct swki_object *base; /* what it is an edit of, until sealed */
    struct swki_arena arena;
    Swkpb__Meta meta;
    Swkpb__Version version;
    Swkpb__Timestamp created_at;
    Swkpb__Timestamp updated_at;
    _Alignas(uint64_t) unsigned char message[];
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

#endif
