/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A sole raft member over the file storage, end to end: it proposes, applies
 * and takes snapshots, loses power at any call to the disk, and comes back
 * with everything that it had applied.
 */

#include "lib/cmocka_all.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <swarmkit/raft.h>

#include "lib/disk.h"
#include "runtime/file/file_storage.h"

enum {
    PROPOSALS = 120,
};

/* A counter as state machine: proposal n says n, and must follow n - 1. */
struct member {
    struct swk_storage storage;
    swk_raft *raft;
    uint64_t count;  /* applied proposals */
    uint64_t leads;  /* times leadership was gained */
    uint64_t failed; /* actions that said so */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    uint64_t ticket;
    struct swk_error failure;
    bool restored; /* something was there */
};

static void done(void *ctx, uint64_t ticket, int code,
                 const struct swk_error *err)
{
    struct member *m = ctx;

    pthread_mutex_lock(&m->mutex);
    if (code == 0) {
        m->ticket = ticket;
    } else {
        m->failure = *err;
    }
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->mutex);
}

/* Tells the member how the write with that ticket ended. */
static void await(struct member *m, uint64_t ticket)
{
    pthread_mutex_lock(&m->mutex);
    while (m->ticket < ticket && m->failure.code == 0) {
        pthread_cond_wait(&m->changed, &m->mutex);
    }
    struct swk_error failure = m->failure;
    pthread_mutex_unlock(&m->mutex);
    if (failure.code != 0) {
        swk_raft_storage_failed(m->raft, &failure);
    } else {
        assert_int_equal(swk_raft_persisted(m->raft, ticket, NULL), 0);
    }
}

static void apply(struct member *m, const struct swk_log_entry *entry)
{
    uint64_t number;

    if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
        assert_int_equal(swk_raft_apply_conf_change(m->raft, entry, 0, NULL),
                         0);
    } else if (entry->data_len > 0) {
        assert_int_equal(entry->data_len, sizeof(number));
        memcpy(&number, entry->data, sizeof(number));
        assert_int_equal(number, m->count + 1);
        m->count = number;
    }
}

static void give_up_save(struct member *m)
{
    m->storage.abort_snapshot(m->storage.ctx, 0);
    swk_raft_snapshot_abandoned(m->raft);
}

/* The state as it is now, while entries are about to be applied to it. False
 * if the storage cannot: the log alone is enough. */
static bool begin_save(struct member *m, uint64_t index)
{
    const struct swk_storage *storage = &m->storage;
    struct swk_snapshot_meta meta;
    struct swk_error err;

    assert_int_equal(swk_raft_begin_snapshot(m->raft, &meta, NULL), 0);
    assert_int_equal(meta.index, index);
    if (storage->begin_snapshot(storage->ctx, &meta, NULL, &err) != 0 ||
        storage->write_snapshot(storage->ctx, (const uint8_t *)&m->count,
                                sizeof(m->count), &err) != 0) {
        give_up_save(m);
        return false;
    }
    return true;
}

/* Waits until the snapshot's bytes are durable, so that only its record can
 * fail. */
static int end_parts(const struct swk_storage *storage)
{
    int rc;

    do {
        sched_yield();
        rc = storage->write_snapshot(storage->ctx, NULL, 0, NULL);
    } while (rc == SWK_EUNAVAILABLE);
    return rc;
}

static void save(struct member *m)
{
    const struct swk_storage *storage = &m->storage;
    struct swk_error err;
    uint64_t ticket;

    if (end_parts(storage) != 0) {
        give_up_save(m);
        return;
    }
    assert_int_equal(swk_raft_finish_snapshot(m->raft, &ticket, NULL), 0);
    if (storage->finish_snapshot(storage->ctx, 0, ticket, &err) != 0) {
        swk_raft_storage_failed(m->raft, &err);
        return;
    }
    await(m, ticket);
}

/* One turn; false when nothing was due. */
static bool turn(struct member *m)
{
    const struct swk_raft_actions *a = swk_raft_take_actions(m->raft);
    uint64_t ticket = a->persist_ticket;
    uint64_t snapshot = a->snapshot_wanted;
    uint64_t applied = 0;
    struct swk_error err = {0};
    int rc = 0;

    m->leads += (uint64_t)a->leadership_gained;
    m->failed += a->failure != 0;
    if (ticket > 0) {
        rc = m->storage.append(m->storage.ctx, a->hard_state, a->entries,
                               a->entries_count, ticket, &err);
    }
    if (rc != 0) {
        swk_raft_storage_failed(m->raft, &err);
        return true;
    }
    if (snapshot > 0 && !begin_save(m, snapshot)) {
        snapshot = 0;
    }
    for (size_t i = 0; i < a->committed_count; i++) {
        apply(m, &a->committed[i]);
        applied = a->committed[i].index;
    }
    if (applied > 0) {
        assert_int_equal(swk_raft_applied(m->raft, applied, NULL), 0);
    }
    if (ticket > 0) {
        await(m, ticket);
    }
    if (snapshot > 0 && m->failure.code == 0) {
        save(m);
    }
    return ticket > 0 || applied > 0 || snapshot > 0;
}

static void settle(struct member *m)
{
    do {
        while (turn(m) || turn(m)) {
        }
        if (swk_raft_deadline(m->raft) > 0 ||
            swk_raft_expire(m->raft, 0, NULL) != 0) {
            return;
        }
    } while (true);
}

static int on_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                       const uint8_t *data, size_t data_len,
                       struct swk_error *err)
{
    struct member *m = ctx;

    m->restored = true;
    assert_int_equal(data_len, sizeof(m->count));
    memcpy(&m->count, data, data_len);
    return swk_raft_restore_snapshot(m->raft, meta, err);
}

static int on_state(void *ctx, const struct swk_hard_state *state,
                    struct swk_error *err)
{
    struct member *m = ctx;

    m->restored = true;
    return swk_raft_restore_hard_state(m->raft, state, err);
}

static int on_entry(void *ctx, const struct swk_log_entry *entry,
                    struct swk_error *err)
{
    return swk_raft_restore_entry(((struct member *)ctx)->raft, entry, err);
}

static int begin(struct member *m, struct disk *disk, const uint8_t *key,
                 struct swk_error *err)
{
    const struct swk_raft_config raft_config = {
        .size = sizeof(raft_config),
        .id = 1,
        .snapshot_interval = 30,
        .entries_for_slow_followers = 10,
    };
    const struct swk_file_storage_config config = {
        .size = sizeof(config),
        .dir = "/raft",
        .done = done,
        .done_ctx = m,
        .segment_size = SWK_FILE_STORAGE_SEGMENT_SIZE_MIN,
        .key = key,
        .reserve_size = DISK_FILE_SIZE / 2,
    };
    const struct swk_storage_replay replay = {
        .size = sizeof(replay),
        .ctx = m,
        .snapshot = on_snapshot,
        .hard_state = on_state,
        .entry = on_entry,
    };

    static const struct swk_raft_change add = {.type = SWK_RAFT_ADD_VOTER,
                                               .id = 1};
    static const struct swk_raft_conf_change first = {
        .size = sizeof(first),
        .changes = &add,
        .changes_count = 1,
    };

    memset(m, 0, sizeof(*m));
    pthread_mutex_init(&m->mutex, NULL);
    pthread_cond_init(&m->changed, NULL);
    assert_int_equal(swk_raft_new(&raft_config, &m->raft, NULL), 0);
    int rc = swki_file_storage_open(&config, &disk->io, &m->storage, err);
    if (rc != 0) {
        return rc;
    }
    rc = m->storage.load(m->storage.ctx, &replay, err);
    if (rc == 0) {
        if (!m->restored) {
            assert_int_equal(swk_raft_bootstrap(m->raft, &first, 1, NULL), 0);
        }
        assert_int_equal(swk_raft_start(m->raft, 0, NULL), 0);
        settle(m);
    }
    return rc;
}

static void end(struct member *m)
{
    if (m->storage.close != NULL) {
        m->storage.close(m->storage.ctx);
    }
    swk_raft_free(m->raft);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->mutex);
}

/* Proposes until all is proposed, or the member gives up. */
static void run(struct member *m, uint64_t until)
{
    while (m->count < until) {
        uint64_t number = m->count;

        for (int i = 0; i < 3; i++) {
            number++;
            if (swk_raft_propose(m->raft, &number, sizeof(number), NULL,
                                 NULL) != 0) {
                return;
            }
        }
        settle(m);
    }
}

static void try_power_loss(const uint8_t *key, int call, bool *out_reached)
{
    struct disk *disk = disk_new((uint64_t)call);
    struct member m;
    struct swk_error err = {0};
    uint64_t applied;

    disk->power_off_at = call;
    if (begin(&m, disk, key, &err) == 0) {
        run(&m, PROPOSALS);
        assert_int_equal(m.failed, m.failure.code != 0);
    }
    *out_reached = disk->off;
    applied = m.count;
    end(&m);
    disk_power_cycle(disk);

    if (begin(&m, disk, key, &err) != 0) {
        fail_msg("call %d: %s", call, err.text);
    }
    assert_int_equal(m.leads, 1);
    assert_in_range(m.count, applied, applied + 3);
    run(&m, m.count + 9);
    applied = m.count;
    end(&m);
    disk_power_cycle(disk);

    assert_int_equal(begin(&m, disk, key, &err), 0);
    assert_int_equal(m.count, applied);
    end(&m);
    disk_free(disk);
}

static void try_everywhere(const uint8_t *key)
{
    bool reached = true;
    int call = 0;

    for (; reached; call++) {
        try_power_loss(key, call, &reached);
    }
    assert_true(call > 100); /* the scenario is worth its name */
}

static void a_sole_member_survives_power_loss_at_every_call(void **state)
{
    (void)state;
    try_everywhere(NULL);
}

static void a_sole_member_with_a_sealed_log_survives_it_too(void **state)
{
    static const uint8_t key[SWK_FILE_STORAGE_KEY_SIZE] = "of the log";

    (void)state;
    try_everywhere(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sole_member_survives_power_loss_at_every_call),
        cmocka_unit_test(a_sole_member_with_a_sealed_log_survives_it_too),
    };

    return cmocka_run_group_tests_name("raft restart", tests, NULL, NULL);
}
