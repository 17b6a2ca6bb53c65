/* SPDX-License-Identifier: Apache-2.0 */

/* UpdateCluster while a change of the CA is prepared. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "control.pb-c.h"
#include "core/ca/bootstrap.h"
#include "core/control/control.h"
#include "lib/heap.h"
#include "lib/storelog.h"
#include "swarmkit/rotation.pb-c.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

struct f {
    struct pki pki;
    struct swki_buf other_key;
    struct swki_buf other_root;
    struct storelog *log;
    struct swki_store *store;
    struct swki_control *control;
    struct swki_answers answers;
    struct swki_arena arena;
    const char *request_id;
    const struct swk_alloc *alloc; /* of the machine; NULL: the usual one */
    swk_time now;
};

/* ---- set up ---- */

static void new_control(struct f *f)
{
    const struct swki_control_config config = {
        .alloc = f->alloc,
        .store = f->store,
        .seed = 3,
        .entropy = &f->pki.entropy,
    };

    assert_int_equal(swki_control_new(&config, &f->control, NULL), 0);
}

static void create(struct f *f, enum swki_actor actor,
                   struct swki_object *object)
{
    struct swki_tx *tx = swki_store_begin(f->store, actor, PKI_NOW);

    assert_non_null(tx);
    assert_int_equal(swki_tx_create(tx, object, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    storelog_commit_all(f->log, f->store);
}

static void add_node(struct f *f, const char *id, Swkpb__NodeRole role)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_ca_bootstrap bootstrap = {.node_id = id};

    assert_int_equal(swki_ca_bootstrap_node(&bootstrap,
                                            swki_object_arena(object),
                                            swki_node_edit(object), NULL),
                     0);
    swki_node_edit(object)->role = role;
    create(f, SWKI_ACTOR_CA, object);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    struct swki_object *cluster = swki_object_new(NULL, SWKI_KIND_CLUSTER);
    struct swki_ca_bootstrap bootstrap = {.cluster_id = PKI_SWARM};
    struct swki_store_config config = {0};

    pki_init(&f->pki, 29);
    swki_buf_init(&f->other_key, NULL, SIZE_MAX);
    swki_buf_init(&f->other_root, NULL, SIZE_MAX);
    assert_int_equal(swki_key_generate(&f->pki.entropy, &f->other_key, NULL),
                     0);
    assert_int_equal(swki_root_create(swki_pem_of_buf(&f->other_key), PKI_NOW,
                                      &f->pki.entropy, &f->other_root, NULL),
                     0);
    f->log = calloc(1, sizeof(*f->log));
    f->log->leads = true;
    f->request_id = "";
    f->now = SWK_SECOND;
    config.proposer = storelog_proposer(f->log);
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    swki_answers_init(&f->answers, NULL);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    bootstrap.root_certificate = swki_pem_of_buf(&f->pki.root);
    bootstrap.root_key = swki_pem_of_buf(&f->pki.key);
    bootstrap.entropy = &f->pki.entropy;
    assert_int_equal(
        swki_ca_bootstrap_cluster(&bootstrap, swki_object_arena(cluster),
                                  swki_cluster_edit(cluster), NULL),
        0);
    create(f, SWKI_ACTOR_BOOTSTRAP, cluster);
    new_control(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_control_free(f->control);
    swki_store_free(f->store);
    storelog_fini(f->log);
    free(f->log);
    swki_answers_fini(&f->answers);
    swki_arena_fini(&f->arena);
    swki_buf_fini(&f->other_key);
    swki_buf_fini(&f->other_root);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

/* ---- calls ---- */

static const Swkpb__Cluster *cluster_of(const struct f *f)
{
    return swki_cluster(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
}

static const Swkpb__RootRotation *rotation_of(const struct f *f)
{
    return cluster_of(f)->root_ca->root_rotation;
}

/* An update of the present settings, to be changed. */
static Swkpb__UpdateClusterRequest *update_of(struct f *f)
{
    const Swkpb__Cluster *cluster = cluster_of(f);
    Swkpb__UpdateClusterRequest *update =
        swki_arena_alloc(&f->arena, sizeof(*update));

    swkpb__update_cluster_request__init(update);
    update->cluster_id = cluster->id;
    update->cluster_version = (Swkpb__Version *)swki_message_copy(
        &cluster->meta->version->base, &f->arena);
    update->spec = (Swkpb__ClusterSpec *)swki_message_copy(&cluster->spec->base,
                                                           &f->arena);
    update->rotation = swki_arena_alloc(&f->arena, sizeof(*update->rotation));
    swkpb__key_rotation__init(update->rotation);
    return update;
}

static Swkpb__UpdateClusterRequest *forced(struct f *f)
{
    Swkpb__UpdateClusterRequest *update = update_of(f);

    update->spec->ca_config->force_rotate++;
    return update;
}

static void call(struct f *f, uint64_t id,
                 const Swkpb__UpdateClusterRequest *update)
{
    /* The machine may not look at these after the call. */
    char *request_id = strdup(f->request_id);
    const struct swki_caller caller = {
        .node_id = "",
        .swarm_id = "",
        .local = true,
        .address = "",
        .request_id = request_id,
    };
    const struct swki_call c = {
        .id = id,
        .path = "/docker.swarmkit.v1.Control/UpdateCluster",
        .caller = &caller,
        .request = &update->base,
    };

    swki_control_call(f->control, PKI_NOW, &c, &f->answers);
    free(request_id);
}

static const struct swki_answer *answer_to(const struct f *f, uint64_t id)
{
    const struct swki_answer *answer = f->answers.first;

    while (answer != NULL && answer->call_id != id) {
        answer = answer->next;
    }
    return answer;
}

static void expect_status(const struct f *f, uint64_t id,
                          enum swki_status status)
{
    const struct swki_answer *answer = answer_to(f, id);

    assert_non_null(answer);
    if (answer->status != status) {
        fail_msg("%s", answer->text);
    }
}

static const Swkpb__Cluster *cluster_in(struct f *f, uint64_t id)
{
    const struct swki_answer *answer = answer_to(f, id);
    ProtobufCMessage *message;

    expect_status(f, id, SWKI_STATUS_OK);
    assert_int_equal(
        swki_message_unpack(&swkpb__update_cluster_response__descriptor,
                            answer->message, answer->message_len, &f->arena,
                            &message, NULL),
        0);
    return ((Swkpb__UpdateClusterResponse *)message)->cluster;
}

/* ---- a signer ---- */

static struct swki_pem pem_of(struct swk_bytes bytes)
{
    return (struct swki_pem){bytes.data, bytes.len};
}

static struct swk_bytes bytes_of(const struct swki_buf *buf)
{
    return (struct swk_bytes){.data = buf->data, .len = buf->len};
}

static const struct swki_control_work *expect_work(struct f *f, int32_t kind)
{
    const struct swki_control_work *work = swki_control_next_work(f->control);

    assert_non_null(work);
    assert_int_equal(work->request.kind, kind);
    assert_string_equal(work->request.swarm_id, PKI_SWARM);
    return work;
}

static void answer_work(struct f *f, uint64_t id,
                        const struct swk_sign_result *result)
{
    swki_control_worked(f->control, PKI_NOW, id, result, &f->answers);
}

static void answer_root(struct f *f, uint64_t id)
{
    const struct swk_sign_result result = {
        .size = sizeof(result),
        .certificate = bytes_of(&f->other_root),
        .key = bytes_of(&f->other_key),
    };

    answer_work(f, id, &result);
}

static void answer_cross_by(struct f *f, const struct swki_control_work *work,
                            struct swki_pem key)
{
    const struct swki_signer_config config = {
        .certificate = pem_of(work->request.authority),
        .key = key,
        .entropy = &f->pki.entropy,
    };
    struct swk_sign_result result = {.size = sizeof(result)};
    struct swki_signer *signer;
    struct swki_buf cross;

    swki_buf_init(&cross, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_new(NULL, &config, &signer, NULL), 0);
    assert_int_equal(swki_signer_cross_sign(signer, pem_of(work->request.root),
                                            &cross, NULL),
                     0);
    result.certificate = bytes_of(&cross);
    answer_work(f, work->id, &result);
    swki_signer_free(signer);
    swki_buf_fini(&cross);
}

static void answer_cross(struct f *f, const struct swki_control_work *work)
{
    answer_cross_by(f, work, pem_of(work->request.authority_key));
}

static void make_root(struct f *f)
{
    answer_root(f, expect_work(f, SWK_SIGN_ROOT)->id);
}

static void sign_across(struct f *f)
{
    answer_cross(f, expect_work(f, SWK_SIGN_CROSS));
}

/* ---- behaviour ---- */

static void a_forced_rotation_starts(void **state)
{
    struct f *f = *state;
    const Swkpb__Cluster *shown;

    call(f, 1, forced(f));
    assert_null(answer_to(f, 1)); /* later */
    assert_true(swki_control_pending(f->control));
    make_root(f);
    assert_null(answer_to(f, 1));
    assert_null(rotation_of(f));
    sign_across(f);
    shown = cluster_in(f, 1);
    assert_int_equal(answer_to(f, 1)->index, f->log->last);
    assert_int_equal(shown->root_ca->root_rotation->ca_key.len, 0);
    assert_int_equal(shown->root_ca->root_rotation->ca_cert.len,
                     f->other_root.len);

    assert_int_equal(rotation_of(f)->ca_key.len, f->other_key.len);
    assert_int_equal(cluster_of(f)->root_ca->last_forced_rotation, 1);
    assert_false(swki_control_pending(f->control));
    assert_true(swki_control_deadline(f->control) == SWK_NEVER);
    assert_null(swki_control_next_work(f->control));
}

static void keys_leave_neither_in_answers_nor_in_specs(void **state)
{
    struct f *f = *state;
    Swkpb__UpdateClusterRequest *update = update_of(f);
    Swkpb__CAConfig *ca = update->spec->ca_config;
    const struct swki_answer *answer;

    ca->signing_ca_cert =
        (ProtobufCBinaryData){f->other_root.len, f->other_root.data};
    ca->signing_ca_key.data =
        swki_arena_memdup(&f->arena, f->other_key.data, f->other_key.len);
    ca->signing_ca_key.len = f->other_key.len;
    call(f, 1, update);
    sign_across(f);
    expect_status(f, 1, SWKI_STATUS_OK);
    answer = answer_to(f, 1);
    assert_null(memmem(answer->message, answer->message_len, "PRIVATE KEY",
                       strlen("PRIVATE KEY")));
    assert_int_equal(cluster_of(f)->spec->ca_config->signing_ca_key.len, 0);
    assert_int_equal(rotation_of(f)->ca_key.len, f->other_key.len);
}

static void one_change_is_prepared_at_a_time(void **state)
{
    struct f *f = *state;

    call(f, 1, forced(f));
    call(f, 2, forced(f));
    expect_status(f, 2, SWKI_STATUS_ABORTED);
    assert_null(answer_to(f, 1));
    make_root(f);
    sign_across(f);
    expect_status(f, 1, SWKI_STATUS_OK);
}

static void other_settings_change_meanwhile(void **state)
{
    struct f *f = *state;
    Swkpb__UpdateClusterRequest *update = update_of(f);

    call(f, 1, forced(f));
    update->rotation->worker_join_token = true;
    call(f, 2, update);
    expect_status(f, 2, SWKI_STATUS_OK);
    make_root(f); /* of a cluster that has changed since */
    expect_status(f, 1, SWKI_STATUS_ABORTED);
    assert_non_null(strstr(answer_to(f, 1)->text, "out of sequence"));
    assert_null(rotation_of(f));
    assert_null(swki_control_next_work(f->control));
}

static void edit_meanwhile(struct f *f, enum swki_actor actor,
                           void (*edit)(struct swki_object *object))
{
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    struct swki_tx *tx = swki_store_begin(f->store, actor, PKI_NOW);

    edit(object);
    assert_int_equal(swki_tx_update(tx, object, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    storelog_commit_all(f->log, f->store);
}

/* As when a node joins by a limited token. */
static void use_token(struct swki_object *object)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);
    Swkpb__JoinTokens *tokens = root->join_tokens;

    if (tokens->n_limited == 0) {
        Swkpb__Rpc__LimitedJoinToken *token =
            swki_arena_alloc(arena, sizeof(*token));

        swkpb__rpc__limited_join_token__init(token);
        token->id = swki_arena_strdup(arena, "t1");
        tokens->limited = swki_arena_memdup(arena, &token, sizeof(token));
        tokens->n_limited = 1;
    }
    tokens->limited[0]->uses++;
}

static void next_network_keys(struct swki_object *object)
{
    swki_cluster_edit(object)->encryption_key_lamport_clock++;
}

static void nodes_that_join_meanwhile_do_not_stop_a_change(void **state)
{
    struct f *f = *state;

    uint64_t clock = cluster_of(f)->encryption_key_lamport_clock;

    edit_meanwhile(f, SWKI_ACTOR_CA, use_token);
    call(f, 1, forced(f));
    edit_meanwhile(f, SWKI_ACTOR_CA, use_token);
    make_root(f);
    edit_meanwhile(f, SWKI_ACTOR_CA, use_token);
    edit_meanwhile(f, SWKI_ACTOR_KEY_MANAGER, next_network_keys);
    sign_across(f);
    expect_status(f, 1, SWKI_STATUS_OK);
    assert_non_null(rotation_of(f));
    assert_int_equal(cluster_of(f)->root_ca->join_tokens->limited[0]->uses, 3);
    assert_int_equal(cluster_of(f)->encryption_key_lamport_clock, clock + 1);
}

static void settings_and_locks_that_change_meanwhile_stop_a_change(void **state)
{
    struct f *f = *state;

    for (int i = 0; i < 3; i++) {
        Swkpb__UpdateClusterRequest *update = update_of(f);
        uint64_t parked = (uint64_t)(100 + 2 * i);

        call(f, parked, forced(f));
        edit_meanwhile(f, SWKI_ACTOR_CA, use_token);
        update->cluster_version->index = cluster_of(f)->meta->version->index;
        switch (i) {
        case 0:
            update->spec->task_defaults = swki_arena_alloc(
                &f->arena, sizeof(*update->spec->task_defaults));
            swkpb__task_defaults__init(update->spec->task_defaults);
            break;
        case 1:
            update->spec->encryption_config->auto_lock_managers = true;
            break;
        default:
            update->rotation->manager_unlock_key = true;
            break;
        }
        call(f, parked + 1, update);
        expect_status(f, parked + 1, SWKI_STATUS_OK);
        make_root(f);
        expect_status(f, parked, SWKI_STATUS_ABORTED);
        assert_null(rotation_of(f));
    }
}

/* Whoever has no key asks an external CA; see what it is given. */
static Swkpb__UpdateClusterRequest *external(struct f *f)
{
    Swkpb__UpdateClusterRequest *update = forced(f);
    Swkpb__CAConfig *config = update->spec->ca_config;

    config->n_external_cas = 1;
    config->external_cas =
        swki_arena_alloc(&f->arena, sizeof(config->external_cas[0]));
    config->external_cas[0] =
        swki_arena_alloc(&f->arena, sizeof(*config->external_cas[0]));
    swkpb__external_ca__init(config->external_cas[0]);
    config->external_cas[0]->url =
        swki_arena_strdup(&f->arena, "https://ca.example/sign");
    return update;
}

static void drop_key(struct swki_object *object)
{
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);

    root->ca_key = (ProtobufCBinaryData){0};
}

static void an_external_root_is_asked_to_sign_the_next_one(void **state)
{
    const struct swk_sign_result there = {.size = sizeof(there)};
    struct f *f = *state;
    const struct swki_control_work *work;

    edit_meanwhile(f, SWKI_ACTOR_CONTROL, drop_key);
    call(f, 1, external(f));
    work = expect_work(f, SWK_SIGN_CHECK);
    assert_int_equal(work->request.root_key.len, 0);
    answer_work(f, work->id, &there);
    make_root(f);
    work = expect_work(f, SWK_SIGN_CROSS);
    assert_int_equal(work->request.urls_count, 1);
    assert_int_equal(work->request.authority_key.len, 0);
    assert_int_equal(work->request.root_key.len, f->other_key.len);
    assert_int_equal(work->request.urls_roots.len, f->pki.root.len);
    answer_cross_by(f, work, swki_pem_of_buf(&f->pki.key));
    expect_status(f, 1, SWKI_STATUS_OK);
    assert_int_equal(rotation_of(f)->ca_key.len, f->other_key.len);
}

static void an_external_ca_is_held_to_the_root_that_it_signs_for(void **state)
{
    struct f *f = *state;
    const Swkpb__ExternalCA *ca;

    call(f, 1, external(f));
    make_root(f);
    sign_across(f);
    expect_status(f, 1, SWKI_STATUS_OK);
    ca = cluster_of(f)->spec->ca_config->external_cas[0];
    assert_int_equal(ca->ca_cert.len, f->pki.root.len);
    assert_memory_equal(ca->ca_cert.data, f->pki.root.data, f->pki.root.len);
}

static void an_update_of_an_old_version_is_not_prepared(void **state)
{
    struct f *f = *state;
    Swkpb__UpdateClusterRequest *update = forced(f);

    update->cluster_version->index++;
    call(f, 1, update);
    expect_status(f, 1, SWKI_STATUS_ABORTED);
    assert_false(swki_control_pending(f->control));
}

static void a_change_that_takes_too_long_is_given_up(void **state)
{
    struct f *f = *state;
    const struct swki_control_work *work;
    struct swk_sign_result late = {.size = sizeof(late)};

    call(f, 1, forced(f));
    swki_control_step(f->control, f->now, &f->answers);
    assert_int_equal(swki_control_deadline(f->control),
                     f->now + SWKI_CONTROL_WORK_LIMIT);
    work = expect_work(f, SWK_SIGN_ROOT);
    late.certificate = bytes_of(&f->other_root);
    late.key = bytes_of(&f->other_key);
    uint64_t id = work->id;
    f->now += SWKI_CONTROL_WORK_LIMIT;
    swki_control_step(f->control, f->now, &f->answers);
    expect_status(f, 1, SWKI_STATUS_UNAVAILABLE);

    answer_work(f, id, &late); /* nobody waits for it */
    assert_null(swki_control_next_work(f->control));
    assert_null(rotation_of(f));
}

static void a_lost_leader_answers_who_waits(void **state)
{
    struct f *f = *state;

    call(f, 1, forced(f));
    swki_control_stop(f->control, &f->answers);
    expect_status(f, 1, SWKI_STATUS_UNAVAILABLE);
    assert_null(swki_control_next_work(f->control));
}

static void who_goes_away_changes_nothing(void **state)
{
    struct f *f = *state;

    call(f, 1, forced(f));
    swki_control_cancel(f->control, 2); /* somebody else */
    assert_true(swki_control_pending(f->control));
    swki_control_cancel(f->control, 1);
    assert_false(swki_control_pending(f->control));
    assert_null(answer_to(f, 1));
    call(f, 3, forced(f));
    make_root(f);
    sign_across(f);
    expect_status(f, 3, SWKI_STATUS_OK);
}

static void a_retry_takes_the_place_of_the_first(void **state)
{
    struct f *f = *state;
    const Swkpb__UpdateClusterRequest *update = forced(f);

    f->request_id = "the same";
    call(f, 1, update);
    call(f, 2, update);
    expect_status(f, 1, SWKI_STATUS_ABORTED);
    assert_null(answer_to(f, 2));
    make_root(f);
    sign_across(f);
    expect_status(f, 2, SWKI_STATUS_OK);

    /* And is recognised once it is done. */
    call(f, 3, update);
    expect_status(f, 3, SWKI_STATUS_OK);
    assert_null(swki_control_next_work(f->control));
    assert_int_equal(cluster_of(f)->root_ca->last_forced_rotation, 1);
}

static void a_signer_that_refuses_fails_the_call(void **state)
{
    struct f *f = *state;
    const struct swk_sign_result refused = {
        .size = sizeof(refused), .code = SWK_EDENIED, .text = "not today"};

    call(f, 1, forced(f));
    make_root(f);
    answer_work(f, expect_work(f, SWK_SIGN_CROSS)->id, &refused);
    expect_status(f, 1, SWKI_STATUS_INTERNAL);
    assert_non_null(strstr(answer_to(f, 1)->text, "not today"));
    assert_null(rotation_of(f));
}

static void a_rotation_ends_by_naming_the_present_root(void **state)
{
    struct f *f = *state;
    Swkpb__UpdateClusterRequest *update;
    Swkpb__CAConfig *ca;

    call(f, 1, forced(f));
    make_root(f);
    sign_across(f);
    update = update_of(f);
    ca = update->spec->ca_config;
    ca->signing_ca_cert =
        (ProtobufCBinaryData){f->pki.root.len, f->pki.root.data};
    ca->signing_ca_key.data =
        swki_arena_memdup(&f->arena, f->pki.key.data, f->pki.key.len);
    ca->signing_ca_key.len = f->pki.key.len;
    call(f, 2, update);
    expect_status(f, 2, SWKI_STATUS_OK); /* without a signer */
    assert_null(rotation_of(f));
    assert_true(cluster_of(f)->root_ca->ca_key.len > 0);
}

static void a_rotation_can_be_given_up_without_the_key(void **state)
{
    struct f *f = *state;
    Swkpb__UpdateClusterRequest *update = update_of(f);

    update->rotation->abort_ca_rotation = true;
    call(f, 1, update);
    expect_status(f, 1, SWKI_STATUS_FAILED_PRECONDITION); /* there is none */
    call(f, 2, forced(f));
    make_root(f);
    sign_across(f);
    update = update_of(f);
    update->rotation->abort_ca_rotation = true;
    call(f, 3, update);
    expect_status(f, 3, SWKI_STATUS_OK);
    assert_null(rotation_of(f));
    assert_int_equal(cluster_of(f)->root_ca->ca_key.len, f->pki.key.len);
    assert_int_equal(cluster_of(f)->root_ca->last_forced_rotation, 1);
}

static void what_cannot_be_is_refused_at_once(void **state)
{
    struct f *f = *state;
    Swkpb__UpdateClusterRequest *update = update_of(f);

    update->spec->ca_config->signing_ca_key =
        (ProtobufCBinaryData){f->other_key.len, f->other_key.data};
    call(f, 1, update);
    expect_status(f, 1, SWKI_STATUS_INVALID_ARGUMENT);
    assert_false(swki_control_pending(f->control));
}

/* Does all work that there is, and says whether there was an answer. */
static bool finish_change(struct f *f, uint64_t id)
{
    const struct swki_control_work *work;

    while ((work = swki_control_next_work(f->control)) != NULL) {
        if (work->request.kind == SWK_SIGN_ROOT) {
            answer_root(f, work->id);
        } else {
            answer_cross(f, work);
        }
    }
    return answer_to(f, id) != NULL;
}

static void a_shortage_of_memory_is_answered(void **state)
{
    struct f *f = *state;
    struct heap heap;
    bool failed = true;

    heap_init(&heap);
    swki_control_free(f->control);
    f->alloc = &heap.alloc;
    for (size_t n = 1; failed; n++) {
        assert_in_range(n, 1, 500);
        heap_fail_at(&heap, 0);
        new_control(f);
        swki_answers_reset(&f->answers);
        heap_fail_at(&heap, n);
        call(f, n, forced(f));
        assert_true(finish_change(f, n));
        failed = heap_failed(&heap);
        assert_true(failed || answer_to(f, n)->status == SWKI_STATUS_OK);
        swki_control_free(f->control);
        assert_int_equal(heap_live(&heap), 0);
    }
    assert_non_null(rotation_of(f));
    f->alloc = NULL;
    new_control(f);
}

/* ---- without some nodes ---- */

static void waive(struct f *f, Swkpb__UpdateClusterRequest *update,
                  const char *id)
{
    Swkpb__Rpc__RotationWaiver *without =
        swki_arena_alloc(&f->arena, sizeof(*without));

    swkpb__rpc__rotation_waiver__init(without);
    without->n_node_ids = 1;
    without->node_ids = swki_arena_calloc(&f->arena, 1, sizeof(char *));
    without->node_ids[0] = swki_arena_strdup(&f->arena, id);
    update->rotation->finish_without = without;
}

static void a_rotation_may_be_told_to_end_without_workers(void **state)
{
    struct f *f = *state;
    Swkpb__UpdateClusterRequest *update = forced(f);

    add_node(f, "w1", SWKPB__NODE_ROLE__WORKER);
    waive(f, update, "w1");
    call(f, 1, update);
    make_root(f);
    sign_across(f);
    expect_status(f, 1, SWKI_STATUS_OK);
    assert_int_equal(rotation_of(f)->without->n_node_ids, 1);
    assert_string_equal(rotation_of(f)->without->node_ids[0], "w1");

    update = update_of(f); /* other settings leave it */
    call(f, 2, update);
    expect_status(f, 2, SWKI_STATUS_OK);
    assert_non_null(rotation_of(f)->without);
}

static void only_workers_of_a_rotation_can_be_left_out(void **state)
{
    struct f *f = *state;
    Swkpb__UpdateClusterRequest *update;

    add_node(f, "w1", SWKPB__NODE_ROLE__WORKER);
    add_node(f, "m1", SWKPB__NODE_ROLE__MANAGER);
    update = update_of(f);
    waive(f, update, "w1");
    call(f, 1, update);
    expect_status(f, 1, SWKI_STATUS_FAILED_PRECONDITION); /* no rotation */

    call(f, 2, forced(f));
    make_root(f);
    sign_across(f);
    update = update_of(f);
    waive(f, update, "m1");
    call(f, 3, update);
    expect_status(f, 3, SWKI_STATUS_FAILED_PRECONDITION);
    waive(f, update, "nobody");
    call(f, 4, update);
    expect_status(f, 4, SWKI_STATUS_NOT_FOUND);
    assert_null(rotation_of(f)->without);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_forced_rotation_starts),
        TEST(keys_leave_neither_in_answers_nor_in_specs),
        TEST(one_change_is_prepared_at_a_time),
        TEST(other_settings_change_meanwhile),
        TEST(nodes_that_join_meanwhile_do_not_stop_a_change),
        TEST(settings_and_locks_that_change_meanwhile_stop_a_change),
        TEST(an_external_root_is_asked_to_sign_the_next_one),
        TEST(an_external_ca_is_held_to_the_root_that_it_signs_for),
        TEST(an_update_of_an_old_version_is_not_prepared),
        TEST(a_change_that_takes_too_long_is_given_up),
        TEST(a_lost_leader_answers_who_waits),
        TEST(who_goes_away_changes_nothing),
        TEST(a_retry_takes_the_place_of_the_first),
        TEST(a_signer_that_refuses_fails_the_call),
        TEST(a_rotation_ends_by_naming_the_present_root),
        TEST(a_rotation_can_be_given_up_without_the_key),
        TEST(what_cannot_be_is_refused_at_once),
        TEST(a_shortage_of_memory_is_answered),
        TEST(a_rotation_may_be_told_to_end_without_workers),
        TEST(only_workers_of_a_rotation_can_be_left_out),
    };

    return cmocka_run_group_tests_name("control/ca_change", tests, NULL, NULL);
}
