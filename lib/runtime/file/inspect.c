/* SPDX-License-Identifier: Apache-2.0 */

/* Looking at the files of a storage one by one, for offline tools. */

#include "runtime/file/inspect.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/error.h"
#include "runtime/file/load.h"

/* A record, and the state that it holds. */
struct found {
    struct swk_storage_record record;
    struct swk_hard_state state;
    bool has_state;
};

/* A segment as it is read. */
struct look {
    struct swki_load *load;
    struct swki_piece *piece;
    bool is_last;
    struct swki_session session;
    uint64_t sequence; /* of the next record */
    uint32_t chain;
    struct swk_storage_segment segment;
    struct found *list;
    size_t count;
    size_t size;
};

static struct found *add_found(struct look *look)
{
    if (look->count == look->size) {
        size_t size = look->size > 0 ? 2 * look->size : 64;
        struct found *list = swki_realloc(look->load->wal->alloc, look->list,
                                          size, sizeof(*list));

        if (list == NULL) {
            return NULL;
        }
        look->list = list;
        look->size = size;
    }
    return &look->list[look->count++];
}

/* -- Records -------------------------------------------------------------- */

static bool read_append(const struct swki_record *record, struct found *found)
{
    struct swki_append_reader reader;
    struct swk_log_entry entry;

    if (!swki_append_read(&reader, record->payload, record->payload_len)) {
        return false;
    }
    found->has_state = reader.has_state;
    found->state = reader.state;
    while (reader.entries_left > 0) {
        if (!swki_append_next(&reader, &entry)) {
            return false;
        }
        if (found->record.first_index == 0) {
            found->record.first_index = entry.index;
        }
        found->record.last_index = entry.index;
        found->record.term = entry.term;
    }
    return true;
}

static bool read_snapshot(const struct swki_record *record, struct found *found)
{
    struct swki_place place;
    bool install;

    if (!swki_snapshot_payload_decode(record->payload, record->payload_len,
                                      &place, &install)) {
        return false;
    }
    found->record.install = install;
    found->record.first_index = place.index;
    found->record.last_index = place.index;
    found->record.term = place.term;
    return true;
}

static void sum_up(struct swk_storage_segment *segment,
                   const struct found *found)
{
    const struct swk_storage_record *record = &found->record;

    if (segment->records_count == 0) {
        segment->first_sequence = record->sequence;
    }
    segment->records_count++;
    segment->last_sequence = record->sequence;
    segment->used = record->offset + record->length;
    if (found->has_state) {
        segment->state = found->state;
    }
    if (record->type != SWKI_RECORD_APPEND || record->first_index == 0) {
        return;
    }
    if (segment->first_index == 0 ||
        record->first_index < segment->first_index) {
        segment->first_index = record->first_index;
    }
    if (record->last_index > segment->last_index) {
        segment->last_index = record->last_index;
    }
}

/* False if the payload is malformed; SWK_ENOMEM in out_rc. */
static bool note_record(struct look *look, const struct swki_record *record,
                        uint64_t offset, int *out_rc)
{
    struct found found = {.record = {
                              .size = sizeof(found.record),
                              .type = record->type,
                              .offset = offset,
                              .length = record->size,
                              .sequence = record->sequence,
                          }};
    bool good = true;

    if (record->type == SWKI_RECORD_APPEND) {
        good = read_append(record, &found);
    } else if (record->type == SWKI_RECORD_SNAPSHOT) {
        good = read_snapshot(record, &found);
    } else {
        look->session.nonce_salt = swki_nonce_salt_of(record);
        look->session.first_sequence = record->sequence;
    }
    struct found *place = good ? add_found(look) : NULL;
    if (place == NULL) {
        *out_rc = good ? SWK_ENOMEM : SWK_OK;
        return false;
    }
    *place = found;
    sum_up(&look->segment, &found);
    return true;
}

/* The record at offset, opened, if it is the next one. */
static bool next_record(struct look *look, uint64_t offset,
                        struct swki_record *out_record)
{
    struct swki_piece *piece = look->piece;
    struct swki_session session = look->session;

    if (!swki_record_decode(piece->bytes + offset, piece->size - offset,
                            &piece->header, offset, out_record) ||
        out_record->sequence != look->sequence ||
        out_record->chain != look->chain) {
        return false;
    }
    if (out_record->type == SWKI_RECORD_NONCE_SALT) {
        session.nonce_salt = swki_nonce_salt_of(out_record);
        session.first_sequence = out_record->sequence;
    }
    return swki_record_open(piece->bytes + offset, &session, offset,
                            out_record);
}

static void set_verdict(struct look *look, enum swk_storage_verdict verdict,
                        uint64_t offset)
{
    if (look->segment.verdict == SWK_STORAGE_GOOD) {
        look->segment.verdict = (int32_t)verdict;
        look->segment.offset = offset;
    }
}

/* Goes on at the next good record behind a bad place; 0 if there is none. A
 * record written after that place was durable proves damage. */
static uint64_t resume(struct look *look, uint64_t bad)
{
    const struct swki_piece *piece = look->piece;

    for (uint64_t at = bad + SWKI_RECORD_ALIGN;
         at + SWKI_RECORD_HEADER_SIZE <= piece->size; at += SWKI_RECORD_ALIGN) {
        struct swki_record record;

        if (!swki_record_decode(piece->bytes + at, piece->size - at,
                                &piece->header, at, &record) ||
            record.sequence < look->sequence) {
            continue;
        }
        bool torn = look->is_last && record.synced <= bad;
        set_verdict(look, torn ? SWK_STORAGE_TORN : SWK_STORAGE_DAMAGED, bad);
        look->sequence = record.sequence;
        look->chain = record.chain;
        return torn ? 0 : at;
    }
    return 0;
}

static int read_records(struct look *look)
{
    struct swki_record record;
    uint64_t offset = SWKI_SEGMENT_HEAD_SIZE;
    int rc = SWK_OK;

    while (offset != 0 && rc == SWK_OK) {
        if (next_record(look, offset, &record) &&
            note_record(look, &record, offset, &rc)) {
            look->sequence = record.sequence + 1;
            look->chain = record.crc;
            offset += record.size;
        } else if (rc == SWK_OK) {
            offset = resume(look, offset);
        }
    }
    return rc == SWK_OK ? rc : swki_fail_nomem(look->load->err);
}

/* What the end says: the bound, and the header of the segment that follows. */
static void check_end(struct look *look, const struct swki_piece *next)
{
    struct swki_bound bound;
    bool found = false;

    for (uint64_t i = 0; i < 2; i++) {
        const uint8_t *at =
            look->piece->bytes + SWKI_BOUND_AT + i * SWKI_BOUND_STEP;

        if (!swki_bound_decode(at, look->piece->seal, &bound) ||
            bound.salt != look->piece->header.salt) {
            continue;
        }
        found = true;
        if (bound.index > look->segment.acknowledged) {
            look->segment.acknowledged = bound.index;
        }
        if (look->is_last && bound.synced >= look->sequence) {
            set_verdict(look, SWK_STORAGE_DAMAGED, look->segment.used);
        }
    }
    if (look->is_last && !found) {
        set_verdict(look, SWK_STORAGE_DAMAGED, SWKI_BOUND_AT);
    }
    if (next != NULL && next->good && next->id == look->piece->id + 1 &&
        next->header.cut == 0 &&
        (next->header.first_sequence != look->sequence ||
         next->header.chain != look->chain)) {
        set_verdict(look, SWK_STORAGE_DAMAGED, look->segment.used);
    }
    if (look->is_last &&
        swki_record_begins(look->piece->bytes + look->segment.used,
                           look->piece->size - look->segment.used,
                           &look->piece->header)) {
        set_verdict(look, SWK_STORAGE_TORN, look->segment.used);
    }
}

/* -- Files ---------------------------------------------------------------- */

static void describe(struct look *look)
{
    const struct swki_piece *piece = look->piece;
    const struct swki_segment_header *header = &piece->header;
    struct swk_storage_segment *segment = &look->segment;

    segment->sealed = header->sealed;
    segment->lost = header->lost;
    segment->cut = header->cut;
    segment->generation = header->generation;
    segment->state = header->state;
    segment->used = SWKI_SEGMENT_HEAD_SIZE;
    segment->key = piece->seal == &look->load->seals[0] ? SWK_STORAGE_KEY_NEWEST
                                                        : SWK_STORAGE_KEY_OLD;
    if (!header->sealed) {
        segment->key = SWK_STORAGE_KEY_NONE;
    }
    look->sequence = header->first_sequence;
    look->chain = header->chain;
    look->session = (struct swki_session){
        .segment = header,
        .seal = piece->seal,
        .nonce_salt = header->nonce_salt,
        .first_sequence = header->first_sequence,
    };
}

static int tell(const struct look *look,
                const struct swk_storage_inspector *inspector,
                struct swk_error *err)
{
    int rc = SWK_OK;

    if (inspector->segment != NULL) {
        rc = inspector->segment(inspector->ctx, &look->segment, err);
    }
    for (size_t i = 0;
         i < look->count && rc == SWK_OK && inspector->record != NULL; i++) {
        struct found *found = &look->list[i];

        found->record.state = found->has_state ? &found->state : NULL;
        rc = inspector->record(inspector->ctx, &found->record, err);
    }
    return rc;
}

static int inspect_segment(struct swki_load *load, size_t at,
                           const struct swk_storage_inspector *inspector)
{
    struct swki_piece *piece = &load->pieces[at];
    bool is_last = at + 1 == load->pieces_count;
    char name[SWKI_WAL_NAME_SIZE];
    struct look look = {
        .load = load,
        .piece = piece,
        .is_last = is_last,
        .segment =
            {
                .size = sizeof(look.segment),
                .name = name,
                .format = piece->format,
                .sealed = piece->header.sealed,
                .verdict = SWK_STORAGE_DAMAGED,
                .file_size = piece->size,
            },
    };
    int rc = SWK_OK;

    swki_wal_segment_name(piece->id, name);
    if (piece->rc == SWK_ENOTSUP) {
        look.segment.verdict = SWK_STORAGE_OTHER_FORMAT;
    } else if (piece->rc == SWK_EDENIED) {
        look.segment.verdict = SWK_STORAGE_LOCKED;
    } else if (piece->good) {
        look.segment.verdict = SWK_STORAGE_GOOD;
        describe(&look);
        rc = read_records(&look);
        check_end(&look, is_last ? NULL : piece + 1);
    }
    if (rc == SWK_OK) {
        rc = tell(&look, inspector, load->err);
    }
    swki_free(load->wal->alloc, look.list);
    return rc;
}

/* 0 if it went away meanwhile. */
static uint64_t file_size(struct swki_wal *wal, const char *name)
{
    const struct swki_file_io *io = wal->io;
    int fd = io->open(io->ctx, wal->dir, name);
    int64_t size = fd >= 0 ? io->size(io->ctx, fd) : 0;

    if (fd >= 0) {
        io->close(io->ctx, fd);
    }
    return size > 0 ? (uint64_t)size : 0;
}

static enum swk_storage_key key_of(struct swki_wal *wal, uint32_t number)
{
    if (number == 0) {
        return SWK_STORAGE_KEY_NONE;
    }
    return number == swki_keyring_newest(wal->ring) ? SWK_STORAGE_KEY_NEWEST
                                                    : SWK_STORAGE_KEY_OLD;
}

static int inspect_snapshot(struct swki_wal *wal,
                            const struct swki_place *place,
                            const struct swk_storage_inspector *inspector,
                            struct swk_error *err)
{
    struct swki_loaded_snapshot loaded = {.data = NULL};
    char name[SWKI_WAL_NAME_SIZE];
    struct swk_storage_snapshot snapshot = {
        .size = sizeof(snapshot),
        .name = name,
        .index = place->index,
        .term = place->term,
    };
    int rc = swki_wal_read_snapshot(wal, place, &loaded, err);

    swki_wal_snapshot_name(place, name);
    snapshot.file_size = file_size(wal, name);
    switch (rc) {
    case SWK_OK:
        snapshot.format = SWKI_SNAPSHOT_VERSION;
        snapshot.data_size = loaded.data_len;
        snapshot.key = (int32_t)key_of(wal, loaded.key);
        snapshot.sealed = loaded.key != 0;
        break;
    case SWK_ECORRUPT:
        snapshot.verdict = SWK_STORAGE_DAMAGED;
        break;
    case SWK_ENOTSUP:
        snapshot.verdict = SWK_STORAGE_OTHER_FORMAT;
        break;
    case SWK_EDENIED:
        snapshot.verdict = SWK_STORAGE_LOCKED;
        snapshot.format = SWKI_SNAPSHOT_VERSION;
        snapshot.sealed = 1;
        break;
    case SWK_ENOTFOUND: /* removed meanwhile */
        return SWK_OK;
    default:
        return rc;
    }
    swki_loaded_snapshot_fini(wal->alloc, &loaded);
    return inspector->snapshot(inspector->ctx, &snapshot, err);
}

int swki_wal_inspect(struct swki_wal *wal,
                     const struct swk_storage_inspector *inspector,
                     struct swk_error *err)
{
    struct swki_load load = {.wal = wal, .err = err, .goes_on = true};
    int rc = swki_load_list(&load);

    if (rc == SWK_OK) {
        rc = swki_load_open(&load);
    }
    for (size_t i = 0; i < load.pieces_count && rc == SWK_OK; i++) {
        rc = inspect_segment(&load, i, inspector);
    }
    swki_load_release(&load);
    for (size_t i = 0; i < wal->snapshots_count && rc == SWK_OK &&
                       inspector->snapshot != NULL;
         i++) {
        rc = inspect_snapshot(wal, &wal->snapshots[i].place, inspector, err);
    }
    return rc;
}
