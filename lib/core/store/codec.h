/* SPDX-License-Identifier: Apache-2.0 */

/* Objects inside log entries and snapshots. */

#ifndef SWKI_STORE_CODEC_H
#define SWKI_STORE_CODEC_H

#include "base/buf.h"
#include "core/store/store.h"
#include "snapshot.pb-c.h" /* and with it the right raft.pb-c.h */

/* Begins an InternalRaftRequest. */
bool swki_codec_begin_entry(struct swki_buf *buf, uint64_t id);

/* Appends who wrote the entry. */
bool swki_codec_add_actor(struct swki_buf *buf, enum swki_actor actor);

/* Who wrote an entry; SWKI_ACTORS_COUNT if it does not say, or someone whom
 * only a later release knows. */
enum swki_actor swki_codec_entry_actor(const Swkpb__InternalRaftRequest *entry);

/* Appends a StoreAction; of what is deleted, the ID alone. */
int swki_codec_add_action(struct swki_buf *buf, enum swki_change change,
                          const struct swki_object *object,
                          struct swk_error *err);

/* The kind of an action's target; SWKI_KINDS_COUNT for none that is known. */
enum swki_kind swki_codec_action_kind(const Swkpb__StoreAction *action);

/* Appends an object to a StoreSnapshot. */
int swki_codec_add_object(struct swki_buf *buf,
                          const struct swki_object *object,
                          struct swk_error *err);

/* The kind of a field of StoreSnapshot; SWKI_KINDS_COUNT for none. */
enum swki_kind swki_codec_snapshot_kind(uint32_t field);

/* A table's place in a snapshot. */
enum swki_kind swki_codec_snapshot_order(unsigned place);

/* Appends the request that an entry carries out, or one of a snapshot: the field
 * is the same in both. index is 0 in an entry. False when it does not fit. */
bool swki_codec_add_request(struct swki_buf *buf, uint64_t index,
                            const char *key, const char *object_id);

/* Numbers of fields. */
enum {
    SWKI_CODEC_REQUEST_FIELD = 1000,
    SWKI_CODEC_ACTOR_FIELD = 1001,
};

bool swki_codec_add_varint(struct swki_buf *buf, uint64_t value);

/* Reads the fields of an encoded message one by one. */
struct swki_reader {
    const uint8_t *data;
    size_t len; /* what is left */
};

struct swki_field {
    uint32_t number;
    uint32_t wire_type;
    uint64_t value;      /* of a varint */
    const uint8_t *data; /* of a length-delimited field */
    size_t len;
};

/* 1 with a field, 0 at the end, SWK_EMALFORMED. */
int swki_reader_next(struct swki_reader *reader, struct swki_field *out_field);

#endif
