/* SPDX-License-Identifier: Apache-2.0 */

#include "memory_storage.h"

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "base/error.h"

static void *copy(const void *data, size_t len)
{
    void *made = malloc(len + 1);

    assert_non_null(made);
    if (len > 0) {
        memcpy(made, data, len);
    }
    return made;
}

static int load(void *ctx, const struct swk_storage_replay *replay,
                struct swk_error *err)
{
    struct memory_storage *s = ctx;
    int rc = SWK_OK;

    if (s->meta.index != 0) {
        rc = replay->snapshot(replay->ctx, &s->meta, s->snapshot,
                              s->snapshot_len, err);
    }
    if (rc == 0 && s->has_state) {
        rc = replay->hard_state(replay->ctx, &s->state, err);
    }
    for (uint64_t i = s->meta.index + 1; rc == 0 && i <= s->last; i++) {
        rc = replay->entry(replay->ctx, &s->entries[i].head, err);
    }
    return rc;
}

static struct memory_write *add_write(struct memory_storage *s,
                                      uint64_t ticket)
{
    struct memory_write *write =
        &s->writes[(s->writes_first + s->writes_count++) % MEMORY_WRITES];

    assert_true(s->writes_count <= MEMORY_WRITES);
    memset(write, 0, sizeof(*write));
    write->ticket = ticket;
    return write;
}

static int append(void *ctx, const struct swk_hard_state *state,
                  const struct swk_log_entry *entries, size_t entries_count,
                  uint64_t ticket, struct swk_error *err)
{
    struct memory_storage *s = ctx;
    struct memory_write *write;

    if (s->refuses) {
        return swki_fail(err, SWK_EIO, "the disk is full");
    }
    write = add_write(s, ticket);
    write->has_state = state != NULL;
    if (state != NULL) {
        write->state = *state;
    }
    write->entries_count = entries_count;
    write->entries = calloc(entries_count + 1, sizeof(write->entries[0]));
    assert_non_null(write->entries);
    for (size_t i = 0; i < entries_count; i++) {
        write->entries[i].head = entries[i];
        write->entries[i].head.data =
            copy(entries[i].data, entries[i].data_len);
    }
    return SWK_OK;
}

static int save_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                         const uint8_t *data, size_t data_len,
                         void (*release)(void *release_ctx), void *release_ctx,
                         uint64_t ticket, struct swk_error *err)
{
    struct memory_write *write = add_write(ctx, ticket);

    (void)err;
    write->has_snapshot = true;
    write->meta = *meta;
    write->data = copy(data, data_len);
    write->data_len = data_len;
    release(release_ctx);
    return SWK_OK;
}

static void close_storage(void *ctx)
{
    (void)ctx;
}

void memory_storage_init(struct memory_storage *s)
{
    memset(s, 0, sizeof(*s));
    s->port = (struct swk_storage){
        .size = sizeof(s->port),
        .ctx = s,
        .load = load,
        .append = append,
        .save_snapshot = save_snapshot,
        .close = close_storage,
    };
}

static void put_entries(struct memory_storage *s, struct memory_write *write)
{
    for (size_t i = 0; i < write->entries_count; i++) {
        uint64_t index = write->entries[i].head.index;

        assert_true(index < MEMORY_ENTRIES && index <= s->last + 1);
        free((void *)s->entries[index].head.data);
        s->entries[index] = write->entries[i];
        s->last = index;
    }
    free(write->entries);
}

uint64_t memory_storage_complete(struct memory_storage *s)
{
    struct memory_write *write = &s->writes[s->writes_first];

    if (s->writes_count == 0) {
        return 0;
    }
    s->writes_first = (s->writes_first + 1) % MEMORY_WRITES;
    s->writes_count--;
    if (write->has_state) {
        s->has_state = true;
        s->state = write->state;
    }
    if (write->has_snapshot) {
        free(s->snapshot);
        s->meta = write->meta;
        s->snapshot = write->data;
        s->snapshot_len = write->data_len;
        return write->ticket;
    }
    put_entries(s, write);
    return write->ticket;
}

void memory_storage_crash(struct memory_storage *s)
{
    while (s->writes_count > 0) {
        struct memory_write *write = &s->writes[s->writes_first];

        for (size_t i = 0; i < write->entries_count; i++) {
            free((void *)write->entries[i].head.data);
        }
        free(write->entries);
        free(write->data);
        s->writes_first = (s->writes_first + 1) % MEMORY_WRITES;
        s->writes_count--;
    }
}

void memory_storage_fini(struct memory_storage *s)
{
    memory_storage_crash(s);
    for (size_t i = 0; i < MEMORY_ENTRIES; i++) {
        free((void *)s->entries[i].head.data);
    }
    free(s->snapshot);
}
