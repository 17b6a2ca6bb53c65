/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/file_store.h"

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "base/error.h"
#include "runtime/file/file_storage.h"

size_t file_store_entry_len(uint64_t index, uint64_t term)
{
    return (size_t)((index * 37 + term * 11) % 200);
}

size_t file_store_snapshot_len(uint64_t index)
{
    return (size_t)(index * 97 % 3000);
}

static uint8_t entry_byte(uint64_t index, uint64_t term, size_t at)
{
    return (uint8_t)(index * 131 + term * 17 + at * 7);
}

static void fill(uint8_t *out, uint64_t index, uint64_t term, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = entry_byte(index, term, i);
    }
}

static bool is_filled(const uint8_t *data, uint64_t index, uint64_t term,
                      size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != entry_byte(index, term, i)) {
            return false;
        }
    }
    return true;
}

static void done(void *ctx, uint64_t ticket, int code,
                 const struct swk_error *err)
{
    struct file_store *store = ctx;

    pthread_mutex_lock(&store->mutex);
    if (code == 0) {
        store->durable = ticket;
    } else {
        store->failed = ticket;
        store->failure = *err;
        store->failures++;
    }
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

static void count_warning(void *ctx, const struct swk_log_record *record)
{
    ((struct file_store *)ctx)->warnings += record->level >= SWK_LOG_WARN;
}

void file_store_init(struct file_store *store, struct disk *disk)
{
    memset(store, 0, sizeof(*store));
    store->disk = disk;
    store->logger = (struct swk_logger){
        .size = sizeof(store->logger), .ctx = store, .log = count_warning};
    store->config = (struct swk_file_storage_config){
        .size = sizeof(store->config),
        .dir = "/raft",
        .done = done,
        .done_ctx = store,
        .logger = &store->logger,
        .segment_size = SWK_FILE_STORAGE_SEGMENT_SIZE_MIN,
        .reserve_size = DISK_FILE_SIZE / 2,
    };
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->changed, NULL);
}

void file_store_close(struct file_store *store)
{
    if (store->is_open) {
        store->storage.close(store->storage.ctx);
    }
    store->is_open = false;
}

void file_store_fini(struct file_store *store)
{
    file_store_close(store);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->mutex);
}

static int found_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                          const uint8_t *data, size_t data_len,
                          struct swk_error *err)
{
    struct file_store *store = ctx;

    (void)err;
    assert_int_equal(data_len, file_store_snapshot_len(meta->index));
    assert_true(is_filled(data, meta->index, 0, data_len));
    assert_int_equal(meta->conf_state.voters_count, 2);
    assert_int_equal(meta->conf_state.voters[1], meta->index);
    assert_int_equal(meta->conf_state.learners_count, 1);
    assert_int_equal(meta->conf_state.learners[0], meta->index + 7);
    assert_int_equal(meta->conf_state.voters_outgoing_count, 0);
    store->found.snapshot = *meta;
    store->found.snapshot_len = data_len;
    store->found.first = meta->index + 1;
    return 0;
}

static int found_identity(void *ctx, const uint8_t *identity, size_t len,
                          struct swk_error *err)
{
    struct file_store *store = ctx;

    (void)err;
    assert_in_range(len, 1, sizeof(store->found.identity));
    memcpy(store->found.identity, identity, len);
    store->found.identity_len = len;
    return 0;
}

static int found_state(void *ctx, const struct swk_hard_state *state,
                       struct swk_error *err)
{
    (void)err;
    ((struct file_store *)ctx)->found.state = *state;
    return 0;
}

static int found_entry(void *ctx, const struct swk_log_entry *entry,
                       struct swk_error *err)
{
    struct file_store *store = ctx;
    struct file_store_found *found = &store->found;

    (void)err;
    assert_int_equal(entry->index, found->first + found->count);
    assert_int_equal(entry->data_len,
                     file_store_entry_len(entry->index, entry->term));
    assert_true(
        is_filled(entry->data, entry->index, entry->term, entry->data_len));
    assert_int_equal(entry->type, (int)(entry->index % 3));
    assert_in_range(found->count, 0, FILE_STORE_ENTRIES - 1);
    found->terms[found->count++] = entry->term;
    return 0;
}

static int found_loss(void *ctx, uint64_t acknowledged, struct swk_error *err)
{
    struct file_store *store = ctx;

    (void)err;
    store->found.lost = acknowledged;
    return store->refuses_loss ? SWK_ECORRUPT : 0;
}

int file_store_open(struct file_store *store, struct swk_error *err)
{
    const struct swk_storage_replay replay = {
        .size = sizeof(replay),
        .ctx = store,
        .identity = found_identity,
        .snapshot = found_snapshot,
        .hard_state = found_state,
        .entry = found_entry,
        .lost = store->takes_loss ? found_loss : NULL,
    };
    int rc = swki_file_storage_open(&store->config, &store->disk->io,
                                    &store->storage, err);

    if (rc != 0) {
        return rc;
    }
    store->is_open = true;
    store->found = (struct file_store_found){.first = 1};
    rc = store->storage.load(store->storage.ctx, &replay, err);
    if (rc != 0) {
        file_store_close(store);
    }
    return rc;
}

int file_store_append(struct file_store *store, uint64_t term, uint64_t first,
                      uint64_t last, uint64_t commit)
{
    static const size_t data_size = 256;
    const struct swk_hard_state state = {term, 1, commit};
    size_t count = last >= first ? (size_t)(last - first + 1) : 0;
    struct swk_log_entry *entries = calloc(count + 1, sizeof(*entries));
    uint8_t *data = calloc(count + 1, data_size);

    for (size_t i = 0; i < count; i++) {
        uint64_t index = first + i;
        size_t len = file_store_entry_len(index, term);

        fill(data + i * data_size, index, term, len);
        entries[i] = (struct swk_log_entry){
            .index = index,
            .term = term,
            .type = (int32_t)(index % 3),
            .data = len > 0 ? data + i * data_size : NULL,
            .data_len = len,
        };
    }
    store->ticket++;
    int rc = store->storage.append(store->storage.ctx, &state, entries, count,
                                   store->ticket, NULL);
    free(entries);
    free(data);
    return rc;
}

int file_store_snapshot(struct file_store *store, uint64_t index, uint64_t term)
{
    return file_store_receive(store, index, term, 0);
}

/* One that is received breaks off in its middle, and goes on from there. */
static int write_parts(const struct swk_storage *storage,
                       const struct swk_snapshot_meta *meta, bool received,
                       const uint8_t *data, size_t len)
{
    uint64_t from = 0;
    uint64_t half = len / 2;
    int rc = storage->begin_snapshot(storage->ctx, meta,
                                     received ? &from : NULL, NULL);

    if (rc == 0 && from < half) {
        rc = storage->write_snapshot(storage->ctx, data + from,
                                     (size_t)(half - from), NULL);
        from = half;
    }
    if (rc == 0 && received) {
        storage->abort_snapshot(storage->ctx, 1);
        rc = storage->begin_snapshot(storage->ctx, meta, &from, NULL);
    }
    return rc != 0 ? rc
                   : storage->write_snapshot(storage->ctx, data + from,
                                             (size_t)(len - from), NULL);
}

int file_store_receive(struct file_store *store, uint64_t index, uint64_t term,
                       int32_t install)
{
    const struct swk_storage *storage = &store->storage;
    const uint64_t voters[] = {1, index};
    const uint64_t learners[] = {index + 7};
    const struct swk_snapshot_meta meta = {
        .index = index,
        .term = term,
        .conf_state = {.voters = voters,
                       .voters_count = 2,
                       .learners = learners,
                       .learners_count = 1},
    };
    size_t len = file_store_snapshot_len(index);
    uint8_t data[4096];

    fill(data, index, 0, len);
    store->ticket++;
    int rc = write_parts(storage, &meta, install != 0, data, len);
    if (rc == 0) {
        rc = storage->finish_snapshot(storage->ctx, install, store->ticket,
                                      NULL);
    }
    if (rc != 0) {
        storage->abort_snapshot(storage->ctx, install);
    }
    return rc;
}

int file_store_wait(struct file_store *store)
{
    int code;

    pthread_mutex_lock(&store->mutex);
    while (store->durable < store->ticket && store->failures == 0) {
        pthread_cond_wait(&store->changed, &store->mutex);
    }
    code = store->failures > 0 ? store->failure.code : 0;
    pthread_mutex_unlock(&store->mutex);
    return code;
}

uint64_t file_store_last(const struct file_store *store)
{
    return store->found.first + store->found.count - 1;
}
