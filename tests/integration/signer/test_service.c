/* SPDX-License-Identifier: Apache-2.0 */

/* A signer's two sides over a real socket, with real files. */

#include "lib/cmocka_all.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <swarmkit/nng_transport.h>
#include <swarmkit/posix.h>
#include <swarmkit/signer.h>
#include <swarmkit/signer_service.h>

#include "unit/crypto/pki.h"
#include "unit/node/directory.h"

#define NODE "node00000000000000000000a"

struct f {
    struct pki pki; /* makes keys of nodes */
    struct directory dir;
    char path[96];
    char log_path[96];
    swk_nng_transport *transport;
    swk_signer_keys *keys;
    struct swk_signer_policy policy;
    uint32_t connections_per_user_max;
    swk_signer_service *service;
    pthread_t thread;
    atomic_bool stop;
    swk_signer_client *client;
    const struct swk_signer *signer;
    struct swki_buf node_key;
    struct swki_buf csr;
};

/* How a job ended. */
struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    uint64_t id;
    int code;
    char text[SWK_ERROR_TEXT_SIZE];
    struct swki_buf certificate;
};

static void outcome_init(struct outcome *o)
{
    memset(o, 0, sizeof(*o));
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->changed, NULL);
    swki_buf_init(&o->certificate, NULL, SIZE_MAX);
}

static void outcome_fini(struct outcome *o)
{
    swki_buf_fini(&o->certificate);
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->lock);
}

static void done(void *ctx, uint64_t id, const struct swk_sign_result *result)
{
    struct outcome *o = ctx;

    pthread_mutex_lock(&o->lock);
    o->count++;
    o->id = id;
    o->code = result->code;
    snprintf(o->text, sizeof(o->text), "%s",
             result->text == NULL ? "" : result->text);
    swki_buf_clear(&o->certificate);
    swki_buf_append(&o->certificate, result->certificate.data,
                    result->certificate.len);
    assert_int_equal(result->key.len, 0);
    pthread_cond_signal(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

static void await(struct outcome *o, unsigned count)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    pthread_mutex_lock(&o->lock);
    while (o->count < count) {
        assert_int_equal(pthread_cond_timedwait(&o->changed, &o->lock, &until),
                         0);
    }
    pthread_mutex_unlock(&o->lock);
}

static void *serve(void *arg)
{
    struct f *f = arg;

    while (!atomic_load(&f->stop)) {
        assert_int_equal(
            swk_signer_service_process(f->service, 20 * SWK_MILLISECOND, NULL),
            0);
    }
    return NULL;
}

static void start_service(struct f *f)
{
    struct swk_signer_service_config config = SWK_SIGNER_SERVICE_CONFIG_INIT;
    struct swk_signer_keys_config keys = SWK_SIGNER_KEYS_CONFIG_INIT;
    struct swk_error err = {0};

    keys.clock = swk_posix_clock();
    keys.entropy = swk_posix_entropy();
    keys.dir = f->dir.path;
    assert_int_equal(swk_signer_keys_open(&keys, &f->keys, NULL), 0);
    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.transport = swk_nng_transport_port(f->transport);
    config.keys = f->keys;
    config.socket_path = f->path;
    config.policy = &f->policy;
    config.connections_per_user_max = f->connections_per_user_max;
    if (swk_signer_service_new(&config, &f->service, &err) != 0) {
        fail_msg("%s", err.text);
    }
    atomic_store(&f->stop, false);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void stop_service(struct f *f)
{
    atomic_store(&f->stop, true);
    pthread_join(f->thread, NULL);
    swk_signer_service_free(f->service);
    swk_signer_keys_free(f->keys);
    f->service = NULL;
}

static void start_client(struct f *f, const char *path, swk_time timeout_ns,
                         uint32_t jobs_max)
{
    struct swk_signer_client_config config = SWK_SIGNER_CLIENT_CONFIG_INIT;
    char address[128];

    snprintf(address, sizeof(address), "unix:%s", path);
    config.clock = swk_posix_clock();
    config.address = address;
    config.timeout_ns = timeout_ns;
    config.jobs_max = jobs_max;
    swk_signer_client_free(f->client);
    assert_int_equal(swk_signer_client_new(&config, &f->client, NULL), 0);
    f->signer = swk_signer_client_port(f->client);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 5);
    pki_request(&f->pki, &f->node_key, &f->csr);
    directory_init(&f->dir);
    snprintf(f->path, sizeof(f->path), "%s/signer.sock", f->dir.path);
    snprintf(f->log_path, sizeof(f->log_path), "%s/signatures.log",
             f->dir.path);
    f->policy.size = sizeof(f->policy);
    assert_int_equal(swk_nng_transport_new(NULL, NULL, &f->transport, NULL), 0);
    start_service(f);
    start_client(f, f->path, 0, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swk_signer_client_free(f->client);
    if (f->service != NULL) {
        stop_service(f);
    }
    swk_nng_transport_free(f->transport);
    swki_buf_fini(&f->csr);
    swki_buf_fini(&f->node_key);
    pki_fini(&f->pki);
    directory_fini(&f->dir);
    free(f);
    return 0;
}

static struct swk_bytes bytes_of(const struct swki_buf *buf)
{
    return (struct swk_bytes){buf->data, buf->len};
}

static struct swk_sign_request request_of(int kind)
{
    const struct swk_clock *clock = swk_posix_clock();

    return (struct swk_sign_request){
        .size = sizeof(struct swk_sign_request),
        .kind = kind,
        .now = clock->wall(clock->ctx),
        .swarm_id = PKI_SWARM,
    };
}

static struct swk_sign_request node_request(const struct f *f,
                                            const struct swki_buf *authority)
{
    struct swk_sign_request request = request_of(SWK_SIGN_NODE);

    request.authority = bytes_of(authority);
    request.node_id = NODE;
    request.role = SWK_NODE_WORKER;
    request.validity_ns = 24 * SWK_HOUR;
    request.csr = bytes_of(&f->csr);
    return request;
}

/* Hands a job over and waits for its end. */
static int sign(struct f *f, const struct swk_sign_request *request,
                struct outcome *o)
{
    unsigned count = o->count;

    assert_int_equal(
        f->signer->sign(f->signer->ctx, 77 + count, request, done, o, NULL), 0);
    await(o, count + 1);
    assert_int_equal(o->id, 77 + count);
    return o->code;
}

static void make_root(struct f *f, struct outcome *root)
{
    struct swk_sign_request request = request_of(SWK_SIGN_ROOT);

    outcome_init(root);
    assert_int_equal(sign(f, &request, root), 0);
}

static size_t lines_of_log(const struct f *f, const char *text)
{
    struct swki_buf log;
    size_t count = 0;

    swki_buf_init(&log, NULL, SIZE_MAX);
    assert_int_equal(swki_file_read(f->log_path, 1 << 20, &log, NULL), 0);
    pki_end(&log);
    for (const char *at = pki_text(&log); (at = strstr(at, text)) != NULL;
         at++) {
        count++;
    }
    swki_buf_fini(&log);
    return count;
}

static void a_node_a_root_and_a_cross_certificate_are_signed(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request;
    struct swki_identity identity;
    struct outcome old;
    struct outcome fresh;
    struct outcome o;
    char line[96];

    outcome_init(&o);
    make_root(f, &old);
    request = node_request(f, &old.certificate);
    assert_int_equal(sign(f, &request, &o), 0);
    assert_int_equal(swki_certificate_identity(swki_pem_of_buf(&o.certificate),
                                               &identity, NULL),
                     0);
    assert_string_equal(identity.node_id, NODE);
    assert_string_equal(identity.swarm_id, PKI_SWARM);
    assert_int_equal(identity.role, SWKI_ROLE_WORKER);

    struct swki_chain chain = {
        .certificates = swki_pem_of_buf(&o.certificate),
        .roots = swki_pem_of_buf(&old.certificate),
        .now = request.now,
    };
    assert_int_equal(swki_chain_verify(&chain, NULL, NULL), 0);

    request = request_of(SWK_SIGN_CHECK);
    request.authority = bytes_of(&old.certificate);
    assert_int_equal(sign(f, &request, &o), 0);
    assert_int_equal(o.certificate.len, 0);
    request.authority = bytes_of(&f->pki.root);
    assert_int_equal(sign(f, &request, &o), SWK_EUNAVAILABLE);

    make_root(f, &fresh);
    request = request_of(SWK_SIGN_CROSS);
    request.authority = bytes_of(&old.certificate);
    request.root = bytes_of(&fresh.certificate);
    assert_int_equal(sign(f, &request, &o), 0);
    chain.certificates = swki_pem_of_buf(&o.certificate);
    assert_int_equal(swki_chain_verify(&chain, NULL, NULL), 0);

    assert_int_equal(lines_of_log(f, "\"outcome\":\"signed\""), 4);
    assert_int_equal(lines_of_log(f, "\"nodeId\":\"" NODE "\""), 1);
    assert_int_equal(lines_of_log(f, "PRIVATE"), 0);
    snprintf(line, sizeof(line), "\"pid\":\"%d\"}\n", (int)getpid());
    assert_int_equal(lines_of_log(f, line), 5); /* one was refused */
    outcome_fini(&fresh);
    outcome_fini(&old);
    outcome_fini(&o);
}

static void a_refusal_comes_in_the_signers_words(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request;
    struct outcome root;
    struct outcome o;

    outcome_init(&o);
    make_root(f, &root);
    request = node_request(f, &root.certificate);
    request.validity_ns = 4000 * SWK_HOUR;
    assert_int_equal(sign(f, &request, &o), SWK_EDENIED);
    assert_string_equal(o.text, "swarm-signer: a validity of 4000 h was asked "
                                "for, and 2160 h are the most");
    request = node_request(f, &root.certificate);
    request.csr = (struct swk_bytes){"garbage", 7};
    assert_int_equal(sign(f, &request, &o), SWK_EINVAL);
    request = node_request(f, &root.certificate);
    request.now -= (swk_wall)SWK_HOUR;
    assert_int_equal(sign(f, &request, &o), SWK_EPRECONDITION);
    assert_int_equal(lines_of_log(f, "\"outcome\":\"refused\""), 3);
    assert_int_equal(lines_of_log(f, "2160 h are the most"), 1);
    outcome_fini(&root);
    outcome_fini(&o);
}

static void a_signer_that_was_away_is_found_again(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request;
    struct outcome root;
    struct outcome o;

    outcome_init(&o);
    make_root(f, &root);
    request = node_request(f, &root.certificate);
    assert_int_equal(sign(f, &request, &o), 0);
    stop_service(f);
    assert_int_equal(sign(f, &request, &o), SWK_EUNAVAILABLE);
    assert_int_equal(sign(f, &request, &o), SWK_EUNAVAILABLE);
    start_service(f);
    assert_int_equal(sign(f, &request, &o), 0);

    /* It serves the same swarm still, and no other. */
    request.swarm_id = "swarm0000000000000000000b";
    assert_int_equal(sign(f, &request, &o), SWK_EDENIED);
    outcome_fini(&root);
    outcome_fini(&o);
}

static void nothing_leaves_that_is_not_in_the_log(void **state)
{
    struct f *f = *state;
    struct rlimit before;
    struct rlimit limit;
    struct swk_sign_request request;
    struct outcome root;
    struct outcome o;
    struct stat st;
    size_t lines;

    outcome_init(&o);
    make_root(f, &root);
    request = node_request(f, &root.certificate);
    assert_int_equal(sign(f, &request, &o), 0);
    lines = lines_of_log(f, "\n");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(stat(f->log_path, &st), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)st.st_size + 40;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(sign(f, &request, &o), SWK_EUNAVAILABLE);
    assert_int_equal(o.certificate.len, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(lines_of_log(f, "\n"), lines); /* no half line */
    assert_int_equal(sign(f, &request, &o), 0);
    assert_int_equal(lines_of_log(f, "\n"), lines + 1);
    outcome_fini(&root);
    outcome_fini(&o);
}

static void a_node_is_not_new_after_a_restart_either(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request;
    struct swki_buf key;
    struct swki_buf csr;
    struct swki_buf had;
    struct outcome root;
    struct outcome o;

    outcome_init(&o);
    make_root(f, &root);
    request = node_request(f, &root.certificate);
    assert_int_equal(sign(f, &request, &o), 0);
    swki_buf_init(&had, NULL, SIZE_MAX);
    swki_buf_append(&had, o.certificate.data, o.certificate.len);
    for (int i = 0; i < 2; i++) {
        /* The answer was lost: the same request once more. */
        request = node_request(f, &root.certificate);
        assert_int_equal(sign(f, &request, &o), 0);
        request.role = SWK_NODE_MANAGER;
        assert_int_equal(sign(f, &request, &o), SWK_EDENIED);
        request.role = SWK_NODE_WORKER;
        pki_request(&f->pki, &key, &csr);
        request.csr = bytes_of(&csr);
        assert_int_equal(sign(f, &request, &o), SWK_EDENIED);
        assert_non_null(strstr(o.text, "is not new"));
        request.previous = bytes_of(&had);
        assert_int_equal(sign(f, &request, &o), 0);
        request.csr = bytes_of(&f->csr);
        assert_int_equal(sign(f, &request, &o), 0);
        swki_buf_fini(&csr);
        swki_buf_fini(&key);
        stop_service(f);
        start_service(f);
        sign(f, &request, &o); /* finds it again */
    }
    swki_buf_fini(&had);
    outcome_fini(&root);
    outcome_fini(&o);
}

static swk_signer_keys *open_tool(const struct f *f)
{
    struct swk_signer_keys_config config = SWK_SIGNER_KEYS_CONFIG_INIT;
    swk_signer_keys *tool;

    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.dir = f->dir.path;
    config.flags = SWK_SIGNER_KEYS_NAMES_ONLY;
    assert_int_equal(swk_signer_keys_open(&config, &tool, NULL), 0);
    return tool;
}

static void what_is_removed_signs_nothing_any_more(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request;
    struct swk_authority one;
    swk_signer_keys *tool;
    struct outcome root;
    struct outcome o;
    char line[160];

    outcome_init(&o);
    make_root(f, &root);
    request = node_request(f, &root.certificate);
    assert_int_equal(sign(f, &request, &o), 0);
    tool = open_tool(f);
    assert_int_equal(swk_signer_keys_at(tool, 0, &one), 1);
    assert_int_equal(swk_signer_keys_remove(tool, one.fingerprint, NULL), 0);
    swk_signer_keys_free(tool);
    assert_int_equal(sign(f, &request, &o), SWK_EUNAVAILABLE);
    assert_non_null(strstr(o.text, "is not here"));
    snprintf(line, sizeof(line),
             "\"call\":\"Remove\",\"outcome\":\"removed\",\"authority\":"
             "\"%s\"",
             one.fingerprint);
    assert_int_equal(lines_of_log(f, line), 1);
    outcome_fini(&root);
    outcome_fini(&o);
}

/* Nobody has to ask for anything. */
static void what_is_removed_is_dropped_by_itself(void **state)
{
    struct f *f = *state;
    struct swk_authority one;
    swk_signer_keys *tool;
    struct outcome root;

    make_root(f, &root);
    tool = open_tool(f);
    assert_int_equal(swk_signer_keys_at(tool, 0, &one), 1);
    assert_int_equal(swk_signer_keys_remove(tool, one.fingerprint, NULL), 0);
    swk_signer_keys_free(tool);
    for (int i = 0; lines_of_log(f, "\"outcome\":\"removed\"") == 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
        assert_in_range(i, 0, 500);
    }
    outcome_fini(&root);
}

static void an_operator_lets_a_node_become_a_manager_once(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request;
    swk_signer_keys *tool;
    struct outcome root;
    struct outcome o;

    stop_service(f);
    f->policy.flags = SWK_SIGNER_APPROVE_MANAGERS;
    start_service(f);
    outcome_init(&o);
    make_root(f, &root);
    request = node_request(f, &root.certificate);
    request.role = SWK_NODE_MANAGER;
    assert_int_equal(sign(f, &request, &o), 0); /* the founder */
    request.node_id = "node00000000000000000000b";
    assert_int_equal(sign(f, &request, &o), SWK_EABORTED);
    tool = open_tool(f);
    assert_int_equal(
        swk_signer_keys_allow(tool, "node00000000000000000000b", 0, NULL),
        SWK_ENOTFOUND);
    assert_int_equal(swk_signer_keys_allow(tool, "two words", 1, NULL),
                     SWK_EINVAL);
    assert_int_equal(swk_signer_keys_allow(tool, "node00000000000000000000b",
                                           SWK_HOUR, NULL),
                     0);
    assert_int_equal(sign(f, &request, &o), 0);

    /* It was used up; what was taken back does not count either. */
    assert_int_equal(
        swk_signer_keys_allow(tool, "node00000000000000000000b", 0, NULL),
        SWK_ENOTFOUND);
    request.node_id = "node00000000000000000000c";
    assert_int_equal(swk_signer_keys_allow(tool, "node00000000000000000000c",
                                           SWK_HOUR, NULL),
                     0);
    assert_int_equal(
        swk_signer_keys_allow(tool, "node00000000000000000000c", 0, NULL), 0);
    assert_int_equal(sign(f, &request, &o), SWK_EABORTED);
    swk_signer_keys_free(tool);
    outcome_fini(&root);
    outcome_fini(&o);
}

/* Somebody who accepts and says nothing. */
static int silent_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(
        bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static void every_job_ends_once_whatever_happens(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request = request_of(SWK_SIGN_ROOT);
    struct swk_error err;
    struct outcome o;
    struct outcome none;
    char path[96];
    int fd;

    snprintf(path, sizeof(path), "%s/silent.sock", f->dir.path);
    fd = silent_socket(path);
    outcome_init(&o);
    outcome_init(&none);
    start_client(f, path, 100 * SWK_MILLISECOND, 2);
    assert_int_equal(sign(f, &request, &o), SWK_ETIMEDOUT);

    start_client(f, path, 60 * SWK_SECOND, 2);
    assert_int_equal(
        f->signer->sign(f->signer->ctx, 1, &request, done, &o, &err), 0);
    assert_int_equal(
        f->signer->sign(f->signer->ctx, 2, &request, done, &none, &err), 0);
    assert_int_equal(
        f->signer->sign(f->signer->ctx, 3, &request, done, &o, &err),
        SWK_ELIMIT);
    f->signer->forget(f->signer->ctx, &none);
    swk_signer_client_free(f->client);
    f->client = NULL;
    assert_int_equal(o.count, 2);
    assert_int_equal(o.code, SWK_ECANCELED);
    assert_int_equal(none.count, 0);
    close(fd);
    outcome_fini(&none);
    outcome_fini(&o);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(
        connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
    return fd;
}

static void a_user_has_so_many_connections(void **state)
{
    struct f *f = *state;
    struct swk_sign_request request = request_of(SWK_SIGN_ROOT);
    struct outcome o;
    char byte;
    int fds[3];

    stop_service(f);
    f->connections_per_user_max = 2;
    start_service(f);
    outcome_init(&o);
    for (int i = 0; i < 3; i++) {
        fds[i] = connect_to(f->path);
    }
    assert_int_equal(read(fds[2], &byte, 1), 0); /* hung up on */
    assert_int_equal(recv(fds[1], &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(sign(f, &request, &o), SWK_EUNAVAILABLE);
    close(fds[0]);
    while (sign(f, &request, &o) == SWK_EUNAVAILABLE) {
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
        assert_in_range(o.count, 0, 500);
    }
    assert_int_equal(o.code, 0);
    close(fds[1]);
    close(fds[2]);
    outcome_fini(&o);
}

static void external_authorities_are_not_for_it(void **state)
{
    static const char *const urls[] = {"https://ca.example"};
    struct f *f = *state;
    struct swk_sign_request request = node_request(f, &f->csr);
    struct swk_error err;
    struct outcome o;

    outcome_init(&o);
    request.urls = urls;
    request.urls_count = 1;
    assert_int_equal(
        f->signer->sign(f->signer->ctx, 1, &request, done, &o, &err),
        SWK_ENOTSUP);
    assert_int_equal(o.count, 0);
    outcome_fini(&o);
}

static void a_directory_has_one_service(void **state)
{
    struct f *f = *state;
    struct swk_signer_service_config config = SWK_SIGNER_SERVICE_CONFIG_INIT;
    swk_signer_service *second;
    struct swk_error err;
    char path[96];

    snprintf(path, sizeof(path), "%s/second.sock", f->dir.path);
    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.transport = swk_nng_transport_port(f->transport);
    config.keys = f->keys;
    config.socket_path = path;
    assert_int_equal(swk_signer_service_new(&config, &second, &err), SWK_EBUSY);
}

static void an_authority_is_found_that_was_brought_while_it_serves(void **state)
{
    struct f *f = *state;
    struct swk_signer_keys_config config = SWK_SIGNER_KEYS_CONFIG_INIT;
    struct swk_sign_request request;
    struct swki_buf pair;
    swk_signer_keys *tool;
    struct outcome o;

    outcome_init(&o);
    request = node_request(f, &f->pki.root);
    request.now = 0;
    assert_int_equal(sign(f, &request, &o), SWK_EPRECONDITION);
    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.dir = f->dir.path;
    assert_int_equal(swk_signer_keys_open(&config, &tool, NULL), 0);

    /* A root of now: that of the fixture is of another time. */
    struct swki_buf key;
    struct swki_buf root;
    swki_buf_init(&key, NULL, SIZE_MAX);
    swki_buf_init(&root, NULL, SIZE_MAX);
    swki_buf_init(&pair, NULL, SIZE_MAX);
    request = request_of(SWK_SIGN_NODE);
    assert_int_equal(swki_key_generate(&f->pki.entropy, &key, NULL), 0);
    assert_int_equal(swki_root_create(swki_pem_of_buf(&key), request.now,
                                      &f->pki.entropy, &root, NULL),
                     0);
    request = node_request(f, &root);
    assert_int_equal(sign(f, &request, &o), SWK_EUNAVAILABLE);
    assert_non_null(strstr(o.text, "swarm-signer import"));
    swki_buf_append(&pair, root.data, root.len);
    swki_buf_append(&pair, key.data, key.len);
    assert_int_equal(swk_signer_keys_import(tool, bytes_of(&pair),
                                            (struct swk_bytes){0}, 0, NULL,
                                            NULL),
                     0);
    while (sign(f, &request, &o) == SWK_EUNAVAILABLE) {
        /* It looks again after a second. */
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
        assert_in_range(o.count, 0, 200);
    }
    assert_string_equal(o.text, "");
    assert_int_equal(o.code, 0);
    swk_signer_keys_free(tool);
    swki_buf_fini(&pair);
    swki_buf_fini(&root);
    swki_buf_fini(&key);
    outcome_fini(&o);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_node_a_root_and_a_cross_certificate_are_signed),
        TEST(a_refusal_comes_in_the_signers_words),
        TEST(a_signer_that_was_away_is_found_again),
        TEST(nothing_leaves_that_is_not_in_the_log),
        TEST(a_node_is_not_new_after_a_restart_either),
        TEST(what_is_removed_signs_nothing_any_more),
        TEST(what_is_removed_is_dropped_by_itself),
        TEST(an_operator_lets_a_node_become_a_manager_once),
        TEST(every_job_ends_once_whatever_happens),
        TEST(a_user_has_so_many_connections),
        TEST(external_authorities_are_not_for_it),
        TEST(a_directory_has_one_service),
        TEST(an_authority_is_found_that_was_brought_while_it_serves),
    };

    return cmocka_run_group_tests_name("signer service", tests, NULL, NULL);
}
