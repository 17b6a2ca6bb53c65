/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Certificates for nodes that join a leader: the CA's machine, the store and
 * the signer's thread together, beside what one thread signs if it does nothing
 * else.
 *
 * Prints one line a figure: name, value, unit.
 */

#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/roles.h"
#include "ca.pb-c.h"
#include "core/ca/bootstrap.h"
#include "core/ca/server.h"
#include "crypto/mbed.h"
#include "node/signing/local_signer.h"
#include "unit/crypto/pki.h"

#define ISSUE "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate"

enum {
    NODES = 1000,
    ENTRIES_MAX = 2 * NODES + 16,
    RESULTS_MAX = 2 * SWKI_CA_WORK_MAX,
    CERTIFICATE_MAX = 4096,
};

struct result {
    uint64_t id;
    int code;
    size_t len;
    char certificate[CERTIFICATE_MAX];
};

struct bench {
    struct pki pki;
    struct swki_buf key;
    struct swki_buf csr;
    struct swki_store *store;
    struct swki_ca_server *server;
    struct swki_local_signer *signer;
    struct swki_answers answers;
    struct swki_buf entries[ENTRIES_MAX];
    size_t proposed;
    size_t applied;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t told;
    struct result results[RESULTS_MAX];
    size_t results_count;
};

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Processor time of this thread, which a busy machine does not change. */
static double cpu_seconds(void)
{
    return seconds(CLOCK_THREAD_CPUTIME_ID);
}

static void require(int ok)
{
    if (!ok) {
        abort();
    }
}

/* -- A log that commits at once ------------------------------------------- */

static uint64_t next_index(void *ctx)
{
    const struct bench *b = ctx;

    return b->proposed + 1;
}

static int propose(void *ctx, const uint8_t *data, size_t len,
                   struct swk_error *err)
{
    struct bench *b = ctx;

    (void)err;
    require(b->proposed < ENTRIES_MAX);
    swki_buf_init(&b->entries[b->proposed], NULL, SIZE_MAX);
    require(swki_buf_append(&b->entries[b->proposed++], data, len));
    return SWK_OK;
}

static void commit(struct bench *b)
{
    while (b->applied < b->proposed) {
        struct swki_buf *entry = &b->entries[b->applied++];

        require(swki_store_apply(b->store, b->applied, entry->data, entry->len,
                                 NULL) == 0);
        swki_buf_fini(entry);
    }
}

/* -- The signer ----------------------------------------------------------- */

/* On its thread. */
static void told(void *ctx, uint64_t id, const struct swk_sign_result *result)
{
    struct bench *b = ctx;
    struct result *r;

    pthread_mutex_lock(&b->lock);
    require(b->results_count < RESULTS_MAX);
    require(result->certificate.len <= CERTIFICATE_MAX);
    r = &b->results[b->results_count++];
    r->id = id;
    r->code = result->code;
    r->len = result->certificate.len;
    if (r->len > 0) {
        memcpy(r->certificate, result->certificate.data, r->len);
    }
    pthread_cond_signal(&b->told);
    pthread_mutex_unlock(&b->lock);
}

static void give_work(struct bench *b)
{
    const struct swk_signer *port = swki_local_signer_port(b->signer);
    const struct swki_ca_work *work;

    while ((work = swki_ca_server_next_work(b->server, 0, PKI_NOW)) != NULL) {
        require(port->sign(port->ctx, work->id, &work->request, told, b,
                           NULL) == 0);
    }
}

/* Waits for something to be signed, and takes all that is. */
static void take_results(struct bench *b)
{
    static struct result taken[RESULTS_MAX];
    size_t count;

    pthread_mutex_lock(&b->lock);
    while (b->results_count == 0) {
        pthread_cond_wait(&b->told, &b->lock);
    }
    count = b->results_count;
    memcpy(taken, b->results, count * sizeof(taken[0]));
    b->results_count = 0;
    pthread_mutex_unlock(&b->lock);
    for (size_t i = 0; i < count; i++) {
        const struct swk_sign_result result = {
            .size = sizeof(result),
            .code = taken[i].code,
            .certificate = {taken[i].certificate, taken[i].len},
        };

        swki_ca_server_worked(b->server, 0, PKI_NOW, taken[i].id, &result);
    }
}

/* -- The swarm ------------------------------------------------------------ */

static void found_swarm(struct bench *b)
{
    const struct swki_ca_bootstrap bootstrap = {
        .cluster_id = PKI_SWARM,
        .node_id = "m1",
        .root_certificate = swki_pem_of_buf(&b->pki.root),
        .root_key = swki_pem_of_buf(&b->pki.key),
        .entropy = &b->pki.entropy,
    };
    struct swki_object *cluster = swki_object_new(NULL, SWKI_KIND_CLUSTER);
    struct swki_tx *tx =
        swki_store_begin(b->store, SWKI_ACTOR_BOOTSTRAP, PKI_NOW);

    require(swki_ca_bootstrap_cluster(&bootstrap, swki_object_arena(cluster),
                                      swki_cluster_edit(cluster), NULL) == 0);
    require(swki_tx_create(tx, cluster, NULL) == 0);
    require(swki_tx_commit(tx, NULL, NULL, NULL, NULL) == 0);
    commit(b);
}

static void set_up(struct bench *b)
{
    const struct swki_store_config store = {
        .proposer = {b, next_index, propose},
    };
    struct swki_ca_server_config server = {
        .node_id = "m1",
        .entropy = &b->pki.entropy,
        .seed = 5,
    };

    pki_init(&b->pki, 31);
    pki_request(&b->pki, &b->key, &b->csr);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->told, NULL);
    swki_answers_init(&b->answers, NULL);
    require(swki_store_new(&store, &b->store, NULL) == 0);
    found_swarm(b);
    server.store = b->store;
    require(swki_ca_server_new(&server, &b->server, NULL) == 0);
    require(swki_ca_server_start(b->server, NULL) == 0);
    require(swki_local_signer_new(NULL, &b->pki.entropy, &b->signer, NULL) ==
            0);
}

static void tear_down(struct bench *b)
{
    swki_local_signer_free(b->signer);
    swki_ca_server_free(b->server);
    swki_store_free(b->store);
    swki_answers_fini(&b->answers);
    pthread_cond_destroy(&b->told);
    pthread_mutex_destroy(&b->lock);
    swki_buf_fini(&b->csr);
    swki_buf_fini(&b->key);
    pki_fini(&b->pki);
}

static void ask(struct bench *b, uint64_t call_id)
{
    const struct swki_caller nobody = {
        .node_id = "", .swarm_id = "", .address = "", .request_id = ""};
    const struct swki_object *cluster =
        swki_view_get(swki_store_head(b->store), SWKI_KIND_CLUSTER, PKI_SWARM);
    Swkpb__IssueNodeCertificateRequest request =
        SWKPB__ISSUE_NODE_CERTIFICATE_REQUEST__INIT;
    const struct swki_call call = {
        .id = call_id,
        .path = ISSUE,
        .caller = &nobody,
        .request = &request.base,
    };

    request.csr = (ProtobufCBinaryData){b->csr.len, b->csr.data};
    request.token = swki_cluster(cluster)->root_ca->join_tokens->worker;
    swki_ca_server_call(b->server, 0, PKI_NOW, &call, &b->answers);
}

/* What the certificates of all nodes took. */
struct cost {
    double wall;
    double loop_cpu; /* of the thread that decides, checks and stores */
    double all_cpu;
};

/* All nodes ask; then everything is signed, checked, stored and committed. */
static struct cost issue_all(struct bench *b)
{
    struct cost cost;

    for (uint64_t i = 1; i <= NODES; i++) {
        ask(b, i);
        swki_answers_reset(&b->answers);
        commit(b);
    }
    cost.wall = seconds(CLOCK_MONOTONIC);
    cost.loop_cpu = cpu_seconds();
    cost.all_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    do {
        swki_ca_server_step(b->server, 0, PKI_NOW, &b->answers);
        commit(b);
        give_work(b);
        if (swki_ca_server_outstanding(b->server) > 0 &&
            swki_ca_server_deadline(b->server) > 0) {
            take_results(b);
        }
    } while (swki_ca_server_outstanding(b->server) > 0);
    cost.wall = seconds(CLOCK_MONOTONIC) - cost.wall;
    cost.loop_cpu = cpu_seconds() - cost.loop_cpu;
    cost.all_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cost.all_cpu;
    return cost;
}

/* -- Beside it ------------------------------------------------------------ */

/* What one thread signs: it proves the request, and signs. */
static double sign_bare(struct bench *b)
{
    const struct swki_leaf leaf = {
        .node_id = "n1",
        .swarm_id = PKI_SWARM,
        .role = SWKI_ROLE_WORKER,
        .now = PKI_NOW,
        .validity_ns = 24 * SWK_HOUR,
    };
    double begun = cpu_seconds();

    for (int i = 0; i < NODES; i++) {
        struct swki_buf pem;

        swki_buf_init(&pem, NULL, SIZE_MAX);
        require(swki_signer_issue(b->pki.signer, swki_pem_of_buf(&b->csr),
                                  &leaf, &pem, NULL) == 0);
        swki_buf_fini(&pem);
    }
    return NODES / (cpu_seconds() - begun);
}

/* Signatures of the library alone, of digests. */
static double sign_digests(struct bench *b)
{
    unsigned char signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    const unsigned char digest[32] = {1};
    mbedtls_pk_context key;
    double begun;
    double rate;

    mbedtls_pk_init(&key);
    require(swki_mbed_parse_key(&key, swki_pem_of_buf(&b->pki.key),
                                &b->pki.entropy, NULL) == 0);
    begun = cpu_seconds();
    for (int i = 0; i < NODES; i++) {
        size_t len;

        require(mbedtls_pk_sign(&key, MBEDTLS_MD_SHA256, digest, sizeof(digest),
                                signature,
#if MBEDTLS_VERSION_MAJOR >= 3
                                sizeof(signature),
#endif
                                &len, swki_mbed_random, &b->pki.entropy) == 0);
    }
    rate = NODES / (cpu_seconds() - begun);
    mbedtls_pk_free(&key);
    return rate;
}

/* With a core for each of the two threads the slower one sets the pace. */
static double pace(const struct cost *cost)
{
    double signer_cpu = cost->all_cpu - cost->loop_cpu;

    return NODES / (signer_cpu > cost->loop_cpu ? signer_cpu : cost->loop_cpu);
}

int main(void)
{
    struct bench *b = calloc(1, sizeof(*b));
    struct cost cost;
    double bare;

    require(b != NULL);
    set_up(b);
    cost = issue_all(b);
    bare = sign_bare(b);
    printf("ca certificates issued in process: %.0f /s\n", NODES / cost.wall);
    printf("ca processor time of the loop: %.0f us a certificate\n",
           cost.loop_cpu / NODES * 1e6);
    printf("ca processor time of the signer: %.0f us a certificate\n",
           (cost.all_cpu - cost.loop_cpu) / NODES * 1e6);
    printf("ca issued with a core for each: %.0f /s\n", pace(&cost));
    printf("ca signed by one bare thread: %.0f /s\n", bare);
    printf("ca share of the bare rate: %.0f %%\n", 100 * pace(&cost) / bare);
    printf("ca digests signed by one bare thread: %.0f /s\n", sign_digests(b));
    tear_down(b);
    free(b);
    return 0;
}
