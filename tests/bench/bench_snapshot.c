/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A sealed snapshot of a manager with 100,000 tasks in a real directory: how
 * long it takes, how large it is, and for how long the longest turn of the
 * manager kept the loop meanwhile.
 *
 * Prints one line a figure: name, value, unit. The directory to use may be
 * given; it is made and removed.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/file_storage.h>

#include "control.pb-c.h"
#include "core/ca/bootstrap.h"
#include "node/manager/manager.h"
#include "unit/crypto/pki.h"

#define FOUNDER "founder000000000000000000"
#define ADDRESS "192.0.2.1:4242"
#define CREATE_SERVICE "/docker.swarmkit.v1.Control/CreateService"
#define UPDATE_CLUSTER "/docker.swarmkit.v1.Control/UpdateCluster"

enum {
    TASKS = 100000,
    WAIT_NS = 1000000, /* of the loop at most, for word of the storage */
};

/* One run of turns, and what was seen in it. */
struct bench {
    char dir[256];
    struct pki pki;
    struct swk_clock clock;
    struct swk_storage disk; /* the real one */
    struct swk_storage storage;
    struct swki_manager *manager;
    uint64_t calls;

    uint64_t snapshot_ticket; /* of the newest snapshot that was finished */
    uint64_t snapshot_index;
    uint64_t snapshot_term;
    double begun;
    double ended;
    double longest_turn; /* since the last snapshot was begun */
    double longest_cpu;  /* processor time of a turn, likewise */
    bool saving;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    uint64_t durable;
    int failure;
};

static double read_clock(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static void require(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench_snapshot: %s\n", what);
        exit(1);
    }
}

static swk_time clock_now(void *ctx)
{
    (void)ctx;
    return (swk_time)(seconds() * 1e9);
}

static swk_wall clock_wall(void *ctx)
{
    (void)ctx;
    return PKI_NOW;
}

/* -- The storage, watched ------------------------------------------------- */

static void done(void *ctx, uint64_t ticket, int code,
                 const struct swk_error *err)
{
    struct bench *b = ctx;

    if (code != 0) {
        fprintf(stderr, "bench_snapshot: %s\n", err->text);
    }
    pthread_mutex_lock(&b->mutex);
    b->durable = ticket;
    b->failure = code;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->mutex);
}

static int begin_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                          uint64_t *out_offset, struct swk_error *err)
{
    struct bench *b = ctx;
    int rc = b->disk.begin_snapshot(b->disk.ctx, meta, out_offset, err);

    if (rc == 0) {
        b->saving = true;
        b->begun = seconds();
        b->longest_turn = 0;
        b->longest_cpu = 0;
        b->snapshot_index = meta->index;
        b->snapshot_term = meta->term;
    }
    return rc;
}

static int finish_snapshot(void *ctx, int32_t install, uint64_t ticket,
                           struct swk_error *err)
{
    struct bench *b = ctx;

    b->snapshot_ticket = ticket;
    return b->disk.finish_snapshot(b->disk.ctx, install, ticket, err);
}

static int load(void *ctx, const struct swk_storage_replay *replay,
                struct swk_error *err)
{
    struct bench *b = ctx;

    return b->disk.load(b->disk.ctx, replay, err);
}

static int identify(void *ctx, const uint8_t *identity, size_t len,
                    struct swk_error *err)
{
    struct bench *b = ctx;

    return b->disk.identify(b->disk.ctx, identity, len, err);
}

static int append(void *ctx, const struct swk_hard_state *state,
                  const struct swk_log_entry *entries, size_t entries_count,
                  uint64_t ticket, struct swk_error *err)
{
    struct bench *b = ctx;

    return b->disk.append(b->disk.ctx, state, entries, entries_count, ticket,
                          err);
}

static int write_snapshot(void *ctx, const uint8_t *data, size_t len,
                          struct swk_error *err)
{
    struct bench *b = ctx;

    return b->disk.write_snapshot(b->disk.ctx, data, len, err);
}

static void abort_snapshot(void *ctx, int32_t keep)
{
    struct bench *b = ctx;

    b->disk.abort_snapshot(b->disk.ctx, keep);
}

static void open_storage(struct bench *b)
{
    static const uint8_t key[SWK_FILE_STORAGE_KEY_SIZE] = "a key to seal by";
    const struct swk_file_storage_config config = {.size = sizeof(config),
                                                   .dir = b->dir,
                                                   .done = done,
                                                   .done_ctx = b,
                                                   .key = key};
    struct swk_error err;

    if (swk_file_storage_open(&config, &b->disk, &err) != 0) {
        require(0, err.text);
    }
    b->storage = b->disk;
    b->storage.ctx = b;
    b->storage.load = load;
    b->storage.identify = identify;
    b->storage.append = append;
    b->storage.begin_snapshot = begin_snapshot;
    b->storage.write_snapshot = write_snapshot;
    b->storage.finish_snapshot = finish_snapshot;
    b->storage.abort_snapshot = abort_snapshot;
}

/* -- The manager ---------------------------------------------------------- */

static struct swki_object *make_cluster(struct bench *b)
{
    const struct swki_ca_bootstrap bootstrap = {
        .cluster_id = PKI_SWARM,
        .node_id = FOUNDER,
        .root_certificate = swki_pem_of_buf(&b->pki.root),
        .root_key = swki_pem_of_buf(&b->pki.key),
        .entropy = &b->pki.entropy,
    };
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_CLUSTER);

    require(swki_ca_bootstrap_cluster(&bootstrap, swki_object_arena(object),
                                      swki_cluster_edit(object), NULL) == 0,
            "no cluster");
    return object;
}

static struct swki_object *make_node(void)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);

    node->id = swki_arena_strdup(arena, FOUNDER);
    node->spec = swki_arena_calloc(arena, 1, sizeof(*node->spec));
    swkpb__node_spec__init(node->spec);
    node->spec->annotations =
        swki_arena_calloc(arena, 1, sizeof(*node->spec->annotations));
    swkpb__annotations__init(node->spec->annotations);
    return object;
}

static void take_answer(void *ctx, const struct swki_answer *answer)
{
    (void)ctx;
    if (answer->end && answer->status != SWKI_STATUS_OK) {
        require(0, answer->text);
    }
}

static const char *const own_addresses[] = {ADDRESS};

static void start_manager(struct bench *b)
{
    const struct swki_manager_config config = {
        .clock = &b->clock,
        .entropy = &b->pki.entropy,
        .storage = &b->storage,
        .node_id = FOUNDER,
        .swarm_id = PKI_SWARM,
        .addresses = own_addresses,
        .addresses_count = 1,
        .seed = 1,
        .cluster = make_cluster(b),
        .node = make_node(),
        .answer = take_answer,
    };
    struct swk_error err;

    if (swki_manager_new(&config, &b->manager, &err) != 0 ||
        swki_manager_found(b->manager, 1, &err) != 0) {
        require(0, err.text);
    }
}

static void note_turn(struct bench *b, double took, double cpu)
{
    if (b->saving && took > b->longest_turn) {
        b->longest_turn = took;
    }
    if (b->saving && cpu > b->longest_cpu) {
        b->longest_cpu = cpu;
    }
}

/* What the loop does: takes the storage's word, and runs a turn. */
static void turn(struct bench *b, uint64_t *told)
{
    double start = seconds();
    double start_cpu = read_clock(CLOCK_THREAD_CPUTIME_ID);
    struct timespec until;

    pthread_mutex_lock(&b->mutex);
    uint64_t durable = b->durable;
    require(b->failure == 0, "the storage failed");
    pthread_mutex_unlock(&b->mutex);
    if (durable > *told) {
        swki_manager_stored(b->manager, durable, 0, NULL);
        *told = durable;
        if (b->saving && durable >= b->snapshot_ticket &&
            b->snapshot_ticket != 0) {
            b->saving = false;
            b->ended = seconds();
        }
    }
    swk_time next = swki_manager_turn(b->manager, clock_now(NULL));
    note_turn(b, seconds() - start,
              read_clock(CLOCK_THREAD_CPUTIME_ID) - start_cpu);
    if (next <= clock_now(NULL)) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&b->mutex);
    if (b->durable == durable) {
        pthread_cond_timedwait(&b->changed, &b->mutex, &until);
    }
    pthread_mutex_unlock(&b->mutex);
}

static void call(struct bench *b, const char *path,
                 const ProtobufCMessage *request)
{
    static const struct swki_caller local = {
        .node_id = "",
        .swarm_id = "",
        .local = true,
        .address = "",
        .request_id = "",
    };
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *data = malloc(len + 1);
    struct swki_manager_call made = {
        .id = ++b->calls,
        .path = path,
        .caller = &local,
        .request = data,
    };

    require(data != NULL, "out of memory");
    made.request_len = protobuf_c_message_pack(request, data);
    swki_manager_call(b->manager, clock_now(NULL), &made);
    free(data);
}

static void create_service(struct bench *b)
{
    Swkpb__CreateServiceRequest request = SWKPB__CREATE_SERVICE_REQUEST__INIT;
    Swkpb__ServiceSpec spec = SWKPB__SERVICE_SPEC__INIT;
    Swkpb__Annotations annotations = SWKPB__ANNOTATIONS__INIT;
    Swkpb__TaskSpec task = SWKPB__TASK_SPEC__INIT;
    Swkpb__ContainerSpec container = SWKPB__CONTAINER_SPEC__INIT;
    Swkpb__ReplicatedService replicated = SWKPB__REPLICATED_SERVICE__INIT;

    annotations.name = (char *)"many";
    container.image = (char *)"registry/image:tag";
    task.runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    task.container = &container;
    replicated.replicas = TASKS;
    spec.annotations = &annotations;
    spec.task = &task;
    spec.mode_case = SWKPB__SERVICE_SPEC__MODE_REPLICATED;
    spec.replicated = &replicated;
    request.spec = &spec;
    call(b, CREATE_SERVICE, &request.base);
}

/* So that the next entry makes a snapshot. */
static void want_snapshots(struct bench *b)
{
    const Swkpb__Cluster *cluster = swki_cluster(swki_view_get(
        swki_manager_view(b->manager), SWKI_KIND_CLUSTER, PKI_SWARM));
    Swkpb__UpdateClusterRequest request = SWKPB__UPDATE_CLUSTER_REQUEST__INIT;
    Swkpb__ClusterSpec spec = *cluster->spec;
    Swkpb__RaftConfig raft = *spec.raft;

    raft.snapshot_interval = 1;
    spec.raft = &raft;
    request.cluster_id = cluster->id;
    request.cluster_version = cluster->meta->version;
    request.spec = &spec;
    call(b, UPDATE_CLUSTER, &request.base);
}

static size_t tasks_count(const struct bench *b)
{
    return swki_view_count(swki_manager_view(b->manager), SWKI_KIND_TASK);
}

static void report(const struct bench *b)
{
    char path[400];
    struct stat st;

    snprintf(path, sizeof(path), "%s/snapshot-%016llx-%016llx", b->dir,
             (unsigned long long)b->snapshot_index,
             (unsigned long long)b->snapshot_term);
    require(stat(path, &st) == 0, "there is no snapshot");
    printf("snapshot_tasks %d tasks\n", TASKS);
    printf("snapshot_time %.1f ms\n", (b->ended - b->begun) * 1e3);
    printf("snapshot_longest_turn %.2f ms\n", b->longest_turn * 1e3);
    printf("snapshot_longest_turn_cpu %.2f ms\n", b->longest_cpu * 1e3);
    printf("snapshot_size %.1f MB\n", (double)st.st_size / 1e6);
}

static void run(struct bench *b)
{
    uint64_t told = 0;

    open_storage(b);
    start_manager(b);
    while (!swki_manager_leads(b->manager) ||
           !swki_manager_has_cluster(b->manager)) {
        turn(b, &told);
    }
    create_service(b);
    while (tasks_count(b) < TASKS) {
        turn(b, &told);
    }
    for (double end = seconds() + 2; seconds() < end || b->saving;) {
        turn(b, &told); /* until the tasks are allocated, and all is quiet */
    }
    b->ended = 0;
    b->snapshot_ticket = 0;
    want_snapshots(b);
    while (b->ended == 0) {
        turn(b, &told);
    }
    report(b);
    swki_manager_free(b->manager);
    b->disk.close(b->disk.ctx);
}

int main(int argc, char **argv)
{
    struct bench b = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                      .changed = PTHREAD_COND_INITIALIZER};
    char command[300];

    if (argc > 1) {
        snprintf(b.dir, sizeof(b.dir), "%s", argv[1]);
    } else {
        snprintf(b.dir, sizeof(b.dir), "bench_snapshot.%ld", (long)getpid());
    }
    pki_init(&b.pki, 7);
    b.clock = (struct swk_clock){sizeof(b.clock), &b, clock_now, clock_wall};
    run(&b);
    pki_fini(&b.pki);
    snprintf(command, sizeof(command), "rm -r '%s'", b.dir);
    return system(command) != 0;
}
