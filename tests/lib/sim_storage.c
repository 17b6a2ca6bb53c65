/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/sim_storage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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

    if (s->snapshot.index != 0) {
        rc = replay->snapshot(replay->ctx, &s->snapshot, s->snapshot_data,
                              s->snapshot_len, err);
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
        size_t place = (size_t)(entries[i].index - s->snapshot.index - 1);

        assert(place <= s->entries_count);
        drop_entries(s, place);
        add_entry(s, &entries[i], ticket);
    }
    s->written(s->written_ctx, ticket);
    return 0;
}

static int save_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                         const uint8_t *data, size_t data_len,
                         void (*release)(void *release_ctx), void *release_ctx,
                         uint64_t ticket, struct swk_error *err)
{
    struct sim_storage *s = ctx;
    size_t gone = (size_t)(meta->index - s->snapshot.index);

    (void)err;
    assert(gone <= s->entries_count);
    for (size_t i = 0; i < gone; i++) {
        free((void *)s->entries[i].entry.data);
    }
    s->entries_count -= gone;
    memmove(s->entries, s->entries + gone,
            s->entries_count * sizeof(s->entries[0]));
    free(s->snapshot_data);
    s->snapshot_data = malloc(data_len);
    assert(s->snapshot_data != NULL);
    memcpy(s->snapshot_data, data, data_len);
    s->snapshot_len = data_len;
    s->snapshot = *meta;
    release(release_ctx);
    s->written(s->written_ctx, ticket);
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
                 .save_snapshot = save_snapshot,
                 .close = close_storage},
        .written = written,
        .written_ctx = ctx,
    };
}

void sim_storage_fini(struct sim_storage *s)
{
    drop_entries(s, 0);
    free(s->entries);
    free(s->snapshot_data);
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
    if (kept_ticket == s->durable_ticket) {
        s->state = s->durable_state;
    }
    if (s->state.commit > s->snapshot.index + count) {
        s->state.commit = s->snapshot.index + count;
    }
    s->durable_state = s->state;
    s->durable_ticket = 0;
    for (size_t i = 0; i < s->entries_count; i++) {
        s->entries[i].ticket = 0;
    }
}
