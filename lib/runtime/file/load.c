/* SPDX-License-Identifier: Apache-2.0 */

/* Reading the log back, and making it fit to be written again. */

#include "runtime/file/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"

enum {
    TRIES_MAX = 5, /* while another process removes what is being read */
    COPY_SIZE = 64 * 1024,
};

/* What was made of what was read. */
struct outcome {
    struct swki_loaded_snapshot snapshot; /* index 0: none */
    struct swki_entries *log;
    bool lost; /* entries after it that may have been acknowledged */
};

/* -- Repair --------------------------------------------------------------- */

/* What was read may be in the memory of the system alone: the process before
 * may have ended before its sync, or because of it. So it is written again
 * before anyone relies on it. */
static int rewrite(struct swki_wal *wal, uint64_t from, uint64_t to)
{
    const struct swki_file_io *io = wal->io;
    uint8_t *bytes = swki_alloc(wal->alloc, COPY_SIZE);
    int rc = bytes != NULL ? 0 : -ENOMEM;

    while (rc >= 0 && from < to) {
        size_t len = to - from < COPY_SIZE ? (size_t)(to - from) : COPY_SIZE;
        int64_t count = swki_io_read_all(io, wal->fd, bytes, len, from);

        rc = count < 0 ? (int)count : 0;
        if (count == 0) {
            break;
        }
        if (rc >= 0) {
            rc = swki_io_write_all(io, wal->fd, bytes, (size_t)count, from);
            from += (uint64_t)count;
        }
    }
    swki_free(wal->alloc, bytes);
    return rc;
}

/* Overwrites what is left of a write that was cut off: the space stays
 * taken. */
static int clear_tail(struct swki_wal *wal, uint64_t size)
{
    uint8_t *zeros = swki_calloc(wal->alloc, 1, COPY_SIZE);
    int rc = zeros != NULL ? 0 : -ENOMEM;

    for (uint64_t at = wal->offset; rc >= 0 && at < size; at += COPY_SIZE) {
        size_t len = size - at < COPY_SIZE ? (size_t)(size - at) : COPY_SIZE;

        rc = swki_io_write_all(wal->io, wal->fd, zeros, len, at);
    }
    swki_free(wal->alloc, zeros);
    return rc;
}

/* Space for the rest of the segment, unless the disk is full: then this is all
 * there is. */
static int take_room(struct swki_wal *wal, uint64_t size)
{
    wal->segment_room = size;
    if (size >= wal->segment_size) {
        return 0;
    }
    int rc = wal->io->preallocate(wal->io->ctx, wal->fd, wal->segment_size);
    if (rc >= 0) {
        wal->segment_room = wal->segment_size;
    }
    return rc == -ENOSPC || rc == -EDQUOT ? 0 : rc;
}

static int settle_tail(struct swki_load *load, uint64_t size)
{
    struct swki_wal *wal = load->wal;
    const struct swki_file_io *io = wal->io;
    int rc = rewrite(wal, load->settled, wal->offset);

    if (rc >= 0) {
        rc = rewrite(wal, load->bound_at, load->bound_at + SWKI_BOUND_SIZE);
    }
    if (rc >= 0 && load->torn) {
        rc = clear_tail(wal, size);
    }
    if (rc >= 0) {
        rc = take_room(wal, size);
    }
    if (rc >= 0) {
        rc = io->sync(io->ctx, wal->fd);
    }
    return rc >= 0 ? io->sync_dir(io->ctx, wal->dir) : rc;
}

/* Goes on in the last segment. */
static int go_on(struct swki_load *load)
{
    struct swki_wal *wal = load->wal;
    const struct swki_piece *piece = &load->pieces[load->pieces_count - 1];
    char name[SWKI_WAL_NAME_SIZE];

    swki_wal_segment_name(piece->id, name);
    wal->fd = wal->io->open(wal->io->ctx, wal->dir, name);
    if (wal->fd < 0) {
        return swki_io_fail(load->err, wal->fd, "open", wal->dir_path, name);
    }
    if (load->torn) {
        swki_log(wal->logger, SWK_LOG_WARN, "file",
                 "%s/%s ends in a write that was cut off, at offset %" PRIu64
                 ": removed what was not complete",
                 wal->dir_path, name, wal->offset);
    }
    int rc = settle_tail(load, piece->size);
    if (rc < 0) {
        return swki_io_fail(load->err, rc, "repair", wal->dir_path, name);
    }
    if (piece->seal->cipher != NULL) {
        size_t which = (size_t)(piece->seal - load->seals);

        if (swki_keyring_seal(wal->ring, which, &wal->seal) != SWK_OK) {
            return swki_fail_nomem(load->err);
        }
    }
    wal->session.segment = &wal->segment;
    wal->session.seal = &wal->seal;
    wal->salt_due = wal->seal.cipher != NULL;
    return SWK_OK;
}

/* Goes on in a new segment, whose header says from where on what is before it
 * is void. */
static int cut(struct swki_load *load, const struct outcome *outcome)
{
    struct swki_wal *wal = load->wal;
    const struct swki_piece *last = &load->pieces[load->pieces_count - 1];
    const struct swki_wal_segment segment = {
        .id = last->id,
        .last_index = wal->segment_last_index,
        .key = last->good ? last->seal->number : 0,
    };

    if (last->good && !swki_wal_add_closed(wal, &segment)) {
        return swki_fail_nomem(load->err);
    }
    if (outcome->lost) {
        wal->sequence = load->gap.sequence;
        wal->chain = load->gap.chain;
    }
    wal->cut = wal->sequence;
    int rc = swki_wal_next_segment(wal, 0, true, load->err);
    return rc == SWK_OK ? swki_wal_flush(wal, load->err) : rc;
}

static int repair(struct swki_load *load, const struct outcome *outcome)
{
    struct swki_wal *wal = load->wal;

    if (wal->read_only) {
        return SWK_OK;
    }
    int rc =
        outcome->lost || load->ends_badly ? cut(load, outcome) : go_on(load);
    if (rc == SWK_OK) {
        swki_wal_make_reserve(wal);
    }
    return rc;
}

/* -- Snapshots ------------------------------------------------------------ */

static void forget_newest_snapshot(struct swki_wal *wal)
{
    wal->snapshots_count--;
}

/* Snapshots that never got their record: the log does not know them. In a
 * damaged log that record may be what is damaged; they stay on the disk. */
static int remove_unfinished(struct swki_load *load)
{
    struct swki_wal *wal = load->wal;
    bool stay = wal->read_only || load->gap.is_there;

    while (wal->snapshots_count > 0) {
        const struct swki_place *newest =
            &wal->snapshots[wal->snapshots_count - 1].place;
        char name[SWKI_WAL_NAME_SIZE];

        if (newest->index <= wal->snapshot.index) {
            break;
        }
        swki_wal_snapshot_name(newest, name);
        int rc = stay ? 0 : wal->io->remove(wal->io->ctx, wal->dir, name);
        if (rc < 0) {
            return swki_io_fail(load->err, rc, "remove", wal->dir_path, name);
        }
        forget_newest_snapshot(wal);
    }
    return SWK_OK;
}

/* Whether the state can be rebuilt from a snapshot, or from none (index 0),
 * and the log. */
static bool covers(const struct swki_load *load, const struct outcome *outcome,
                   const struct swki_place *place)
{
    const struct swki_place *newest = &load->wal->snapshot;
    const struct swki_entries *log = outcome->log;

    if (log->open) { /* nothing is behind the gap but, maybe, entries */
        return place->index > 0 && load->bound.index <= place->index;
    }
    if (log->base.index > place->index) {
        return false;
    }
    if (place->index == newest->index) {
        return place->term == newest->term;
    }
    return swki_entries_term_at(log, place->index) == place->term &&
           (outcome->lost || swki_entries_last_index(log) >= newest->index);
}

/* Moves a bad snapshot out of the way, where it can be looked at. */
static int set_aside(struct swki_load *load, const struct swki_place *place,
                     const struct swk_error *why)
{
    struct swki_wal *wal = load->wal;
    char name[SWKI_WAL_NAME_SIZE];
    char broken[SWKI_WAL_NAME_SIZE + 8];

    swki_log(wal->logger, SWK_LOG_ERROR, "file",
             "%s: using what is older, and the log", why->text);
    swki_wal_snapshot_name(place, name);
    snprintf(broken, sizeof(broken), "%s.broken", name);
    int rc = wal->read_only
                 ? 0
                 : wal->io->rename(wal->io->ctx, wal->dir, name, broken);
    return rc < 0 ? swki_io_fail(load->err, rc, "rename", wal->dir_path, name)
                  : SWK_OK;
}

/* Finds a snapshot to start from; index 0 if the log has everything.
 * SWK_ENOTFOUND if there is none. Bad ones are set aside only when something
 * replaces them. */
static int choose_snapshot(struct swki_load *load, struct outcome *outcome,
                           struct swk_error *why)
{
    static const struct swki_place none = {0, 0};
    struct swki_wal *wal = load->wal;
    size_t newest = wal->snapshots_count;

    for (; newest > 0; newest--) {
        if (!covers(load, outcome, &wal->snapshots[newest - 1].place)) {
            continue;
        }
        int rc = swki_wal_read_snapshot(wal, &wal->snapshots[newest - 1].place,
                                        &outcome->snapshot, why);
        if (rc == SWK_OK) {
            break;
        }
        if (rc != SWK_ECORRUPT) {
            return swki_fail(load->err, rc, "%s", why->text);
        }
    }
    if (newest == 0 && !covers(load, outcome, &none)) {
        return SWK_ENOTFOUND;
    }
    while (wal->snapshots_count > newest) {
        int rc = set_aside(
            load, &wal->snapshots[wal->snapshots_count - 1].place, why);
        if (rc != SWK_OK) {
            return rc;
        }
        forget_newest_snapshot(wal);
    }
    return SWK_OK;
}

/* -- What is left --------------------------------------------------------- */

/* The log goes on from the snapshot, if it knows it. */
static void fit_log(struct outcome *outcome)
{
    struct swki_entries *log = outcome->log;
    const struct swki_place place = {outcome->snapshot.meta.is.index,
                                     outcome->snapshot.meta.is.term};

    if (place.index == 0) {
        return;
    }
    bool joins =
        !log->open && (log->base.index == place.index ||
                       swki_entries_term_at(log, place.index) == place.term);
    if (!joins && (outcome->lost || log->open ||
                   swki_entries_last_index(log) < place.index)) {
        log->count = 0;
        log->base = place;
        log->open = false;
    }
}

/* Entries behind the gap count if a snapshot takes the place of those before
 * them. Else what is before it is left, and the rest may have been promised
 * (R-DSK-3). */
static int choose(struct swki_load *load,
                  const struct swk_storage_replay *replay,
                  struct outcome *outcome)
{
    struct swk_error why = {.text = "its file is missing"};
    int rc;

    outcome->log = &load->log;
    rc = choose_snapshot(load, outcome, &why);
    if (rc == SWK_ENOTFOUND && load->gap.is_there) {
        if (replay->lost == NULL) {
            return swki_load_damaged(load, load->gap.id, load->gap.offset,
                                     load->gap.why);
        }
        outcome->lost = true;
        outcome->log = &load->prefix;
        rc = choose_snapshot(load, outcome, &why);
    }
    if (rc == SWK_ENOTFOUND) {
        return swki_fail(load->err, SWK_ECORRUPT,
                         "no good snapshot in %s for what the log lacks (%s): "
                         "restore the directory from a backup, or remove this "
                         "member and let it join again",
                         load->wal->dir_path, why.text);
    }
    if (rc == SWK_OK) {
        fit_log(outcome);
    }
    return rc;
}

/* Without certainty where the gap ends one more entry is waited for: what
 * follows from the leader proves all before it. */
static void note_lost(struct swki_load *load, const struct outcome *outcome)
{
    struct swki_wal *wal = load->wal;
    uint64_t up_to = swki_entries_last_index(outcome->log) + 1;

    up_to = load->bound.index > up_to ? load->bound.index : up_to;
    up_to = load->top > up_to ? load->top : up_to;
    wal->lost = wal->lost > up_to ? wal->lost : up_to;
}

static void note_end(struct swki_load *load, const struct outcome *outcome)
{
    const struct swki_entries *log = outcome->log;
    uint64_t last = swki_entries_last_index(log);

    load->wal->last =
        (struct swki_place){last, swki_entries_term_at(log, last)};
    if (load->gap.is_there && !outcome->lost &&
        load->wal->state.commit > last) {
        load->wal->state.commit = last; /* that of a write cut off */
    }
    if (outcome->lost) { /* newer ones cannot be used */
        load->wal->snapshot = (struct swki_place){
            outcome->snapshot.meta.is.index, outcome->snapshot.meta.is.term};
    }
    if (load->gap.is_there) {
        swki_log(
            load->wal->logger, SWK_LOG_ERROR, "file",
            "%s/log-%016" PRIx64 " is damaged at offset %" PRIu64 " (%s): %s",
            load->wal->dir_path, load->gap.id, load->gap.offset, load->gap.why,
            outcome->lost ? "what follows must come from the leader again"
                          : "a snapshot covers it");
    }
}

static int replay_entries(struct swki_load *load,
                          const struct swk_storage_replay *replay,
                          const struct outcome *outcome)
{
    uint64_t after = outcome->snapshot.meta.is.index;
    int rc = SWK_OK;

    for (size_t i = 0; i < outcome->log->count && rc == SWK_OK; i++) {
        if (outcome->log->list[i].index > after) {
            rc = replay->entry(replay->ctx, &outcome->log->list[i], load->err);
        }
    }
    return rc;
}

/* Who cannot have the entries from elsewhere is told what is damaged. */
static int tell_lost(struct swki_load *load,
                     const struct swk_storage_replay *replay)
{
    const struct swki_wal *wal = load->wal;
    int rc = replay->lost != NULL
                 ? replay->lost(replay->ctx, wal->lost, load->err)
                 : SWK_ECORRUPT;

    if (rc != SWK_ECORRUPT) {
        return rc;
    }
    return load->gap.is_there
               ? swki_load_damaged(load, load->gap.id, load->gap.offset,
                                   load->gap.why)
               : swki_fail(load->err, SWK_ECORRUPT,
                           "the log in %s lost entries that were "
                           "acknowledged, up to %" PRIu64
                           ", and does not have them again yet",
                           wal->dir_path, wal->lost);
}

static int replay_all(struct swki_load *load,
                      const struct swk_storage_replay *replay,
                      const struct outcome *outcome)
{
    struct swki_wal *wal = load->wal;
    const struct swk_hard_state *state = &wal->state;
    const struct swki_loaded_snapshot *snapshot = &outcome->snapshot;
    int rc = SWK_OK;

    if (wal->identity_len > 0 && replay->identity != NULL) {
        rc = replay->identity(replay->ctx, wal->identity, wal->identity_len,
                              load->err);
    }
    if (rc == SWK_OK && snapshot->meta.is.index > 0) {
        rc = replay->snapshot(replay->ctx, &snapshot->meta.is, snapshot->data,
                              snapshot->data_len, load->err);
    }
    if (rc == SWK_OK &&
        (state->term != 0 || state->vote != 0 || state->commit != 0)) {
        rc = replay->hard_state(replay->ctx, state, load->err);
    }
    if (rc == SWK_OK) {
        rc = replay_entries(load, replay, outcome);
    }
    if (rc == SWK_OK && wal->lost > 0) {
        rc = tell_lost(load, replay);
    }
    return rc;
}

static int load_log(struct swki_load *load,
                    const struct swk_storage_replay *replay)
{
    struct outcome outcome = {.log = &load->log};
    int rc = swki_load_open(load);

    if (rc == SWK_OK) {
        rc = swki_load_records(load);
    }
    if (rc == SWK_OK) {
        rc = remove_unfinished(load);
    }
    if (rc == SWK_OK) {
        rc = choose(load, replay, &outcome);
    }
    if (rc == SWK_OK) {
        load->wal->next_id = load->ids[load->ids_count - 1] + 1;
        if (outcome.lost) {
            note_lost(load, &outcome);
        }
        note_end(load, &outcome);
        rc = replay_all(load, replay, &outcome);
    }
    if (rc == SWK_OK) {
        rc = repair(load, &outcome);
    }
    swki_loaded_snapshot_fini(load->wal->alloc, &outcome.snapshot);
    return rc;
}

static int begin_log(struct swki_load *load)
{
    struct swki_wal *wal = load->wal;

    if (wal->snapshots_count > 0) {
        return swki_fail(load->err, SWK_ECORRUPT,
                         "%s has snapshots and no log: restore the directory "
                         "from a backup",
                         wal->dir_path);
    }
    wal->sequence = 1;
    wal->next_id = 1;
    if (wal->read_only) {
        return SWK_OK;
    }
    int rc = swki_wal_next_segment(wal, 0, true, load->err);
    if (rc == SWK_OK) {
        rc = swki_wal_flush(wal, load->err);
    }
    if (rc == SWK_OK) {
        swki_wal_make_reserve(wal);
    }
    return rc;
}

static int load_once(struct swki_wal *wal,
                     const struct swk_storage_replay *replay,
                     struct swk_error *err)
{
    struct swki_load load = {.wal = wal, .err = err};
    int rc = swki_load_list(&load);

    wal->closed_count = 0;
    if (rc == SWK_OK) {
        rc = load.ids_count == 0 ? begin_log(&load) : load_log(&load, replay);
    }
    swki_load_release(&load);
    return rc;
}

int swki_wal_load(struct swki_wal *wal, const struct swk_storage_replay *replay,
                  struct swk_error *err)
{
    int rc = load_once(wal, replay, err);

    for (int i = 1; rc == SWK_EUNAVAILABLE && i < TRIES_MAX; i++) {
        rc = load_once(wal, replay, err);
    }
    return rc == SWK_EUNAVAILABLE
               ? swki_fail(err, rc, "%s changes while it is read: try again",
                           wal->dir_path)
               : rc;
}
