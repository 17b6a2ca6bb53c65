/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Asks a signer as a manager would, for scripts:
 *
 *     ask SOCKET root SWARM                     prints a root
 *     ask SOCKET node SWARM NODE ROLE HOURS ROOT_FILE [PREVIOUS_FILE]
 *     ask SOCKET cross SWARM AUTHORITY_FILE ROOT_FILE
 *     ask SOCKET load SWARM SECONDS             prints certificates a second
 *     ask "" bare SWARM SECONDS                 the same in this process
 *
 * Exit status 0; 1 with "CODE: TEXT" on the standard error if it was refused.
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/posix.h>
#include <swarmkit/signer.h>

#include "crypto/x509.h"
#include "runtime/file/atomic.h"

enum {
    IN_FLIGHT = 64,
    FILE_MAX = 64 * 1024,
};

struct ask {
    const struct swk_signer *signer;
    struct swk_sign_request request;
    struct swki_buf csr;
    struct swki_buf authority;
    struct swki_buf other;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned under_way;
    uint64_t signed_count;
    int code;
    char text[SWK_ERROR_TEXT_SIZE];
    struct swki_buf certificate;
};

static void die(const char *what)
{
    fprintf(stderr, "ask: %s\n", what);
    exit(2);
}

static void done(void *ctx, uint64_t id, const struct swk_sign_result *result)
{
    struct ask *ask = ctx;

    (void)id;
    pthread_mutex_lock(&ask->lock);
    ask->under_way--;
    ask->code = result->code;
    if (result->code == 0) {
        ask->signed_count++;
        swki_buf_clear(&ask->certificate);
        swki_buf_append(&ask->certificate, result->certificate.data,
                        result->certificate.len);
    } else {
        snprintf(ask->text, sizeof(ask->text), "%s", result->text);
    }
    pthread_cond_signal(&ask->changed);
    pthread_mutex_unlock(&ask->lock);
}

/* Starts a job; waits while limit or more are under way. */
static void ask_one(struct ask *ask, unsigned limit)
{
    const struct swk_clock *clock = swk_posix_clock();
    struct swk_error err;

    pthread_mutex_lock(&ask->lock);
    ask->under_way++;
    pthread_mutex_unlock(&ask->lock);
    ask->request.now = clock->wall(clock->ctx);
    if (ask->signer->sign(ask->signer->ctx, 1, &ask->request, done, ask,
                          &err) != 0) {
        die(err.text);
    }
    pthread_mutex_lock(&ask->lock);
    while (ask->under_way >= limit) {
        pthread_cond_wait(&ask->changed, &ask->lock);
    }
    pthread_mutex_unlock(&ask->lock);
}

static struct swk_bytes bytes_of(const struct swki_buf *buf)
{
    return (struct swk_bytes){buf->data, buf->len};
}

static void read_file(const char *path, struct swki_buf *buf)
{
    struct swk_error err;

    if (swki_file_read(path, FILE_MAX, buf, &err) != 0) {
        die(err.text);
    }
}

static void make_csr(struct ask *ask)
{
    struct swki_buf key;

    swki_buf_init(&key, NULL, SIZE_MAX);
    if (swki_key_generate(swk_posix_entropy(), &key, NULL) != 0 ||
        swki_csr_create(swki_pem_of_buf(&key), "node", swk_posix_entropy(),
                        &ask->csr, NULL) != 0) {
        die("no request could be made");
    }
    swki_buf_fini(&key);
}

static void prepare_node(struct ask *ask, const char *node_id, const char *role,
                         uint64_t hours)
{
    make_csr(ask);
    ask->request.kind = SWK_SIGN_NODE;
    ask->request.node_id = node_id;
    ask->request.role =
        strcmp(role, "manager") == 0 ? SWK_NODE_MANAGER : SWK_NODE_WORKER;
    ask->request.validity_ns = hours * SWK_HOUR;
    ask->request.csr = bytes_of(&ask->csr);
    ask->request.authority = bytes_of(&ask->authority);
}

/* New nodes: for one that it knows, a signer has less to remember. */
static void load(struct ask *ask, swk_time seconds)
{
    const struct swk_clock *clock = swk_posix_clock();
    uint64_t nodes_count = 0;
    char node_id[32];
    swk_time start;
    swk_time elapsed;
    uint64_t count;

    ask->request.kind = SWK_SIGN_ROOT;
    ask_one(ask, 1);
    swki_buf_append(&ask->authority, ask->certificate.data,
                    ask->certificate.len);
    snprintf(node_id, sizeof(node_id), "node");
    prepare_node(ask, node_id, "worker", 24);
    ask_one(ask, 1);
    count = ask->signed_count;
    start = clock->now(clock->ctx);
    do {
        snprintf(node_id, sizeof(node_id), "node%021" PRIu64, ++nodes_count);
        ask_one(ask, IN_FLIGHT);
        elapsed = clock->now(clock->ctx) - start;
    } while (elapsed < seconds * SWK_SECOND);
    pthread_mutex_lock(&ask->lock);
    count = ask->signed_count - count;
    pthread_mutex_unlock(&ask->lock);
    printf("%.0f\n", (double)count * (double)SWK_SECOND / (double)elapsed);
}

/* What the library itself manages, on one thread. */
static void bare(struct ask *ask, swk_time seconds)
{
    const struct swk_clock *clock = swk_posix_clock();
    const struct swki_leaf leaf = {
        .node_id = "node00000000000000000000a",
        .swarm_id = ask->request.swarm_id,
        .role = SWKI_ROLE_WORKER,
        .now = clock->wall(clock->ctx),
        .validity_ns = 24 * SWK_HOUR,
    };
    struct swki_signer_config config = {.entropy = swk_posix_entropy()};
    swk_time start = clock->now(clock->ctx);
    struct swki_signer *signer = NULL;
    swk_time elapsed = 0;
    struct swki_buf key;
    uint64_t count = 0;

    swki_buf_init(&key, NULL, SIZE_MAX);
    make_csr(ask);
    if (swki_key_generate(config.entropy, &key, NULL) != 0 ||
        swki_root_create(swki_pem_of_buf(&key), leaf.now, config.entropy,
                         &ask->authority, NULL) != 0) {
        die("no root could be made");
    }
    config.certificate = swki_pem_of_buf(&ask->authority);
    config.key = swki_pem_of_buf(&key);
    if (swki_signer_new(NULL, &config, &signer, NULL) != 0) {
        die("no signer could be made");
    }
    for (; elapsed < seconds * SWK_SECOND; count++) {
        swki_buf_clear(&ask->certificate);
        if (swki_signer_issue(signer, swki_pem_of_buf(&ask->csr), &leaf,
                              &ask->certificate, NULL) != 0) {
            die("a certificate was not issued");
        }
        elapsed = clock->now(clock->ctx) - start;
    }
    printf("%.0f\n", (double)count * (double)SWK_SECOND / (double)elapsed);
    swki_signer_free(signer);
    swki_buf_fini(&key);
}

static int run(struct ask *ask, int argc, char **argv)
{
    const char *what = argv[2];

    ask->request.size = sizeof(ask->request);
    ask->request.swarm_id = argv[3];
    if (strcmp(what, "load") == 0 && argc == 5) {
        load(ask, strtoul(argv[4], NULL, 10));
        return ask->code;
    }
    if (strcmp(what, "bare") == 0 && argc == 5) {
        bare(ask, strtoul(argv[4], NULL, 10));
        return 0;
    }
    if (strcmp(what, "root") == 0) {
        ask->request.kind = SWK_SIGN_ROOT;
    } else if (strcmp(what, "node") == 0 && argc >= 8) {
        read_file(argv[7], &ask->authority);
        prepare_node(ask, argv[4], argv[5], strtoul(argv[6], NULL, 10));
        if (argc > 8) {
            read_file(argv[8], &ask->other);
            ask->request.previous = bytes_of(&ask->other);
        }
    } else if (strcmp(what, "cross") == 0 && argc == 6) {
        read_file(argv[4], &ask->authority);
        read_file(argv[5], &ask->other);
        ask->request.kind = SWK_SIGN_CROSS;
        ask->request.authority = bytes_of(&ask->authority);
        ask->request.root = bytes_of(&ask->other);
    } else {
        die("wrong usage");
    }
    ask_one(ask, 1);
    fwrite(ask->certificate.data, 1, ask->certificate.len, stdout);
    return ask->code;
}

int main(int argc, char **argv)
{
    struct swk_signer_client_config config = SWK_SIGNER_CLIENT_CONFIG_INIT;
    struct ask ask = {.lock = PTHREAD_MUTEX_INITIALIZER,
                      .changed = PTHREAD_COND_INITIALIZER};
    swk_signer_client *client;
    struct swk_error err;
    int code;

    if (argc < 4) {
        die("wrong usage");
    }
    swki_buf_init(&ask.csr, NULL, SIZE_MAX);
    swki_buf_init(&ask.authority, NULL, SIZE_MAX);
    swki_buf_init(&ask.other, NULL, SIZE_MAX);
    swki_buf_init(&ask.certificate, NULL, SIZE_MAX);
    config.clock = swk_posix_clock();
    config.address = argv[1][0] != '\0' ? argv[1] : "nowhere";
    if (swk_signer_client_new(&config, &client, &err) != 0) {
        die(err.text);
    }
    ask.signer = swk_signer_client_port(client);
    code = run(&ask, argc, argv);
    swk_signer_client_free(client); /* whatever is under way ends */
    if (code != 0) {
        fprintf(stderr, "%d: %s\n", code, ask.text);
    }
    swki_buf_fini(&ask.csr);
    swki_buf_fini(&ask.authority);
    swki_buf_fini(&ask.other);
    swki_buf_fini(&ask.certificate);
    return code == 0 ? 0 : 1;
}
