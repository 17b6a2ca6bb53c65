/* SPDX-License-Identifier: Apache-2.0 */

/* Join tokens with limits: made by the control API, applied by the authority.
 */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "ca.pb-c.h"
#include "control.pb-c.h"
#include "core/ca/bootstrap.h"
#include "core/ca/server.h"
#include "core/control/control.h"
#include "lib/storelog.h"
#include "swarmkit/tokens.pb-c.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

#define ISSUE "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate"
#define CONTROL "/docker.swarmkit.v1.Control/"
#define TOKENS "/swarmkit.v1.JoinTokens/"
#define MANAGER SWKPB__RPC__JOIN_TOKEN_ROLE__JOIN_TOKEN_MANAGER

struct f {
    struct pki pki;
    struct storelog log;
    struct swki_store *store;
    struct swki_control *control;
    struct swki_ca_server *server;
    struct swki_answers answers;
    struct swki_arena arena; /* of decoded answers */
    swk_wall wall;
    uint64_t calls;
    const char *request_id; /* of the next call of the control API */
};

static const struct swki_caller nobody = {
    .node_id = "", .swarm_id = "", .address = "", .request_id = ""};

/* -- A swarm -------------------------------------------------------------- */

static void found_swarm(struct f *f)
{
    const struct swki_ca_bootstrap bootstrap = {
        .cluster_id = PKI_SWARM,
        .node_id = "m1",
        .root_certificate = swki_pem_of_buf(&f->pki.root),
        .root_key = swki_pem_of_buf(&f->pki.key),
        .entropy = &f->pki.entropy,
    };
    struct swki_object *cluster = swki_object_new(NULL, SWKI_KIND_CLUSTER);
    struct swki_tx *tx =
        swki_store_begin(f->store, SWKI_ACTOR_BOOTSTRAP, f->wall);

    assert_int_equal(
        swki_ca_bootstrap_cluster(&bootstrap, swki_object_arena(cluster),
                                  swki_cluster_edit(cluster), NULL),
        0);
    assert_int_equal(swki_tx_create(tx, cluster, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    storelog_commit_all(&f->log, f->store);
}

/* The machines of a leader that has just been chosen. */
static void lead(struct f *f)
{
    const struct swki_ca_server_config server = {
        .store = f->store,
        .node_id = "m1",
        .entropy = &f->pki.entropy,
        .seed = 5 + f->log.last,
    };
    const struct swki_control_config control = {
        .store = f->store,
        .entropy = &f->pki.entropy,
        .seed = 6 + f->log.last,
    };

    f->log.leads = true;
    assert_int_equal(swki_ca_server_new(&server, &f->server, NULL), 0);
    assert_int_equal(swki_ca_server_start(f->server, NULL), 0);
    assert_int_equal(swki_control_new(&control, &f->control, NULL), 0);
}

static void resign(struct f *f)
{
    swki_ca_server_free(f->server);
    swki_control_free(f->control);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    const struct swki_store_config config = {.proposer =
                                                 storelog_proposer(&f->log)};

    pki_init(&f->pki, 31);
    f->wall = PKI_NOW;
    f->request_id = "";
    f->log.leads = true;
    swki_answers_init(&f->answers, NULL);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    found_swarm(f);
    lead(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    resign(f);
    swki_store_free(f->store);
    storelog_fini(&f->log);
    swki_answers_fini(&f->answers);
    swki_arena_fini(&f->arena);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

/* -- Calls ---------------------------------------------------------------- */

static const struct swki_answer *call(struct f *f, const char *path,
                                      const ProtobufCMessage *request)
{
    struct swki_caller caller = nobody;
    const struct swki_call call = {
        .id = ++f->calls,
        .path = path,
        .caller = &caller,
        .request = request,
    };

    caller.request_id = f->request_id;
    swki_answers_reset(&f->answers);
    if (strcmp(path, ISSUE) == 0) {
        swki_ca_server_call(f->server, 0, f->wall, &call, &f->answers);
    } else {
        caller.local = true;
        swki_control_call(f->control, f->wall, &call, &f->answers);
    }
    assert_non_null(f->answers.first);
    return f->answers.first;
}

static void *decode(struct f *f, const struct swki_answer *answer,
                    const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message;

    if (answer->status != SWKI_STATUS_OK) {
        fail_msg("refused: %s", answer->text);
    }
    assert_int_equal(swki_message_unpack(type, answer->message,
                                         answer->message_len, &f->arena,
                                         &message, NULL),
                     0);
    return message;
}

static const struct swki_answer *
try_create(struct f *f, Swkpb__Rpc__CreateJoinTokenRequest *request)
{
    return call(f, TOKENS "CreateJoinToken", &request->base);
}

static Swkpb__Rpc__CreateJoinTokenResponse *
create(struct f *f, Swkpb__Rpc__CreateJoinTokenRequest *request)
{
    Swkpb__Rpc__CreateJoinTokenResponse *response =
        decode(f, try_create(f, request),
               &swkpb__rpc__create_join_token_response__descriptor);

    storelog_commit_all(&f->log, f->store);
    return response;
}

/* A token for so many workers; 0 for any number. */
static Swkpb__Rpc__CreateJoinTokenResponse *token_for(struct f *f,
                                                      uint32_t uses)
{
    Swkpb__Rpc__CreateJoinTokenRequest request =
        SWKPB__RPC__CREATE_JOIN_TOKEN_REQUEST__INIT;

    request.uses = uses;
    return create(f, &request);
}

static Swkpb__Rpc__ListJoinTokensResponse *list(struct f *f)
{
    Swkpb__Rpc__ListJoinTokensRequest request =
        SWKPB__RPC__LIST_JOIN_TOKENS_REQUEST__INIT;

    return decode(f, call(f, TOKENS "ListJoinTokens", &request.base),
                  &swkpb__rpc__list_join_tokens_response__descriptor);
}

static const struct swki_answer *try_remove(struct f *f, char *id)
{
    Swkpb__Rpc__RemoveJoinTokenRequest request =
        SWKPB__RPC__REMOVE_JOIN_TOKEN_REQUEST__INIT;

    request.token_id = id;
    return call(f, TOKENS "RemoveJoinToken", &request.base);
}

static void make_csr(struct f *f, struct swki_buf *out_csr)
{
    struct swki_buf key;

    pki_request(&f->pki, &key, out_csr);
    swki_buf_fini(&key);
}

static const struct swki_answer *try_join(struct f *f, char *token,
                                          const struct swki_buf *csr)
{
    Swkpb__IssueNodeCertificateRequest request =
        SWKPB__ISSUE_NODE_CERTIFICATE_REQUEST__INIT;

    request.token = token;
    request.csr = (ProtobufCBinaryData){csr->len, csr->data};
    return call(f, ISSUE, &request.base);
}

/* A node with a key of its own joins; its ID. */
static const char *join_again(struct f *f, char *token,
                              const struct swki_buf *csr)
{
    const Swkpb__IssueNodeCertificateResponse *response =
        decode(f, try_join(f, token, csr),
               &swkpb__issue_node_certificate_response__descriptor);

    assert_true(f->answers.first->index <= f->log.last);
    assert_true(f->answers.first->index > 0);
    return response->node_id;
}

static const char *join(struct f *f, char *token)
{
    const char *id;
    struct swki_buf csr;

    make_csr(f, &csr);
    id = join_again(f, token, &csr);
    swki_buf_fini(&csr);
    storelog_commit_all(&f->log, f->store);
    return id;
}

static void refused(struct f *f, char *token, enum swki_status status,
                    const char *why)
{
    struct swki_buf csr;

    make_csr(f, &csr);
    const struct swki_answer *answer = try_join(f, token, &csr);
    if (answer->status != status || strstr(answer->text, why) == NULL) {
        fail_msg("%d: %s", (int)answer->status, answer->text);
    }
    swki_buf_fini(&csr);
}

static const Swkpb__Node *node_of(struct f *f, const char *id)
{
    const struct swki_object *object =
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id);

    assert_non_null(object);
    return swki_node(object);
}

static size_t count_nodes(struct f *f)
{
    return swki_view_count(swki_store_head(f->store), SWKI_KIND_NODE);
}

/* -- Tests ---------------------------------------------------------------- */

static void a_token_lets_in_as_many_nodes_as_it_says(void **state)
{
    struct f *f = *state;
    char *token = token_for(f, 3)->join_token;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(node_of(f, join(f, token))->role,
                         SWKPB__NODE_ROLE__WORKER);
    }
    refused(f, token, SWKI_STATUS_PERMISSION_DENIED,
            "the join token is used up: it let in 3 of 3 nodes");
    assert_int_equal(count_nodes(f), 3);
    assert_int_equal(list(f)->tokens[0]->uses, 3);
}

/* Joiners whose answers are on their way count, too. */
static void uses_are_counted_before_they_are_committed(void **state)
{
    struct f *f = *state;
    char *token = token_for(f, 2)->join_token;
    struct swki_buf csr;

    for (int i = 0; i < 2; i++) {
        make_csr(f, &csr);
        join_again(f, token, &csr);
        swki_buf_fini(&csr);
    }
    refused(f, token, SWKI_STATUS_PERMISSION_DENIED, "used up");
    assert_int_equal(count_nodes(f), 2);
}

static void a_repeated_request_does_not_count_again(void **state)
{
    struct f *f = *state;
    char *token = token_for(f, 1)->join_token;
    struct swki_buf csr;

    make_csr(f, &csr);
    const char *first = join_again(f, token, &csr);
    assert_string_equal(join_again(f, token, &csr), first);
    storelog_commit_all(&f->log, f->store);
    f->wall += (int64_t)SWK_HOUR;
    assert_string_equal(join_again(f, token, &csr), first);
    assert_int_equal(count_nodes(f), 1);
    assert_int_equal(list(f)->tokens[0]->uses, 1);
    swki_buf_fini(&csr);
}

static void a_repeated_request_is_known_to_the_next_leader(void **state)
{
    struct f *f = *state;
    char *token = token_for(f, 1)->join_token;
    struct swki_buf csr;

    make_csr(f, &csr);
    const char *first = join_again(f, token, &csr);
    storelog_commit_all(&f->log, f->store);
    resign(f);
    lead(f);
    assert_string_equal(join_again(f, token, &csr), first);
    refused(f, token, SWKI_STATUS_PERMISSION_DENIED, "used up");
    swki_buf_fini(&csr);
}

/* With its leader, and another one leads. */
static void lose_what_is_not_committed(struct f *f)
{
    resign(f);
    for (; f->log.last > f->log.committed; f->log.last--) {
        free(f->log.entries[f->log.last].data);
        f->log.entries[f->log.last].data = NULL;
    }
    swki_store_lose_leadership(f->store);
    lead(f);
}

/* Nobody looks through all nodes for it. */
static void id_of_a_node_follows_from_token_and_request(void **state)
{
    struct f *f = *state;
    char *token = token_for(f, 2)->join_token;
    char *other = token_for(f, 2)->join_token;
    struct swki_buf csr;

    make_csr(f, &csr);
    const char *first = join_again(f, token, &csr);
    assert_string_not_equal(join_again(f, other, &csr), first);
    lose_what_is_not_committed(f);
    assert_int_equal(count_nodes(f), 0);
    assert_string_equal(join_again(f, token, &csr), first);
    swki_buf_fini(&csr);
}

/* What a leader proposed and lost neither made a node nor counted. */
static void a_use_that_was_lost_with_its_leader_is_free_again(void **state)
{
    struct f *f = *state;
    char *token = token_for(f, 1)->join_token;
    struct swki_buf csr;

    make_csr(f, &csr);
    join_again(f, token, &csr);
    assert_int_equal(count_nodes(f), 1);
    lose_what_is_not_committed(f);
    assert_int_equal(count_nodes(f), 0);
    join_again(f, token, &csr);
    assert_int_equal(count_nodes(f), 1);
    refused(f, token, SWKI_STATUS_PERMISSION_DENIED, "used up");
    swki_buf_fini(&csr);
}

/* Whoever has seen the request of a node that is there gets nothing by it. */
static void see_node(struct f *f, const char *id)
{
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id));
    struct swki_tx *tx =
        swki_store_begin(f->store, SWKI_ACTOR_DISPATCHER, f->wall);
    Swkpb__NodeDescription *description =
        swki_arena_alloc(swki_object_arena(object), sizeof(*description));

    swkpb__node_description__init(description);
    swki_node_edit(object)->description = description;
    assert_int_equal(swki_tx_update(tx, object, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
}

static void a_node_that_came_is_not_given_again(void **state)
{
    struct f *f = *state;
    char *token = token_for(f, 1)->join_token;
    struct swki_buf csr;

    make_csr(f, &csr);
    see_node(f, join_again(f, token, &csr));
    assert_int_equal(try_join(f, token, &csr)->status,
                     SWKI_STATUS_PERMISSION_DENIED);
    swki_buf_fini(&csr);
}

static void a_request_of_a_node_that_came_makes_another_node(void **state)
{
    struct f *f = *state;
    char *token = token_for(f, 2)->join_token;
    struct swki_buf csr;

    make_csr(f, &csr);
    const char *id = join_again(f, token, &csr);
    see_node(f, id);
    assert_string_not_equal(join_again(f, token, &csr), id);
    assert_int_equal(count_nodes(f), 2);
    swki_buf_fini(&csr);
}

/* The ID of one that was removed is locked out. */
static void
a_request_of_a_node_that_was_removed_makes_another_node(void **state)
{
    struct f *f = *state;
    char *token = token_for(f, 2)->join_token;
    Swkpb__RemoveNodeRequest request = SWKPB__REMOVE_NODE_REQUEST__INIT;
    struct swki_buf csr;

    make_csr(f, &csr);
    const char *id = join_again(f, token, &csr);
    storelog_commit_all(&f->log, f->store);
    request.node_id = swki_arena_strdup(&f->arena, id);
    request.force = true;
    assert_int_equal(call(f, CONTROL "RemoveNode", &request.base)->status,
                     SWKI_STATUS_OK);
    storelog_commit_all(&f->log, f->store);
    assert_int_equal(count_nodes(f), 0);
    assert_string_not_equal(join_again(f, token, &csr), id);
    swki_buf_fini(&csr);
}

static void a_token_ends_with_its_time(void **state)
{
    struct f *f = *state;
    Swkpb__Rpc__CreateJoinTokenRequest request =
        SWKPB__RPC__CREATE_JOIN_TOKEN_REQUEST__INIT;

    request.ttl =
        swki_duration_from_ns(10 * 60 * (int64_t)SWK_SECOND, &f->arena);
    char *token = create(f, &request)->join_token;
    f->wall += 10 * 60 * (int64_t)SWK_SECOND - 1;
    join(f, token);
    f->wall += 1;
    refused(f, token, SWKI_STATUS_PERMISSION_DENIED,
            "the join token expired at 2030-01-01T00:10:00Z");
    assert_int_equal(count_nodes(f), 1);
}

static void role_labels_and_token_are_the_nodes(void **state)
{
    struct f *f = *state;
    Swkpb__Rpc__CreateJoinTokenRequest__LabelsEntry zone =
        SWKPB__RPC__CREATE_JOIN_TOKEN_REQUEST__LABELS_ENTRY__INIT;
    Swkpb__Rpc__CreateJoinTokenRequest__LabelsEntry *labels[] = {&zone};
    Swkpb__Rpc__CreateJoinTokenRequest request =
        SWKPB__RPC__CREATE_JOIN_TOKEN_REQUEST__INIT;

    zone.key = (char *)(uintptr_t) "zone";
    zone.value = (char *)(uintptr_t) "a";
    request.role = MANAGER;
    request.labels = labels;
    request.n_labels = 1;
    const Swkpb__Rpc__CreateJoinTokenResponse *made = create(f, &request);
    const Swkpb__Node *node = node_of(f, join(f, made->join_token));

    assert_int_equal(node->role, SWKPB__NODE_ROLE__MANAGER);
    assert_int_equal(node->spec->desired_role, SWKPB__NODE_ROLE__MANAGER);
    assert_string_equal(node->join_token, made->token->id);
    assert_string_equal(swki_labels_get(node->spec->annotations->labels,
                                        node->spec->annotations->n_labels,
                                        "zone"),
                        "a");
}

static void a_removed_token_is_unknown(void **state)
{
    struct f *f = *state;
    const Swkpb__Rpc__CreateJoinTokenResponse *one = token_for(f, 0);
    const Swkpb__Rpc__CreateJoinTokenResponse *two = token_for(f, 0);

    assert_int_equal(try_remove(f, one->token->id)->status, SWKI_STATUS_OK);
    storelog_commit_all(&f->log, f->store);
    refused(f, one->join_token, SWKI_STATUS_INVALID_ARGUMENT,
            "A valid join token is necessary to join this cluster");
    join(f, two->join_token);
    assert_int_equal(list(f)->n_tokens, 1);
    assert_int_equal(try_remove(f, one->token->id)->status,
                     SWKI_STATUS_NOT_FOUND);
}

static void the_plain_tokens_go_on_working(void **state)
{
    struct f *f = *state;
    const struct swki_object *cluster =
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM);
    char worker[128];

    snprintf(worker, sizeof(worker), "%s",
             swki_cluster(cluster)->root_ca->join_tokens->worker);
    token_for(f, 1);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(node_of(f, join(f, worker))->join_token, "");
    }
}

/* Not in what the store holds, not in what is listed. */
static void the_text_of_a_token_is_shown_once_and_not_kept(void **state)
{
    struct f *f = *state;
    const char *secret = strrchr(token_for(f, 1)->join_token, '-') + 1;
    const struct swki_object *cluster =
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM);
    struct swki_buf packed;

    swki_buf_init(&packed, NULL, SIZE_MAX);
    assert_int_equal(
        swki_message_pack(swki_object_message(cluster), &packed, NULL), 0);
    assert_null(memmem(packed.data, packed.len, secret, strlen(secret)));
    assert_int_equal(list(f)->tokens[0]->secret_hash.len, 0);

    Swkpb__GetClusterRequest get = SWKPB__GET_CLUSTER_REQUEST__INIT;
    get.cluster_id = (char *)(uintptr_t)PKI_SWARM;
    Swkpb__GetClusterResponse *shown =
        decode(f, call(f, "/docker.swarmkit.v1.Control/GetCluster", &get.base),
               &swkpb__get_cluster_response__descriptor);
    assert_int_equal(shown->cluster->root_ca->join_tokens->n_limited, 0);
    swki_buf_fini(&packed);
}

static void a_retried_request_makes_no_second_token(void **state)
{
    struct f *f = *state;
    Swkpb__Rpc__CreateJoinTokenRequest request =
        SWKPB__RPC__CREATE_JOIN_TOKEN_REQUEST__INIT;

    f->request_id = "once";
    const Swkpb__Rpc__CreateJoinTokenResponse *made = create(f, &request);

    assert_int_equal(try_create(f, &request)->status,
                     SWKI_STATUS_ALREADY_EXISTS);
    resign(f);
    lead(f);
    assert_int_equal(try_create(f, &request)->status,
                     SWKI_STATUS_ALREADY_EXISTS);
    assert_non_null(strstr(f->answers.first->text, made->token->id));
    assert_int_equal(list(f)->n_tokens, 1);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    struct f *f = *state;
    static char text[2000];
    Swkpb__Rpc__CreateJoinTokenRequest__LabelsEntry label =
        SWKPB__RPC__CREATE_JOIN_TOKEN_REQUEST__LABELS_ENTRY__INIT;
    Swkpb__Rpc__CreateJoinTokenRequest__LabelsEntry *labels[] = {
        &label, &label, &label, &label, &label, &label, &label, &label, &label,
        &label, &label, &label, &label, &label, &label, &label, &label};
    static const struct {
        const char *why;
        int role;
        int64_t ttl;
        size_t labels_count;
        size_t key_len;
        size_t description_len;
    } cases[] = {
        {"no such role", 2, 0, 0, 0, 0},
        {"a negative life", 0, -1, 0, 0, 0},
        {"half a second", 0, SWK_SECOND / 2, 0, 0, 0},
        {"a century", 0, 876000 * (int64_t)SWK_HOUR, 0, 0, 0},
        {"a label without a name", 0, 0, 1, 0, 0},
        {"a label twice", 0, 0, 2, 1, 0},
        {"too many labels", 0, 0, 17, 1, 0},
        {"a label too long", 0, 0, 1, 1025, 0},
        {"a description too long", 0, 0, 0, 0, 129},
    };

    memset(text, 'x', sizeof(text) - 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Swkpb__Rpc__CreateJoinTokenRequest request =
            SWKPB__RPC__CREATE_JOIN_TOKEN_REQUEST__INIT;

        request.role = (Swkpb__Rpc__JoinTokenRole)cases[i].role;
        request.ttl = swki_duration_from_ns(cases[i].ttl, &f->arena);
        request.labels = labels;
        request.n_labels = cases[i].labels_count;
        label.key = text + sizeof(text) - 1 - cases[i].key_len;
        request.description =
            text + sizeof(text) - 1 - cases[i].description_len;
        if (try_create(f, &request)->status != SWKI_STATUS_INVALID_ARGUMENT) {
            fail_msg("%s", cases[i].why);
        }
    }
    assert_int_equal(list(f)->n_tokens, 0);
}

static void ended_tokens_are_kept_for_a_day(void **state)
{
    struct f *f = *state;
    char *token = token_for(f, 1)->join_token;

    join(f, token);
    f->wall += 24 * (int64_t)SWK_HOUR;
    token_for(f, 1);
    refused(f, token, SWKI_STATUS_PERMISSION_DENIED, "used up");
    f->wall += 1;
    token_for(f, 1);
    refused(f, token, SWKI_STATUS_INVALID_ARGUMENT, "A valid join token");
    assert_int_equal(list(f)->n_tokens, 2);
}

static void the_number_of_tokens_is_limited(void **state)
{
    struct f *f = *state;
    Swkpb__Rpc__CreateJoinTokenRequest request =
        SWKPB__RPC__CREATE_JOIN_TOKEN_REQUEST__INIT;
    char *first = token_for(f, 1)->join_token;

    for (int i = 1; i < 1000; i++) {
        token_for(f, 1);
    }
    assert_int_equal(try_create(f, &request)->status,
                     SWKI_STATUS_RESOURCE_EXHAUSTED);
    join(f, first); /* it has ended now, and makes room */
    token_for(f, 1);
    assert_int_equal(list(f)->n_tokens, 1000);
    refused(f, first, SWKI_STATUS_INVALID_ARGUMENT, "A valid join token");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_token_lets_in_as_many_nodes_as_it_says),
        TEST(uses_are_counted_before_they_are_committed),
        TEST(a_repeated_request_does_not_count_again),
        TEST(a_repeated_request_is_known_to_the_next_leader),
        TEST(id_of_a_node_follows_from_token_and_request),
        TEST(a_use_that_was_lost_with_its_leader_is_free_again),
        TEST(a_node_that_came_is_not_given_again),
        TEST(a_request_of_a_node_that_came_makes_another_node),
        TEST(a_request_of_a_node_that_was_removed_makes_another_node),
        TEST(a_token_ends_with_its_time),
        TEST(role_labels_and_token_are_the_nodes),
        TEST(a_removed_token_is_unknown),
        TEST(the_plain_tokens_go_on_working),
        TEST(the_text_of_a_token_is_shown_once_and_not_kept),
        TEST(a_retried_request_makes_no_second_token),
        TEST(requests_that_make_no_sense_are_refused),
        TEST(ended_tokens_are_kept_for_a_day),
        TEST(the_number_of_tokens_is_limited),
    };

    return cmocka_run_group_tests_name("limited_tokens", tests, NULL, NULL);
}
