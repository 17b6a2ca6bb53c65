/* SPDX-License-Identifier: Apache-2.0 */

/* A manager's state without a manager: a swarm that goes on from an export,
 * what is read from a log, and copies. */

#include "lib/cmocka_all.h"

#include <swarmkit/message.h>
#include <swarmkit/offline.h>
#include <swarmkit/raft.h>

#include "directory.h"
#include "node/identity/founding.h"
#include "node/storage/offline_impl.h"
#include "node/identity/state_dir.h"
#include "raft.pb-c.h"
#include "swarmkit/state.pb-c.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

enum {
    UNLOCK_KEY_BYTE = 0x5a,
};

struct f {
    struct pki pki;
    struct directory dir;
    struct swk_clock clock;
    struct swki_founding founding;
    struct swki_credentials credentials; /* of the swarm's first manager */
    struct swki_object *cluster;
    struct swki_object *manager;
    /* What is exported. */
    Swkpb__Rpc__State state;
    Swkpb__StoreSnapshot store;
    Swkpb__Cluster *clusters[2];
    Swkpb__Node worker;
    Swkpb__Node *nodes[2];
    Swkpb__Task tasks_made[3];
    Swkpb__Task *tasks[3];
    Swkpb__Volume volume;
    Swkpb__Volume *volumes[1];
    Swkpb__VolumePublishStatus published[2];
    Swkpb__VolumePublishStatus *publish_status[2];
    Swkpb__Service service;
    Swkpb__ServiceSpec service_spec;
    Swkpb__Annotations service_annotations;
    Swkpb__Service *services[2];
    Swkpb__Meta service_meta;
    Swkpb__Version service_version;
    char path[128]; /* of the new state */
};

static swk_wall wall(void *ctx)
{
    (void)ctx;
    return PKI_NOW;
}

static void make_service(struct f *f)
{
    swkpb__service__init(&f->service);
    swkpb__service_spec__init(&f->service_spec);
    swkpb__annotations__init(&f->service_annotations);
    swkpb__meta__init(&f->service_meta);
    swkpb__version__init(&f->service_version);
    f->service_version.index = 70; /* behind the state's own index */
    f->service_meta.version = &f->service_version;
    f->service_annotations.name = (char *)"web";
    f->service_spec.annotations = &f->service_annotations;
    f->service.spec = &f->service_spec;
    f->service.meta = &f->service_meta;
    f->service.id = (char *)"service1";
    f->services[0] = &f->service;
    f->store.services = f->services;
    f->store.n_services = 1;
}

/* One task on the worker, one on the manager, one on none. */
static void make_tasks(struct f *f)
{
    const char *const places[] = {"worker1", f->credentials.identity.node_id,
                                  ""};
    static char ids[3][8] = {"task1", "task2", "task3"};

    for (int i = 0; i < 3; i++) {
        swkpb__task__init(&f->tasks_made[i]);
        f->tasks_made[i].id = ids[i];
        f->tasks_made[i].service_id = (char *)"service1";
        f->tasks_made[i].node_id = (char *)places[i];
        f->tasks[i] = &f->tasks_made[i];
    }
    f->store.tasks = f->tasks;
    f->store.n_tasks = 3;
}

static void make_volume(struct f *f)
{
    for (int i = 0; i < 2; i++) {
        swkpb__volume_publish_status__init(&f->published[i]);
        f->published[i].node_id = f->tasks_made[i].node_id;
        f->publish_status[i] = &f->published[i];
    }
    swkpb__volume__init(&f->volume);
    f->volume.id = (char *)"volume1";
    f->volume.publish_status = f->publish_status;
    f->volume.n_publish_status = 2;
    f->volumes[0] = &f->volume;
    f->store.volumes = f->volumes;
    f->store.n_volumes = 1;
}

static void make_state(struct f *f)
{
    swkpb__rpc__state__init(&f->state);
    swkpb__store_snapshot__init(&f->store);
    swkpb__node__init(&f->worker);
    f->worker.id = (char *)"worker1";
    f->nodes[0] = swki_node_edit(f->manager);
    f->nodes[1] = &f->worker;
    f->store.nodes = f->nodes;
    f->store.n_nodes = 2;
    f->clusters[0] = f->clusters[1] = swki_cluster_edit(f->cluster);
    f->store.clusters = f->clusters;
    f->store.n_clusters = 1;
    make_service(f);
    make_tasks(f);
    make_volume(f);
    f->state.format = 1;
    f->state.index = 40;
    f->state.term = 6;
    f->state.store = &f->store;
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    pki_init(&f->pki, 3);
    directory_init(&f->dir);
    f->clock = (struct swk_clock){.size = sizeof(f->clock), .wall = wall};
    swki_founding_init(&f->founding, NULL);
    swki_credentials_init(&f->credentials, NULL);
    assert_int_equal(swki_founding_identity(&f->founding, f->dir.path,
                                            &f->credentials, &f->clock,
                                            &f->pki.entropy, NULL),
                     0);
    assert_int_equal(swki_founding_objects(&f->founding, &f->credentials, NULL,
                                           &f->pki.entropy, &f->cluster,
                                           &f->manager, NULL),
                     0);
    make_state(f);
    snprintf(f->path, sizeof(f->path), "%s/new", f->dir.path);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_object_unref(f->cluster);
    swki_object_unref(f->manager);
    swki_founding_fini(&f->founding);
    swki_credentials_fini(&f->credentials);
    directory_fini(&f->dir);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static struct swk_offline_config config_of(struct f *f)
{
    return (struct swk_offline_config){
        .size = sizeof(struct swk_offline_config),
        .state_dir = f->path,
        .clock = &f->clock,
        .entropy = &f->pki.entropy,
    };
}

static int import_bytes(struct f *f, const uint8_t *data, size_t len,
                        const char *address,
                        struct swk_offline_import_report *report)
{
    const struct swk_offline_config config = config_of(f);
    const struct swk_offline_import import = {
        .size = sizeof(import),
        .data = data,
        .data_len = len,
        .address = address,
    };

    return swk_offline_import(&config, &import, report, NULL);
}

static int import(struct f *f, struct swk_offline_import_report *report)
{
    struct swki_buf buf;
    int rc;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(&f->state.base, &buf, NULL), 0);
    report->size = sizeof(*report);
    rc = import_bytes(f, buf.data, buf.len, "192.0.2.7:4242", report);
    swki_buf_fini(&buf);
    return rc;
}

static swk_offline *open_new(struct f *f)
{
    const struct swk_offline_config config = config_of(f);
    swk_offline *offline = NULL;
    struct swk_error err;

    if (swk_offline_open(&config, &offline, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return offline;
}

/* The state as of an entry, in the arena. */
static const Swkpb__Rpc__State *
state_at(const swk_offline *offline, uint64_t index, struct swki_arena *arena)
{
    ProtobufCMessage *message;
    uint8_t *data;
    size_t len;

    swki_arena_init(arena, NULL, 1 << 24);
    assert_int_equal(swk_offline_state(offline, index, &data, &len, NULL), 0);
    assert_int_equal(swki_message_unpack(&swkpb__rpc__state__descriptor, data,
                                         len, arena, &message, NULL),
                     0);
    swk_message_data_free(data, len);
    return (const Swkpb__Rpc__State *)message;
}

/* -- Importing ------------------------------------------------------------ */

static void an_import_is_the_log_of_one_new_manager(void **state)
{
    struct f *f = *state;
    struct swk_offline_import_report report;
    struct swk_offline_info info = {.size = sizeof(info)};
    const Swkpb__Rpc__State *made;
    struct swki_arena arena;
    swk_offline *offline;

    assert_int_equal(import(f, &report), 0);
    assert_string_equal(report.swarm_id, f->credentials.identity.swarm_id);
    assert_string_not_equal(report.node_id, f->credentials.identity.node_id);
    assert_int_equal(report.managers_count, 1);
    assert_int_equal(report.tasks_count, 1);
    assert_int_equal(report.objects_count, 7);
    assert_int_equal(report.locked, 0);

    offline = open_new(f);
    swk_offline_info(offline, &info);
    assert_string_equal(info.node_id, report.node_id);
    assert_int_equal(info.raft_id, report.raft_id);
    assert_int_equal(info.snapshot_index, 71); /* behind all versions */
    assert_int_equal(info.snapshot_term, 6);
    assert_int_equal(info.last_index, 71);
    assert_int_equal(info.committed_index, 71);
    assert_int_equal(info.first_index, 0);
    made = state_at(offline, 71, &arena);
    assert_int_equal(made->membership->n_members, 1);
    assert_int_equal(made->membership->members[0]->raft_id, report.raft_id);
    assert_string_equal(made->membership->members[0]->addr, "192.0.2.7:4242");
    swki_arena_fini(&arena);
    swk_offline_close(offline);
}

static void what_takes_much_memory_is_imported(void **state)
{
    enum {
        PORTS = 20000,
    };
    static Swkpb__PortConfig *ports[PORTS]; /* all empty: two bytes each */
    Swkpb__PortConfig port = SWKPB__PORT_CONFIG__INIT;
    Swkpb__PortStatus port_status = SWKPB__PORT_STATUS__INIT;
    Swkpb__TaskStatus status = SWKPB__TASK_STATUS__INIT;
    struct f *f = *state;
    struct swk_offline_import_report report;
    const Swkpb__StoreSnapshot *store;
    struct swki_arena arena;
    swk_offline *offline;

    for (size_t i = 0; i < PORTS; i++) {
        ports[i] = &port;
    }
    port_status.ports = ports;
    port_status.n_ports = PORTS;
    status.port_status = &port_status;
    f->tasks_made[0].status = &status;
    assert_int_equal(import(f, &report), 0);
    offline = open_new(f);
    store = state_at(offline, 71, &arena)->store;
    assert_int_equal(store->tasks[0]->status->port_status->n_ports, PORTS);
    swki_arena_fini(&arena);
    swk_offline_close(offline);
}

static const Swkpb__Node *find_node(const Swkpb__StoreSnapshot *store,
                                    const char *id)
{
    for (size_t i = 0; i < store->n_nodes; i++) {
        if (strcmp(store->nodes[i]->id, id) == 0) {
            return store->nodes[i];
        }
    }
    return NULL;
}

static void workers_carry_over_and_managers_are_locked_out(void **state)
{
    struct f *f = *state;
    struct swk_offline_import_report report;
    const Swkpb__StoreSnapshot *store;
    const Swkpb__Cluster *cluster;
    struct swki_arena arena;
    swk_offline *offline;

    assert_int_equal(import(f, &report), 0);
    offline = open_new(f);
    store = state_at(offline, 71, &arena)->store;
    cluster = store->clusters[0];
    assert_int_equal(store->n_nodes, 2);
    assert_non_null(find_node(store, "worker1"));
    assert_int_equal(find_node(store, report.node_id)->role,
                     SWKPB__NODE_ROLE__MANAGER);
    assert_int_equal(store->n_tasks, 2);
    assert_string_equal(store->tasks[0]->id, "task1");
    assert_string_equal(store->tasks[1]->id, "task3");
    assert_int_equal(store->volumes[0]->n_publish_status, 1);
    assert_string_equal(store->volumes[0]->publish_status[0]->node_id,
                        "worker1");
    assert_int_equal(cluster->n_blacklisted_certificates, 1);
    assert_string_equal(cluster->blacklisted_certificates[0]->key,
                        f->credentials.identity.node_id);
    assert_non_null(cluster->blacklisted_certificates[0]->value->expiry);
    assert_int_equal(cluster->meta->version->index, 71);
    assert_string_equal(cluster->root_ca->join_tokens->worker,
                        swki_cluster(f->cluster)->root_ca->join_tokens->worker);
    assert_int_equal(store->services[0]->meta->version->index, 70);
    swki_arena_fini(&arena);
    swk_offline_close(offline);
}

static void the_new_manager_has_a_certificate_of_the_same_ca(void **state)
{
    struct f *f = *state;
    struct swk_offline_import_report report;
    struct swki_credentials made;

    assert_int_equal(import(f, &report), 0);
    swki_credentials_init(&made, NULL);
    assert_int_equal(
        swki_state_dir_load(f->path, &made, &f->clock, &f->pki.entropy, NULL),
        0);
    assert_string_equal(made.identity.node_id, report.node_id);
    assert_string_equal(made.identity.swarm_id,
                        f->credentials.identity.swarm_id);
    assert_int_equal(made.identity.role, SWKI_ROLE_MANAGER);
    assert_int_equal(made.roots.len, f->credentials.roots.len);
    assert_true(made.keys.has_current);
    assert_int_equal(directory_mode(&f->dir, "new"), 0700);
    assert_int_equal(directory_mode(&f->dir, "new/certificates/swarm-node.key"),
                     0600);
    swki_credentials_fini(&made);
}

static void a_locked_swarm_stays_locked(void **state)
{
    struct f *f = *state;
    Swkpb__Cluster *cluster = swki_cluster_edit(f->cluster);
    Swkpb__EncryptionKey key = SWKPB__ENCRYPTION_KEY__INIT;
    Swkpb__EncryptionKey *keys[] = {&key};
    struct swk_offline_import_report report;
    struct swk_offline_config config = config_of(f);
    struct swk_unlock_key unlock_key;
    swk_offline *offline;

    memset(unlock_key.bytes, UNLOCK_KEY_BYTE, sizeof(unlock_key.bytes));
    key.subsystem = (char *)"swarm-manager";
    key.key.data = unlock_key.bytes;
    key.key.len = sizeof(unlock_key.bytes);
    cluster->unlock_keys = keys;
    cluster->n_unlock_keys = 1;
    assert_int_equal(import(f, &report), 0);
    cluster->n_unlock_keys = 0;
    assert_int_equal(report.locked, 1);

    assert_int_equal(swk_offline_open(&config, &offline, NULL), SWK_EDENIED);
    config.unlock_key = &unlock_key;
    assert_int_equal(swk_offline_open(&config, &offline, NULL), 0);
    swk_offline_close(offline);
    unlock_key.bytes[0]++;
    assert_int_equal(swk_offline_open(&config, &offline, NULL), SWK_EDENIED);
}

/* Each changes the state so that nothing must come of it. */
static void no_format(struct f *f)
{
    f->state.format = 0;
}

static void later_format(struct f *f)
{
    f->state.format = 2;
}

static void redacted(struct f *f)
{
    f->state.redacted = 1;
}

static void no_objects(struct f *f)
{
    f->state.store = NULL;
}

static void no_cluster(struct f *f)
{
    f->store.n_clusters = 0;
}

static void two_clusters(struct f *f)
{
    f->store.n_clusters = 2;
}

static void no_ca_key(struct f *f)
{
    swki_cluster_edit(f->cluster)->root_ca->ca_key.len = 0;
}

static void no_id(struct f *f)
{
    f->service.id = (char *)"";
}

static void same_id(struct f *f)
{
    f->tasks_made[2].id = (char *)"task1";
}

static void endless_version(struct f *f)
{
    f->service_version.index = UINT64_MAX;
}

static void what_is_no_whole_state_is_refused(void **state)
{
    static const struct {
        void (*spoil)(struct f *f);
        int rc;
    } cases[] = {
        {no_format, SWK_EMALFORMED},    {later_format, SWK_ENOTSUP},
        {redacted, SWK_EPRECONDITION},  {no_objects, SWK_EMALFORMED},
        {no_cluster, SWK_EMALFORMED},   {two_clusters, SWK_EMALFORMED},
        {no_ca_key, SWK_EPRECONDITION}, {no_id, SWK_EMALFORMED},
        {same_id, SWK_EMALFORMED},      {endless_version, SWK_EMALFORMED},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_offline_import_report report = {0};
        size_t key_len = swki_cluster(f->cluster)->root_ca->ca_key.len;
        int rc;

        cases[i].spoil(f);
        rc = import(f, &report);
        if (rc != cases[i].rc || report.raft_id != 0) {
            fail_msg("case %zu: got %d", i, rc);
        }
        assert_false(directory_has(&f->dir, "new"));
        assert_false(directory_has(&f->dir, "new.making"));
        swki_cluster_edit(f->cluster)->root_ca->ca_key.len = key_len;
        make_state(f);
    }
    assert_int_equal(import_bytes(f, (const uint8_t *)"\x0a", 1, NULL, NULL),
                     SWK_EMALFORMED);
    assert_int_equal(import_bytes(f, NULL, 0, NULL, NULL), SWK_EINVAL);
    assert_int_equal(import_bytes(f, (const uint8_t *)"", 0, "nowhere", NULL),
                     SWK_EINVAL);
}

static void what_is_there_is_never_written_over(void **state)
{
    struct f *f = *state;
    struct swk_offline_import_report report;

    directory_put(&f->dir, "new", "precious", "x", 1);
    assert_int_equal(import(f, &report), SWK_EEXIST);
    assert_true(directory_has(&f->dir, "new/precious"));
    assert_false(directory_has(&f->dir, "new/raft"));
    directory_put(&f->dir, "new.making", "half", "x", 1);
    snprintf(f->path, sizeof(f->path), "%s/other/", f->dir.path);
    directory_put(&f->dir, "other.making", "half", "x", 1);
    assert_int_equal(import(f, &report), SWK_EEXIST);
    assert_true(directory_has(&f->dir, "other.making/half"));
}

/* -- Reading -------------------------------------------------------------- */

/* A log of two voters, or of one, with a service that is made and removed. */
static void write_log(struct f *f, size_t voters_count)
{
    const uint64_t voters[] = {1, 2};
    const struct swk_snapshot_meta meta = {
        .index = 10,
        .term = 2,
        .conf_state = {.voters = voters, .voters_count = voters_count},
    };
    const struct swk_hard_state state = {.term = 3, .vote = 1, .commit = 11};
    Swkpb__InternalRaftRequest request = SWKPB__INTERNAL_RAFT_REQUEST__INIT;
    Swkpb__StoreAction action = SWKPB__STORE_ACTION__INIT;
    Swkpb__StoreAction *actions[] = {&action};
    Swkpb__RaftMember own = SWKPB__RAFT_MEMBER__INIT;
    struct swk_log_entry entries[2] = {{.index = 11, .term = 3},
                                       {.index = 12, .term = 3}};
    struct swki_buf data;
    struct swki_buf identity;
    struct swki_offline_log log = {
        .state_dir = f->path,
        .meta = &meta,
        .state = &state,
        .entries = entries,
        .entries_count = 2,
    };

    action.action = SWKPB__STORE_ACTION_KIND__STORE_ACTION_CREATE;
    action.target_case = SWKPB__STORE_ACTION__TARGET_SERVICE;
    action.service = &f->service;
    request.action = actions;
    request.n_action = 1;
    own.raft_id = 1;
    own.node_id = f->credentials.identity.node_id;
    swki_buf_init(&data, NULL, SIZE_MAX);
    swki_buf_init(&identity, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(&request.base, &data, NULL), 0);
    assert_int_equal(swki_message_pack(&own.base, &identity, NULL), 0);
    entries[1].data = data.data;
    entries[1].data_len = data.len;
    log.identity = identity.data;
    log.identity_len = identity.len;
    assert_int_equal(swki_state_dir_create(f->path, NULL), 0);
    assert_int_equal(swki_state_dir_save(f->path, &f->credentials, NULL), 0);
    assert_int_equal(swki_offline_log_write(&log, NULL), 0);
    swki_buf_fini(&data);
    swki_buf_fini(&identity);
}

static void entries_are_given_one_by_one(void **state)
{
    struct f *f = *state;
    struct swk_offline_info info = {.size = sizeof(info)};
    struct swk_snapshot_meta meta;
    struct swk_log_entry entry;
    const uint8_t *data;
    swk_offline *offline;
    size_t len;

    write_log(f, 2);
    offline = open_new(f);
    swk_offline_info(offline, &info);
    assert_int_equal(info.first_index, 11);
    assert_int_equal(info.last_index, 12);
    assert_int_equal(info.state.vote, 1);
    assert_int_equal(info.lost_index, 0);
    assert_int_equal(swk_offline_entry(offline, 10, &entry), SWK_ENOTFOUND);
    assert_int_equal(swk_offline_entry(offline, 13, &entry), SWK_ENOTFOUND);
    assert_int_equal(swk_offline_entry(offline, 11, &entry), 0);
    assert_int_equal(entry.data_len, 0);
    assert_int_equal(swk_offline_entry(offline, 12, &entry), 0);
    assert_int_equal(entry.term, 3);
    assert_int_equal(swk_offline_snapshot(offline, &meta, &data, &len), 0);
    assert_int_equal(meta.conf_state.voters_count, 2);
    assert_int_equal(meta.conf_state.voters[1], 2);
    swk_offline_close(offline);
}

static void the_state_is_as_of_any_entry(void **state)
{
    struct f *f = *state;
    const Swkpb__Rpc__State *made;
    struct swki_arena arena;
    swk_offline *offline;
    uint8_t *data;
    size_t len;

    write_log(f, 2);
    offline = open_new(f);
    made = state_at(offline, 11, &arena);
    assert_int_equal(made->index, 11);
    assert_int_equal(made->store->n_services, 0);
    swki_arena_fini(&arena);
    made = state_at(offline, 12, &arena);
    assert_int_equal(made->term, 3);
    assert_string_equal(made->node_id, f->credentials.identity.node_id);
    assert_int_equal(made->store->n_services, 1);
    assert_string_equal(made->store->services[0]->spec->annotations->name,
                        "web");
    swki_arena_fini(&arena);
    assert_int_equal(swk_offline_state(offline, 9, &data, &len, NULL),
                     SWK_EINVAL);
    assert_int_equal(swk_offline_state(offline, 13, &data, &len, NULL),
                     SWK_EINVAL);
    swk_offline_close(offline);
}

static uint64_t committed_of(struct f *f)
{
    struct swk_offline_info info = {.size = sizeof(info)};
    swk_offline *offline = open_new(f);

    swk_offline_info(offline, &info);
    swk_offline_close(offline);
    return info.committed_index;
}

static void of_two_voters_one_knows_what_it_was_told(void **state)
{
    write_log(*state, 2);
    assert_int_equal(committed_of(*state), 11);
}

static void a_sole_voter_has_committed_all_it_has(void **state)
{
    write_log(*state, 1);
    assert_int_equal(committed_of(*state), 12);
}

static void a_copy_holds_the_same(void **state)
{
    struct f *f = *state;
    swk_offline *offline;
    uint8_t *data[2];
    size_t len[2];
    char path[160];

    write_log(f, 2);
    snprintf(path, sizeof(path), "%s/copy", f->dir.path);
    offline = open_new(f);
    assert_int_equal(swk_offline_state(offline, 12, &data[0], &len[0], NULL),
                     0);
    assert_int_equal(swk_offline_copy_unsealed(offline, path, NULL), 0);
    assert_int_equal(swk_offline_copy_unsealed(offline, path, NULL),
                     SWK_EEXIST);
    swk_offline_close(offline);
    snprintf(f->path, sizeof(f->path), "%s/copy", f->dir.path);
    offline = open_new(f);
    assert_int_equal(swk_offline_state(offline, 12, &data[1], &len[1], NULL),
                     0);
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(data[0], data[1], len[0]);
    assert_int_equal(committed_of(f), 11);
    assert_int_equal(directory_mode(&f->dir, "copy"), 0700);
    for (int i = 0; i < 2; i++) {
        swk_message_data_free(data[i], len[i]);
    }
    swk_offline_close(offline);
}

static void a_state_in_use_is_locked_only_if_asked(void **state)
{
    struct f *f = *state;
    struct swk_offline_config config = config_of(f);
    swk_offline *offline;
    int lock;

    write_log(f, 1);
    assert_int_equal(swki_state_dir_lock(f->path, &lock, NULL), 0);
    swk_offline_close(open_new(f));
    config.flags = SWK_OFFLINE_LOCK;
    assert_int_equal(swk_offline_open(&config, &offline, NULL), SWK_EBUSY);
    swki_state_dir_unlock(lock);
    assert_int_equal(swk_offline_open(&config, &offline, NULL), 0);
    assert_int_equal(swki_state_dir_lock(f->path, &lock, NULL), SWK_EBUSY);
    swk_offline_close(offline);
}

static void misuse_and_missing_states_are_told(void **state)
{
    struct f *f = *state;
    struct swk_offline_config config = config_of(f);
    swk_offline *offline;

    assert_int_equal(swk_offline_open(&config, &offline, NULL), SWK_ENOTFOUND);
    assert_false(directory_has(&f->dir, "new"));
    config.flags = 1u << 31;
    assert_int_equal(swk_offline_open(&config, &offline, NULL), SWK_EINVAL);
    config = config_of(f);
    config.entropy = NULL;
    assert_int_equal(swk_offline_open(&config, &offline, NULL), SWK_EINVAL);
    assert_int_equal(swk_offline_open(NULL, &offline, NULL), SWK_EINVAL);
    swk_offline_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_import_is_the_log_of_one_new_manager),
        TEST(what_takes_much_memory_is_imported),
        TEST(workers_carry_over_and_managers_are_locked_out),
        TEST(the_new_manager_has_a_certificate_of_the_same_ca),
        TEST(a_locked_swarm_stays_locked),
        TEST(what_is_no_whole_state_is_refused),
        TEST(what_is_there_is_never_written_over),
        TEST(entries_are_given_one_by_one),
        TEST(the_state_is_as_of_any_entry),
        TEST(of_two_voters_one_knows_what_it_was_told),
        TEST(a_sole_voter_has_committed_all_it_has),
        TEST(a_copy_holds_the_same),
        TEST(a_state_in_use_is_locked_only_if_asked),
        TEST(misuse_and_missing_states_are_told),
    };

    return cmocka_run_group_tests_name("offline", tests, NULL, NULL);
}
