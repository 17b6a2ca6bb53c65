/* SPDX-License-Identifier: Apache-2.0 */

/* A rotation of the root: who is asked when, and when it is over. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/ca/bootstrap.h"
#include "core/ca/issuer.h"
#include "core/ca/reconcile.h"
#include "lib/heap.h"
#include "lib/storelog.h"
#include "swarmkit/rotation.pb-c.h"
#include "swarmkit/tokens.pb-c.h"
#include "unit/crypto/pki.h"

#define STATE(name) SWKPB__ISSUANCE_STATUS__STATE__##name
#define DOWN SWKPB__NODE_STATUS__STATE__DOWN

enum {
    NODES_MAX = 60,
};

/* A root with its key, and what nodes under it report. */
struct ca {
    struct swki_buf key;
    struct swki_buf root;
    struct swki_certificate_info info;
};

/* A leader's reconciler, as the CA server drives it. */
struct driver {
    struct swki_reconcile r;
    struct swki_watch *watch;
};

struct f {
    struct pki pki;
    struct ca other;
    struct ca third;
    struct storelog *log;
    struct swki_store *store;
    struct driver driver;
    swk_time now;
};

/* ---- the store ---- */

static void make_ca(struct pki *pki, struct ca *ca)
{
    swki_buf_init(&ca->key, NULL, SIZE_MAX);
    swki_buf_init(&ca->root, NULL, SIZE_MAX);
    assert_int_equal(swki_key_generate(&pki->entropy, &ca->key, NULL), 0);
    assert_int_equal(swki_root_create(swki_pem_of_buf(&ca->key), PKI_NOW,
                                      &pki->entropy, &ca->root, NULL),
                     0);
    assert_int_equal(swki_certificate_info_init(
                         &ca->info, NULL, swki_pem_of_buf(&ca->root), NULL),
                     0);
}

static void free_ca(struct ca *ca)
{
    swki_certificate_info_fini(&ca->info);
    swki_buf_fini(&ca->key);
    swki_buf_fini(&ca->root);
}

static void write_object(struct f *f, enum swki_actor actor,
                         struct swki_object *object,
                         int (*put)(struct swki_tx *, struct swki_object *,
                                    struct swk_error *))
{
    struct swki_tx *tx = swki_store_begin(f->store, actor, PKI_NOW);
    struct swk_error err = {0};

    assert_non_null(tx);
    if (put(tx, object, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    storelog_commit_all(f->log, f->store);
}

static const Swkpb__Cluster *cluster_of(const struct f *f)
{
    return swki_cluster(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
}

static struct swki_object *edit_cluster(const struct f *f)
{
    return swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
}

static const Swkpb__Node *node_of(const struct f *f, const char *id)
{
    const struct swki_object *object =
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id);

    return object != NULL ? swki_node(object) : NULL;
}

static struct swki_object *edit_node(const struct f *f, const char *id)
{
    return swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id));
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
    write_object(f, SWKI_ACTOR_CA, object, swki_tx_create);
}

static void set_state(struct f *f, const char *id,
                      Swkpb__IssuanceStatus__State state)
{
    struct swki_object *object = edit_node(f, id);
    Swkpb__Certificate *certificate =
        swki_object_own(object, &swki_node_edit(object)->certificate);

    certificate->status->state = state;
    write_object(f, SWKI_ACTOR_CA, object, swki_tx_update);
}

static Swkpb__IssuanceStatus__State state_of(const struct f *f, const char *id)
{
    return node_of(f, id)->certificate->status->state;
}

/* The node says whose certificate it uses. */
static void report(struct f *f, const char *id, const struct ca *ca)
{
    struct swki_object *object = edit_node(f, id);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__NodeDescription *description =
        swki_arena_alloc(arena, sizeof(*description));
    Swkpb__NodeTLSInfo *info = swki_arena_alloc(arena, sizeof(*info));

    swkpb__node_description__init(description);
    swkpb__node_tlsinfo__init(info);
    description->tls_info = info;
    info->cert_issuer_subject.data =
        swki_arena_memdup(arena, ca->info.subject.data, ca->info.subject.len);
    info->cert_issuer_subject.len = ca->info.subject.len;
    info->cert_issuer_public_key.data = swki_arena_memdup(
        arena, ca->info.public_key.data, ca->info.public_key.len);
    info->cert_issuer_public_key.len = ca->info.public_key.len;
    swki_node_edit(object)->description = description;
    write_object(f, SWKI_ACTOR_DISPATCHER, object, swki_tx_update);
}

static void go_down(struct f *f, const char *id)
{
    struct swki_object *object = edit_node(f, id);
    Swkpb__NodeStatus *status =
        swki_arena_alloc(swki_object_arena(object), sizeof(*status));

    swkpb__node_status__init(status);
    status->state = DOWN;
    swki_node_edit(object)->status = status;
    write_object(f, SWKI_ACTOR_DISPATCHER, object, swki_tx_update);
}

static void remove_node(struct f *f, const char *id)
{
    struct swki_tx *tx =
        swki_store_begin(f->store, SWKI_ACTOR_CONTROL, PKI_NOW);

    assert_int_equal(swki_tx_delete(tx, SWKI_KIND_NODE, id, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    storelog_commit_all(f->log, f->store);
}

/* ---- the rotation ---- */

static void put(struct swki_arena *arena, const struct swki_buf *buf,
                ProtobufCBinaryData *out)
{
    out->data = swki_arena_memdup(arena, buf->data, buf->len);
    out->len = buf->len;
}

static void start_rotation(struct f *f, const struct ca *ca)
{
    struct swki_object *object = edit_cluster(f);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);
    Swkpb__RootRotation *rotation = swki_arena_alloc(arena, sizeof(*rotation));
    struct swki_buf cross;

    swki_buf_init(&cross, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_cross_sign(f->pki.signer,
                                            swki_pem_of_buf(&ca->root), &cross,
                                            NULL),
                     0);
    swkpb__root_rotation__init(rotation);
    put(arena, &ca->root, &rotation->ca_cert);
    put(arena, &ca->key, &rotation->ca_key);
    put(arena, &cross, &rotation->cross_signed_ca_cert);
    swki_buf_fini(&cross);
    root->root_rotation = rotation;
    root->last_forced_rotation = 3;
    write_object(f, SWKI_ACTOR_CONTROL, object, swki_tx_update);
}

static void abort_rotation(struct f *f)
{
    struct swki_object *object = edit_cluster(f);
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);

    root->root_rotation = NULL;
    write_object(f, SWKI_ACTOR_CONTROL, object, swki_tx_update);
}

/* Lets it end without a node, or without those that are down. */
static void waive(struct f *f, const char *node_id, bool down)
{
    struct swki_object *object = edit_cluster(f);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);
    Swkpb__Rpc__RotationWaiver *without =
        swki_arena_alloc(arena, sizeof(*without));

    swkpb__rpc__rotation_waiver__init(without);
    without->down = down;
    if (node_id != NULL) {
        without->n_node_ids = 1;
        without->node_ids = swki_arena_calloc(arena, 1, sizeof(char *));
        without->node_ids[0] = swki_arena_strdup(arena, node_id);
    }
    root->root_rotation->without = without;
    write_object(f, SWKI_ACTOR_CONTROL, object, swki_tx_update);
}

static bool is_over(const struct f *f, const struct ca *ca)
{
    const Swkpb__RootCA *root = cluster_of(f)->root_ca;

    return root->root_rotation == NULL && root->ca_cert.len == ca->root.len &&
           memcmp(root->ca_cert.data, ca->root.data, ca->root.len) == 0;
}

/* ---- the reconciler ---- */

static void driver_init_on(struct f *f, struct driver *d,
                           const struct swk_alloc *alloc)
{
    const struct swki_object *cluster =
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM);

    d->watch =
        swki_store_watch(f->store, SWKI_FEED_HEAD,
                         1U << SWKI_KIND_NODE | 1U << SWKI_KIND_CLUSTER, 4096);
    swki_reconcile_init(&d->r, alloc, NULL, f->store, &f->pki.entropy);
    swki_reconcile_cluster(&d->r, cluster);
}

static void driver_init(struct f *f, struct driver *d)
{
    driver_init_on(f, d, NULL);
}

static void driver_fini(struct driver *d)
{
    swki_reconcile_fini(&d->r);
    swki_watch_free(d->watch);
}

static void tell(struct f *f, struct driver *d, const struct swki_event *event)
{
    if (event->change == SWKI_CHANGE_COMMIT) {
        return;
    }
    if (event->change == SWKI_CHANGE_RESET) {
        swki_reconcile_reset(&d->r);
    } else if (event->kind == SWKI_KIND_CLUSTER) {
        swki_reconcile_cluster(&d->r, event->object);
    } else if (event->change == SWKI_CHANGE_DELETE) {
        swki_reconcile_gone(&d->r, swki_object_id(event->object));
    } else {
        swki_reconcile_node(&d->r, f->now, swki_node(event->object));
    }
}

static void follow(struct f *f, struct driver *d)
{
    const struct swki_event *event;

    while ((event = swki_watch_next(d->watch)) != NULL) {
        tell(f, d, event);
    }
}

static void step_driver(struct f *f, struct driver *d)
{
    follow(f, d);
    swki_reconcile_step(&d->r, f->now, PKI_NOW);
    storelog_commit_all(f->log, f->store);
    follow(f, d);
}

static void step(struct f *f)
{
    step_driver(f, &f->driver);
}

static void next_round(struct f *f)
{
    f->now += SWKI_RECONCILE_INTERVAL;
    step(f);
}

/* ---- set up ---- */

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    struct swki_object *cluster = swki_object_new(NULL, SWKI_KIND_CLUSTER);
    struct swki_ca_bootstrap bootstrap = {.cluster_id = PKI_SWARM};
    struct swki_store_config config = {0};

    pki_init(&f->pki, 23);
    make_ca(&f->pki, &f->other);
    make_ca(&f->pki, &f->third);
    f->log = calloc(1, sizeof(*f->log));
    f->log->leads = true;
    f->now = 100 * SWK_SECOND;
    config.proposer = storelog_proposer(f->log);
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    bootstrap.root_certificate = swki_pem_of_buf(&f->pki.root);
    bootstrap.root_key = swki_pem_of_buf(&f->pki.key);
    bootstrap.entropy = &f->pki.entropy;
    assert_int_equal(
        swki_ca_bootstrap_cluster(&bootstrap, swki_object_arena(cluster),
                                  swki_cluster_edit(cluster), NULL),
        0);
    write_object(f, SWKI_ACTOR_BOOTSTRAP, cluster, swki_tx_create);
    driver_init(f, &f->driver);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    driver_fini(&f->driver);
    swki_store_free(f->store);
    storelog_fini(f->log);
    free(f->log);
    free_ca(&f->third);
    free_ca(&f->other);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static void add_workers(struct f *f, int count)
{
    char id[16];

    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof(id), "n%02d", i);
        add_node(f, id, SWKPB__NODE_ROLE__WORKER);
    }
}

static size_t count_in(const struct f *f, Swkpb__IssuanceStatus__State state)
{
    char id[16];
    size_t count = 0;

    for (int i = 0; i < NODES_MAX; i++) {
        snprintf(id, sizeof(id), "n%02d", i);
        count += node_of(f, id) != NULL && state_of(f, id) == state;
    }
    return count;
}

/* Those that were asked renew, and say so. */
static void renew_all(struct f *f, const struct ca *ca)
{
    char id[16];

    for (int i = 0; i < NODES_MAX; i++) {
        snprintf(id, sizeof(id), "n%02d", i);
        if (node_of(f, id) != NULL && state_of(f, id) == STATE(ROTATE)) {
            set_state(f, id, STATE(RENEW));
            set_state(f, id, STATE(ISSUED));
            report(f, id, ca);
        }
    }
}

/* ---- who is asked ---- */

static void nobody_is_asked_without_a_rotation(void **state)
{
    struct f *f = *state;

    add_workers(f, 2);
    step(f);
    next_round(f);
    assert_int_equal(count_in(f, STATE(ROTATE)), 0);
    assert_true(swki_reconcile_deadline(&f->driver.r) == SWK_NEVER);
}

static void thirty_nodes_are_asked_each_round(void **state)
{
    struct f *f = *state;

    add_workers(f, 60);
    start_rotation(f, &f->other);
    step(f);
    assert_int_equal(count_in(f, STATE(ROTATE)), 30);
    step(f); /* not before the next round */
    assert_int_equal(count_in(f, STATE(ROTATE)), 30);
    assert_int_equal(swki_reconcile_deadline(&f->driver.r),
                     f->now + SWKI_RECONCILE_INTERVAL);
    next_round(f);
    assert_int_equal(count_in(f, STATE(ROTATE)), 60);
    next_round(f);
    assert_false(is_over(f, &f->other));
}

static void nodes_with_a_request_under_way_hold_up_nobody(void **state)
{
    struct f *f = *state;
    char id[16];

    add_workers(f, 50);
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "n%02d", i);
        set_state(f, id, i % 2 == 0 ? STATE(RENEW) : STATE(PENDING));
    }
    start_rotation(f, &f->other);
    step(f);
    assert_int_equal(count_in(f, STATE(ROTATE)), 10);
    assert_int_equal(count_in(f, STATE(RENEW)), 20);
    assert_int_equal(swki_reconcile_missing(&f->driver.r), 50);
}

static void failed_nodes_are_asked_too(void **state)
{
    struct f *f = *state;

    add_workers(f, 1);
    set_state(f, "n00", STATE(FAILED));
    start_rotation(f, &f->other);
    step(f);
    assert_int_equal(state_of(f, "n00"), STATE(ROTATE));
    assert_string_equal(node_of(f, "n00")->certificate->status->err, "");
}

static void who_does_not_report_is_asked_again(void **state)
{
    struct f *f = *state;

    add_workers(f, 1);
    start_rotation(f, &f->other);
    step(f);
    set_state(f, "n00", STATE(RENEW));
    step(f);
    set_state(f, "n00", STATE(ISSUED));
    step(f);
    next_round(f); /* it needs a moment to say so */
    assert_int_equal(state_of(f, "n00"), STATE(ISSUED));
    f->now += SWKI_RECONCILE_REST;
    step(f);
    assert_int_equal(state_of(f, "n00"), STATE(ROTATE));
}

/* ---- when it is over ---- */

static void it_ends_when_all_have_renewed(void **state)
{
    struct f *f = *state;
    char worker[128];
    char manager[128];
    const Swkpb__JoinTokens *tokens = cluster_of(f)->root_ca->join_tokens;

    snprintf(worker, sizeof(worker), "%s", tokens->worker);
    snprintf(manager, sizeof(manager), "%s", tokens->manager);
    add_workers(f, 60);
    start_rotation(f, &f->other);
    step(f);
    renew_all(f, &f->other);
    step(f);
    assert_false(is_over(f, &f->other));
    tokens = cluster_of(f)->root_ca->join_tokens;
    assert_string_equal(tokens->worker, worker); /* of the old root still */

    next_round(f);
    renew_all(f, &f->other);
    step(f);
    assert_true(is_over(f, &f->other));
    tokens = cluster_of(f)->root_ca->join_tokens;
    assert_string_not_equal(tokens->worker, worker);
    assert_string_not_equal(tokens->manager, manager);
    assert_int_equal(cluster_of(f)->root_ca->ca_key.len, f->other.key.len);
    assert_memory_equal(cluster_of(f)->root_ca->ca_cert_hash, "sha256:", 7);
    assert_int_equal(cluster_of(f)->root_ca->last_forced_rotation, 3);
    assert_true(swki_reconcile_deadline(&f->driver.r) == SWK_NEVER);
    assert_int_equal(swki_reconcile_missing(&f->driver.r), 0);
}

static void tokens_with_limits_end_with_the_root(void **state)
{
    struct f *f = *state;
    struct swki_object *object = edit_cluster(f);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);
    Swkpb__Rpc__LimitedJoinToken *token =
        swki_arena_alloc(arena, sizeof(*token));

    swkpb__rpc__limited_join_token__init(token);
    root->join_tokens->n_limited = 1;
    root->join_tokens->limited = swki_arena_calloc(arena, 1, sizeof(token));
    root->join_tokens->limited[0] = token;
    write_object(f, SWKI_ACTOR_CONTROL, object, swki_tx_update);
    add_workers(f, 1);
    start_rotation(f, &f->other);
    step(f);
    assert_int_equal(cluster_of(f)->root_ca->join_tokens->n_limited, 1);
    report(f, "n00", &f->other);
    step(f);
    assert_true(is_over(f, &f->other));
    assert_int_equal(cluster_of(f)->root_ca->join_tokens->n_limited, 0);
}

static void nodes_that_come_and_go_count(void **state)
{
    struct f *f = *state;

    add_workers(f, 3);
    start_rotation(f, &f->other);
    step(f);
    renew_all(f, &f->other);
    add_node(f, "n50", SWKPB__NODE_ROLE__WORKER);
    step(f);
    assert_false(is_over(f, &f->other));
    assert_int_equal(swki_reconcile_missing(&f->driver.r), 1);
    remove_node(f, "n50");
    step(f);
    assert_true(is_over(f, &f->other));
}

static void a_node_that_turns_back_counts_again(void **state)
{
    struct f *f = *state;

    add_workers(f, 2);
    start_rotation(f, &f->other);
    step(f);
    report(f, "n00", &f->other);
    report(f, "n00", &f->third);
    report(f, "n01", &f->other);
    step(f);
    assert_false(is_over(f, &f->other));
    assert_int_equal(swki_reconcile_missing(&f->driver.r), 1);
}

static void missed_events_are_made_up_for(void **state)
{
    struct f *f = *state;

    add_workers(f, 2);
    start_rotation(f, &f->other);
    step(f);
    report(f, "n00", &f->other);
    report(f, "n01", &f->other);
    while (swki_watch_next(f->driver.watch) != NULL) {
    }
    swki_reconcile_reset(&f->driver.r);
    step(f);
    assert_true(is_over(f, &f->other));
}

/* ---- other targets, other leaders ---- */

static void another_target_starts_anew(void **state)
{
    struct f *f = *state;

    add_workers(f, 2);
    start_rotation(f, &f->other);
    step(f);
    renew_all(f, &f->other);
    start_rotation(f, &f->third);
    step(f);
    assert_false(is_over(f, &f->other));
    assert_int_equal(count_in(f, STATE(ROTATE)), 2);
    renew_all(f, &f->third);
    step(f);
    assert_true(is_over(f, &f->third));
}

static void a_rotation_that_was_given_up_leaves_nodes_alone(void **state)
{
    struct f *f = *state;

    add_workers(f, 40);
    start_rotation(f, &f->other);
    step(f);
    abort_rotation(f);
    step(f);
    next_round(f);
    assert_int_equal(count_in(f, STATE(ROTATE)), 30);
    renew_all(f, &f->other);
    next_round(f);
    assert_false(is_over(f, &f->other));
    assert_true(swki_reconcile_deadline(&f->driver.r) == SWK_NEVER);
}

static void a_new_leader_goes_on(void **state)
{
    struct f *f = *state;

    add_workers(f, 60);
    start_rotation(f, &f->other);
    step(f);
    renew_all(f, &f->other);
    driver_fini(&f->driver);
    driver_init(f, &f->driver);
    step(f);
    assert_int_equal(swki_reconcile_missing(&f->driver.r), 30);
    assert_int_equal(count_in(f, STATE(ROTATE)), 30);
    renew_all(f, &f->other);
    step(f);
    assert_true(is_over(f, &f->other));
}

/* The second does not know yet that the first has ended the rotation, or that
 * another took its place. */
static void of_two_reconcilers_one_ends_it(void **state)
{
    struct f *f = *state;
    struct driver late;
    char worker[128];

    add_workers(f, 1);
    start_rotation(f, &f->other);
    step(f);
    report(f, "n00", &f->other);
    driver_init(f, &late);
    step(f);
    assert_true(is_over(f, &f->other));
    snprintf(worker, sizeof(worker), "%s",
             cluster_of(f)->root_ca->join_tokens->worker);

    swki_reconcile_step(&late.r, f->now, PKI_NOW); /* without a look */
    storelog_commit_all(f->log, f->store);
    assert_string_equal(cluster_of(f)->root_ca->join_tokens->worker, worker);
    driver_fini(&late);
}

static void a_late_reconciler_does_not_end_another_rotation(void **state)
{
    struct f *f = *state;
    struct driver late;

    add_workers(f, 1);
    start_rotation(f, &f->other);
    report(f, "n00", &f->other);
    driver_init(f, &late);
    start_rotation(f, &f->third);
    swki_reconcile_step(&late.r, f->now, PKI_NOW);
    storelog_commit_all(f->log, f->store);
    assert_non_null(cluster_of(f)->root_ca->root_rotation);
    assert_false(is_over(f, &f->other));
    driver_fini(&late);
}

static void the_end_is_tried_again(void **state)
{
    struct f *f = *state;

    add_workers(f, 1);
    start_rotation(f, &f->other);
    report(f, "n00", &f->other);
    f->log->leads = false; /* for a moment */
    step(f);
    assert_false(is_over(f, &f->other));
    assert_int_equal(swki_reconcile_deadline(&f->driver.r),
                     f->now + SWKI_RECONCILE_INTERVAL);
    f->log->leads = true;
    step(f);
    assert_false(is_over(f, &f->other));
    next_round(f);
    assert_true(is_over(f, &f->other));
}

static void a_root_of_no_use_is_not_followed(void **state)
{
    struct f *f = *state;
    struct swki_object *object;
    Swkpb__RootCA *root;

    add_workers(f, 1);
    start_rotation(f, &f->other);
    object = edit_cluster(f);
    root = swki_object_own(object, &swki_cluster_edit(object)->root_ca);
    root->root_rotation->ca_cert.len = 7;
    write_object(f, SWKI_ACTOR_CONTROL, object, swki_tx_update);
    step(f);
    next_round(f);
    assert_int_equal(count_in(f, STATE(ROTATE)), 0);
    assert_true(swki_reconcile_deadline(&f->driver.r) == SWK_NEVER);
}

/* Whatever does not fit into memory once is made up for later. */
static void rotate_with_failing_heap(struct f *f, struct heap *heap, size_t n,
                                     const struct ca *ca)
{
    heap_fail_at(heap, 0);
    driver_init_on(f, &f->driver, &heap->alloc);
    heap_fail_at(heap, n);
    start_rotation(f, ca);
    step(f);
    renew_all(f, ca);
    step(f);
    bool failed = heap_failed(heap);

    heap_fail_at(heap, 0);
    for (int i = 0; i < 3 && !is_over(f, ca); i++) {
        next_round(f);
        renew_all(f, ca);
        step(f);
    }
    assert_true(is_over(f, ca));
    driver_fini(&f->driver);
    assert_int_equal(heap_live(heap), 0);
    heap->failed = failed;
}

static void a_shortage_of_memory_passes(void **state)
{
    struct f *f = *state;
    struct heap heap;
    size_t n = 0;

    heap_init(&heap);
    add_workers(f, 3);
    driver_fini(&f->driver);
    do {
        n++;
        rotate_with_failing_heap(f, &heap, n,
                                 n % 2 != 0 ? &f->other : &f->third);
    } while (heap_failed(&heap));
    assert_in_range(n, 3, 100);
    driver_init(f, &f->driver);
}

/* ---- without some ---- */

static void nodes_that_are_down_are_waited_for(void **state)
{
    struct f *f = *state;

    add_workers(f, 2);
    go_down(f, "n01");
    start_rotation(f, &f->other);
    step(f);
    report(f, "n00", &f->other);
    next_round(f);
    assert_false(is_over(f, &f->other));
    remove_node(f, "n01");
    step(f);
    assert_true(is_over(f, &f->other));
}

static void nodes_that_are_down_can_be_left_out(void **state)
{
    struct f *f = *state;

    add_workers(f, 3);
    start_rotation(f, &f->other);
    waive(f, NULL, true);
    step(f);
    report(f, "n00", &f->other);
    go_down(f, "n01");
    next_round(f); /* n02 is up, and has not renewed yet */
    assert_int_equal(swki_reconcile_missing(&f->driver.r), 1);
    assert_false(is_over(f, &f->other));
    report(f, "n02", &f->other);
    step(f);
    assert_false(is_over(f, &f->other)); /* n01 may be up in a moment */
    next_round(f);
    assert_true(is_over(f, &f->other));
}

static void named_nodes_can_be_left_out(void **state)
{
    struct f *f = *state;

    add_workers(f, 2);
    start_rotation(f, &f->other);
    step(f);
    report(f, "n00", &f->other);
    waive(f, "n01", false);
    step(f);
    next_round(f);
    assert_true(is_over(f, &f->other));
}

static void managers_are_never_left_out(void **state)
{
    struct f *f = *state;

    add_node(f, "n00", SWKPB__NODE_ROLE__MANAGER);
    go_down(f, "n00");
    start_rotation(f, &f->other);
    waive(f, "n00", true);
    step(f);
    next_round(f);
    assert_int_equal(swki_reconcile_missing(&f->driver.r), 1);
    assert_false(is_over(f, &f->other));
}

static void the_next_rotation_waits_for_all_again(void **state)
{
    struct f *f = *state;

    add_workers(f, 1);
    start_rotation(f, &f->other);
    waive(f, "n00", false);
    step(f);
    assert_true(is_over(f, &f->other));
    start_rotation(f, &f->third);
    step(f);
    next_round(f);
    assert_false(is_over(f, &f->third));
    assert_int_equal(swki_reconcile_missing(&f->driver.r), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_is_asked_without_a_rotation),
        TEST(thirty_nodes_are_asked_each_round),
        TEST(nodes_with_a_request_under_way_hold_up_nobody),
        TEST(failed_nodes_are_asked_too),
        TEST(who_does_not_report_is_asked_again),
        TEST(it_ends_when_all_have_renewed),
        TEST(tokens_with_limits_end_with_the_root),
        TEST(nodes_that_come_and_go_count),
        TEST(a_node_that_turns_back_counts_again),
        TEST(missed_events_are_made_up_for),
        TEST(another_target_starts_anew),
        TEST(a_rotation_that_was_given_up_leaves_nodes_alone),
        TEST(a_new_leader_goes_on),
        TEST(of_two_reconcilers_one_ends_it),
        TEST(a_late_reconciler_does_not_end_another_rotation),
        TEST(the_end_is_tried_again),
        TEST(a_root_of_no_use_is_not_followed),
        TEST(a_shortage_of_memory_passes),
        TEST(nodes_that_are_down_are_waited_for),
        TEST(nodes_that_are_down_can_be_left_out),
        TEST(named_nodes_can_be_left_out),
        TEST(managers_are_never_left_out),
        TEST(the_next_rotation_waits_for_all_again),
    };

    return cmocka_run_group_tests_name("reconcile", tests, NULL, NULL);
}
