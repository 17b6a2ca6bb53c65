/* SPDX-License-Identifier: Apache-2.0 */

/* The authority on the leader: who gets a certificate, for what, and when. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/roles.h"
#include "ca.pb-c.h"
#include "core/ca/bootstrap.h"
#include "core/ca/issuer.h"
#include "core/ca/server.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

#define SERVICES "/docker.swarmkit.v1."
#define STATE(name) SWKPB__ISSUANCE_STATUS__STATE__##name

enum {
    ENTRIES_MAX = 256,
};

/* A log of one member, which commits when the test says so. */
struct log {
    struct swki_buf entries[ENTRIES_MAX];
    size_t proposed;
    size_t applied;
    bool leads;
};

/* A heap whose n-th allocation fails. */
struct heap {
    size_t left;
    bool failed;
};

struct f {
    struct pki pki;
    struct log log;
    struct heap heap;       /* objects in the store come from it, too */
    struct swk_alloc alloc; /* on it */
    struct swki_store *store;
    struct swki_ca_server *server;
    struct swki_answers answers;
    struct swki_arena arena; /* of decoded answers */
    struct swki_buf key;
    struct swki_buf csr;
    swk_time now;
    uint64_t calls; /* the number of the last call */
};

/* What was answered to a call. */
struct reply {
    const struct swki_answer *answer;
    ProtobufCMessage *message;
};

/* ---- the store and its log ---- */

static uint64_t next_index(void *ctx)
{
    const struct log *log = ctx;

    return log->leads ? log->proposed + 1 : 0;
}

static int propose(void *ctx, const uint8_t *data, size_t len,
                   struct swk_error *err)
{
    struct log *log = ctx;

    assert_true(log->proposed < ENTRIES_MAX);
    swki_buf_init(&log->entries[log->proposed], NULL, SIZE_MAX);
    assert_true(swki_buf_append(&log->entries[log->proposed], data, len));
    log->proposed++;
    return SWK_OK;
}

static void commit(struct f *f)
{
    while (f->log.applied < f->log.proposed) {
        struct swki_buf *entry = &f->log.entries[f->log.applied++];

        assert_int_equal(swki_store_apply(f->store, f->log.applied,
                                          entry->data, entry->len, NULL),
                         0);
    }
}

static void step(struct f *f)
{
    swki_ca_server_step(f->server, f->now, PKI_NOW, &f->answers);
}

/* Steps and commits until nothing is left to do. */
static void settle(struct f *f)
{
    do {
        step(f);
        commit(f);
    } while (swki_ca_server_pending(f->server) ||
             swki_ca_server_deadline(f->server) <= f->now);
}

/* Changes an object as an administrator or another component would. */
static void change(struct f *f, enum swki_actor actor,
                   struct swki_object *object)
{
    struct swki_tx *tx = swki_store_begin(f->store, actor, PKI_NOW);

    assert_non_null(tx);
    assert_int_equal(swki_tx_update(tx, object, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    commit(f);
}

static void found_swarm(struct f *f)
{
    struct swki_ca_bootstrap bootstrap = {
        .cluster_id = PKI_SWARM,
        .node_id = "m1",
        .root_certificate = swki_pem_of_buf(&f->pki.root),
        .root_key = swki_pem_of_buf(&f->pki.key),
        .entropy = &f->pki.entropy,
        .vxlan_udp_port = 4790,
    };
    struct swki_object *cluster = swki_object_new(NULL, SWKI_KIND_CLUSTER);
    struct swki_object *node = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_tx *tx;

    assert_int_equal(swki_ca_bootstrap_cluster(&bootstrap,
                                               swki_object_arena(cluster),
                                               swki_cluster_edit(cluster),
                                               NULL),
                     0);
    assert_int_equal(swki_ca_bootstrap_node(&bootstrap,
                                            swki_object_arena(node),
                                            swki_node_edit(node), NULL),
                     0);
    tx = swki_store_begin(f->store, SWKI_ACTOR_BOOTSTRAP, PKI_NOW);
    assert_int_equal(swki_tx_create(tx, cluster, NULL), 0);
    assert_int_equal(swki_tx_create(tx, node, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
}

static void new_server(struct f *f, size_t waiting_max)
{
    const struct swki_ca_server_config config = {
        .store = f->store,
        .node_id = "m1",
        .entropy = &f->pki.entropy,
        .seed = 5,
        .waiting_max = waiting_max,
    };

    assert_int_equal(swki_ca_server_new(&config, &f->server, NULL), 0);
}

static int set_up_empty(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    struct swki_store_config config = {
        .proposer = {&f->log, next_index, propose},
    };

    pki_init(&f->pki, 31);
    pki_request(&f->pki, &f->key, &f->csr);
    f->log.leads = true;
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    swki_answers_init(&f->answers, NULL);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    new_server(f, 3);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    struct f *f;

    set_up_empty(state);
    f = *state;
    found_swarm(f);
    commit(f);
    assert_int_equal(swki_ca_server_start(f->server, NULL), 0);
    settle(f);
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_ca_server_free(f->server);
    swki_store_free(f->store);
    for (size_t i = 0; i < f->log.proposed; i++) {
        swki_buf_fini(&f->log.entries[i]);
    }
    swki_answers_fini(&f->answers);
    swki_arena_fini(&f->arena);
    swki_buf_fini(&f->csr);
    swki_buf_fini(&f->key);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

/* ---- calls ---- */

static const struct swki_caller nobody = {
    .node_id = "", .swarm_id = "", .address = "", .request_id = ""};

static uint64_t call_as(struct f *f, const struct swki_caller *caller,
                        const char *path, const ProtobufCMessage *request)
{
    struct swki_call call = {
        .id = ++f->calls,
        .path = path,
        .caller = caller,
        .request = request,
    };

    swki_ca_server_call(f->server, PKI_NOW, &call, &f->answers);
    return call.id;
}

static const struct swki_answer *answer_to(const struct f *f, uint64_t call_id)
{
    const struct swki_answer *answer = f->answers.first;

    while (answer != NULL && answer->call_id != call_id) {
        answer = answer->next;
    }
    return answer;
}

/* The answer, which must be there, decoded if it is a good one. */
static struct reply reply_to(struct f *f, uint64_t call_id,
                             const ProtobufCMessageDescriptor *type)
{
    struct reply reply = {.answer = answer_to(f, call_id)};

    assert_non_null(reply.answer);
    assert_true(reply.answer->end);
    if (reply.answer->status == SWKI_STATUS_OK) {
        assert_int_equal(swki_message_unpack(type, reply.answer->message,
                                             reply.answer->message_len,
                                             &f->arena, &reply.message, NULL),
                         0);
    }
    return reply;
}

static struct reply issue_as(struct f *f, const struct swki_caller *caller,
                             const char *token)
{
    Swkpb__IssueNodeCertificateRequest request;
    char text[128];

    swkpb__issue_node_certificate_request__init(&request);
    snprintf(text, sizeof(text), "%s", token);
    request.token = text;
    request.csr = (ProtobufCBinaryData){f->csr.len, f->csr.data};
    request.availability = SWKPB__NODE_SPEC__AVAILABILITY__PAUSE;
    return reply_to(
        f,
        call_as(f, caller, SERVICES "NodeCA/IssueNodeCertificate",
                &request.base),
        &swkpb__issue_node_certificate_response__descriptor);
}

static uint64_t ask_status(struct f *f, const char *node_id)
{
    Swkpb__NodeCertificateStatusRequest request =
        SWKPB__NODE_CERTIFICATE_STATUS_REQUEST__INIT;
    char id[128];

    snprintf(id, sizeof(id), "%s", node_id);
    request.node_id = id;
    return call_as(f, &nobody, SERVICES "NodeCA/NodeCertificateStatus",
                   &request.base);
}

static const Swkpb__NodeCertificateStatusResponse *
status_reply(struct f *f, uint64_t call_id)
{
    struct reply reply =
        reply_to(f, call_id,
                 &swkpb__node_certificate_status_response__descriptor);

    assert_int_equal(reply.answer->status, SWKI_STATUS_OK);
    return (const Swkpb__NodeCertificateStatusResponse *)reply.message;
}

static const Swkpb__Node *node_of(struct f *f, const char *id)
{
    const struct swki_object *object =
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id);

    assert_non_null(object);
    return swki_node(object);
}

static const Swkpb__JoinTokens *tokens_of(struct f *f)
{
    return swki_cluster(swki_view_get(swki_store_head(f->store),
                                      SWKI_KIND_CLUSTER, PKI_SWARM))
        ->root_ca->join_tokens;
}

static void join_swarm(struct f *f, const char *token,
                       char out_id[SWK_ID_LEN_MAX + 1])
{
    struct reply reply = issue_as(f, &nobody, token);
    const Swkpb__IssueNodeCertificateResponse *response =
        (const Swkpb__IssueNodeCertificateResponse *)reply.message;

    assert_int_equal(reply.answer->status, SWKI_STATUS_OK);
    assert_int_equal(reply.answer->index, f->log.proposed);
    assert_int_equal(response->node_membership,
                     SWKPB__NODE_SPEC__MEMBERSHIP__ACCEPTED);
    snprintf(out_id, SWK_ID_LEN_MAX + 1, "%s", response->node_id);
}

static struct swki_identity identity_of(const ProtobufCBinaryData *pem)
{
    struct swki_identity identity;

    assert_int_equal(swki_certificate_identity(
                         (struct swki_pem){pem->data, pem->len}, &identity,
                         NULL),
                     0);
    return identity;
}

/* ---- tests ---- */

static void token_decides_the_role_of_a_new_node(void **state)
{
    struct f *f = *state;
    const struct {
        const char *token;
        Swkpb__NodeRole role;
        uint32_t granted;
    } cases[] = {
        {tokens_of(f)->worker, SWKPB__NODE_ROLE__WORKER, SWKI_ROLE_WORKER},
        {tokens_of(f)->manager, SWKPB__NODE_ROLE__MANAGER, SWKI_ROLE_MANAGER},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char id[SWK_ID_LEN_MAX + 1];
        const Swkpb__Node *node;
        struct swki_identity identity;

        join_swarm(f, cases[i].token, id);
        node = node_of(f, id);
        assert_int_equal(node->certificate->status->state, STATE(PENDING));
        assert_string_equal(node->certificate->cn, id);
        assert_int_equal(node->role, cases[i].role);
        assert_int_equal(node->spec->desired_role, cases[i].role);
        assert_int_equal(node->spec->availability,
                         SWKPB__NODE_SPEC__AVAILABILITY__PAUSE);
        assert_int_equal(node->vxlanudpport, 4790);

        settle(f);
        node = node_of(f, id);
        assert_int_equal(node->certificate->status->state, STATE(ISSUED));
        assert_int_equal(node->certificate->csr.len, f->csr.len);
        identity = identity_of(&node->certificate->certificate);
        assert_string_equal(identity.node_id, id);
        assert_string_equal(identity.swarm_id, PKI_SWARM);
        assert_int_equal(identity.role, cases[i].granted);
    }
}

static void status_waits_until_the_certificate_is_committed(void **state)
{
    struct f *f = *state;
    const Swkpb__NodeCertificateStatusResponse *response;
    char id[SWK_ID_LEN_MAX + 1];
    uint64_t first;
    uint64_t second;

    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    first = ask_status(f, id);
    second = ask_status(f, id);
    assert_null(answer_to(f, first));
    assert_int_equal(swki_ca_server_waiting(f->server), 2);
    step(f); /* signed in head, not committed yet */
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(ISSUED));
    step(f);
    assert_null(answer_to(f, first));
    commit(f);
    step(f);
    response = status_reply(f, first);
    assert_int_equal(response->status->state, STATE(ISSUED));
    assert_true(response->certificate->certificate.len > 0);
    assert_memory_equal(response->certificate->csr.data, f->csr.data,
                        f->csr.len);
    assert_int_equal(status_reply(f, second)->status->state, STATE(ISSUED));
    assert_int_equal(swki_ca_server_waiting(f->server), 0);
    /* Once final, there is nothing to wait for. */
    assert_int_equal(status_reply(f, ask_status(f, id))->status->state,
                     STATE(ISSUED));
}

static void wrong_token_is_refused_in_these_words(void **state)
{
    struct f *f = *state;
    static const char *const tokens[] = {"", "SWMTKN-1-x", "hello"};

    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        struct reply reply = issue_as(f, &nobody, tokens[i]);

        assert_int_equal(reply.answer->status, SWKI_STATUS_INVALID_ARGUMENT);
        assert_string_equal(reply.answer->text,
                            "A valid join token is necessary to join this "
                            "cluster");
    }
}

static void rotated_token_counts_at_once_and_the_old_one_no_more(void **state)
{
    struct f *f = *state;
    const struct swki_object *old = swki_view_get(
        swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM);
    struct swki_object *object = swki_object_edit(old);
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__RootCA *root = swki_object_own(object, &cluster->root_ca);
    char old_token[128];
    char id[SWK_ID_LEN_MAX + 1];

    snprintf(old_token, sizeof(old_token), "%s", tokens_of(f)->worker);
    assert_int_equal(swki_ca_new_token(swki_pem_of_buf(&f->pki.root), 0,
                                       &f->pki.entropy,
                                       swki_object_arena(object),
                                       &root->join_tokens->worker, NULL),
                     0);
    change(f, SWKI_ACTOR_CONTROL, object);
    assert_int_equal(issue_as(f, &nobody, old_token).answer->status,
                     SWKI_STATUS_INVALID_ARGUMENT);
    join_swarm(f, tokens_of(f)->worker, id);
}

static void changed_validity_counts_for_the_next_certificate(void **state)
{
    struct f *f = *state;
    struct swki_object *object = swki_object_edit(swki_view_get(
        swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__ClusterSpec *spec = swki_object_own(object, &cluster->spec);
    char id[SWK_ID_LEN_MAX + 1];

    spec->ca_config->node_cert_expiry = swki_duration_from_ns(
        (int64_t)(2 * SWK_HOUR), swki_object_arena(object));
    change(f, SWKI_ACTOR_CONTROL, object);
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_true(
        identity_of(&node_of(f, id)->certificate->certificate).not_after ==
        PKI_NOW + (swk_wall)(2 * SWK_HOUR));
}

static struct swki_caller caller_of(const char *node_id, const char *swarm_id,
                                    uint32_t role)
{
    struct swki_caller caller = nobody;

    caller.node_id = node_id;
    caller.swarm_id = swarm_id;
    caller.role = role;
    return caller;
}

static void certificate_of_this_swarm_renews_without_a_token(void **state)
{
    struct f *f = *state;
    struct swki_caller caller;
    const Swkpb__IssueNodeCertificateResponse *response;
    char id[SWK_ID_LEN_MAX + 1];
    struct reply reply;

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    /* The certificate says manager, the node's role worker: the latter wins. */
    caller = caller_of(id, PKI_SWARM, SWKI_ROLE_MANAGER);
    reply = issue_as(f, &caller, "");
    response = (const Swkpb__IssueNodeCertificateResponse *)reply.message;
    assert_int_equal(reply.answer->status, SWKI_STATUS_OK);
    assert_string_equal(response->node_id, id);
    assert_int_equal(node_of(f, id)->certificate->status->state, STATE(RENEW));
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(ISSUED));
    assert_int_equal(
        identity_of(&node_of(f, id)->certificate->certificate).role,
        SWKI_ROLE_WORKER);
}

static void renewals_are_refused_as_documented(void **state)
{
    struct f *f = *state;
    struct swki_caller gone =
        caller_of("gone", PKI_SWARM, SWKI_ROLE_WORKER);
    struct swki_caller foreign =
        caller_of("m1", "another", SWKI_ROLE_MANAGER);
    struct reply reply = issue_as(f, &gone, "");

    assert_int_equal(reply.answer->status, SWKI_STATUS_NOT_FOUND);
    assert_string_equal(
        reply.answer->text,
        "node gone not found when attempting to renew certificate");
    reply = issue_as(f, &foreign, "");
    assert_int_equal(reply.answer->status, SWKI_STATUS_INVALID_ARGUMENT);
}

static void blacklisted_node_needs_a_token_and_is_a_new_node(void **state)
{
    struct f *f = *state;
    struct swki_caller caller = caller_of("m1", PKI_SWARM, SWKI_ROLE_MANAGER);
    const struct swki_object *old = swki_view_get(
        swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM);
    struct swki_object *object = swki_object_edit(old);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__Cluster__BlacklistedCertificatesEntry *entry =
        swki_arena_alloc(arena, sizeof(*entry));
    const Swkpb__IssueNodeCertificateResponse *response;
    struct reply reply;

    swkpb__cluster__blacklisted_certificates_entry__init(entry);
    entry->key = swki_arena_strdup(arena, "m1");
    entry->value = swki_arena_alloc(arena, sizeof(*entry->value));
    swkpb__blacklisted_certificate__init(entry->value);
    cluster->blacklisted_certificates =
        swki_arena_memdup(arena, &entry, sizeof(entry));
    cluster->n_blacklisted_certificates = 1;
    change(f, SWKI_ACTOR_CONTROL, object);

    assert_int_equal(issue_as(f, &caller, "").answer->status,
                     SWKI_STATUS_INVALID_ARGUMENT);
    reply = issue_as(f, &caller, tokens_of(f)->worker);
    response = (const Swkpb__IssueNodeCertificateResponse *)reply.message;
    assert_int_equal(reply.answer->status, SWKI_STATUS_OK);
    assert_string_not_equal(response->node_id, "m1");
}

static void local_socket_renews_the_manager_itself(void **state)
{
    struct f *f = *state;
    struct swki_caller caller = nobody;
    struct reply reply;

    caller.local = true;
    reply = issue_as(f, &caller, "");
    assert_int_equal(reply.answer->status, SWKI_STATUS_OK);
    assert_string_equal(
        ((const Swkpb__IssueNodeCertificateResponse *)reply.message)->node_id,
        "m1");
    assert_int_equal(node_of(f, "m1")->certificate->status->state,
                     STATE(RENEW));
}

static void empty_request_is_refused(void **state)
{
    struct f *f = *state;

    f->csr.len = 0;
    assert_int_equal(
        issue_as(f, &nobody, tokens_of(f)->worker).answer->status,
        SWKI_STATUS_INVALID_ARGUMENT);
}

static void garbage_request_ends_as_failed_with_a_reason(void **state)
{
    struct f *f = *state;
    const Swkpb__NodeCertificateStatusResponse *response;
    char id[SWK_ID_LEN_MAX + 1];
    uint64_t call;

    f->csr.len = 100;
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    call = ask_status(f, id);
    settle(f);
    response = status_reply(f, call);
    assert_int_equal(response->status->state, STATE(FAILED));
    assert_string_equal(response->status->err,
                        "certificate request cannot be read");
    assert_int_equal(response->certificate->certificate.len, 0);
}

static void set_state(struct f *f, const char *id,
                      Swkpb__IssuanceStatus__State to)
{
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id));
    Swkpb__Node *node = swki_node_edit(object);
    Swkpb__Certificate *certificate =
        swki_object_own(object, &node->certificate);

    certificate->status->state = to;
    change(f, SWKI_ACTOR_CA, object);
}

static void rotate_is_left_alone_and_answers_pollers(void **state)
{
    struct f *f = *state;
    const Swkpb__NodeCertificateStatusResponse *response;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    set_state(f, id, STATE(ROTATE));
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(ROTATE));
    response = status_reply(f, ask_status(f, id));
    assert_int_equal(response->status->state, STATE(ROTATE));
    assert_true(response->certificate->certificate.len > 0);
}

static void restarted_server_signs_what_is_outstanding(void **state)
{
    struct f *f = *state;
    char ids[2][SWK_ID_LEN_MAX + 1];
    uint64_t call;

    join_swarm(f, tokens_of(f)->worker, ids[0]);
    join_swarm(f, tokens_of(f)->manager, ids[1]);
    commit(f);
    call = ask_status(f, ids[0]);
    swki_ca_server_stop(f->server, &f->answers);
    assert_int_equal(answer_to(f, call)->status, SWKI_STATUS_ABORTED);
    assert_string_equal(answer_to(f, call)->text, "CA signer is stopped");
    assert_int_equal(issue_as(f, &nobody, "").answer->status,
                     SWKI_STATUS_ABORTED);
    assert_int_equal(swki_ca_server_deadline(f->server), SWK_NEVER);

    assert_int_equal(swki_ca_server_start(f->server, NULL), 0);
    settle(f);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(node_of(f, ids[i])->certificate->status->state,
                         STATE(ISSUED));
    }
}

static void without_a_cluster_the_server_is_still_starting(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    struct reply reply;

    assert_string_equal(issue_as(f, &nobody, "").answer->text,
                        "CA signer is stopped");
    assert_int_equal(swki_ca_server_start(f->server, NULL), 0);
    step(f);
    reply = issue_as(f, &nobody, "");
    assert_int_equal(reply.answer->status, SWKI_STATUS_ABORTED);
    assert_string_equal(reply.answer->text, "CA signer is still starting");
    found_swarm(f);
    assert_string_equal(issue_as(f, &nobody, "").answer->text,
                        "CA signer is still starting"); /* not committed */
    commit(f);
    join_swarm(f, tokens_of(f)->worker, id);
}

static void a_step_signs_only_its_share(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    for (int i = 0; i < 10; i++) {
        join_swarm(f, tokens_of(f)->worker, id);
    }
    step(f);
    assert_int_equal(swki_ca_server_outstanding(f->server), 6);
    assert_int_equal(swki_ca_server_deadline(f->server), 0);
    step(f);
    assert_int_equal(swki_ca_server_outstanding(f->server), 2);
    step(f);
    assert_int_equal(swki_ca_server_outstanding(f->server), 0);
    assert_int_equal(swki_ca_server_deadline(f->server), SWK_NEVER);
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(ISSUED));
}

static void refused_proposal_is_tried_again_after_a_pause(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    f->now = SWK_SECOND;
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    f->log.leads = false;
    step(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(PENDING));
    assert_int_equal(swki_ca_server_deadline(f->server),
                     11 * SWK_SECOND);
    f->log.leads = true;
    f->now = 11 * SWK_SECOND - 1;
    step(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(PENDING));
    f->now = 11 * SWK_SECOND;
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(ISSUED));
}

static void calls_that_wait_are_limited_and_can_be_cancelled(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    uint64_t calls[4];

    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    for (int i = 0; i < 4; i++) {
        calls[i] = ask_status(f, id);
    }
    assert_int_equal(answer_to(f, calls[3])->status,
                     SWKI_STATUS_RESOURCE_EXHAUSTED);
    swki_ca_server_cancel(f->server, calls[0]);
    swki_ca_server_cancel(f->server, calls[0]); /* gone already */
    assert_int_equal(swki_ca_server_waiting(f->server), 2);
    settle(f);
    assert_null(answer_to(f, calls[0]));
    assert_non_null(answer_to(f, calls[1]));
    assert_non_null(answer_to(f, calls[2]));
}

static void status_of_nobody_is_an_error(void **state)
{
    struct f *f = *state;

    assert_int_equal(answer_to(f, ask_status(f, ""))->status,
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(answer_to(f, ask_status(f, "unknown"))->status,
                     SWKI_STATUS_NOT_FOUND);
}

static void removal_of_a_node_ends_the_calls_that_wait(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    struct swki_tx *tx;
    uint64_t call;

    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    call = ask_status(f, id);
    tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, PKI_NOW);
    assert_int_equal(swki_tx_delete(tx, SWKI_KIND_NODE, id, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    settle(f);
    assert_int_equal(answer_to(f, call)->status, SWKI_STATUS_NOT_FOUND);
    assert_int_equal(swki_ca_server_outstanding(f->server), 0);
}

static void root_is_served_to_anyone(void **state)
{
    struct f *f = *state;
    Swkpb__GetRootCACertificateRequest request =
        SWKPB__GET_ROOT_CACERTIFICATE_REQUEST__INIT;
    struct reply reply =
        reply_to(f,
                 call_as(f, &nobody, SERVICES "CA/GetRootCACertificate",
                         &request.base),
                 &swkpb__get_root_cacertificate_response__descriptor);
    const Swkpb__GetRootCACertificateResponse *response =
        (const Swkpb__GetRootCACertificateResponse *)reply.message;

    assert_int_equal(response->certificate.len, f->pki.root.len);
    assert_memory_equal(response->certificate.data, f->pki.root.data,
                        f->pki.root.len);
}

static const Swkpb__GetUnlockKeyResponse *get_unlock_key(struct f *f)
{
    Swkpb__GetUnlockKeyRequest request = SWKPB__GET_UNLOCK_KEY_REQUEST__INIT;
    struct reply reply = reply_to(
        f, call_as(f, &nobody, SERVICES "CA/GetUnlockKey", &request.base),
        &swkpb__get_unlock_key_response__descriptor);

    return (const Swkpb__GetUnlockKeyResponse *)reply.message;
}

static void unlock_key_is_served_only_while_managers_are_locked(void **state)
{
    struct f *f = *state;
    struct swki_object *object = swki_object_edit(swki_view_get(
        swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__ClusterSpec *spec = swki_object_own(object, &cluster->spec);
    Swkpb__EncryptionKey *key = swki_arena_alloc(arena, sizeof(*key));
    const Swkpb__GetUnlockKeyResponse *response = get_unlock_key(f);

    assert_int_equal(response->unlock_key.len, 0);
    assert_int_equal(response->version->index, 1);
    swkpb__encryption_key__init(key);
    key->subsystem = swki_arena_strdup(arena, "swarm-manager");
    key->key = (ProtobufCBinaryData){4, swki_arena_memdup(arena, "lock", 4)};
    cluster->unlock_keys = swki_arena_memdup(arena, &key, sizeof(key));
    cluster->n_unlock_keys = 1;
    spec->encryption_config->auto_lock_managers = true;
    change(f, SWKI_ACTOR_CONTROL, object);
    response = get_unlock_key(f);
    assert_int_equal(response->unlock_key.len, 4);
    assert_memory_equal(response->unlock_key.data, "lock", 4);
    assert_int_equal(response->version->index, f->log.applied);
}

static void swarm_without_key_keeps_requests_until_it_has_one(void **state)
{
    struct f *f = *state;
    struct swki_object *object = swki_object_edit(swki_view_get(
        swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__RootCA *root = swki_object_own(object, &cluster->root_ca);
    ProtobufCBinaryData key = root->ca_key;
    char id[SWK_ID_LEN_MAX + 1];

    root->ca_key = (ProtobufCBinaryData){0, NULL};
    change(f, SWKI_ACTOR_CONTROL, object);
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(PENDING));

    object = swki_object_edit(swki_view_get(swki_store_head(f->store),
                                            SWKI_KIND_CLUSTER, PKI_SWARM));
    cluster = swki_cluster_edit(object);
    root = swki_object_own(object, &cluster->root_ca);
    key.len = f->pki.key.len;
    key.data = swki_arena_memdup(swki_object_arena(object), f->pki.key.data,
                                 key.len);
    root->ca_key = key;
    change(f, SWKI_ACTOR_CONTROL, object);
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(ISSUED));
}

static void *heap_realloc(void *ctx, void *ptr, size_t size)
{
    struct heap *heap = ctx;

    if (!heap->failed && heap->left-- == 0) {
        heap->failed = true;
        return NULL;
    }
    return realloc(ptr, size);
}

static void *heap_alloc(void *ctx, size_t size)
{
    return heap_realloc(ctx, NULL, size);
}

static void heap_free(void *ctx, void *ptr)
{
    free(ptr);
}

/* A server on that heap, from its start to a certificate. */
static void issue_on_heap(struct f *f)
{
    const struct swki_ca_server_config config = {
        .alloc = &f->alloc,
        .store = f->store,
        .node_id = "m1",
        .entropy = &f->pki.entropy,
        .seed = f->heap.left + 100,
    };
    const Swkpb__IssueNodeCertificateResponse *response;
    struct reply reply;

    swki_ca_server_free(f->server);
    f->server = NULL;
    if (swki_ca_server_new(&config, &f->server, NULL) != 0 ||
        swki_ca_server_start(f->server, NULL) != 0) {
        return;
    }
    reply = issue_as(f, &nobody, tokens_of(f)->worker);
    if (reply.answer->status != SWKI_STATUS_OK) {
        assert_int_equal(reply.answer->status, SWKI_STATUS_RESOURCE_EXHAUSTED);
        return;
    }
    response = (const Swkpb__IssueNodeCertificateResponse *)reply.message;
    commit(f);
    ask_status(f, response->node_id);
    settle(f);
    f->now += SWKI_CA_RETRY_INTERVAL; /* what failed is tried again */
    settle(f);
    assert_int_equal(node_of(f, response->node_id)->certificate->status->state,
                     STATE(ISSUED));
}

static void want_of_memory_delays_but_loses_nothing(void **state)
{
    struct f *f = *state;

    f->alloc = (struct swk_alloc){sizeof(f->alloc), &f->heap, heap_alloc,
                                  heap_realloc, heap_free};
    f->heap.failed = true;
    for (size_t n = 0; f->heap.failed; n++) {
        f->heap = (struct heap){.left = n};
        issue_on_heap(f);
        swki_ca_server_free(f->server);
        f->server = NULL;
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            token_decides_the_role_of_a_new_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            status_waits_until_the_certificate_is_committed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            wrong_token_is_refused_in_these_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            rotated_token_counts_at_once_and_the_old_one_no_more, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            changed_validity_counts_for_the_next_certificate, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            certificate_of_this_swarm_renews_without_a_token, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            renewals_are_refused_as_documented, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            blacklisted_node_needs_a_token_and_is_a_new_node, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            local_socket_renews_the_manager_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_request_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            garbage_request_ends_as_failed_with_a_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            rotate_is_left_alone_and_answers_pollers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            restarted_server_signs_what_is_outstanding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            without_a_cluster_the_server_is_still_starting, set_up_empty,
            tear_down),
        cmocka_unit_test_setup_teardown(a_step_signs_only_its_share, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            refused_proposal_is_tried_again_after_a_pause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            calls_that_wait_are_limited_and_can_be_cancelled, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(status_of_nobody_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            removal_of_a_node_ends_the_calls_that_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(root_is_served_to_anyone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            unlock_key_is_served_only_while_managers_are_locked, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            swarm_without_key_keeps_requests_until_it_has_one, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(want_of_memory_delays_but_loses_nothing,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
