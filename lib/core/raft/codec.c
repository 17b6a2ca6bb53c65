/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Messages between members as bytes: raftpb.Message in the wire format of
 * protocol buffers, by hand, since a leader makes one of them for each of its
 * followers on every write: this takes no memory, and entries point into the
 * bytes that were received.
 */

#include <stdbool.h>
#include <string.h>

#include <swarmkit/raft.h>

#include "base/alloc.h"
#include "base/error.h"

enum {
    /* Of protocol buffers. */
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,

    /* In one message; a peer has its own limit, which may be another. */
    ENTRIES_MAX = 65536,
    ENTRIES_FIRST = 64,
};

enum message_field {
    MESSAGE_TYPE = 1,
    MESSAGE_TO = 2,
    MESSAGE_FROM = 3,
    MESSAGE_TERM = 4,
    MESSAGE_LOG_TERM = 5,
    MESSAGE_INDEX = 6,
    MESSAGE_ENTRIES = 7,
    MESSAGE_COMMIT = 8,
    MESSAGE_SNAPSHOT = 9,
    MESSAGE_REJECT = 10,
    MESSAGE_REJECT_HINT = 11,
    MESSAGE_CONTEXT = 12,
    MESSAGE_VOTE = 13,
};

enum entry_field {
    ENTRY_TYPE = 1,
    ENTRY_TERM = 2,
    ENTRY_INDEX = 3,
    ENTRY_DATA = 4,
};

enum snapshot_field {
    SNAPSHOT_METADATA = 2,
};

enum metadata_field {
    METADATA_CONF_STATE = 1,
    METADATA_INDEX = 2,
    METADATA_TERM = 3,
};

enum conf_state_field {
    CONF_VOTERS = 1,
    CONF_LEARNERS = 2,
    CONF_VOTERS_OUTGOING = 3,
    CONF_LEARNERS_NEXT = 4,
    CONF_AUTO_LEAVE = 5,
};

/* -- Encoding ------------------------------------------------------------- */

/* Where bytes go; with at NULL they are only counted. */
struct sink {
    uint8_t *at;
    size_t len;
};

/* Seven bits a byte. */
static size_t varint_len(uint64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);

    return (bits + 6) / 7;
}

static void put_varint(struct sink *sink, uint64_t value)
{
    uint8_t *at;

    if (sink->at == NULL) {
        sink->len += varint_len(value);
        return;
    }
    at = sink->at + sink->len;
    for (; value >= 0x80; value >>= 7) {
        *at++ = (uint8_t)(value | 0x80);
    }
    *at++ = (uint8_t)value;
    sink->len = (size_t)(at - sink->at);
}

static void put_tag(struct sink *sink, uint32_t field, uint32_t wire)
{
    put_varint(sink, field << 3 | wire);
}

static void put_number(struct sink *sink, uint32_t field, uint64_t value)
{
    put_tag(sink, field, WIRE_VARINT);
    put_varint(sink, value);
}

static void put_nonzero(struct sink *sink, uint32_t field, uint64_t value)
{
    if (value != 0) {
        put_number(sink, field, value);
    }
}

static void put_bytes(struct sink *sink, uint32_t field, const uint8_t *data,
                      size_t len)
{
    if (len == 0) {
        return;
    }
    put_tag(sink, field, WIRE_BYTES);
    put_varint(sink, len);
    if (sink->at != NULL) {
        memcpy(sink->at + sink->len, data, len);
    }
    sink->len += len;
}

static void put_entry(struct sink *sink, const struct swk_log_entry *entry)
{
    put_nonzero(sink, ENTRY_TYPE, (uint64_t)entry->type);
    put_number(sink, ENTRY_TERM, entry->term);
    put_number(sink, ENTRY_INDEX, entry->index);
    put_bytes(sink, ENTRY_DATA, entry->data, entry->data_len);
}

static void put_ids(struct sink *sink, uint32_t field, const uint64_t *ids,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_number(sink, field, ids[i]);
    }
}

static void put_conf_state(struct sink *sink,
                           const struct swk_conf_state *state)
{
    put_ids(sink, CONF_VOTERS, state->voters, state->voters_count);
    put_ids(sink, CONF_LEARNERS, state->learners, state->learners_count);
    put_ids(sink, CONF_VOTERS_OUTGOING, state->voters_outgoing,
            state->voters_outgoing_count);
    put_ids(sink, CONF_LEARNERS_NEXT, state->learners_next,
            state->learners_next_count);
    put_nonzero(sink, CONF_AUTO_LEAVE, state->auto_leave != 0);
}

static void put_metadata(struct sink *sink,
                         const struct swk_snapshot_meta *meta)
{
    struct sink inner = {0};

    put_conf_state(&inner, &meta->conf_state);
    put_tag(sink, METADATA_CONF_STATE, WIRE_BYTES);
    put_varint(sink, inner.len);
    put_conf_state(sink, &meta->conf_state);
    put_nonzero(sink, METADATA_INDEX, meta->index);
    put_nonzero(sink, METADATA_TERM, meta->term);
}

static void put_snapshot(struct sink *sink,
                         const struct swk_snapshot_meta *meta)
{
    struct sink inner = {0};

    put_metadata(&inner, meta);
    put_tag(sink, SNAPSHOT_METADATA, WIRE_BYTES);
    put_varint(sink, inner.len);
    put_metadata(sink, meta);
}

static void put_entries(struct sink *sink,
                        const struct swk_raft_message *message)
{
    for (size_t i = 0; i < message->entries_count; i++) {
        struct sink inner = {0};

        put_entry(&inner, &message->entries[i]);
        put_tag(sink, MESSAGE_ENTRIES, WIRE_BYTES);
        put_varint(sink, inner.len);
        if (sink->at != NULL) {
            put_entry(sink, &message->entries[i]);
        } else {
            sink->len += inner.len;
        }
    }
}

/* Appendix B: a field is written if it is not zero, but for some that are
 * written always. */
static void put_message(struct sink *sink,
                        const struct swk_raft_message *message)
{
    put_number(sink, MESSAGE_TYPE, (uint64_t)message->type);
    put_number(sink, MESSAGE_TO, message->to);
    put_number(sink, MESSAGE_FROM, message->from);
    put_number(sink, MESSAGE_TERM, message->term);
    put_nonzero(sink, MESSAGE_LOG_TERM, message->log_term);
    put_nonzero(sink, MESSAGE_INDEX, message->index);
    put_entries(sink, message);
    put_nonzero(sink, MESSAGE_COMMIT, message->commit);
    if (message->snapshot != NULL) {
        struct sink inner = {0};

        put_snapshot(&inner, message->snapshot);
        put_tag(sink, MESSAGE_SNAPSHOT, WIRE_BYTES);
        put_varint(sink, inner.len);
        put_snapshot(sink, message->snapshot);
    }
    put_nonzero(sink, MESSAGE_REJECT, message->reject != 0);
    put_nonzero(sink, MESSAGE_REJECT_HINT, message->reject_hint);
    put_bytes(sink, MESSAGE_CONTEXT, message->context, message->context_len);
    put_nonzero(sink, MESSAGE_VOTE, message->vote);
}

size_t swk_raft_message_size(const struct swk_raft_message *message)
{
    struct sink sink = {0};

    put_message(&sink, message);
    return sink.len;
}

size_t swk_raft_message_encode(const struct swk_raft_message *message,
                               uint8_t *out)
{
    struct sink sink = {.at = out};

    put_message(&sink, message);
    return sink.len;
}

/* -- Decoding ------------------------------------------------------------- */

/* A list of IDs of a configuration, as it is read. */
struct ids {
    uint64_t ids[SWK_RAFT_MEMBERS_MAX];
    size_t count;
};

struct swk_raft_decoder {
    const struct swk_alloc *alloc;
    struct swk_log_entry *entries;
    size_t entries_size; /* room, in entries */
    size_t entries_count;
    struct swk_snapshot_meta meta;
    struct ids lists[CONF_LEARNERS_NEXT]; /* by field number - 1 */
};

/* Bytes still to be read. */
struct source {
    const uint8_t *at;
    const uint8_t *end;
};

/* A field: its number in value, or its bytes. */
struct field {
    uint32_t number;
    uint32_t wire;
    uint64_t value;
    struct source bytes;
};

static bool get_varint(struct source *source, uint64_t *out_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (source->at == source->end) {
            return false;
        }
        uint8_t byte = *source->at++;
        if (shift == 63 && byte > 1) {
            return false; /* more than 64 bits */
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

static bool get_bytes(struct source *source, uint64_t len, struct source *out)
{
    if (len > (uint64_t)(source->end - source->at)) {
        return false;
    }
    out->at = source->at;
    out->end = source->at + len;
    source->at = out->end;
    return true;
}

static bool get_field(struct source *source, struct field *out_field)
{
    uint64_t tag;
    uint64_t len;

    if (!get_varint(source, &tag) || tag >> 3 == 0 || tag > UINT32_MAX) {
        return false;
    }
    out_field->number = (uint32_t)(tag >> 3);
    out_field->wire = (uint32_t)(tag & 7);
    switch (out_field->wire) {
    case WIRE_VARINT:
        return get_varint(source, &out_field->value);
    case WIRE_FIXED64:
        return get_bytes(source, 8, &out_field->bytes);
    case WIRE_BYTES:
        return get_varint(source, &len) &&
               get_bytes(source, len, &out_field->bytes);
    case WIRE_FIXED32:
        return get_bytes(source, 4, &out_field->bytes);
    default:
        return false;
    }
}

static int malformed(struct swk_error *err, const char *what)
{
    return swki_fail(err, SWK_EINVAL, "raft message: malformed %s", what);
}

/* Each reader takes one field of its message, and leaves those of a later
 * protocol alone. */
typedef int (*read_field_fn)(swk_raft_decoder *decoder,
                             const struct field *field, void *out,
                             struct swk_error *err);

static int read_fields(swk_raft_decoder *decoder, struct source source,
                       read_field_fn read_field, void *out, const char *what,
                       struct swk_error *err)
{
    while (source.at < source.end) {
        struct field field;

        if (!get_field(&source, &field)) {
            return malformed(err, what);
        }
        int rc = read_field(decoder, &field, out, err);
        if (rc != SWK_OK) {
            return rc;
        }
    }
    return SWK_OK;
}

/* Whether a known field has the type it should have. */
static int need_wire(const struct field *field, uint32_t wire,
                     const char *what, struct swk_error *err)
{
    return field->wire == wire ? SWK_OK : malformed(err, what);
}

static int set_number(const struct field *field, uint64_t *out_value,
                      const char *what, struct swk_error *err)
{
    int rc = need_wire(field, WIRE_VARINT, what, err);

    if (rc == SWK_OK) {
        *out_value = field->value;
    }
    return rc;
}

/* An enum, a negative one of which takes 64 bits as any number. */
static int set_enum(const struct field *field, int32_t *out_value,
                    const char *what, struct swk_error *err)
{
    if (field->wire != WIRE_VARINT || field->value > INT32_MAX) {
        return malformed(err, what);
    }
    *out_value = (int32_t)field->value;
    return SWK_OK;
}

static int set_bool(const struct field *field, int32_t *out_value,
                    const char *what, struct swk_error *err)
{
    int rc = need_wire(field, WIRE_VARINT, what, err);

    if (rc == SWK_OK) {
        *out_value = field->value != 0;
    }
    return rc;
}

static int set_bytes(const struct field *field, const uint8_t **out_data,
                     size_t *out_len, const char *what, struct swk_error *err)
{
    int rc = need_wire(field, WIRE_BYTES, what, err);

    if (rc == SWK_OK) {
        *out_len = (size_t)(field->bytes.end - field->bytes.at);
        *out_data = *out_len > 0 ? field->bytes.at : NULL;
    }
    return rc;
}

static int read_entry_field(swk_raft_decoder *decoder,
                            const struct field *field, void *out,
                            struct swk_error *err)
{
    struct swk_log_entry *entry = out;

    (void)decoder;
    switch (field->number) {
    case ENTRY_TYPE:
        return set_enum(field, &entry->type, "entry", err);
    case ENTRY_TERM:
        return set_number(field, &entry->term, "entry", err);
    case ENTRY_INDEX:
        return set_number(field, &entry->index, "entry", err);
    case ENTRY_DATA:
        return set_bytes(field, &entry->data, &entry->data_len, "entry", err);
    default:
        return SWK_OK;
    }
}

static int add_id(struct ids *list, uint64_t id, struct swk_error *err)
{
    size_t at = list->count;

    if (list->count == SWK_RAFT_MEMBERS_MAX) {
        return swki_fail(err, SWK_ELIMIT,
                         "raft message: more than %d members",
                         (int)SWK_RAFT_MEMBERS_MAX);
    }
    while (at > 0 && list->ids[at - 1] > id) {
        at--;
    }
    if (at > 0 && list->ids[at - 1] == id) {
        return swki_fail(err, SWK_EINVAL, "raft message: a member twice");
    }
    memmove(&list->ids[at + 1], &list->ids[at],
            (list->count - at) * sizeof(list->ids[0]));
    list->ids[at] = id;
    list->count++;
    return SWK_OK;
}

/* One ID, or several in the packed form. */
static int add_ids(struct ids *list, const struct field *field,
                   struct swk_error *err)
{
    struct source source = field->bytes;
    uint64_t id;

    if (field->wire == WIRE_VARINT) {
        return add_id(list, field->value, err);
    }
    if (field->wire != WIRE_BYTES) {
        return malformed(err, "configuration");
    }
    while (source.at < source.end) {
        if (!get_varint(&source, &id)) {
            return malformed(err, "configuration");
        }
        int rc = add_id(list, id, err);
        if (rc != SWK_OK) {
            return rc;
        }
    }
    return SWK_OK;
}

static int read_conf_field(swk_raft_decoder *decoder,
                           const struct field *field, void *out,
                           struct swk_error *err)
{
    struct swk_conf_state *state = out;

    switch (field->number) {
    case CONF_VOTERS:
    case CONF_LEARNERS:
    case CONF_VOTERS_OUTGOING:
    case CONF_LEARNERS_NEXT:
        return add_ids(&decoder->lists[field->number - 1], field, err);
    case CONF_AUTO_LEAVE:
        return set_bool(field, &state->auto_leave, "configuration", err);
    default:
        return SWK_OK;
    }
}

static int read_metadata_field(swk_raft_decoder *decoder,
                               const struct field *field, void *out,
                               struct swk_error *err)
{
    struct swk_snapshot_meta *meta = out;

    switch (field->number) {
    case METADATA_CONF_STATE:
        return field->wire != WIRE_BYTES
                   ? malformed(err, "snapshot")
                   : read_fields(decoder, field->bytes, read_conf_field,
                                 &meta->conf_state, "configuration", err);
    case METADATA_INDEX:
        return set_number(field, &meta->index, "snapshot", err);
    case METADATA_TERM:
        return set_number(field, &meta->term, "snapshot", err);
    default:
        return SWK_OK;
    }
}

/* The data of a snapshot does not travel in messages; it is passed over. */
static int read_snapshot_field(swk_raft_decoder *decoder,
                               const struct field *field, void *out,
                               struct swk_error *err)
{
    if (field->number != SNAPSHOT_METADATA) {
        return SWK_OK;
    }
    return field->wire != WIRE_BYTES
               ? malformed(err, "snapshot")
               : read_fields(decoder, field->bytes, read_metadata_field, out,
                             "snapshot", err);
}

static int reserve_entry(swk_raft_decoder *decoder, struct swk_error *err)
{
    size_t size = decoder->entries_size;
    struct swk_log_entry *entries;

    if (decoder->entries_count < size) {
        return SWK_OK;
    }
    if (size >= ENTRIES_MAX) {
        return swki_fail(err, SWK_ELIMIT,
                         "raft message: more than %d entries",
                         (int)ENTRIES_MAX);
    }
    size = size > 0 ? 2 * size : ENTRIES_FIRST;
    entries = swki_realloc(decoder->alloc, decoder->entries, size,
                           sizeof(entries[0]));
    if (entries == NULL) {
        return swki_fail_nomem(err);
    }
    decoder->entries = entries;
    decoder->entries_size = size;
    return SWK_OK;
}

static int add_entry(swk_raft_decoder *decoder, const struct field *field,
                     struct swk_error *err)
{
    struct swk_log_entry *entry;
    int rc = need_wire(field, WIRE_BYTES, "entry", err);

    if (rc == SWK_OK) {
        rc = reserve_entry(decoder, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    entry = &decoder->entries[decoder->entries_count++];
    *entry = (struct swk_log_entry){0};
    return read_fields(decoder, field->bytes, read_entry_field, entry, "entry",
                       err);
}

static int read_part(swk_raft_decoder *decoder, const struct field *field,
                     struct swk_raft_message *message, struct swk_error *err)
{
    switch (field->number) {
    case MESSAGE_ENTRIES:
        return add_entry(decoder, field, err);
    case MESSAGE_SNAPSHOT:
        return field->wire != WIRE_BYTES
                   ? malformed(err, "snapshot")
                   : read_fields(decoder, field->bytes, read_snapshot_field,
                                 &decoder->meta, "snapshot", err);
    case MESSAGE_CONTEXT:
        return set_bytes(field, &message->context, &message->context_len,
                         "context", err);
    default:
        return SWK_OK;
    }
}

static int read_message_field(swk_raft_decoder *decoder,
                              const struct field *field, void *out,
                              struct swk_error *err)
{
    struct swk_raft_message *message = out;

    switch (field->number) {
    case MESSAGE_TYPE:
        return set_enum(field, &message->type, "type", err);
    case MESSAGE_TO:
        return set_number(field, &message->to, "member", err);
    case MESSAGE_FROM:
        return set_number(field, &message->from, "member", err);
    case MESSAGE_TERM:
        return set_number(field, &message->term, "term", err);
    case MESSAGE_LOG_TERM:
        return set_number(field, &message->log_term, "term", err);
    case MESSAGE_INDEX:
        return set_number(field, &message->index, "index", err);
    case MESSAGE_COMMIT:
        return set_number(field, &message->commit, "index", err);
    case MESSAGE_REJECT:
        return set_bool(field, &message->reject, "answer", err);
    case MESSAGE_REJECT_HINT:
        return set_number(field, &message->reject_hint, "answer", err);
    case MESSAGE_VOTE:
        return set_number(field, &message->vote, "vote", err);
    default:
        return read_part(decoder, field, message, err);
    }
}

int swk_raft_decoder_new(const struct swk_alloc *alloc,
                         swk_raft_decoder **out_decoder)
{
    swk_raft_decoder *decoder = swki_calloc(alloc, 1, sizeof(*decoder));

    if (decoder == NULL) {
        return SWK_ENOMEM;
    }
    decoder->alloc = alloc;
    *out_decoder = decoder;
    return SWK_OK;
}

void swk_raft_decoder_free(swk_raft_decoder *decoder)
{
    if (decoder != NULL) {
        swki_free(decoder->alloc, decoder->entries);
        swki_free(decoder->alloc, decoder);
    }
}

static void finish_snapshot(swk_raft_decoder *decoder)
{
    struct swk_conf_state *state = &decoder->meta.conf_state;
    const struct ids *lists = decoder->lists;

    state->voters = lists[0].count > 0 ? lists[0].ids : NULL;
    state->voters_count = lists[0].count;
    state->learners = lists[1].count > 0 ? lists[1].ids : NULL;
    state->learners_count = lists[1].count;
    state->voters_outgoing = lists[2].count > 0 ? lists[2].ids : NULL;
    state->voters_outgoing_count = lists[2].count;
    state->learners_next = lists[3].count > 0 ? lists[3].ids : NULL;
    state->learners_next_count = lists[3].count;
}

int swk_raft_message_decode(swk_raft_decoder *decoder, const uint8_t *data,
                            size_t len, struct swk_raft_message *out_message,
                            struct swk_error *err)
{
    const struct source source = {.at = data, .end = data + len};
    struct swk_raft_message message = {0};

    decoder->entries_count = 0;
    decoder->meta = (struct swk_snapshot_meta){0};
    for (size_t i = 0; i < CONF_LEARNERS_NEXT; i++) {
        decoder->lists[i].count = 0;
    }
    int rc = read_fields(decoder, source, read_message_field, &message,
                         "field", err);
    if (rc != SWK_OK) {
        return rc;
    }
    if (decoder->entries_count > 0) {
        message.entries = decoder->entries;
        message.entries_count = decoder->entries_count;
    }
    if (decoder->meta.index != 0) { /* else an empty one stands for none */
        finish_snapshot(decoder);
        message.snapshot = &decoder->meta;
    }
    *out_message = message;
    return SWK_OK;
}
