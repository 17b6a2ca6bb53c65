/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/sim_storage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static void drop_entries(struct sim_storage *s, size_t count)
{
    while (s->entries_count > count) {
        s->entries_count--;
        free((void *)s->entries[s->entries_count].entry.data);
    }
}

static void add_entry(struct sim_storage *s, const struct swk_log_entry *entry,
                      uint64_t ticket)
{
    uint8_t *data = NULL;

    if (s->entries_count == s->entries_size) {
        s->entries_size = 64 + 2 * s->entries_size;
        s->entries =
            realloc(s->entries, s->entries_size * sizeof(s->entries[0]));
        assert(s->entries != NULL);
    }
    if (entry->data_len > 0) {
        data = malloc(entry->data_len);
        assert(data != NULL);
        memcpy(data, entry->data, entry->data_len);
    }
    s->entries[s->entries_count] = (struct sim_entry){*entry, ticket};
    s->entries[s->entries_count].entry.data = data;
    s->entries_count++;
}

static int load(void *ctx, const struct swk_storage_replay *replay,
                struct swk_error *err)
{
    struct sim_storage *s = ctx;
    int rc = 0;

    if (s->identity_len > 0 && replay->identity != NULL) {
        rc = replay->identity(replay->ctx, s->identity, s->identity_len, err);
    }
    if (rc == 0 && s->snapshot.is.index != 0) {
        rc = replay->snapshot(replay->ctx, &s->snapshot.is,
                              s->snapshot_data.data, s->snapshot_data.len, err);
    }
    if (rc == 0 && s->has_state) {
        rc = replay->hard_state(replay->ctx, &s->state, err);
    }
    for (size_t i = 0; rc == 0 && i < s->entries_count; i++) {
        rc = replay->entry(replay->ctx, &s->entries[i].entry, err);
    }
    return rc;
}

static int append(void *ctx, const struct swk_hard_state *state,
                  const struct swk_log_entry *entries, size_t entries_count,
                  uint64_t ticket, struct swk_error *err)
{
    struct sim_storage *s = ctx;

    (void)err;
    if (state != NULL) {
        s->state = *state;
        s->has_state = true;
    }
    for (size_t i = 0; i < entries_count; i++) {
        size_t place = (size_t)(entries[i].index - s->snapshot.is.index - 1);

        assert(place <= s->entries_count);
        drop_entries(s, place);
        add_entry(s, &entries[i], ticket);
    }
    s->written(s->written_ctx, ticket);
    return 0;
}

static int identify(void *ctx, const uint8_t *identity, size_t len,
                    struct swk_error *err)
{
    struct sim_storage *s = ctx;

    (void)err;
    assert(len > 0 && len <= sizeof(s->identity));
    memcpy(s->identity, identity, len);
    s->identity_len = len;
    return 0;
}

static void drop_part(struct sim_storage *s)
{
    swki_snapshot_meta_fini(NULL, &s->part);
    swki_buf_fini(&s->part_data);
    swki_buf_init(&s->part_data, NULL, SIZE_MAX);
    s->part_kept = false;
}

static int begin_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                          uint64_t *out_offset, struct swk_error *err)
{
    struct sim_storage *s = ctx;

    if (s->part.is.index != 0 && !s->part_kept) {
        return swki_fail(err, SWK_EBUSY, "a snapshot is being written");
    }
    bool goes_on = out_offset != NULL && s->part.is.index == meta->index &&
                   s->part.is.term == meta->term;
    if (!goes_on) {
        drop_part(s);
        int rc = swki_snapshot_meta_copy(NULL, meta, &s->part);
        assert(rc == 0);
        (void)rc;
    }
    s->part_kept = false;
    if (out_offset != NULL) {
        *out_offset = s->part_data.len;
    }
    return 0;
}

static int write_snapshot(void *ctx, const uint8_t *data, size_t len,
                          struct swk_error *err)
{
    struct sim_storage *s = ctx;

    if (s->part.is.index == 0 || s->part_kept) {
        return swki_fail(err, SWK_EPRECONDITION, "no snapshot was begun");
    }
    bool added = data == NULL || swki_buf_append(&s->part_data, data, len);
    assert(added);
    (void)added;
    return 0;
}

/* Drops the entries up to the snapshot; all of them if it takes their place. */
static void drop_covered(struct sim_storage *s, bool all)
{
    uint64_t covered = s->part.is.index - s->snapshot.is.index;
    size_t gone = all || covered > s->entries_count ? s->entries_count
                                                    : (size_t)covered;

    for (size_t i = 0; i < gone; i++) {
        free((void *)s->entries[i].entry.data);
    }
    s->entries_count -= gone;
    if (s->entries_count > 0) {
        memmove(s->entries, s->entries + gone,
                s->entries_count * sizeof(s->entries[0]));
    }
}

static int finish_snapshot(void *ctx, int32_t install, uint64_t ticket,
                           struct swk_error *err)
{
    struct sim_storage *s = ctx;

    if (s->part.is.index == 0 || s->part_kept) {
        return swki_fail(err, SWK_EPRECONDITION, "no snapshot was begun");
    }
    assert(s->part.is.index > s->snapshot.is.index);
    drop_covered(s, install != 0);
    swki_snapshot_meta_fini(NULL, &s->snapshot);
    swki_buf_fini(&s->snapshot_data);
    s->snapshot = s->part;
    s->snapshot_data = s->part_data;
    s->part = (struct swki_snapshot_meta){.ids = NULL};
    swki_buf_init(&s->part_data, NULL, SIZE_MAX);
    s->written(s->written_ctx, ticket);
    return 0;
}

static void abort_snapshot(void *ctx, int32_t keep)
{
    struct sim_storage *s = ctx;

    s->part_kept = true;
    if (!keep) {
        drop_part(s);
    }
}

static int read_snapshot(void *ctx, uint64_t index, uint64_t term,
                         uint64_t offset, uint8_t *buf, size_t size,
                         size_t *out_len, uint64_t *out_total,
                         struct swk_error *err)
{
    const struct sim_storage *s = ctx;
    const struct swki_buf *data = &s->snapshot_data;

    if (index == 0 || index != s->snapshot.is.index ||
        term != s->snapshot.is.term) {
        return swki_fail(err, SWK_ENOTFOUND, "no such snapshot");
    }
    size_t from = offset < data->len ? (size_t)offset : data->len;
    *out_len = data->len - from < size ? data->len - from : size;
    *out_total = data->len;
    if (*out_len > 0) {
        memcpy(buf, data->data + from, *out_len);
    }
    return 0;
}

static void close_storage(void *ctx)
{
    (void)ctx;
}

void sim_storage_init(struct sim_storage *s,
                      void (*written)(void *ctx, uint64_t ticket), void *ctx)
{
    *s = (struct sim_storage){
        .port = {.size = sizeof(s->port),
                 .ctx = s,
                 .load = load,
                 .append = append,
                 .identify = identify,
                 .begin_snapshot = begin_snapshot,
                 .write_snapshot = write_snapshot,
                 .finish_snapshot = finish_snapshot,
                 .abort_snapshot = abort_snapshot,
                 .read_snapshot = read_snapshot,
                 .close = close_storage},
        .written = written,
        .written_ctx = ctx,
    };
    swki_buf_init(&s->snapshot_data, NULL, SIZE_MAX);
    swki_buf_init(&s->part_data, NULL, SIZE_MAX);
}

void sim_storage_fini(struct sim_storage *s)
{
    drop_entries(s, 0);
    free(s->entries);
    drop_part(s);
    swki_snapshot_meta_fini(NULL, &s->snapshot);
    swki_buf_fini(&s->snapshot_data);
}

void sim_storage_sync(struct sim_storage *s, uint64_t ticket)
{
    if (ticket > s->durable_ticket) {
        s->durable_ticket = ticket;
        s->durable_state = s->state;
    }
}

void sim_storage_crash(struct sim_storage *s, uint64_t kept_ticket)
{
    size_t count = s->entries_count;

    if (kept_ticket < s->durable_ticket) {
        kept_ticket = s->durable_ticket;
    }
    while (count > 0 && s->entries[count - 1].ticket > kept_ticket) {
        count--;
    }
    drop_entries(s, count);
    drop_part(s);
    if (kept_ticket == s->durable_ticket) {
        s->state = s->durable_state;
    }
    if (s->state.commit > s->snapshot.is.index + count) {
        s->state.commit = s->snapshot.is.index + count;
    }
    s->durable_state = s->state;
    s->durable_ticket = 0;
    for (size_t i = 0; i < s->entries_count; i++) {
        s->entries[i].ticket = 0;
    }
}
