/* SPDX-License-Identifier: Apache-2.0 */

/* Nodes, clusters, secrets and configs. */

#include "fixture.h"

/* -- Nodes ---------------------------------------------------------------- */

static enum swki_status set_role(struct f *f, const char *id,
                                 Swkpb__NodeRole role)
{
    Swkpb__GetNodeRequest get = SWKPB__GET_NODE_REQUEST__INIT;
    Swkpb__UpdateNodeRequest update = SWKPB__UPDATE_NODE_REQUEST__INIT;

    get.node_id = copy(f, id);
    assert_int_equal(call(f, "GetNode", &get), SWKI_STATUS_OK);
    Swkpb__GetNodeResponse *got =
        reply(f, &swkpb__get_node_response__descriptor);
    update.node_id = got->node->id;
    update.node_version = got->node->meta->version;
    update.spec = got->node->spec;
    update.spec->desired_role = role;
    enum swki_status status = call(f, "UpdateNode", &update);
    commit(f);
    return status;
}

static void put_manager(struct f *f, const char *id)
{
    Swkpb__Node *n = node(f, id, SWKPB__NODE_STATUS__STATE__READY);

    n->role = SWKPB__NODE_ROLE__MANAGER;
    n->spec->desired_role = SWKPB__NODE_ROLE__MANAGER;
    put(f, SWKI_KIND_NODE, n);
}

static void add_member(struct f *f, const char *id, bool leader, bool reachable)
{
    f->members[f->members_count] = (struct swki_control_member){
        .node_id = id,
        .raft_id = f->members_count + 1,
        .addr = "192.0.2.1:4242",
        .leader = leader,
        .reachability =
            reachable ? SWKPB__RAFT_MEMBER_STATUS__REACHABILITY__REACHABLE
                      : SWKPB__RAFT_MEMBER_STATUS__REACHABILITY__UNREACHABLE,
    };
    f->members_count++;
}

static void raft_members_are_shown(void **state)
{
    struct f *f = *state;
    Swkpb__ListNodesRequest list = SWKPB__LIST_NODES_REQUEST__INIT;

    put_manager(f, "m1");
    put(f, SWKI_KIND_NODE, node(f, "w1", SWKPB__NODE_STATUS__STATE__READY));
    add_member(f, "m1", true, true);
    assert_int_equal(call(f, "ListNodes", &list), SWKI_STATUS_OK);
    Swkpb__ListNodesResponse *nodes =
        reply(f, &swkpb__list_nodes_response__descriptor);
    assert_int_equal(nodes->n_nodes, 2);
    assert_string_equal(nodes->nodes[0]->id, "m1");
    assert_true(nodes->nodes[0]->manager_status->leader);
    assert_string_equal(nodes->nodes[0]->manager_status->addr,
                        "192.0.2.1:4242");
    assert_null(nodes->nodes[1]->manager_status);
}

static void the_last_manager_stays(void **state)
{
    struct f *f = *state;

    put_manager(f, "m1");
    add_member(f, "m1", true, true);
    assert_int_equal(set_role(f, "m1", SWKPB__NODE_ROLE__WORKER),
                     SWKI_STATUS_FAILED_PRECONDITION);
}

static void two_managers_are_not_demoted_one_after_the_other(void **state)
{
    struct f *f = *state;

    put_manager(f, "m1");
    put_manager(f, "m2");
    add_member(f, "m1", true, true);
    add_member(f, "m2", false, true);
    assert_int_equal(set_role(f, "m1", SWKPB__NODE_ROLE__WORKER),
                     SWKI_STATUS_OK);
    assert_int_equal(set_role(f, "m2", SWKPB__NODE_ROLE__WORKER),
                     SWKI_STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(text(f), "last manager"));
}

static void a_worker_is_promoted(void **state)
{
    struct f *f = *state;

    put_manager(f, "m1");
    add_member(f, "m1", true, true);
    put(f, SWKI_KIND_NODE, node(f, "w1", SWKPB__NODE_STATUS__STATE__DOWN));
    assert_int_equal(set_role(f, "w1", SWKPB__NODE_ROLE__MANAGER),
                     SWKI_STATUS_OK);
}

static void demotion_keeps_a_quorum(void **state)
{
    struct f *f = *state;

    put_manager(f, "m1");
    put_manager(f, "m2");
    put_manager(f, "m3");
    add_member(f, "m1", true, true);
    add_member(f, "m2", false, true);
    add_member(f, "m3", false, false);
    assert_int_equal(set_role(f, "m2", SWKPB__NODE_ROLE__WORKER),
                     SWKI_STATUS_FAILED_PRECONDITION);
    assert_int_equal(set_role(f, "m3", SWKPB__NODE_ROLE__WORKER),
                     SWKI_STATUS_OK);
}

static void a_promotion_that_is_not_complete_is_taken_back(void **state)
{
    struct f *f = *state;

    put_manager(f, "m1");
    put_manager(f, "w1"); /* has no certificate for it, and is no member */
    add_member(f, "m1", true, true);
    assert_int_equal(set_role(f, "m1", SWKPB__NODE_ROLE__WORKER),
                     SWKI_STATUS_FAILED_PRECONDITION);
    assert_int_equal(set_role(f, "w1", SWKPB__NODE_ROLE__WORKER),
                     SWKI_STATUS_OK);
}

static enum swki_status remove_node(struct f *f, const char *id, bool force)
{
    Swkpb__RemoveNodeRequest request = SWKPB__REMOVE_NODE_REQUEST__INIT;

    request.node_id = copy(f, id);
    request.force = force;
    enum swki_status status = call(f, "RemoveNode", &request);
    commit(f);
    return status;
}

static Swkpb__Cluster *cluster(struct f *f)
{
    Swkpb__GetClusterRequest request = SWKPB__GET_CLUSTER_REQUEST__INIT;

    request.cluster_id = copy(f, "cluster1");
    assert_int_equal(call(f, "GetCluster", &request), SWKI_STATUS_OK);
    Swkpb__GetClusterResponse *response =
        reply(f, &swkpb__get_cluster_response__descriptor);
    return response->cluster;
}

static unsigned task_state(struct f *f, const char *id)
{
    Swkpb__GetTaskRequest request = SWKPB__GET_TASK_REQUEST__INIT;

    request.task_id = copy(f, id);
    assert_int_equal(call(f, "GetTask", &request), SWKI_STATUS_OK);
    Swkpb__GetTaskResponse *response =
        reply(f, &swkpb__get_task_response__descriptor);
    return response->task->status->state;
}

static void a_removed_node_leaves_orphans_and_is_locked_out(void **state)
{
    struct f *f = *state;

    put(f, SWKI_KIND_NODE, node(f, "w1", SWKPB__NODE_STATUS__STATE__READY));
    put(f, SWKI_KIND_TASK,
        task(f, "t1", "s", "w1", SWKPB__TASK_STATE__RUNNING));
    put(f, SWKI_KIND_TASK,
        task(f, "t2", "s", "w1", SWKPB__TASK_STATE__FAILED));
    put(f, SWKI_KIND_TASK,
        task(f, "t3", "s", "w2", SWKPB__TASK_STATE__RUNNING));
    assert_int_equal(remove_node(f, "w1", false),
                     SWKI_STATUS_FAILED_PRECONDITION);
    uint64_t before = f->index;
    enum swki_status status = remove_node(f, "w1", true);
    if (status != SWKI_STATUS_OK) {
        fail_msg("remove: %s", text(f));
    }
    assert_int_equal(f->index, before + 1); /* one transaction */
    assert_int_equal(task_state(f, "t1"), SWKPB__TASK_STATE__ORPHANED);
    assert_int_equal(task_state(f, "t2"), SWKPB__TASK_STATE__FAILED);
    assert_int_equal(task_state(f, "t3"), SWKPB__TASK_STATE__RUNNING);
    Swkpb__Cluster *c = cluster(f);
    assert_int_equal(c->n_blacklisted_certificates, 1);
    assert_string_equal(c->blacklisted_certificates[0]->key, "w1");
    assert_int_equal(remove_node(f, "w1", true), SWKI_STATUS_NOT_FOUND);
}

static void a_raft_member_cannot_be_removed(void **state)
{
    struct f *f = *state;

    put_manager(f, "m1");
    add_member(f, "m1", true, true);
    assert_int_equal(remove_node(f, "m1", true),
                     SWKI_STATUS_FAILED_PRECONDITION);
    f->members_count = 0;
    assert_int_equal(remove_node(f, "m1", true), SWKI_STATUS_OK);
}

static void many_orphans_take_several_transactions(void **state)
{
    struct f *f = *state;
    char id[16];

    put(f, SWKI_KIND_NODE, node(f, "w1", SWKPB__NODE_STATUS__STATE__DOWN));
    for (int i = 0; i < 450; i++) {
        snprintf(id, sizeof(id), "t%d", i);
        put(f, SWKI_KIND_TASK,
            task(f, id, "s", "w1", SWKPB__TASK_STATE__RUNNING));
    }
    uint64_t before = f->index;
    assert_int_equal(remove_node(f, "w1", false), SWKI_STATUS_OK);
    assert_in_range(f->index, before + 2, before + 10);
    assert_int_equal(task_state(f, "t449"), SWKPB__TASK_STATE__ORPHANED);
}

/* -- Clusters ------------------------------------------------------------- */

static enum swki_status update_cluster(struct f *f, Swkpb__Cluster *c,
                                       Swkpb__KeyRotation *rotation)
{
    Swkpb__UpdateClusterRequest request = SWKPB__UPDATE_CLUSTER_REQUEST__INIT;

    request.cluster_id = c->id;
    request.cluster_version = c->meta->version;
    request.spec = c->spec;
    request.rotation = rotation;
    enum swki_status status = call(f, "UpdateCluster", &request);
    commit(f);
    return status;
}

static void assert_no_key(const struct f *f)
{
    const struct swki_answer *answer = f->answers.first;

    assert_null(memmem(answer->message, answer->message_len, "KEYKEY", 6));
}

static void keys_never_leave(void **state)
{
    struct f *f = *state;
    Swkpb__ListClustersRequest list = SWKPB__LIST_CLUSTERS_REQUEST__INIT;
    Swkpb__Cluster *c = cluster(f);

    assert_no_key(f);
    assert_int_equal(c->subnetsize, 24);
    assert_int_equal(c->vxlanudpport, 4789);
    assert_string_equal(c->root_ca->join_tokens->worker, "old worker token");
    assert_int_equal(call(f, "ListClusters", &list), SWKI_STATUS_OK);
    assert_no_key(f);
    assert_int_equal(update_cluster(f, c, NULL), SWKI_STATUS_OK);
    assert_no_key(f);
}

static void a_rotation_changes_the_named_token_only(void **state)
{
    struct f *f = *state;
    Swkpb__KeyRotation rotation = SWKPB__KEY_ROTATION__INIT;

    rotation.worker_join_token = true;
    assert_int_equal(update_cluster(f, cluster(f), &rotation), SWKI_STATUS_OK);
    Swkpb__JoinTokens *tokens = cluster(f)->root_ca->join_tokens;
    assert_string_equal(tokens->manager, "old manager token");
    assert_int_equal(
        strncmp(tokens->worker,
                "SWMTKN-1-53abwq2e1h5s7lacxvgrnnq5wkec3oys9qng3mcg7g2xvscufn-",
                60),
        0);
}

static void cluster_settings_are_checked(void **state)
{
    struct f *f = *state;
    Swkpb__Cluster *c = cluster(f);

    c->spec->ca_config = make(f, &swkpb__caconfig__descriptor);
    c->spec->ca_config->node_cert_expiry = duration_ms(f, 59 * 60 * 1000);
    assert_int_equal(update_cluster(f, c, NULL), SWKI_STATUS_INVALID_ARGUMENT);
    c->spec->ca_config->node_cert_expiry =
        duration_ms(f, INT64_C(87600) * 60 * 60 * 1000 + 1);
    assert_int_equal(update_cluster(f, c, NULL), SWKI_STATUS_INVALID_ARGUMENT);
    c->spec->ca_config->node_cert_expiry = duration_ms(f, 60 * 60 * 1000);
    assert_int_equal(update_cluster(f, c, NULL), SWKI_STATUS_OK);
    c = cluster(f);
    c->spec->ca_config->expired_grace = duration_ms(f, -1);
    assert_int_equal(update_cluster(f, c, NULL), SWKI_STATUS_INVALID_ARGUMENT);
    c->spec->ca_config->expired_grace = duration_ms(f, 0);
    assert_int_equal(update_cluster(f, c, NULL), SWKI_STATUS_OK);
    c = cluster(f);
    c->spec->dispatcher = make(f, &swkpb__dispatcher_config__descriptor);
    c->spec->dispatcher->heartbeat_period = duration_ms(f, -1000);
    assert_int_equal(update_cluster(f, c, NULL), SWKI_STATUS_INVALID_ARGUMENT);
    c->spec->dispatcher->heartbeat_period = duration_ms(f, 0);
    assert_int_equal(update_cluster(f, c, NULL), SWKI_STATUS_INVALID_ARGUMENT);
    c->spec->dispatcher = NULL;
    c->spec->annotations->name = copy(f, "other");
    assert_int_equal(update_cluster(f, c, NULL), SWKI_STATUS_INVALID_ARGUMENT);
}

static void external_cas_are_checked(void **state)
{
    static const struct {
        const char *url;
        int protocol;
        const char *root;
    } cases[] = {
        {"", 0, ""},
        {"http://ca.example/sign", 0, ""},
        {"https://", 0, ""},
        {"https://ca.example/sign", 7, ""},
        {"https://ca.example/sign", 0, "x"},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Swkpb__Cluster *c = cluster(f);
        Swkpb__ExternalCA *ca = make(f, &swkpb__external_ca__descriptor);

        ca->url = copy(f, cases[i].url);
        ca->protocol = (Swkpb__ExternalCA__CAProtocol)cases[i].protocol;
        ca->ca_cert.len = strlen(cases[i].root);
        ca->ca_cert.data = (uint8_t *)copy(f, cases[i].root);
        c->spec->ca_config = make(f, &swkpb__caconfig__descriptor);
        c->spec->ca_config->external_cas =
            swki_arena_calloc(&f->arena, 1, sizeof(Swkpb__ExternalCA *));
        c->spec->ca_config->external_cas[0] = ca;
        c->spec->ca_config->n_external_cas = 1;
        assert_int_equal(update_cluster(f, c, NULL),
                         SWKI_STATUS_INVALID_ARGUMENT);
        assert_non_null(strstr(text(f), "ca_config.external_cas"));
    }
}

/* The managers' unlock key as it is stored; empty if there is none. */
static ProtobufCBinaryData unlock_key(const struct f *f)
{
    const Swkpb__Cluster *c = swki_cluster(swki_view_get(
        swki_store_committed(f->store), SWKI_KIND_CLUSTER, "cluster1"));

    for (size_t i = 0; i < c->n_unlock_keys; i++) {
        if (strcmp(c->unlock_keys[i]->subsystem, "swarm-manager") == 0) {
            return c->unlock_keys[i]->key;
        }
    }
    return (ProtobufCBinaryData){0};
}

static size_t unlock_keys_count(const struct f *f)
{
    return swki_cluster(swki_view_get(swki_store_committed(f->store),
                                      SWKI_KIND_CLUSTER, "cluster1"))
        ->n_unlock_keys;
}

static void lock_managers(struct f *f, bool lock, bool rotate)
{
    Swkpb__KeyRotation rotation = SWKPB__KEY_ROTATION__INIT;
    Swkpb__Cluster *c = cluster(f);

    c->spec->encryption_config =
        make(f, &swkpb__encryption_config__descriptor);
    c->spec->encryption_config->auto_lock_managers = lock;
    rotation.manager_unlock_key = rotate;
    assert_int_equal(update_cluster(f, c, &rotation), SWKI_STATUS_OK);
    assert_no_key(f);
}

static void the_unlock_key_is_there_while_managers_are_locked(void **state)
{
    static const struct {
        const char *why;
        bool lock;
        bool rotate;
        bool has_key;
        bool is_new;
    } steps[] = {
        {"never locked", false, false, false, false},
        {"nothing to rotate", false, true, false, false},
        {"locked", true, false, true, true},
        {"still locked", true, false, true, false},
        {"rotated", true, true, true, true},
        {"unlocked, whatever else is asked", false, true, false, false},
        {"locked anew", true, true, true, true},
    };
    struct f *f = *state;
    uint8_t last[32];

    memset(last, 0xff, sizeof(last));
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        lock_managers(f, steps[i].lock, steps[i].rotate);
        ProtobufCBinaryData key = unlock_key(f);
        bool is_new = key.len > 0 && memcmp(key.data, last, key.len) != 0;

        if (key.len != (steps[i].has_key ? sizeof(last) : 0) ||
            is_new != steps[i].is_new) {
            fail_msg("%s", steps[i].why);
        }
        if (key.len > 0) {
            memcpy(last, key.data, sizeof(last));
        }
        /* Another subsystem's key stays. */
        assert_int_equal(unlock_keys_count(f), steps[i].has_key ? 2 : 1);
    }
}

static void put_blacklisted(struct f *f, int64_t days, bool expires)
{
    Swkpb__Cluster *c = make(f, &swkpb__cluster__descriptor);
    Swkpb__Cluster__BlacklistedCertificatesEntry *entry =
        make(f, &swkpb__cluster__blacklisted_certificates_entry__descriptor);
    Swkpb__Cluster__BlacklistedCertificatesEntry *entries[] = {entry};

    *c = *cluster(f);
    entry->key = copy(f, "gone");
    entry->value = make(f, &swkpb__blacklisted_certificate__descriptor);
    if (expires) {
        entry->value->expiry = swki_timestamp_from_wall(
            TEST_WALL - days * 86400 * 1000000000, &f->arena);
    }
    c->blacklisted_certificates = entries;
    c->n_blacklisted_certificates = 1;
    change(f, SWKI_KIND_CLUSTER, c);
}

static void the_blacklist_forgets_after_a_week(void **state)
{
    static const struct {
        int64_t days;
        bool expires;
        size_t left;
    } cases[] = {{8, true, 0}, {6, true, 1}, {0, false, 1}};
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_blacklisted(f, cases[i].days, cases[i].expires);
        assert_int_equal(update_cluster(f, cluster(f), NULL), SWKI_STATUS_OK);
        assert_int_equal(cluster(f)->n_blacklisted_certificates,
                         cases[i].left);
    }
}

/* -- Secrets and configs -------------------------------------------------- */

static Swkpb__SecretSpec *secret_spec(struct f *f, const char *name, size_t len)
{
    Swkpb__SecretSpec *spec = make(f, &swkpb__secret_spec__descriptor);

    spec->annotations = make(f, &swkpb__annotations__descriptor);
    spec->annotations->name = copy(f, name);
    spec->data = (ProtobufCBinaryData){
        len, swki_arena_alloc(&f->arena, len > 0 ? len : 1)};
    memset(spec->data.data, 'S', len);
    return spec;
}

static enum swki_status create_secret(struct f *f, Swkpb__SecretSpec *spec)
{
    Swkpb__CreateSecretRequest request = SWKPB__CREATE_SECRET_REQUEST__INIT;

    request.spec = spec;
    enum swki_status status = call(f, "CreateSecret", &request);
    commit(f);
    return status;
}

static Swkpb__Secret *created_secret(struct f *f, const char *name)
{
    assert_int_equal(create_secret(f, secret_spec(f, name, 100)),
                     SWKI_STATUS_OK);
    assert_null(memmem(f->answers.first->message,
                       f->answers.first->message_len, "SSSS", 4));
    Swkpb__CreateSecretResponse *response =
        reply(f, &swkpb__create_secret_response__descriptor);
    return response->secret;
}

static enum swki_status create_config(struct f *f, const char *name, size_t len)
{
    Swkpb__CreateConfigRequest request = SWKPB__CREATE_CONFIG_REQUEST__INIT;
    Swkpb__ConfigSpec spec = SWKPB__CONFIG_SPEC__INIT;
    const Swkpb__SecretSpec *like = secret_spec(f, name, len);

    spec.annotations = like->annotations;
    spec.data = like->data;
    request.spec = &spec;
    enum swki_status status = call(f, "CreateConfig", &request);
    commit(f);
    return status;
}

static void data_has_limits(void **state)
{
    struct f *f = *state;

    assert_int_equal(create_secret(f, secret_spec(f, "a", 0)),
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(create_secret(f, secret_spec(f, "a", 512000)),
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(create_secret(f, secret_spec(f, "a", 1)), SWKI_STATUS_OK);
    assert_int_equal(create_secret(f, secret_spec(f, "b", 511999)),
                     SWKI_STATUS_OK);
    assert_int_equal(create_secret(f, NULL), SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(create_config(f, "a", 0), SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(create_config(f, "a", 1024000),
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(create_config(f, "a", 1), SWKI_STATUS_OK);
    assert_int_equal(create_config(f, "b", 1023999), SWKI_STATUS_OK);
}

static enum swki_status update_secret(struct f *f, Swkpb__Secret *secret,
                                      Swkpb__SecretSpec *spec)
{
    Swkpb__UpdateSecretRequest request = SWKPB__UPDATE_SECRET_REQUEST__INIT;

    request.secret_id = secret->id;
    request.secret_version = secret->meta->version;
    request.spec = spec;
    enum swki_status status = call(f, "UpdateSecret", &request);
    commit(f);
    return status;
}

static void only_labels_of_a_secret_change(void **state)
{
    struct f *f = *state;
    Swkpb__Secret *secret = created_secret(f, "db");
    Swkpb__SecretSpec *spec = secret_spec(f, "db", 100);
    Swkpb__Annotations__LabelsEntry label =
        SWKPB__ANNOTATIONS__LABELS_ENTRY__INIT;
    Swkpb__Annotations__LabelsEntry *labels[] = {&label};

    assert_int_equal(update_secret(f, secret, NULL),
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(update_secret(f, secret, secret_spec(f, "DB", 100)),
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(update_secret(f, secret, secret_spec(f, "db", 99)),
                     SWKI_STATUS_INVALID_ARGUMENT);
    label.key = copy(f, "zone");
    label.value = copy(f, "a");
    spec->annotations->labels = labels;
    spec->annotations->n_labels = 1;
    assert_int_equal(update_secret(f, secret, spec), SWKI_STATUS_OK);
    assert_null(memmem(f->answers.first->message,
                       f->answers.first->message_len, "SSSS", 4));
    Swkpb__UpdateSecretResponse *response =
        reply(f, &swkpb__update_secret_response__descriptor);
    assert_string_equal(response->secret->spec->annotations->labels[0]->key,
                        "zone");
    /* The data is still there: the same data is accepted, other refused. */
    assert_int_equal(update_secret(f, response->secret,
                                   secret_spec(f, "db", 99)),
                     SWKI_STATUS_INVALID_ARGUMENT);
}

static enum swki_status remove_secret(struct f *f, Swkpb__Secret *secret)
{
    Swkpb__RemoveSecretRequest request = SWKPB__REMOVE_SECRET_REQUEST__INIT;

    request.secret_id = secret->id;
    enum swki_status status = call(f, "RemoveSecret", &request);
    commit(f);
    return status;
}

static Swkpb__SecretSpec *driven_spec(struct f *f, const char *name,
                                      const char *driver)
{
    Swkpb__SecretSpec *spec = secret_spec(f, name, 0);

    spec->driver = make(f, &swkpb__driver__descriptor);
    spec->driver->name = copy(f, driver);
    return spec;
}

static void a_secret_with_a_driver_is_stored_without_data(void **state)
{
    struct f *f = *state;
    Swkpb__SecretSpec *spec = driven_spec(f, "db", "vault");

    assert_int_equal(create_secret(f, spec), SWKI_STATUS_OK);
    Swkpb__CreateSecretResponse *response =
        reply(f, &swkpb__create_secret_response__descriptor);
    assert_string_equal(response->secret->spec->driver->name, "vault");
    assert_int_equal(response->secret->spec->data.len, 0);

    /* Its labels can be changed, but it gets no data. */
    assert_int_equal(
        update_secret(f, response->secret, secret_spec(f, "db", 5)),
        SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(
        update_secret(f, response->secret, secret_spec(f, "db", 0)),
        SWKI_STATUS_OK);
    Swkpb__UpdateSecretResponse *updated =
        reply(f, &swkpb__update_secret_response__descriptor);
    assert_string_equal(updated->secret->spec->driver->name, "vault");
}

static void a_driver_must_be_there_and_alone(void **state)
{
    struct f *f = *state;
    Swkpb__SecretSpec *spec = driven_spec(f, "db", "");

    assert_int_equal(create_secret(f, spec), SWKI_STATUS_INVALID_ARGUMENT);
    assert_string_equal(text(f), "secret driver must have a name");
    spec = driven_spec(f, "db", "nobody");
    assert_int_equal(create_secret(f, spec), SWKI_STATUS_INVALID_ARGUMENT);
    assert_string_equal(
        text(f), "secret driver \"nobody\" is not available: no such plugin");
    spec = driven_spec(f, "db", "vault");
    spec->data = secret_spec(f, "db", 5)->data;
    assert_int_equal(create_secret(f, spec), SWKI_STATUS_INVALID_ARGUMENT);
    assert_string_equal(text(f),
                        "a secret with a driver has no data of its own");
}

static void a_secret_in_use_stays(void **state)
{
    struct f *f = *state;
    Swkpb__Secret *secret = created_secret(f, "db");
    Swkpb__ServiceSpec *spec = service_spec(f, "web");
    Swkpb__SecretReference *ref = make(f, &swkpb__secret_reference__descriptor);
    Swkpb__RemoveServiceRequest remove = SWKPB__REMOVE_SERVICE_REQUEST__INIT;

    ref->secret_id = secret->id;
    ref->secret_name = copy(f, "db");
    ref->target_case = SWKPB__SECRET_REFERENCE__TARGET_FILE;
    ref->file = make(f, &swkpb__file_target__descriptor);
    ref->file->name = copy(f, "db");
    spec->task->container->secrets = &ref;
    spec->task->container->n_secrets = 1;
    remove.service_id = create_service(f, spec)->id;
    assert_int_equal(remove_secret(f, secret), SWKI_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(text(f), "web"));
    assert_int_equal(call(f, "RemoveService", &remove), SWKI_STATUS_OK);
    commit(f);
    assert_int_equal(remove_secret(f, secret), SWKI_STATUS_OK);
    assert_int_equal(remove_secret(f, secret), SWKI_STATUS_NOT_FOUND);
}

static void secret_filters_are_a_union(void **state)
{
    struct f *f = *state;
    Swkpb__ListSecretsRequest request = SWKPB__LIST_SECRETS_REQUEST__INIT;
    Swkpb__ListSecretsRequest__Filters filters =
        SWKPB__LIST_SECRETS_REQUEST__FILTERS__INIT;
    char *names[] = {copy(f, "A")};
    char *prefixes[] = {copy(f, "b")};

    created_secret(f, "a");
    created_secret(f, "Bravo");
    created_secret(f, "c");
    filters.names = names;
    filters.n_names = 1;
    filters.name_prefixes = prefixes;
    filters.n_name_prefixes = 1;
    request.filters = &filters;
    assert_int_equal(call(f, "ListSecrets", &request), SWKI_STATUS_OK);
    assert_null(memmem(f->answers.first->message,
                       f->answers.first->message_len, "SSSS", 4));
    Swkpb__ListSecretsResponse *response =
        reply(f, &swkpb__list_secrets_response__descriptor);
    assert_int_equal(response->n_secrets, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(raft_members_are_shown),
        TEST(the_last_manager_stays),
        TEST(two_managers_are_not_demoted_one_after_the_other),
        TEST(a_worker_is_promoted),
        TEST(demotion_keeps_a_quorum),
        TEST(a_promotion_that_is_not_complete_is_taken_back),
        TEST(a_removed_node_leaves_orphans_and_is_locked_out),
        TEST(a_raft_member_cannot_be_removed),
        TEST(many_orphans_take_several_transactions),
        TEST(keys_never_leave),
        TEST(a_rotation_changes_the_named_token_only),
        TEST(the_unlock_key_is_there_while_managers_are_locked),
        TEST(cluster_settings_are_checked),
        TEST(the_blacklist_forgets_after_a_week),
        TEST(external_cas_are_checked),
        TEST(data_has_limits),
        TEST(only_labels_of_a_secret_change),
        TEST(a_secret_with_a_driver_is_stored_without_data),
        TEST(a_driver_must_be_there_and_alone),
        TEST(a_secret_in_use_stays),
        TEST(secret_filters_are_a_union),
    };

    return cmocka_run_group_tests_name("control/objects", tests, NULL, NULL);
}
