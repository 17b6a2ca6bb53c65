/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/ca_swarm.h"

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/list.h"
#include "base/roles.h"
#include "ca.pb-c.h"
#include "control.pb-c.h"
#include "core/ca/bootstrap.h"
#include "crypto/digest.h"
#include "wire/message.h"

#define SERVICES "/docker.swarmkit.v1."
#define STATE(name) SWKPB__ISSUANCE_STATUS__STATE__##name

/* How long nodes take, at least and at most, until they ask. */
#define RENEW_MIN (500 * SWK_MILLISECOND)
#define RENEW_SPAN (700 * SWK_MILLISECOND)

enum {
    CALL_NODE_BITS = 16, /* of a call's number: whose it is */
    CALL_OF_ADMIN = 0xffff,
};

static uint64_t cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * SWK_SECOND + (uint64_t)ts.tv_nsec;
}

/* ---- the log ---- */

static uint64_t next_index(void *ctx)
{
    const struct ca_swarm *s = ctx;

    return s->index + 1;
}

/* The store applies an entry after it was proposed, not within that. */
struct entry {
    struct swki_link link;
    size_t len;
    uint8_t data[];
};

static int propose(void *ctx, const uint8_t *data, size_t len,
                   struct swk_error *err)
{
    struct ca_swarm *s = ctx;
    struct entry *entry = malloc(sizeof(*entry) + len);

    (void)err;
    assert_non_null(entry);
    entry->len = len;
    memcpy(entry->data, data, len);
    swki_list_append(&s->pending, &entry->link);
    s->index++;
    return SWK_OK;
}

static void commit(struct ca_swarm *s)
{
    while (!swki_list_empty(&s->pending)) {
        struct entry *entry =
            SWKI_CONTAINER(s->pending.next, struct entry, link);
        uint64_t index = swki_view_index(swki_store_committed(s->store)) + 1;

        swki_list_remove(&entry->link);
        assert_int_equal(
            swki_store_apply(s->store, index, entry->data, entry->len, NULL),
            0);
        free(entry);
    }
}

/* Writes an object, which is taken. */
static void
put(struct ca_swarm *s, enum swki_actor actor, struct swki_object *object,
    int (*write)(struct swki_tx *, struct swki_object *, struct swk_error *))
{
    struct swki_tx *tx = swki_store_begin(s->store, actor, s->wall);
    struct swk_error err = {0};

    assert_non_null(tx);
    if (write(tx, object, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    commit(s);
}

static const Swkpb__Cluster *cluster_of(const struct ca_swarm *s)
{
    return swki_cluster(
        swki_view_get(swki_store_head(s->store), SWKI_KIND_CLUSTER, PKI_SWARM));
}

const Swkpb__RootCA *ca_swarm_root(const struct ca_swarm *s)
{
    return cluster_of(s)->root_ca;
}

bool ca_swarm_is_rotating(const struct ca_swarm *s)
{
    return ca_swarm_root(s)->root_rotation != NULL;
}

static struct swki_pem pem_of(const ProtobufCBinaryData *data)
{
    return (struct swki_pem){data->data, data->len};
}

static void set(struct swki_buf *buf, const void *data, size_t len)
{
    swki_buf_clear(buf);
    assert_true(swki_buf_append(buf, data, len));
}

/* ---- trust ---- */

bool ca_node_verifies(const struct ca_swarm *s, const struct ca_node *node,
                      struct swki_pem roots)
{
    const struct swki_chain chain = {
        .certificates = swki_pem_of_buf(&node->chain),
        .roots = roots,
        .now = s->wall,
    };

    return swki_chain_verify(&chain, NULL, NULL) == 0;
}

static bool same_bytes(const struct swki_buf *buf, struct swki_pem pem)
{
    return buf->len == pem.len && memcmp(buf->data, pem.text, pem.len) == 0;
}

bool ca_node_follows(const struct ca_swarm *s, const struct ca_node *node)
{
    struct swki_pem root = pem_of(&ca_swarm_root(s)->ca_cert);

    return same_bytes(&node->roots, root) && ca_node_verifies(s, node, root);
}

/* The number of a bundle among all that were ever trusted. */
static size_t bundle_of(struct ca_swarm *s, struct swki_pem roots)
{
    size_t i = 0;

    while (i < s->bundles_count && !same_bytes(&s->bundles[i], roots)) {
        i++;
    }
    assert_true(i < CA_SWARM_BUNDLES_MAX);
    if (i == s->bundles_count) {
        swki_buf_init(&s->bundles[i], NULL, SIZE_MAX);
        set(&s->bundles[i], roots.text, roots.len);
        s->bundles_count++;
    }
    return i;
}

static bool is_up(const struct ca_node *node)
{
    return node->exists && !node->down && node->chain.len > 0;
}

/* All that are up verify each other: each chain under each bundle in use, if
 * that was not looked at before. */
static void check_trust(struct ca_swarm *s)
{
    uint32_t used = 0;

    for (size_t i = 0; i < s->nodes_count; i++) {
        if (is_up(&s->nodes[i])) {
            used |= 1U << bundle_of(s, swki_pem_of_buf(&s->nodes[i].roots));
        }
    }
    for (size_t i = 0; i < s->nodes_count; i++) {
        struct ca_node *node = &s->nodes[i];

        for (size_t b = 0; is_up(node) && b < s->bundles_count; b++) {
            if ((used & ~node->trusted & 1U << b) != 0) {
                assert_true(
                    ca_node_verifies(s, node, swki_pem_of_buf(&s->bundles[b])));
                node->trusted |= 1U << b;
            }
        }
    }
}

/* ---- calls ---- */

static size_t number_of(const struct ca_swarm *s, const struct ca_node *node)
{
    return (size_t)(node - s->nodes);
}

static uint64_t call(struct ca_swarm *s, size_t number,
                     const struct swki_caller *caller, const char *path,
                     const ProtobufCMessage *request)
{
    const struct swki_call c = {
        .id = ++s->calls << CALL_NODE_BITS | number,
        .path = path,
        .caller = caller,
        .request = request,
    };

    if (number == CALL_OF_ADMIN) {
        swki_control_call(s->control, s->wall, &c, &s->answers);
    } else {
        swki_ca_server_call(s->server, s->now, s->wall, &c, &s->answers);
    }
    commit(s);
    return c.id;
}

static const struct swki_answer *answer_to(const struct ca_swarm *s,
                                           uint64_t id)
{
    const struct swki_answer *answer = s->answers.first;

    while (answer != NULL && answer->call_id != id) {
        answer = answer->next;
    }
    return answer;
}

static struct swki_caller caller_of(const struct ca_node *node)
{
    return (struct swki_caller){
        .node_id = node->id,
        .swarm_id = node->id[0] != '\0' ? PKI_SWARM : "",
        .role = node->id[0] != '\0' ? SWKI_ROLE_WORKER : SWKI_ROLE_NONE,
        .address = "",
        .request_id = "",
    };
}

/* ---- a node ---- */

static void ask_status(struct ca_swarm *s, struct ca_node *node)
{
    Swkpb__NodeCertificateStatusRequest request =
        SWKPB__NODE_CERTIFICATE_STATUS_REQUEST__INIT;
    const struct swki_caller caller = caller_of(node);
    uint8_t digest[SWKI_SHA256_SIZE];

    assert_true(swki_sha256(node->csr.data, node->csr.len, digest));
    request.node_id = node->id;
    request.csr_digest = (ProtobufCBinaryData){sizeof(digest), digest};
    node->poll = call(s, number_of(s, node), &caller,
                      SERVICES "NodeCA/NodeCertificateStatus", &request.base);
}

static void make_request(struct ca_swarm *s, struct ca_node *node)
{
    uint64_t start = cpu_ns();

    swki_buf_fini(&node->key);
    swki_buf_fini(&node->csr);
    pki_request(&s->pki, &node->key, &node->csr);
    s->nodes_ns += cpu_ns() - start;
}

/* Asks for a certificate; as a new node, with a token. */
static enum swki_status ask(struct ca_swarm *s, struct ca_node *node,
                            char *token)
{
    Swkpb__IssueNodeCertificateRequest request;
    const struct swki_caller caller = caller_of(node);
    const struct swki_answer *answer;
    ProtobufCMessage *message;

    make_request(s, node);
    swkpb__issue_node_certificate_request__init(&request);
    request.csr = (ProtobufCBinaryData){node->csr.len, node->csr.data};
    if (token != NULL) {
        request.token = token;
    }
    answer = answer_to(s, call(s, number_of(s, node), &caller,
                               SERVICES "NodeCA/IssueNodeCertificate",
                               &request.base));
    assert_non_null(answer);
    if (answer->status != SWKI_STATUS_OK) {
        return answer->status;
    }
    assert_int_equal(
        swki_message_unpack(&swkpb__issue_node_certificate_response__descriptor,
                            answer->message, answer->message_len, &s->arena,
                            &message, NULL),
        0);
    snprintf(node->id, sizeof(node->id), "%s",
             ((Swkpb__IssueNodeCertificateResponse *)message)->node_id);
    ask_status(s, node);
    return SWKI_STATUS_OK;
}

/* What it would say in its next session. */
static void report(struct ca_swarm *s, struct ca_node *node,
                   const struct swki_chain_issuer *issuer)
{
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_store_head(s->store), SWKI_KIND_NODE, node->id));
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__NodeDescription *description =
        swki_arena_alloc(arena, sizeof(*description));
    Swkpb__NodeTLSInfo *info = swki_arena_alloc(arena, sizeof(*info));

    swkpb__node_description__init(description);
    swkpb__node_tlsinfo__init(info);
    description->tls_info = info;
    info->trust_root.data =
        swki_arena_memdup(arena, node->roots.data, node->roots.len);
    info->trust_root.len = node->roots.len;
    info->cert_issuer_subject.data =
        swki_arena_memdup(arena, issuer->subject.data, issuer->subject.len);
    info->cert_issuer_subject.len = issuer->subject.len;
    info->cert_issuer_public_key.data = swki_arena_memdup(
        arena, issuer->public_key.data, issuer->public_key.len);
    info->cert_issuer_public_key.len = issuer->public_key.len;
    swki_node_edit(object)->description = description;
    put(s, SWKI_ACTOR_DISPATCHER, object, swki_tx_update);
}

/* Takes a certificate only if it verifies under the roots that it trusts. */
static void install(struct ca_swarm *s, struct ca_node *node,
                    const Swkpb__Certificate *certificate)
{
    const struct swki_chain chain = {
        .certificates = pem_of(&certificate->certificate),
        .roots = swki_pem_of_buf(&node->roots),
        .now = s->wall,
    };
    uint64_t start = cpu_ns();
    struct swki_chain_issuer issuer;
    struct swk_error err = {0};

    swki_chain_issuer_init(&issuer, NULL);
    if (swki_chain_verify(&chain, &issuer, &err) != 0) {
        fail_msg("%s: %s", node->id, err.text);
    }
    s->nodes_ns += cpu_ns() - start;
    set(&node->chain, certificate->certificate.data,
        certificate->certificate.len);
    node->trusted = 0;
    if (!s->unchecked) {
        check_trust(s);
    }
    report(s, node, &issuer);
    swki_chain_issuer_fini(&issuer);
}

static void hear_status(struct ca_swarm *s, struct ca_node *node,
                        const struct swki_answer *answer)
{
    const Swkpb__NodeCertificateStatusResponse *response;
    ProtobufCMessage *message;

    if (answer->status != SWKI_STATUS_OK || answer->message == NULL ||
        !node->exists || node->down) {
        return;
    }
    assert_int_equal(swki_message_unpack(
                         &swkpb__node_certificate_status_response__descriptor,
                         answer->message, answer->message_len, &s->arena,
                         &message, NULL),
                     0);
    response = (Swkpb__NodeCertificateStatusResponse *)message;
    if (response->certificate->csr.len == node->csr.len &&
        memcmp(response->certificate->csr.data, node->csr.data,
               node->csr.len) == 0) {
        assert_int_not_equal(response->status->state, STATE(FAILED));
        install(s, node, response->certificate);
    }
}

/* The root of the swarm, as a session tells it. */
static void hear_root(struct ca_swarm *s, struct ca_node *node)
{
    struct swki_pem root = pem_of(&ca_swarm_root(s)->ca_cert);

    if (node->exists && !node->down && node->chain.len > 0 &&
        !same_bytes(&node->roots, root) && ca_node_verifies(s, node, root)) {
        set(&node->roots, root.text, root.len);
    }
}

static struct ca_node *find_node(struct ca_swarm *s, const char *id)
{
    for (size_t i = 0; i < s->nodes_count; i++) {
        if (s->nodes[i].exists && strcmp(s->nodes[i].id, id) == 0) {
            return &s->nodes[i];
        }
    }
    return NULL;
}

static void hear_record(struct ca_swarm *s, const Swkpb__Node *record)
{
    struct ca_node *node;

    if (record->certificate == NULL || record->certificate->status == NULL ||
        record->certificate->status->state != STATE(ROTATE)) {
        return;
    }
    node = find_node(s, record->id);
    if (node != NULL && !node->down && node->renew == SWK_NEVER) {
        node->renew =
            s->now + RENEW_MIN + swki_rng_below(&s->pki.rng, RENEW_SPAN);
    }
}

/* ---- everybody ---- */

static void hear(struct ca_swarm *s)
{
    const struct swki_event *event;
    bool root = false;

    while ((event = swki_watch_next(s->watch)) != NULL) {
        assert_int_not_equal(event->change, SWKI_CHANGE_RESET);
        if (event->change == SWKI_CHANGE_UPDATE ||
            event->change == SWKI_CHANGE_CREATE) {
            root = root || event->kind == SWKI_KIND_CLUSTER;
            if (event->kind == SWKI_KIND_NODE) {
                hear_record(s, swki_node(event->object));
            }
        }
    }
    for (size_t i = 0; root && i < s->nodes_count; i++) {
        hear_root(s, &s->nodes[i]);
        if (!s->unchecked) {
            check_trust(s);
        }
    }
}

static void hear_answers(struct ca_swarm *s)
{
    const struct swki_answer *answer = s->answers.first;

    for (; answer != NULL; answer = answer->next) {
        size_t number = answer->call_id & ((1 << CALL_NODE_BITS) - 1);

        if (number == CALL_OF_ADMIN) {
            s->update_status = (int)answer->status;
        } else if (answer->call_id == s->nodes[number].poll) {
            hear_status(s, &s->nodes[number], answer);
        }
    }
    swki_answers_reset(&s->answers);
    swki_arena_reset(&s->arena);
}

static struct swk_sign_result result_of(struct swki_job_output *output, int rc,
                                        const struct swk_error *err)
{
    return (struct swk_sign_result){
        .size = sizeof(struct swk_sign_result),
        .code = rc,
        .text = rc != 0 ? err->text : NULL,
        .certificate = {output->certificate.data, output->certificate.len},
        .key = {output->key.data, output->key.len},
    };
}

static void sign(struct ca_swarm *s, const struct swk_sign_request *request,
                 uint64_t id, bool of_control)
{
    struct swki_job_output output;
    struct swk_error err = {0};
    struct swk_sign_result result;
    int rc;

    swki_job_output_init(&output, NULL);
    rc = swki_job_sign(&s->keys, request, &output, &err);
    result = result_of(&output, rc, &err);
    if (of_control) {
        swki_control_worked(s->control, s->wall, id, &result, &s->answers);
    } else {
        swki_ca_server_worked(s->server, s->now, s->wall, id, &result);
    }
    swki_job_output_fini(&output);
    commit(s);
}

static void step_leader(struct ca_swarm *s)
{
    const struct swki_control_work *asked;
    const struct swki_ca_work *work;

    swki_control_step(s->control, s->now, &s->answers);
    swki_ca_server_step(s->server, s->now, s->wall, &s->answers);
    commit(s);
    while ((asked = swki_control_next_work(s->control)) != NULL) {
        sign(s, &asked->request, asked->id, true);
    }
    while ((work = swki_ca_server_next_work(s->server, s->now, s->wall)) !=
           NULL) {
        sign(s, &work->request, work->id, false);
    }
}

static bool leader_is_busy(const struct ca_swarm *s)
{
    return swki_ca_server_pending(s->server) ||
           swki_ca_server_deadline(s->server) <= s->now ||
           swki_control_pending(s->control);
}

static void step_nodes(struct ca_swarm *s)
{
    for (size_t i = 0; i < s->nodes_count; i++) {
        struct ca_node *node = &s->nodes[i];

        if (node->exists && !node->down && node->renew <= s->now) {
            node->renew = SWK_NEVER;
            assert_int_equal(ask(s, node, NULL), SWKI_STATUS_OK);
        }
    }
}

/* Until nobody has anything to do at this time. */
static void settle(struct ca_swarm *s)
{
    do {
        step_nodes(s);
        step_leader(s);
        hear_answers(s);
        hear(s);
    } while (leader_is_busy(s) || s->answers.first != NULL);
}

static swk_time earlier(swk_time a, swk_time b)
{
    return a < b ? a : b;
}

static swk_time next_time(const struct ca_swarm *s, swk_time end)
{
    swk_time next = earlier(end, swki_ca_server_deadline(s->server));

    next = earlier(next, swki_control_deadline(s->control));
    for (size_t i = 0; i < s->nodes_count; i++) {
        if (s->nodes[i].exists && !s->nodes[i].down) {
            next = earlier(next, s->nodes[i].renew);
        }
    }
    return next;
}

void ca_swarm_advance(struct ca_swarm *s, swk_time span)
{
    swk_time end = s->now + span;

    settle(s);
    while (s->now < end) {
        swk_time next = next_time(s, end);

        assert_true(next > s->now);
        s->wall += (swk_wall)(next - s->now);
        s->now = next;
        settle(s);
    }
}

/* ---- what an administrator does ---- */

static void update(struct ca_swarm *s, bool rotate)
{
    const Swkpb__Cluster *cluster = cluster_of(s);
    Swkpb__UpdateClusterRequest request = SWKPB__UPDATE_CLUSTER_REQUEST__INIT;
    Swkpb__KeyRotation rotation = SWKPB__KEY_ROTATION__INIT;
    const struct swki_caller admin = {
        .node_id = "",
        .swarm_id = "",
        .local = true,
        .address = "",
        .request_id = "",
    };

    request.cluster_id = cluster->id;
    request.cluster_version = (Swkpb__Version *)swki_message_copy(
        &cluster->meta->version->base, &s->arena);
    request.spec = (Swkpb__ClusterSpec *)swki_message_copy(&cluster->spec->base,
                                                           &s->arena);
    request.spec->ca_config->force_rotate += rotate;
    request.rotation = &rotation;
    rotation.abort_ca_rotation = !rotate;
    s->update_status = -1;
    call(s, CALL_OF_ADMIN, &admin, SERVICES "Control/UpdateCluster",
         &request.base);
    ca_swarm_advance(s, 0);
    assert_int_equal(s->update_status, SWKI_STATUS_OK);
}

void ca_swarm_rotate(struct ca_swarm *s)
{
    update(s, true);
}

void ca_swarm_give_up(struct ca_swarm *s)
{
    update(s, false);
}

/* ---- nodes that come and go ---- */

static void node_init(struct ca_node *node)
{
    *node = (struct ca_node){.exists = true, .renew = SWK_NEVER};
    swki_buf_init(&node->key, NULL, SIZE_MAX);
    swki_buf_init(&node->csr, NULL, SIZE_MAX);
    swki_buf_init(&node->chain, NULL, SIZE_MAX);
    swki_buf_init(&node->roots, NULL, SIZE_MAX);
}

static void node_fini(struct ca_node *node)
{
    swki_buf_fini(&node->key);
    swki_buf_fini(&node->csr);
    swki_buf_fini(&node->chain);
    swki_buf_fini(&node->roots);
}

/* Trusts the present root, and has nothing else. */
static struct ca_node *make_node(struct ca_swarm *s)
{
    const Swkpb__RootCA *root = ca_swarm_root(s);
    struct ca_node *node = &s->nodes[s->nodes_count];

    assert_true(s->nodes_count < CA_SWARM_NODES_MAX);
    node_init(node);
    s->nodes_count++;
    set(&node->roots, root->ca_cert.data, root->ca_cert.len);
    return node;
}

struct ca_node *ca_swarm_add(struct ca_swarm *s)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    struct ca_node *node = make_node(s);
    const struct swki_ca_bootstrap bootstrap = {.node_id = node->id};

    swki_rng_id(&s->pki.rng, node->id);
    assert_int_equal(swki_ca_bootstrap_node(&bootstrap,
                                            swki_object_arena(object),
                                            swki_node_edit(object), NULL),
                     0);
    put(s, SWKI_ACTOR_CA, object, swki_tx_create);
    return node;
}

struct ca_node *ca_swarm_join(struct ca_swarm *s)
{
    struct ca_node *node = make_node(s);
    char token[128];

    snprintf(token, sizeof(token), "%s", ca_swarm_root(s)->join_tokens->worker);
    assert_int_equal(ask(s, node, token), SWKI_STATUS_OK);
    ca_swarm_advance(s, 0);
    assert_true(node->chain.len > 0);
    return node;
}

void ca_swarm_remove(struct ca_swarm *s, struct ca_node *node)
{
    struct swki_tx *tx =
        swki_store_begin(s->store, SWKI_ACTOR_CONTROL, s->wall);

    assert_int_equal(swki_tx_delete(tx, SWKI_KIND_NODE, node->id, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    commit(s);
    node->exists = false;
}

size_t ca_swarm_count(const struct ca_swarm *s, int state)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *node;
    struct swki_cursor cursor;
    size_t count = 0;

    assert_int_equal(swki_view_find(swki_store_head(s->store), SWKI_KIND_NODE,
                                    &all, &cursor, NULL),
                     0);
    while ((node = swki_cursor_next(&cursor)) != NULL) {
        count += (int)swki_node(node)->certificate->status->state == state;
    }
    swki_cursor_close(&cursor);
    return count;
}

/* ---- life ---- */

static void new_leader(struct ca_swarm *s)
{
    const struct swki_control_config control = {
        .store = s->store,
        .seed = s->calls + 1,
        .entropy = &s->pki.entropy,
    };
    const struct swki_ca_server_config server = {
        .store = s->store,
        .node_id = "m1",
        .entropy = &s->pki.entropy,
        .seed = s->calls + 2,
    };

    assert_int_equal(swki_control_new(&control, &s->control, NULL), 0);
    assert_int_equal(swki_ca_server_new(&server, &s->server, NULL), 0);
    assert_int_equal(swki_ca_server_start(s->server, NULL), 0);
}

static void end_leader(struct ca_swarm *s)
{
    swki_control_stop(s->control, &s->answers);
    swki_ca_server_stop(s->server, &s->answers);
    swki_answers_reset(&s->answers);
    swki_control_free(s->control);
    swki_ca_server_free(s->server);
}

void ca_swarm_lead_anew(struct ca_swarm *s)
{
    end_leader(s);
    new_leader(s);
    /* Polls that were cut off are made again. */
    for (size_t i = 0; i < s->nodes_count; i++) {
        struct ca_node *node = &s->nodes[i];

        if (node->exists && !node->down && node->csr.len > 0) {
            ask_status(s, node);
        }
    }
    ca_swarm_advance(s, 0);
}

static void found(struct ca_swarm *s)
{
    const struct swki_ca_bootstrap bootstrap = {
        .cluster_id = PKI_SWARM,
        .root_certificate = swki_pem_of_buf(&s->pki.root),
        .root_key = swki_pem_of_buf(&s->pki.key),
        .entropy = &s->pki.entropy,
    };
    struct swki_object *cluster = swki_object_new(NULL, SWKI_KIND_CLUSTER);

    assert_int_equal(
        swki_ca_bootstrap_cluster(&bootstrap, swki_object_arena(cluster),
                                  swki_cluster_edit(cluster), NULL),
        0);
    put(s, SWKI_ACTOR_BOOTSTRAP, cluster, swki_tx_create);
}

struct ca_swarm *ca_swarm_new(size_t nodes_count)
{
    struct ca_swarm *s = calloc(1, sizeof(*s));
    const struct swki_store_config config = {
        .proposer = {s, next_index, propose}};

    assert_non_null(s);
    pki_init(&s->pki, 41);
    swki_list_init(&s->pending);
    swki_answers_init(&s->answers, NULL);
    swki_arena_init(&s->arena, NULL, SIZE_MAX);
    swki_job_keys_init(&s->keys, NULL, &s->pki.entropy);
    assert_int_equal(swki_store_new(&config, &s->store, NULL), 0);
    s->now = 100 * SWK_SECOND;
    s->wall = PKI_NOW;
    s->watch = swki_store_watch(s->store, SWKI_FEED_COMMITTED,
                                1U << SWKI_KIND_NODE | 1U << SWKI_KIND_CLUSTER,
                                1 << 20);
    assert_non_null(s->watch);
    s->unchecked = true;
    found(s);
    new_leader(s);
    ca_swarm_advance(s, 0);
    for (size_t i = 0; i < nodes_count; i++) {
        ca_swarm_join(s);
    }
    s->unchecked = false;
    return s;
}

void ca_swarm_free(struct ca_swarm *s)
{
    end_leader(s);
    for (size_t i = 0; i < s->nodes_count; i++) {
        node_fini(&s->nodes[i]);
    }
    for (size_t i = 0; i < s->bundles_count; i++) {
        swki_buf_fini(&s->bundles[i]);
    }
    swki_watch_free(s->watch);
    swki_store_free(s->store);
    swki_job_keys_fini(&s->keys);
    swki_arena_fini(&s->arena);
    swki_answers_fini(&s->answers);
    pki_fini(&s->pki);
    free(s);
}
