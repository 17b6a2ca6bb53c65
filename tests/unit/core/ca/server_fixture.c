/* SPDX-License-Identifier: Apache-2.0 */

#include "server_fixture.h"

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/ca/bootstrap.h"
#include "crypto/digest.h"
#include "wire/message.h"

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

void commit(struct f *f)
{
    while (f->log.applied < f->log.proposed) {
        struct swki_buf *entry = &f->log.entries[f->log.applied++];

        assert_int_equal(swki_store_apply(f->store, f->log.applied, entry->data,
                                          entry->len, NULL),
                         0);
    }
}

/* ---- the signer ---- */

/* Answers as whoever has the key would, or another that is set in its place. */
static int sign_job(struct f *f, const struct swk_sign_request *request,
                    struct swki_job_output *output, struct swk_error *err)
{
    const struct swki_leaf leaf = {
        .node_id = request->node_id,
        .swarm_id = request->swarm_id,
        .role = request->role == SWK_NODE_MANAGER ? SWKI_ROLE_MANAGER
                                                  : SWKI_ROLE_WORKER,
        .now = request->now,
        .validity_ns = request->validity_ns,
    };

    if (f->signer.other == NULL) {
        return swki_job_sign(&f->signer.keys, request, output, err);
    }
    return swki_signer_issue(
        f->signer.other, (struct swki_pem){request->csr.data, request->csr.len},
        &leaf, &output->certificate, err);
}

static struct swk_bytes bytes_of(const struct swki_buf *buf)
{
    return (struct swk_bytes){buf->data, buf->len};
}

static void hold(struct f *f, const struct swki_ca_work *work,
                 const struct swki_job_output *output)
{
    struct held *held = &f->signer.held[f->signer.held_count++];

    assert_true(f->signer.held_count <= HELD_MAX);
    *held = (struct held){
        .id = work->id,
        .urls_count = work->request.urls_count,
        .key_len = work->request.authority_key.len,
        .previous_len = work->request.previous.len,
        .validity_ns = work->request.validity_ns,
        .role = work->request.role,
    };
    snprintf(held->node_id, sizeof(held->node_id), "%s", work->request.node_id);
    swki_buf_init(&held->certificate, NULL, SIZE_MAX);
    assert_true(swki_buf_append(&held->certificate, output->certificate.data,
                                output->certificate.len));
}

static void answer_work(struct f *f, const struct swki_ca_work *work)
{
    struct swk_sign_result result = {.size = sizeof(result)};
    const uint64_t id = work->id;
    struct swki_job_output output;
    struct swk_error err = {0};

    swki_job_output_init(&output, NULL);
    result.code = f->signer.mood == SIGNER_FAILS
                      ? f->signer.code
                      : sign_job(f, &work->request, &output, &err);
    result.text = f->signer.mood == SIGNER_FAILS ? f->signer.text : err.text;
    result.certificate = bytes_of(&output.certificate);
    f->signer.asked_count++;
    if (f->signer.mood == SIGNER_HOLDS) {
        hold(f, work, &output);
    } else {
        swki_ca_server_worked(f->server, f->now, f->wall, id, &result);
    }
    swki_job_output_fini(&output);
}

void answer_held_with(struct f *f, size_t index, struct swk_bytes certificate)
{
    const struct swk_sign_result result = {
        .size = sizeof(result),
        .certificate = certificate,
    };

    swki_ca_server_worked(f->server, f->now, f->wall, f->signer.held[index].id,
                          &result);
}

void answer_held(struct f *f, size_t index, int code)
{
    const struct swk_sign_result failed = {
        .size = sizeof(failed),
        .code = code,
        .text = "the signer said so",
    };

    if (code == 0) {
        answer_held_with(f, index,
                         bytes_of(&f->signer.held[index].certificate));
    } else {
        swki_ca_server_worked(f->server, f->now, f->wall,
                              f->signer.held[index].id, &failed);
    }
}

/* ---- steps ---- */

void step(struct f *f)
{
    const struct swki_ca_work *work;

    swki_ca_server_step(f->server, f->now, f->wall, &f->answers);
    while ((work = swki_ca_server_next_work(f->server, f->now, f->wall)) !=
           NULL) {
        answer_work(f, work);
    }
}

void settle(struct f *f)
{
    do {
        step(f);
        commit(f);
    } while (swki_ca_server_pending(f->server) ||
             swki_ca_server_deadline(f->server) <= f->now);
}

void change(struct f *f, enum swki_actor actor, struct swki_object *object)
{
    struct swki_tx *tx = swki_store_begin(f->store, actor, PKI_NOW);

    assert_non_null(tx);
    assert_int_equal(swki_tx_update(tx, object, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    commit(f);
}

void found_swarm(struct f *f)
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

    assert_int_equal(
        swki_ca_bootstrap_cluster(&bootstrap, swki_object_arena(cluster),
                                  swki_cluster_edit(cluster), NULL),
        0);
    assert_int_equal(swki_ca_bootstrap_node(&bootstrap, swki_object_arena(node),
                                            swki_node_edit(node), NULL),
                     0);
    tx = swki_store_begin(f->store, SWKI_ACTOR_BOOTSTRAP, PKI_NOW);
    assert_int_equal(swki_tx_create(tx, cluster, NULL), 0);
    assert_int_equal(swki_tx_create(tx, node, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
}

static void count_line(void *ctx, const struct swk_log_record *record)
{
    struct f *f = ctx;

    (void)record;
    f->lines++;
}

static void new_server(struct f *f, size_t waiting_max)
{
    const struct swki_ca_server_config config = {
        .logger = &f->logger,
        .store = f->store,
        .node_id = "m1",
        .entropy = &f->pki.entropy,
        .seed = 5,
        .waiting_max = waiting_max,
    };

    assert_int_equal(swki_ca_server_new(&config, &f->server, NULL), 0);
}

int set_up_empty(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    struct swki_store_config config = {
        .proposer = {&f->log, next_index, propose},
    };

    pki_init(&f->pki, 31);
    pki_request(&f->pki, &f->key, &f->csr);
    f->log.leads = true;
    f->wall = PKI_NOW;
    f->logger = (struct swk_logger){
        .size = sizeof(f->logger),
        .ctx = f,
        .level = SWK_LOG_INFO,
        .log = count_line,
    };
    swki_job_keys_init(&f->signer.keys, NULL, &f->pki.entropy);
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    swki_answers_init(&f->answers, NULL);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    new_server(f, 3);
    *state = f;
    return 0;
}

int set_up(void **state)
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

int tear_down(void **state)
{
    struct f *f = *state;

    swki_ca_server_free(f->server);
    swki_store_free(f->store);
    swki_job_keys_fini(&f->signer.keys);
    swki_signer_free(f->signer.other);
    for (size_t i = 0; i < f->signer.held_count; i++) {
        swki_buf_fini(&f->signer.held[i].certificate);
    }
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

const struct swki_caller nobody = {
    .node_id = "", .swarm_id = "", .address = "", .request_id = ""};

uint64_t call_as(struct f *f, const struct swki_caller *caller,
                 const char *path, const ProtobufCMessage *request)
{
    struct swki_call call = {
        .id = ++f->calls,
        .path = path,
        .caller = caller,
        .request = request,
    };

    swki_ca_server_call(f->server, f->now, f->wall, &call, &f->answers);
    return call.id;
}

const struct swki_answer *answer_to(const struct f *f, uint64_t call_id)
{
    const struct swki_answer *answer = f->answers.first;

    while (answer != NULL && answer->call_id != call_id) {
        answer = answer->next;
    }
    return answer;
}

/* The answer, which must be there, decoded if it is a good one. */
struct reply reply_to(struct f *f, uint64_t call_id,
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

struct reply issue_as(struct f *f, const struct swki_caller *caller,
                      const char *token)
{
    Swkpb__IssueNodeCertificateRequest request;
    char text[128];

    swkpb__issue_node_certificate_request__init(&request);
    snprintf(text, sizeof(text), "%s", token);
    request.token = text;
    request.csr = (ProtobufCBinaryData){f->csr.len, f->csr.data};
    request.availability = SWKPB__NODE_SPEC__AVAILABILITY__PAUSE;
    return reply_to(f,
                    call_as(f, caller, SERVICES "NodeCA/IssueNodeCertificate",
                            &request.base),
                    &swkpb__issue_node_certificate_response__descriptor);
}

uint64_t ask_status_as(struct f *f, const struct swki_caller *caller,
                       const char *node_id, const void *digest,
                       size_t digest_len)
{
    Swkpb__NodeCertificateStatusRequest request =
        SWKPB__NODE_CERTIFICATE_STATUS_REQUEST__INIT;
    uint8_t copy[SWKI_SHA256_SIZE] = {0};
    char id[128];

    assert_true(digest_len <= sizeof(copy));
    if (digest_len > 0) {
        memcpy(copy, digest, digest_len);
    }
    snprintf(id, sizeof(id), "%s", node_id);
    request.node_id = id;
    request.csr_digest = (ProtobufCBinaryData){digest_len, copy};
    return call_as(f, caller, SERVICES "NodeCA/NodeCertificateStatus",
                   &request.base);
}

uint64_t ask_status(struct f *f, const char *node_id)
{
    uint8_t digest[SWKI_SHA256_SIZE];

    assert_true(swki_sha256(f->csr.data, f->csr.len, digest));
    return ask_status_as(f, &nobody, node_id, digest, sizeof(digest));
}

const Swkpb__NodeCertificateStatusResponse *status_reply(struct f *f,
                                                         uint64_t call_id)
{
    struct reply reply = reply_to(
        f, call_id, &swkpb__node_certificate_status_response__descriptor);

    assert_int_equal(reply.answer->status, SWKI_STATUS_OK);
    return (const Swkpb__NodeCertificateStatusResponse *)reply.message;
}

const Swkpb__Node *node_of(struct f *f, const char *id)
{
    const struct swki_object *object =
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id);

    assert_non_null(object);
    return swki_node(object);
}

int state_of(struct f *f, const char *id)
{
    return (int)node_of(f, id)->certificate->status->state;
}

struct swki_object *edit_cluster(struct f *f)
{
    return swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
}

const Swkpb__JoinTokens *tokens_of(struct f *f)
{
    return swki_cluster(swki_view_get(swki_store_head(f->store),
                                      SWKI_KIND_CLUSTER, PKI_SWARM))
        ->root_ca->join_tokens;
}

void join_swarm(struct f *f, const char *token, char out_id[SWK_ID_LEN_MAX + 1])
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

struct swki_identity identity_of(const ProtobufCBinaryData *pem)
{
    struct swki_identity identity;

    assert_int_equal(
        swki_certificate_identity((struct swki_pem){pem->data, pem->len},
                                  &identity, NULL),
        0);
    return identity;
}

struct swki_caller caller_of(const char *node_id, const char *swarm_id,
                             uint32_t role)
{
    struct swki_caller caller = nobody;

    caller.node_id = node_id;
    caller.swarm_id = swarm_id;
    caller.role = role;
    return caller;
}

void join_many(struct f *f, size_t count)
{
    char id[SWK_ID_LEN_MAX + 1];

    for (size_t i = 0; i < count; i++) {
        join_swarm(f, tokens_of(f)->worker, id);
    }
    commit(f);
}

void renew(struct f *f, const char *id)
{
    struct swki_caller caller = caller_of(id, PKI_SWARM, SWKI_ROLE_WORKER);

    assert_int_equal(issue_as(f, &caller, "").answer->status, SWKI_STATUS_OK);
    commit(f);
}

static struct swk_bytes copy_of(struct swki_object *object, const void *data,
                                size_t len)
{
    void *copy = swki_arena_memdup(swki_object_arena(object), data, len);

    assert_non_null(copy);
    return (struct swk_bytes){copy, len};
}

void set_data(struct swki_object *object, ProtobufCBinaryData *data,
              const struct swki_buf *pem)
{
    struct swk_bytes copy = copy_of(object, pem->data, pem->len);

    *data = (ProtobufCBinaryData){copy.len, (void *)copy.data};
}

void name_external(struct f *f, const struct swki_buf *root)
{
    struct swki_object *object = edit_cluster(f);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__ClusterSpec *spec =
        swki_object_own(object, &swki_cluster_edit(object)->spec);
    Swkpb__ExternalCA *external = swki_arena_alloc(arena, sizeof(*external));

    swkpb__external_ca__init(external);
    external->url = swki_arena_strdup(arena, "https://192.0.2.9/sign");
    if (root != NULL) {
        set_data(object, &external->ca_cert, root);
    }
    spec->ca_config->external_cas =
        swki_arena_memdup(arena, &external, sizeof(external));
    spec->ca_config->n_external_cas = 1;
    change(f, SWKI_ACTOR_CONTROL, object);
}
