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

    if (s->identity_len > 0 && replay->identity != NULL) {
        rc = replay->identity(replay->ctx, s->identity, s->identity_len, err);
    }
    if (rc == 0 && s->meta.is.index != 0) {
        rc = replay->snapshot(replay->ctx, &s->meta.is, s->snapshot.data,
                              s->snapshot.len, err);
    }
    if (rc == 0 && s->has_state) {
        rc = replay->hard_state(replay->ctx, &s->state, err);
    }
    for (uint64_t i = s->meta.is.index + 1; rc == 0 && i <= s->last; i++) {
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

static int identify(void *ctx, const uint8_t *identity, size_t len,
                    struct swk_error *err)
{
    struct memory_storage *s = ctx;

    (void)err;
    assert_in_range(len, 1, sizeof(s->identity));
    memcpy(s->identity, identity, len);
    s->identity_len = len;
    return SWK_OK;
}

static void drop_part(struct memory_storage *s)
{
    swki_snapshot_meta_fini(NULL, &s->part);
    swki_buf_fini(&s->part_data);
    swki_buf_init(&s->part_data, NULL, SIZE_MAX);
}

static int begin_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                          uint64_t *out_offset, struct swk_error *err)
{
    struct memory_storage *s = ctx;

    if (s->part.is.index != 0) {
        return swki_fail(err, SWK_EBUSY, "a snapshot is being written");
    }
    if (out_offset != NULL) {
        *out_offset = 0;
    }
    assert_int_equal(swki_snapshot_meta_copy(NULL, meta, &s->part), 0);
    return SWK_OK;
}

static int write_snapshot(void *ctx, const uint8_t *data, size_t len,
                          struct swk_error *err)
{
    struct memory_storage *s = ctx;

    (void)err;
    assert_int_not_equal(s->part.is.index, 0);
    assert_true(data == NULL || swki_buf_append(&s->part_data, data, len));
    return SWK_OK;
}

static int finish_snapshot(void *ctx, int32_t install, uint64_t ticket,
                           struct swk_error *err)
{
    struct memory_storage *s = ctx;
    struct memory_write *write = add_write(s, ticket);

    (void)err;
    assert_int_not_equal(s->part.is.index, 0);
    write->has_snapshot = true;
    write->install = install != 0;
    write->meta = s->part;
    write->data = s->part_data;
    s->part = (struct swki_snapshot_meta){.ids = NULL};
    swki_buf_init(&s->part_data, NULL, SIZE_MAX);
    return SWK_OK;
}

static void abort_snapshot(void *ctx, int32_t keep)
{
    (void)keep; /* the next one begins anew */
    drop_part(ctx);
}

static int read_snapshot(void *ctx, uint64_t index, uint64_t term,
                         uint64_t offset, uint8_t *buf, size_t size,
                         size_t *out_len, uint64_t *out_total,
                         struct swk_error *err)
{
    const struct memory_storage *s = ctx;
    const struct swki_buf *data = &s->snapshot;

    if (index == 0 || index != s->meta.is.index || term != s->meta.is.term) {
        return swki_fail(err, SWK_ENOTFOUND, "no such snapshot");
    }
    size_t from = offset < data->len ? (size_t)offset : data->len;
    *out_len = data->len - from < size ? data->len - from : size;
    *out_total = data->len;
    if (*out_len > 0) {
        memcpy(buf, data->data + from, *out_len);
    }
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
        .identify = identify,
        .begin_snapshot = begin_snapshot,
        .write_snapshot = write_snapshot,
        .finish_snapshot = finish_snapshot,
        .abort_snapshot = abort_snapshot,
        .read_snapshot = read_snapshot,
        .close = close_storage,
    };
    swki_buf_init(&s->snapshot, NULL, SIZE_MAX);
    swki_buf_init(&s->part_data, NULL, SIZE_MAX);
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

static void put_snapshot(struct memory_storage *s, struct memory_write *write)
{
    swki_snapshot_meta_fini(NULL, &s->meta);
    swki_buf_fini(&s->snapshot);
    s->meta = write->meta;
    s->snapshot = write->data;
    if (write->install || s->last < s->meta.is.index) {
        s->last = s->meta.is.index;
    }
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
        put_snapshot(s, write);
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
        swki_snapshot_meta_fini(NULL, &write->meta);
        swki_buf_fini(&write->data);
        s->writes_first = (s->writes_first + 1) % MEMORY_WRITES;
        s->writes_count--;
    }
    drop_part(s);
}

void memory_storage_fini(struct memory_storage *s)
{
    memory_storage_crash(s);
    for (size_t i = 0; i < MEMORY_ENTRIES; i++) {
        free((void *)s->entries[i].head.data);
    }
    swki_snapshot_meta_fini(NULL, &s->meta);
    swki_buf_fini(&s->snapshot);
}
