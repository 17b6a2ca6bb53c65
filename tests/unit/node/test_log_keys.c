/* SPDX-License-Identifier: Apache-2.0 */

/* The keys of a manager's log: a manager that is alone in its swarm, over a
 * disk in memory, with its key file in a directory. */

#include "lib/cmocka_all.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "control.pb-c.h"
#include "core/ca/bootstrap.h"
#include "directory.h"
#include "lib/disk.h"
#include "node/storage/log_keys.h"
#include "node/identity/state_dir.h"
#include "runtime/file/file_storage.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

#define FOLDER "certificates"
#define FOUNDER "founder000000000000000000"
#define SECRET "what nobody may read"

enum {
    ROUNDS_MAX = 1000,
};

struct f {
    struct pki pki;
    struct pki_node node;
    struct directory dir;
    struct disk *disk;
    struct swk_clock clock;
    swk_time now;
    struct swki_credentials credentials;
    bool has_unlock_key;
    struct swk_unlock_key unlock_key; /* that the next start offers */
    struct swk_storage storage;
    struct swk_storage port; /* the same, noting the tickets */
    uint64_t ticket;         /* handed in last */
    uint64_t told;           /* that the manager knows to be durable */
    struct swki_manager *manager;
    struct swki_log_keys keys;
    struct swki_arena arena;
    uint64_t last_call;
    int refused; /* calls that did not end well */
    int locks;   /* how often the node was told that it is locked */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    uint64_t durable; /* ticket reported last */
    bool failed;      /* with a failure */
};

/* -- Life ----------------------------------------------------------------- */

static swk_time clock_now(void *ctx)
{
    return ((struct f *)ctx)->now;
}

static swk_wall clock_wall(void *ctx)
{
    return PKI_NOW + (swk_wall)((struct f *)ctx)->now;
}

static void done(void *ctx, uint64_t ticket, int code,
                 const struct swk_error *err)
{
    struct f *f = ctx;

    (void)err;
    pthread_mutex_lock(&f->mutex);
    f->failed = f->failed || code != 0;
    f->durable = ticket;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}

static void take_answer(void *ctx, const struct swki_answer *answer)
{
    struct f *f = ctx;

    f->refused += answer->end && answer->status != SWKI_STATUS_OK;
}

/* A manager that is alone sends nothing. */
static void take_message(void *ctx, const struct swk_raft_message *message)
{
    (void)ctx;
    (void)message;
    fail();
}

static void note_lock(void *ctx)
{
    ((struct f *)ctx)->locks++;
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    pki_init(&f->pki, 11);
    pki_node_init(&f->pki, &f->node, FOUNDER, SWKI_ROLE_MANAGER);
    directory_init(&f->dir);
    directory_put(&f->dir, FOLDER, "swarm-root-ca.crt", f->pki.root.data,
                  f->pki.root.len);
    directory_put(&f->dir, FOLDER, "swarm-node.crt", f->node.chain.data,
                  f->node.chain.len);
    directory_put(&f->dir, FOLDER, "swarm-node.key", f->node.key.data,
                  f->node.key.len);
    f->disk = disk_new(5);
    f->clock = (struct swk_clock){sizeof(f->clock), f, clock_now, clock_wall};
    f->now = SWK_SECOND;
    swki_credentials_init(&f->credentials, NULL);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->changed, NULL);
    *state = f;
    return 0;
}

static void stop(struct f *f)
{
    if (f->manager != NULL) {
        f->storage.close(f->storage.ctx);
        swki_manager_free(f->manager);
        f->manager = NULL;
    }
    swki_credentials_fini(&f->credentials);
    swki_credentials_init(&f->credentials, NULL);
}

static int tear_down(void **state)
{
    struct f *f = *state;

    stop(f);
    swki_credentials_fini(&f->credentials);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mutex);
    swki_arena_fini(&f->arena);
    disk_free(f->disk);
    directory_fini(&f->dir);
    pki_node_fini(&f->node);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static struct swki_object *make_cluster(struct f *f)
{
    const struct swki_ca_bootstrap bootstrap = {
        .cluster_id = PKI_SWARM,
        .node_id = FOUNDER,
        .root_certificate = swki_pem_of_buf(&f->pki.root),
        .root_key = swki_pem_of_buf(&f->pki.key),
        .entropy = &f->pki.entropy,
    };
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_CLUSTER);

    assert_int_equal(swki_ca_bootstrap_cluster(&bootstrap,
                                               swki_object_arena(object),
                                               swki_cluster_edit(object), NULL),
                     0);
    return object;
}

static struct swki_object *make_node(struct f *f)
{
    const struct swki_ca_bootstrap bootstrap = {
        .cluster_id = PKI_SWARM,
        .node_id = FOUNDER,
        .root_certificate = swki_pem_of_buf(&f->pki.root),
        .root_key = swki_pem_of_buf(&f->pki.key),
        .entropy = &f->pki.entropy,
    };
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);

    assert_int_equal(swki_ca_bootstrap_node(&bootstrap,
                                            swki_object_arena(object),
                                            swki_node_edit(object), NULL),
                     0);
    return object;
}

static int open_storage(struct f *f, const struct swk_file_storage_config *keys,
                        struct swk_storage *out_storage)
{
    struct swk_file_storage_config config = *keys;

    config.size = sizeof(config);
    config.dir = "/raft";
    config.done = done;
    config.done_ctx = f;
    config.segment_size = SWK_FILE_STORAGE_SEGMENT_SIZE_MIN;
    return swki_file_storage_open(&config, &f->disk->io, out_storage, NULL);
}

static void load_credentials(struct f *f)
{
    if (f->has_unlock_key) {
        swki_credentials_offer(&f->credentials, &f->unlock_key);
    }
    assert_int_equal(swki_state_dir_load(f->dir.path, &f->credentials,
                                         &f->clock, &f->pki.entropy, NULL),
                     0);
}

/* -- The storage, whose tickets are noted --------------------------------- */

static int load(void *ctx, const struct swk_storage_replay *replay,
                struct swk_error *err)
{
    const struct swk_storage *storage = &((struct f *)ctx)->storage;

    return storage->load(storage->ctx, replay, err);
}

static int identify(void *ctx, const uint8_t *identity, size_t len,
                    struct swk_error *err)
{
    const struct swk_storage *storage = &((struct f *)ctx)->storage;

    return storage->identify(storage->ctx, identity, len, err);
}

static int append(void *ctx, const struct swk_hard_state *state,
                  const struct swk_log_entry *entries, size_t entries_count,
                  uint64_t ticket, struct swk_error *err)
{
    struct f *f = ctx;

    f->ticket = ticket;
    return f->storage.append(f->storage.ctx, state, entries, entries_count,
                             ticket, err);
}

static int begin_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                          uint64_t *out_offset, struct swk_error *err)
{
    const struct swk_storage *storage = &((struct f *)ctx)->storage;

    return storage->begin_snapshot(storage->ctx, meta, out_offset, err);
}

/* The snapshot's own thread takes its time, which is none here. */
static int write_snapshot(void *ctx, const uint8_t *data, size_t len,
                          struct swk_error *err)
{
    const struct swk_storage *storage = &((struct f *)ctx)->storage;

    int rc;

    while ((rc = storage->write_snapshot(storage->ctx, data, len, err)) ==
           SWK_EUNAVAILABLE) {
        sched_yield();
    }
    return rc;
}

static int finish_snapshot(void *ctx, int32_t install, uint64_t ticket,
                           struct swk_error *err)
{
    struct f *f = ctx;

    f->ticket = ticket;
    return f->storage.finish_snapshot(f->storage.ctx, install, ticket, err);
}

static void abort_snapshot(void *ctx, int32_t keep)
{
    const struct swk_storage *storage = &((struct f *)ctx)->storage;

    storage->abort_snapshot(storage->ctx, keep);
}

static const char *const own_addresses[] = {"192.0.2.1:4242"};

static const struct swk_storage noting = {
    .size = sizeof(noting),
    .load = load,
    .identify = identify,
    .append = append,
    .begin_snapshot = begin_snapshot,
    .write_snapshot = write_snapshot,
    .finish_snapshot = finish_snapshot,
    .abort_snapshot = abort_snapshot,
};

/* -- A start -------------------------------------------------------------- */

static void start(struct f *f, bool found)
{
    const struct swki_log_keys_config keys = {
        .entropy = &f->pki.entropy,
        .state_dir = f->dir.path,
        .credentials = &f->credentials,
        .ctx = f,
        .locked = note_lock,
    };
    struct swki_manager_config config = {
        .clock = &f->clock,
        .entropy = &f->pki.entropy,
        .storage = &f->port,
        .node_id = FOUNDER,
        .swarm_id = PKI_SWARM,
        .addresses = own_addresses,
        .addresses_count = 1,
        .seed = 1,
        .answer = take_answer,
        .answer_ctx = f,
        .send = take_message,
        .send_ctx = f,
        .cluster = found ? make_cluster(f) : NULL,
        .node = found ? make_node(f) : NULL,
    };
    struct swk_file_storage_config chosen = {0};

    load_credentials(f);
    assert_int_equal(swki_log_keys_init(&f->keys, &keys, NULL), 0);
    swki_log_keys_choose(&f->credentials.keys, &chosen);
    f->durable = 0;
    f->failed = false;
    f->ticket = 0;
    f->told = 0;
    f->port = noting;
    f->port.ctx = f;
    assert_int_equal(open_storage(f, &chosen, &f->storage), 0);
    assert_int_equal(swki_manager_new(&config, &f->manager, NULL), 0);
    swki_log_keys_loaded(&f->keys, f->manager, &f->storage);
    if (found) {
        assert_int_equal(swki_manager_found(f->manager, 1, NULL), 0);
    }
}

/* -- Turns ---------------------------------------------------------------- */

/* All that the manager wants written is, when it returns. */
static void run_manager(struct f *f)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        uint64_t ticket;

        while (swki_manager_turn(f->manager, f->now) <= f->now) {
        }
        pthread_mutex_lock(&f->mutex);
        while (f->durable < f->ticket && !f->failed) {
            pthread_cond_wait(&f->changed, &f->mutex);
        }
        ticket = f->durable;
        assert_true(!f->failed || f->disk->off);
        pthread_mutex_unlock(&f->mutex);
        if (ticket == f->told || f->disk->off) {
            return;
        }
        f->told = ticket;
        swki_manager_stored(f->manager, ticket, 0, NULL);
    }
    fail_msg("the manager does not come to rest");
}

/* One turn of the keys, and what follows from it; false when nothing is left
 * to do at this time. */
static bool turn(struct f *f)
{
    swk_time deadline =
        swki_log_keys_turn(&f->keys, f->manager, &f->storage, f->now);

    run_manager(f);
    return deadline <= f->now;
}

static bool is_settled(const struct f *f)
{
    return !swki_data_keys_need_rotation(&f->credentials.keys);
}

/* Goes on for so long, and until the keys are settled. */
static void settle_for(struct f *f, swk_time span)
{
    swk_time end = f->now + span;

    for (int i = 0; i < ROUNDS_MAX; i++) {
        run_manager(f);
        while (turn(f)) {
        }
        if (f->now >= end && is_settled(f)) {
            return;
        }
        f->now += 50 * SWK_MILLISECOND;
    }
    fail_msg("the keys do not settle");
}

static void settle(struct f *f)
{
    settle_for(f, 5 * SWK_SECOND);
    if (swki_manager_failure(f->manager) != NULL) {
        fail_msg("%s", swki_manager_failure(f->manager)->text);
    }
    assert_true(swki_manager_leads(f->manager));
}

/* The machine loses its power, and comes back. */
static void crash(struct f *f)
{
    f->disk->power_off_at = f->disk->calls;
    stop(f);
    disk_power_cycle(f->disk);
}

/* -- Calls ---------------------------------------------------------------- */

static void call(struct f *f, const char *path, const ProtobufCMessage *request)
{
    static const struct swki_caller local = {.node_id = "",
                                             .swarm_id = "",
                                             .local = true,
                                             .address = "",
                                             .request_id = ""};
    uint8_t data[8192];
    const struct swki_manager_call made = {
        .id = ++f->last_call,
        .path = path,
        .caller = &local,
        .request = data,
        .request_len = protobuf_c_message_pack(request, data),
    };

    swki_manager_call(f->manager, f->now, &made);
    run_manager(f);
    assert_int_equal(f->refused, 0);
}

static void create_config(struct f *f, const char *name)
{
    Swkpb__CreateConfigRequest request = SWKPB__CREATE_CONFIG_REQUEST__INIT;
    Swkpb__ConfigSpec spec = SWKPB__CONFIG_SPEC__INIT;
    Swkpb__Annotations annotations = SWKPB__ANNOTATIONS__INIT;

    annotations.name = (char *)name;
    spec.annotations = &annotations;
    spec.data.data = (uint8_t *)SECRET;
    spec.data.len = strlen(SECRET);
    request.spec = &spec;
    call(f, "/docker.swarmkit.v1.Control/CreateConfig", &request.base);
}

static size_t configs(const struct f *f)
{
    return swki_view_count(swki_manager_view(f->manager), SWKI_KIND_CONFIG);
}

/* What the swarm decides; its key, if it locks its managers, is the one that
 * the next start offers. */
static void decide(struct f *f, bool lock, bool rotate)
{
    Swkpb__UpdateClusterRequest request = SWKPB__UPDATE_CLUSTER_REQUEST__INIT;
    Swkpb__EncryptionConfig encryption = SWKPB__ENCRYPTION_CONFIG__INIT;
    Swkpb__KeyRotation rotation = SWKPB__KEY_ROTATION__INIT;
    Swkpb__Version version = SWKPB__VERSION__INIT;
    const struct swki_object *object = swki_manager_cluster(f->manager);
    const Swkpb__Cluster *cluster = swki_cluster(object);
    Swkpb__ClusterSpec spec = *cluster->spec;

    encryption.auto_lock_managers = lock;
    spec.encryption_config = &encryption;
    rotation.manager_unlock_key = rotate;
    version.index = swki_object_version(object);
    request.cluster_id = cluster->id;
    request.cluster_version = &version;
    request.spec = &spec;
    request.rotation = &rotation;
    call(f, "/docker.swarmkit.v1.Control/UpdateCluster", &request.base);
    cluster = swki_cluster(swki_manager_cluster(f->manager));
    assert_int_equal(cluster->n_unlock_keys, lock ? 1 : 0);
    f->has_unlock_key = lock;
    if (lock) {
        assert_int_equal(cluster->unlock_keys[0]->key.len, SWK_UNLOCK_KEY_SIZE);
        memcpy(f->unlock_key.bytes, cluster->unlock_keys[0]->key.data,
               SWK_UNLOCK_KEY_SIZE);
    }
}

static void found(struct f *f)
{
    start(f, true);
    settle(f);
    create_config(f, "one");
}

/* -- What is on the disk -------------------------------------------------- */

static bool disk_has(const struct f *f, const void *data, size_t len)
{
    for (size_t i = 0; i < DISK_FILES; i++) {
        const struct disk_file *file = &f->disk->files[i];

        if (file->used &&
            memmem(file->cached, file->cached_size, data, len) != NULL) {
            return true;
        }
    }
    return false;
}

static int no_identity(void *ctx, const uint8_t *identity, size_t len,
                       struct swk_error *err)
{
    (void)ctx;
    (void)identity;
    (void)len;
    (void)err;
    return 0;
}

static int no_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                       const uint8_t *data, size_t data_len,
                       struct swk_error *err)
{
    (void)ctx;
    (void)meta;
    (void)data;
    (void)data_len;
    (void)err;
    return 0;
}

static int no_state(void *ctx, const struct swk_hard_state *state,
                    struct swk_error *err)
{
    (void)ctx;
    (void)state;
    (void)err;
    return 0;
}

static int no_entry(void *ctx, const struct swk_log_entry *entry,
                    struct swk_error *err)
{
    (void)ctx;
    (void)entry;
    (void)err;
    return 0;
}

/* Whether one key alone reads the log of a manager that has stopped. */
static bool opens_with(struct f *f, const uint8_t key[SWKI_DATA_KEY_SIZE])
{
    const struct swk_file_storage_config keys = {.key = key};
    const struct swk_storage_replay replay = {
        .size = sizeof(replay),
        .identity = no_identity,
        .snapshot = no_snapshot,
        .hard_state = no_state,
        .entry = no_entry,
    };
    struct swk_storage storage;
    int rc = open_storage(f, &keys, &storage);

    assert_int_equal(rc, 0);
    rc = storage.load(storage.ctx, &replay, NULL);
    storage.close(storage.ctx);
    return rc == 0;
}

/* -- Tests ---------------------------------------------------------------- */

static void a_log_is_sealed_from_its_first_entry_on(void **state)
{
    struct f *f = *state;
    struct swki_data_keys keys;

    found(f);
    keys = f->credentials.keys;
    assert_true(keys.has_current);
    assert_false(keys.has_pending);
    assert_false(disk_has(f, SECRET, strlen(SECRET)));
    stop(f);
    start(f, false);
    assert_memory_equal(&f->credentials.keys, &keys, sizeof(keys));
    settle(f);
    assert_int_equal(configs(f), 1);
    assert_int_equal(f->locks, 0);
}

static void a_lock_changes_the_key_of_the_log(void **state)
{
    struct f *f = *state;
    struct swki_data_keys before;
    struct swki_data_keys after;

    found(f);
    before = f->credentials.keys;
    decide(f, true, false);
    settle(f);
    after = f->credentials.keys;
    assert_int_equal(f->locks, 1);
    assert_true(after.is_locked);
    assert_memory_equal(&after.unlock_key, &f->unlock_key,
                        sizeof(f->unlock_key));
    assert_memory_not_equal(after.current, before.current, SWKI_DATA_KEY_SIZE);
    stop(f);
    assert_false(opens_with(f, before.current));
    assert_true(opens_with(f, after.current));
    start(f, false);
    settle(f);
    assert_int_equal(configs(f), 1);
}

/* If it dies before anybody has seen the key, it starts as before. */
static void nobody_is_locked_out_by_a_key_not_yet_seen(void **state)
{
    struct f *f = *state;
    struct swk_unlock_key first;
    swk_time decided;

    found(f);
    decide(f, true, false);
    first = f->unlock_key;
    decided = f->now;
    while (f->now < decided + SWKI_LOG_KEYS_LOCK_DELAY) {
        assert_true(
            swki_log_keys_turn(&f->keys, f->manager, &f->storage, f->now) <=
            decided + SWKI_LOG_KEYS_LOCK_DELAY);
        assert_false(f->credentials.keys.is_locked);
        f->now += SWKI_LOG_KEYS_LOCK_DELAY / 4;
    }
    decide(f, true, true); /* whose time begins anew */
    turn(f);
    assert_false(f->credentials.keys.is_locked);
    crash(f);
    f->has_unlock_key = false;
    start(f, false);
    settle(f);
    assert_true(f->credentials.keys.is_locked);
    assert_memory_equal(&f->credentials.keys.unlock_key, &f->unlock_key,
                        sizeof(first));
    assert_memory_not_equal(&f->unlock_key, &first, sizeof(first));
}

/* Of all that is done, one thing a turn: the power is lost after each. */
static void a_restart_after_any_turn_recovers(void **state)
{
    bool settled = false;

    for (int turns = 0; !settled; turns++) {
        struct swki_data_keys before;
        struct swki_data_keys after;
        struct f *f;

        tear_down(state);
        set_up(state);
        f = *state;
        found(f);
        before = f->credentials.keys;
        decide(f, true, false);
        for (int i = 0; i < turns; i++) {
            turn(f);
            f->now += 100 * SWK_MILLISECOND;
        }
        settled = f->credentials.keys.is_locked && is_settled(f);
        assert_true(turns < 50);
        crash(f);
        start(f, false);
        settle(f);
        after = f->credentials.keys;
        assert_true(after.is_locked);
        assert_memory_not_equal(after.current, before.current,
                                SWKI_DATA_KEY_SIZE);
        assert_int_equal(configs(f), 1);
        stop(f);
        assert_false(opens_with(f, before.current));
        assert_true(opens_with(f, after.current));
    }
}

/* And after each call to the disk, in the midst of a turn. */
static void a_loss_of_power_at_any_call_is_recovered_from(void **state)
{
    bool settled = false;

    for (int calls = 0; !settled; calls++) {
        struct swki_data_keys before;
        struct f *f;

        tear_down(state);
        set_up(state);
        f = *state;
        found(f);
        decide(f, true, false);
        before = f->credentials.keys;
        f->disk->power_off_at = f->disk->calls + calls;
        for (int i = 0; i < 100 && !f->disk->off && !settled; i++) {
            turn(f);
            settled = f->credentials.keys.is_locked && is_settled(f);
            f->now += 100 * SWK_MILLISECOND;
        }
        assert_true(calls < 200);
        crash(f);
        start(f, false);
        settle(f);
        assert_true(f->credentials.keys.is_locked);
        assert_int_equal(configs(f), 1);
        stop(f);
        assert_false(opens_with(f, before.current));
    }
}

static void locks_during_a_rotation_are_one_more(void **state)
{
    struct f *f = *state;
    uint8_t pending[SWKI_DATA_KEY_SIZE];

    found(f);
    decide(f, true, false);
    turn(f);
    f->now += SWKI_LOG_KEYS_LOCK_DELAY;
    while (!f->credentials.keys.has_pending) {
        assert_true(turn(f));
    }
    memcpy(pending, f->credentials.keys.pending, sizeof(pending));
    for (int i = 0; i < 2; i++) {
        decide(f, false, false);
        turn(f);
        decide(f, true, false);
        turn(f);
        f->now += SWKI_LOG_KEYS_LOCK_DELAY;
        turn(f);
    }
    settle(f);
    assert_int_equal(f->locks, 3);
    assert_memory_not_equal(f->credentials.keys.current, pending,
                            SWKI_DATA_KEY_SIZE);
    assert_memory_equal(&f->credentials.keys.unlock_key, &f->unlock_key,
                        sizeof(f->unlock_key));
    stop(f);
    assert_false(opens_with(f, pending));
    start(f, false);
    settle(f);
    assert_int_equal(configs(f), 1);
}

static void another_unlock_key_leaves_the_key_of_the_log(void **state)
{
    struct f *f = *state;
    struct swk_unlock_key old;
    struct swki_data_keys before;

    found(f);
    decide(f, true, false);
    settle(f);
    before = f->credentials.keys;
    old = f->unlock_key;
    decide(f, true, true);
    settle(f);
    assert_memory_not_equal(&f->unlock_key, &old, sizeof(old));
    assert_memory_equal(&f->credentials.keys.unlock_key, &f->unlock_key,
                        sizeof(old));
    assert_memory_equal(f->credentials.keys.current, before.current,
                        SWKI_DATA_KEY_SIZE);
    assert_int_equal(f->locks, 1);
    decide(f, false, false);
    settle(f);
    assert_false(f->credentials.keys.is_locked);
    assert_memory_equal(f->credentials.keys.current, before.current,
                        SWKI_DATA_KEY_SIZE);
    stop(f);
    start(f, false); /* without a key */
    settle(f);
}

/* The key of the time at which it stopped opens it; then it learns of what
 * came after. */
static void what_the_swarm_decided_before_counts_at_the_next_start(void **state)
{
    struct f *f = *state;
    struct swk_unlock_key old;
    struct swk_unlock_key now;

    found(f);
    decide(f, true, false);
    settle(f);
    old = f->unlock_key;
    decide(f, true, true); /* and it stops before it has followed */
    now = f->unlock_key;
    crash(f);
    f->unlock_key = old;
    start(f, false);
    settle(f);
    assert_memory_equal(&f->credentials.keys.unlock_key, &now, sizeof(now));
    stop(f);
    f->unlock_key = now;
    start(f, false);
    settle(f);
}

static void what_cannot_be_written_is_tried_again(void **state)
{
    struct f *f = *state;
    struct swki_data_keys before;
    char from[128];
    char to[128];

    found(f);
    before = f->credentials.keys;
    decide(f, true, false);
    snprintf(from, sizeof(from), "%s/" FOLDER, f->dir.path);
    snprintf(to, sizeof(to), "%s/elsewhere", f->dir.path);
    assert_int_equal(rename(from, to), 0);
    settle(f);
    assert_memory_equal(&f->credentials.keys, &before, sizeof(before));
    assert_int_equal(f->locks, 0);
    assert_int_equal(rename(to, from), 0);
    settle_for(f, 10 * SWK_SECOND);
    assert_true(f->credentials.keys.is_locked);
    assert_int_equal(f->locks, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_log_is_sealed_from_its_first_entry_on),
        TEST(a_lock_changes_the_key_of_the_log),
        TEST(nobody_is_locked_out_by_a_key_not_yet_seen),
        TEST(a_restart_after_any_turn_recovers),
        TEST(a_loss_of_power_at_any_call_is_recovered_from),
        TEST(locks_during_a_rotation_are_one_more),
        TEST(another_unlock_key_leaves_the_key_of_the_log),
        TEST(what_the_swarm_decided_before_counts_at_the_next_start),
        TEST(what_cannot_be_written_is_tried_again),
    };

    return cmocka_run_group_tests_name("log_keys", tests, NULL, NULL);
}
