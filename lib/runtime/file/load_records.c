/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading the records of the log, past what is damaged.
 *
 * Where a record is missing, reading goes on at the next that is good. What
 * the entries before and behind such a gap are worth, load.c decides.
 */

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "runtime/file/load.h"

/* -- Entries -------------------------------------------------------------- */

uint64_t swki_entries_last_index(const struct swki_entries *entries)
{
    return entries->base.index + entries->count;
}

uint64_t swki_entries_term_at(const struct swki_entries *entries,
                              uint64_t index)
{
    if (index == entries->base.index) {
        return entries->base.term;
    }
    if (index < entries->base.index ||
        index > swki_entries_last_index(entries)) {
        return 0;
    }
    return entries->list[index - entries->base.index - 1].term;
}

static bool add_entry(struct swki_load *load, const struct swk_log_entry *entry)
{
    struct swki_entries *log = &load->log;

    if (log->count == log->size) {
        size_t size = log->size > 0 ? 2 * log->size : 256;
        struct swk_log_entry *list =
            swki_realloc(load->wal->alloc, log->list, size, sizeof(*list));

        if (list == NULL) {
            return false;
        }
        log->list = list;
        log->size = size;
    }
    log->list[log->count++] = *entry;
    return true;
}

static void reset_log(struct swki_load *load, const struct swki_place *base)
{
    load->log.count = 0;
    load->log.base = *base;
    load->log.floating = false;
    load->log.open = false;
}

/* Notes that records are missing from here on. What was read so far is set
 * aside the first time. */
static void note_gap(struct swki_load *load, uint64_t id, uint64_t offset,
                     const char *why)
{
    struct swki_wal *wal = load->wal;

    if (!load->gap.is_there) {
        load->gap = (struct swki_gap){
            .is_there = true,
            .id = id,
            .offset = offset,
            .why = why,
            .sequence = wal->sequence,
            .chain = wal->chain,
        };
        load->prefix = load->log;
        load->log = (struct swki_entries){.list = NULL};
    }
    load->log.count = 0;
    load->log.base = (struct swki_place){0, 0};
    load->log.floating = true;
    load->log.open = true;
}

/* -- What records say ----------------------------------------------------- */

/* False if the entry cannot be where it is. */
static bool fits(struct swki_load *load, const struct swk_log_entry *entry)
{
    struct swki_entries *log = &load->log;

    if (log->open || (log->floating && entry->index <= log->base.index)) {
        log->open = false;
        log->count = 0;
        log->base = (struct swki_place){entry->index - 1, 0};
    }
    return entry->index > log->base.index &&
           entry->index <= swki_entries_last_index(log) + 1;
}

static int take_append(struct swki_load *load, const struct swki_record *record,
                       uint64_t offset)
{
    struct swki_append_reader reader;
    struct swk_log_entry entry;
    uint64_t id = load->wal->segment.id;
    int rc = SWK_OK;

    if (!swki_append_read(&reader, record->payload, record->payload_len)) {
        return swki_load_damaged(load, id, offset, "bad record");
    }
    while (reader.entries_left > 0 && rc == SWK_OK) {
        if (!swki_append_next(&reader, &entry) || entry.index == 0 ||
            !fits(load, &entry)) {
            return swki_load_damaged(load, id, offset,
                                     "entries are missing before it");
        }
        load->log.count = (size_t)(entry.index - load->log.base.index - 1);
        load->top = entry.index > load->top ? entry.index : load->top;
        rc = add_entry(load, &entry) ? SWK_OK : swki_fail_nomem(load->err);
    }
    return rc;
}

static void take_snapshot(struct swki_load *load,
                          const struct swki_record *record)
{
    struct swki_place place;
    bool install;

    if (swki_snapshot_payload_decode(record->payload, record->payload_len,
                                     &place, &install) &&
        install) {
        reset_log(load, &place);
    }
}

static int take_record(struct swki_load *load, const struct swki_record *record,
                       uint64_t offset)
{
    struct swki_wal *wal = load->wal;

    if (record->type < SWKI_RECORD_APPEND ||
        record->type > SWKI_RECORD_NONCE_SALT ||
        record->flags > SWKI_FORMAT_SEALED) {
        return swki_fail(load->err, SWK_ENOTSUP,
                         "the log in %s was written by a later release",
                         wal->dir_path);
    }
    if (!swki_wal_note(wal, record)) {
        return swki_load_damaged(load, wal->segment.id, offset, "bad record");
    }
    wal->chain = record->crc;
    wal->sequence = record->sequence + 1;
    if (record->type == SWKI_RECORD_SNAPSHOT) {
        take_snapshot(load, record);
    }
    return record->type == SWKI_RECORD_APPEND
               ? take_append(load, record, offset)
               : SWK_OK;
}

/* -- Records -------------------------------------------------------------- */

/* Opens a record in the session it belongs to, which it may begin. */
static bool open_record(struct swki_wal *wal, uint8_t *bytes, uint64_t offset,
                        struct swki_record *record)
{
    struct swki_session session = wal->session;

    if (record->type == SWKI_RECORD_NONCE_SALT) {
        session.nonce_salt = swki_nonce_salt_of(record);
        session.first_sequence = record->sequence;
    }
    return swki_record_open(bytes, &session, offset, record);
}

/* Finds the next good record behind a bad place; 0 if there is none. */
static uint64_t find_record(struct swki_load *load,
                            const struct swki_piece *piece, uint64_t bad,
                            struct swki_record *out_record)
{
    for (uint64_t at = bad + SWKI_RECORD_ALIGN;
         at + SWKI_RECORD_HEADER_SIZE <= piece->size; at += SWKI_RECORD_ALIGN) {
        if (swki_record_decode(piece->bytes + at, piece->size - at,
                               &piece->header, at, out_record) &&
            out_record->sequence >= load->wal->sequence) {
            return at;
        }
    }
    return 0;
}

/* Why the end of the records cannot be the end of the log; NULL if it can.
 * A torn write is one whose sync did not return: a record written later, or
 * the bound, tells what was durable before (R-DSK-3). */
static const char *proof_of_damage(struct swki_load *load,
                                   const struct swki_piece *piece,
                                   uint64_t offset)
{
    struct swki_record record;
    uint64_t at = find_record(load, piece, offset, &record);
    uint64_t first = at;

    for (; at != 0; at = find_record(load, piece, at, &record)) {
        if (record.synced > offset) {
            return "good records follow";
        }
    }
    if (load->bound_at != 0 && load->bound.synced >= load->wal->sequence) {
        return "records that were durable are missing";
    }
    load->torn =
        first != 0 || swki_record_begins(piece->bytes + offset,
                                         piece->size - offset, &piece->header);
    return NULL;
}

/* Whether records are missing before the next segment. */
static const char *missing_before(struct swki_load *load, size_t at)
{
    const struct swki_piece *next = &load->pieces[at + 1];
    const struct swki_wal *wal = load->wal;
    bool follows = next->good && next->id == load->pieces[at].id + 1;

    if (wal->sequence >= load->pieces[at].limit || !follows ||
        (next->header.first_sequence == wal->sequence &&
         next->header.chain == wal->chain)) {
        return NULL;
    }
    return "records are missing at its end";
}

/* The record at offset, if it is the next of the log. out_why tells if it is
 * there, and not sealed for this place. */
static bool next_record(struct swki_load *load, const struct swki_piece *piece,
                        uint64_t offset, struct swki_record *out_record,
                        const char **out_why)
{
    struct swki_wal *wal = load->wal;

    if (!swki_record_decode(piece->bytes + offset, piece->size - offset,
                            &piece->header, offset, out_record) ||
        out_record->sequence != wal->sequence ||
        out_record->chain != wal->chain) {
        return false;
    }
    if (!open_record(wal, piece->bytes + offset, offset, out_record)) {
        *out_why = "not sealed for this place";
        return false;
    }
    return true;
}

/* Goes on behind a gap; false at the end of the segment. */
static bool resume(struct swki_load *load, const struct swki_piece *piece,
                   uint64_t *offset)
{
    struct swki_record record;
    uint64_t at = find_record(load, piece, *offset, &record);

    if (at == 0) {
        return false;
    }
    *offset = at;
    load->wal->sequence = record.sequence;
    load->wal->chain = record.chain;
    return true;
}

static int take_records(struct swki_load *load, size_t at)
{
    struct swki_wal *wal = load->wal;
    const struct swki_piece *piece = &load->pieces[at];
    bool is_last = at + 1 == load->pieces_count;
    struct swki_record record;
    uint64_t offset = SWKI_SEGMENT_HEAD_SIZE;

    load->settled = offset;
    while (wal->sequence < piece->limit) {
        const char *why = NULL;

        if (next_record(load, piece, offset, &record, &why)) {
            int rc = take_record(load, &record, offset);

            if (rc != SWK_OK) {
                return rc;
            }
            offset += record.size;
            load->settled = record.synced < offset ? record.synced : offset;
            continue;
        }
        if (why == NULL) {
            why = is_last ? proof_of_damage(load, piece, offset)
                          : missing_before(load, at);
        }
        if (why == NULL) {
            break;
        }
        note_gap(load, piece->id, offset, why);
        if (!resume(load, piece, &offset)) {
            load->ends_badly = is_last;
            break;
        }
    }
    wal->offset = offset;
    return SWK_OK;
}

/* -- Segments ------------------------------------------------------------- */

/* The newer of two states of a member. */
static void merge_state(struct swk_hard_state *state,
                        const struct swk_hard_state *other)
{
    if (other->term > state->term) {
        state->term = other->term;
        state->vote = other->vote;
    }
    if (other->term == state->term && state->vote == 0) {
        state->vote = other->vote;
    }
    if (other->commit > state->commit) {
        state->commit = other->commit;
    }
}

static void take_header(struct swki_load *load, const struct swki_piece *piece,
                        bool goes_on)
{
    struct swki_wal *wal = load->wal;
    const struct swki_segment_header *header = &piece->header;
    bool at_base = wal->last.index == header->base.index &&
                   wal->last.term == header->base.term;

    if (!load->started) {
        reset_log(load, &header->base);
        load->log.floating = load->gap.is_there;
    } else if (!goes_on) {
        reset_log(load, &header->base);
        load->log.floating = true;
    } else if (!at_base) {
        reset_log(load, &header->base);
    }
    wal->sequence = header->first_sequence;
    wal->chain = header->chain;
    wal->state = header->state;
    wal->snapshot = header->snapshot;
    wal->last = header->base;
    wal->lost = header->lost;
    wal->generation = header->generation;
    wal->identity_len = header->identity_len;
    memcpy(wal->identity, header->identity, header->identity_len);
    load->started = true;
}

static bool is_void(const struct swki_load *load,
                    const struct swki_piece *piece)
{
    return piece->good ? piece->header.first_sequence >= piece->limit
                       : load->wal->sequence >= piece->limit;
}

static int take_segment(struct swki_load *load, size_t at)
{
    struct swki_wal *wal = load->wal;
    const struct swki_piece *piece = &load->pieces[at];
    const struct swki_segment_header *header = &piece->header;
    bool goes_on =
        header->first_sequence == wal->sequence && header->chain == wal->chain;

    wal->segment_last_index = 0;
    if (is_void(load, piece)) {
        return SWK_OK;
    }
    if (!piece->good) {
        note_gap(load, piece->id, 0, piece->why);
        load->ends_badly = true;
        return SWK_OK;
    }
    if (load->started && !goes_on && !load->log.open) {
        uint64_t before = load->pieces[at - 1].id;

        if (piece->id != before + 1) {
            note_gap(load, before + 1, 0, "it is missing");
        } else {
            note_gap(load, before, wal->offset,
                     "records are missing at its end");
        }
    }
    load->ends_badly = false;
    wal->segment = *header;
    take_header(load, piece, goes_on);
    wal->session = (struct swki_session){
        .segment = header,
        .seal = piece->seal,
        .nonce_salt = header->nonce_salt,
        .first_sequence = header->first_sequence,
    };
    return take_records(load, at);
}

/* The newest bound of the last segment, whose header may be bad. */
static void find_bound(struct swki_load *load)
{
    const struct swki_piece *piece = &load->pieces[load->pieces_count - 1];
    struct swki_bound bound;

    for (size_t i = 0; i < 6 && piece->size >= SWKI_SEGMENT_HEAD_SIZE; i++) {
        uint64_t at = SWKI_BOUND_AT + i % 2 * SWKI_BOUND_STEP;
        const struct swki_seal *seal = &load->seals[i / 2];
        bool fits = piece->good ? seal == piece->seal
                                : seal->cipher != NULL ||
                                      load->seals[0].cipher == NULL ||
                                      load->wal->accept_unsealed;

        if (fits && swki_bound_decode(piece->bytes + at, seal, &bound) &&
            bound.id == piece->id &&
            (!piece->good || bound.salt == piece->header.salt) &&
            (load->bound_at == 0 || bound.count > load->bound.count)) {
            load->bound = bound;
            load->bound_at = at;
        }
    }
}

static int no_bound(struct swki_load *load)
{
    struct swki_wal *wal = load->wal;
    char name[SWKI_WAL_NAME_SIZE];

    swki_wal_segment_name(load->pieces[load->pieces_count - 1].id, name);
    return swki_fail(load->err, SWK_ECORRUPT,
                     "%s/%s is damaged where it says what this member "
                     "promised: remove the member and let it join again",
                     wal->dir_path, name);
}

/* What a gap may have said. Without one the records say it all, and the bound
 * may belong to a write that was cut off. */
static void take_bound(struct swki_load *load)
{
    struct swki_wal *wal = load->wal;

    merge_state(&wal->state, &load->bound.state);
    if (load->bound.snapshot.index > wal->snapshot.index) {
        wal->snapshot = load->bound.snapshot;
    }
}

int swki_load_records(struct swki_load *load)
{
    struct swki_wal *wal = load->wal;
    int rc = SWK_OK;

    find_bound(load);
    wal->sequence = 1;
    for (size_t i = 0; i < load->pieces_count && rc == SWK_OK; i++) {
        const struct swki_piece *piece = &load->pieces[i];
        bool is_last = i + 1 == load->pieces_count;

        rc = take_segment(load, i);
        const struct swki_wal_segment segment = {
            .id = piece->id,
            .last_index = wal->segment_last_index,
            .key = piece->good ? piece->seal->number : 0,
        };
        if (rc == SWK_OK && !(is_last && piece->good) &&
            !swki_wal_add_closed(wal, &segment)) {
            rc = swki_fail_nomem(load->err);
        }
    }
    if (rc != SWK_OK) {
        return rc;
    }
    if (load->bound_at == 0 || !load->started) {
        return no_bound(load);
    }
    if (load->bound.followed) {
        return wal->read_only ? SWK_EUNAVAILABLE
                              : swki_load_damaged(load, wal->segment.id + 1, 0,
                                                  "it is missing");
    }
    wal->bound_count = load->bound.count;
    if (load->gap.is_there) {
        take_bound(load);
    }
    return SWK_OK;
}
