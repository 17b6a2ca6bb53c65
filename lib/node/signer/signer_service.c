/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls come in, the notary decides, the key signs, the log tells of it, and
 * then the answers leave: those of a turn share one sync of the log.
 */

#include <swarmkit/signer_service.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "core/signer/notary.h"
#include "node/rpc/server.h"
#include "node/signer/signer_approvals.h"
#include "node/signer/signer_keys.h"
#include "node/signer/signer_load.h"
#include "node/signer/signer_log.h"
#include "node/signer/signer_record.h"
#include "node/signer/signer_register.h"
#include "node/signer/signer_request.h"
#include "runtime/loop/loop.h"
#include "wire/message.h"
#include "wire/status.h"
#include "wire/time.h"

enum {
    JOBS_PER_TURN = 16, /* some 40 ms */
    REQUEST_MAX = 256 * 1024,
    ARENA_MAX = 1024 * 1024,
    UNSENT_MAX = 4 * 1024 * 1024,
    CONNECTIONS_MAX = 64,
    CONNECTIONS_PER_USER_MAX = 16,
};

struct job {
    struct swki_link link; /* among those that wait, or that are answered */
    struct swki_rpc_call *call;
    struct swki_signer_caller *caller;
    size_t bytes; /* of the request */
    struct swki_arena arena;
    struct swki_signer_request request;
    struct swki_buf answer;
    int status; /* enum swki_status */
    char text[SWK_ERROR_TEXT_SIZE];
};

struct swk_signer_service {
    struct swk_signer_service_config config;
    struct swk_signer_keys *keys;
    struct swki_notary notary;
    bool has_notary;
    struct swki_signer_register nodes;
    struct swki_signer_log log;
    struct swki_loop *loop;
    struct swki_loop_member member;
    struct swki_rpc_server *server;
    struct swki_link waiting;
    struct swki_link answered; /* before the log is on the disk */
    struct swki_signer_load load;
    swk_time refresh_at; /* of the keys, even if nobody asks for anything */
    char refresh_error[SWK_ERROR_TEXT_SIZE]; /* as it was told */
    int lock_fd;
};

/* -- Jobs -------------------------------------------------------------------
 */

static struct job *first_job(struct swki_link *list)
{
    return SWKI_CONTAINER(list->next, struct job, link);
}

static void free_job(struct swk_signer_service *service, struct job *job)
{
    swki_signer_load_release(&service->load, job->caller, job->bytes);
    swki_list_remove(&job->link);
    swki_buf_fini(&job->answer);
    swki_arena_fini(&job->arena);
    swki_free(service->config.alloc, job);
}

/* NULL with the reason if it cannot be taken. */
static struct job *new_job(struct swk_signer_service *service,
                           struct swki_rpc_call *call, size_t bytes,
                           const char **out_why)
{
    const struct swk_alloc *alloc = service->config.alloc;
    struct swki_signer_caller *caller;
    struct job *job;

    *out_why = swki_signer_load_take(&service->load, swki_rpc_call_info(call),
                                     bytes, &caller);
    if (*out_why != NULL) {
        return NULL;
    }
    job = swki_calloc(alloc, 1, sizeof(*job));
    if (job == NULL) {
        *out_why = "no memory";
        swki_signer_load_release(&service->load, caller, bytes);
        return NULL;
    }
    job->call = call;
    job->caller = caller;
    job->bytes = bytes;
    swki_arena_init(&job->arena, alloc, ARENA_MAX);
    swki_buf_init(&job->answer, alloc, REQUEST_MAX);
    swki_list_append(&service->waiting, &job->link);
    return job;
}

static void on_request(void *ctx, struct swki_rpc_call *call,
                       const uint8_t *data, size_t len, swk_time now)
{
    struct swk_signer_service *service = ctx;
    const char *why;
    struct job *job = new_job(service, call, len, &why);
    struct swk_error err;

    (void)now;
    swki_rpc_call_set_ctx(call, job);
    if (job == NULL) {
        swki_rpc_call_end(call, SWKI_STATUS_RESOURCE_EXHAUSTED, why);
        return;
    }
    if (swki_signer_request_read(swki_rpc_call_info(call)->path, data, len,
                                 &job->arena, &job->request, &err) != 0) {
        swki_list_remove(&job->link); /* it only waits for its closed() */
        swki_rpc_call_end(call, (int)swki_status_from_error(err.code),
                          err.text);
    }
    swki_loop_wake(service->loop);
}

static void on_closed(void *ctx, struct swki_rpc_call *call, swk_time now)
{
    struct job *job = swki_rpc_call_ctx(call);

    (void)now;
    if (job != NULL) {
        free_job(ctx, job);
    }
}

/* -- Signing ----------------------------------------------------------------
 */

/* New managers are rare: what was allowed is read for each. */
static void read_approvals(struct swk_signer_service *service,
                           const struct swki_notary_request *request)
{
    uint32_t flags = service->notary.policy.flags;
    struct swk_error err;

    if (request->kind == SWKI_NOTARY_NODE &&
        request->role == SWKI_ROLE_MANAGER &&
        (flags & SWK_SIGNER_APPROVE_MANAGERS) != 0 &&
        swki_signer_approvals_read(service->keys, &service->notary.approvals,
                                   &err) != 0) {
        swki_log(service->config.logger, SWK_LOG_WARN, "signer", "%s",
                 err.text);
    }
}

static int decide(struct swk_signer_service *service, swk_time now,
                  swk_wall wall, const struct swki_notary_request *request,
                  struct swki_notary_decision *decision, struct swk_error *err)
{
    read_approvals(service, request);
    return swki_notary_decide(&service->notary, now, wall, request, decision,
                              err);
}

static int sign_node(swk_wall wall, const struct swki_notary_request *request,
                     const struct swki_notary_decision *decision,
                     struct swki_buf *out_pem, struct swk_error *err)
{
    const struct swki_leaf leaf = {
        .node_id = request->node_id,
        .swarm_id = request->swarm_id,
        .role = request->role,
        .now = wall,
        .validity_ns = request->validity_ns,
    };

    return swki_signer_issue(decision->authority->signer, request->csr, &leaf,
                             out_pem, err);
}

static int give_root(struct swk_signer_service *service,
                     struct swki_notary_decision *decision,
                     struct swki_buf *out_pem, struct swk_error *err)
{
    int rc =
        decision->authority != NULL
            ? SWK_OK
            : swki_signer_keys_make(service->keys, &decision->authority, err);

    if (rc == 0 &&
        !swki_buf_append(out_pem, decision->authority->certificate.data,
                         decision->authority->certificate.len)) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

static int sign(struct swk_signer_service *service, swk_wall wall,
                const struct swki_notary_request *request,
                struct swki_notary_decision *decision, struct swki_buf *out_pem,
                struct swk_error *err)
{
    switch (request->kind) {
    case SWKI_NOTARY_NODE:
        return sign_node(wall, request, decision, out_pem, err);
    case SWKI_NOTARY_ROOT:
        return give_root(service, decision, out_pem, err);
    case SWKI_NOTARY_CROSS:
        return swki_signer_cross_sign(decision->authority->signer,
                                      swki_pem_first(request->root), out_pem,
                                      err);
    case SWKI_NOTARY_CHECK:
        return SWK_OK;
    }
    return swki_fail(err, SWK_EINVAL, "nothing to sign");
}

static int mark_used(struct swk_signer_service *service,
                     const struct swki_authority *authority,
                     struct swk_error *err)
{
    return authority == NULL || authority->used
               ? SWK_OK
               : swki_signer_keys_mark_used(service->keys, authority, err);
}

static int remember_node(struct swk_signer_service *service, swk_wall wall,
                         const struct swki_notary_request *request,
                         const struct swki_notary_decision *decision,
                         const struct swki_buf *pem, struct swk_error *err)
{
    struct swki_register_record record;
    int rc = swki_notary_record(request, swki_pem_of_buf(pem), &record, err);

    if (rc == 0 && decision->approved) {
        rc = swki_signer_approvals_use(
            service->keys, &service->notary.approvals, request->node_id, err);
    }
    if (rc == 0) {
        rc = swki_signer_register_add(&service->nodes, &record, wall, err);
    }
    if (rc == 1) { /* it has shown a certificate; so it can later too */
        swki_log(service->config.logger, SWK_LOG_WARN, "signer",
                 "node %s is not remembered: there are %" PRIu32 " already",
                 request->node_id, service->notary.policy.nodes_max);
        rc = SWK_OK;
    }
    return rc;
}

/* What must be known after a restart too. */
static int remember(struct swk_signer_service *service, swk_wall wall,
                    const struct swki_notary_request *request,
                    const struct swki_notary_decision *decision,
                    const struct swki_buf *pem, struct swk_error *err)
{
    int rc = SWK_OK;

    if (request->kind == SWKI_NOTARY_ROOT ||
        request->kind == SWKI_NOTARY_CHECK) {
        return SWK_OK;
    }
    if (service->keys->swarm_id[0] == '\0') {
        rc = swki_signer_keys_bind(service->keys, request->swarm_id, err);
    }
    if (rc == 0) {
        rc = mark_used(service, decision->authority, err);
    }
    if (rc == 0) {
        rc = mark_used(service, decision->subject, err);
    }
    return rc != 0 || request->kind != SWKI_NOTARY_NODE
               ? rc
               : remember_node(service, wall, request, decision, pem, err);
}

/* -- The log ----------------------------------------------------------------
 */

static void write_record(struct swk_signer_service *service, struct job *job,
                         swk_wall wall,
                         const struct swki_notary_decision *decision,
                         const struct swki_buf *pem,
                         const struct swk_error *why, uint64_t left_out)
{
    const struct swki_signer_event event = {
        .wall = wall,
        .caller = swki_rpc_call_info(job->call),
        .request = &job->request,
        .decision = decision,
        .certificate = swki_pem_of_buf(pem),
        .why = why,
        .left_out = left_out,
    };

    swki_signer_record_add(&event, &job->arena, &service->log,
                           service->config.logger);
}

/* -- Answers ----------------------------------------------------------------
 */

static void set_failure(struct job *job, const struct swk_error *why)
{
    /* A disk that is full now need not be so for ever. */
    job->status = why->code == SWK_EIO ? SWKI_STATUS_UNAVAILABLE
                                       : (int)swki_status_from_error(why->code);
    snprintf(job->text, sizeof(job->text), "%s", why->text);
}

static int put_answer(struct job *job, enum swki_notary_kind kind,
                      const struct swki_buf *pem, struct swk_error *err)
{
    const ProtobufCBinaryData bytes = {.len = pem->len, .data = pem->data};
    Swkpb__Rpc__SignNodeResponse node = SWKPB__RPC__SIGN_NODE_RESPONSE__INIT;
    Swkpb__Rpc__CreateRootResponse root =
        SWKPB__RPC__CREATE_ROOT_RESPONSE__INIT;
    Swkpb__Rpc__CrossSignResponse cross = SWKPB__RPC__CROSS_SIGN_RESPONSE__INIT;
    const Swkpb__Rpc__CheckAuthorityResponse check =
        SWKPB__RPC__CHECK_AUTHORITY_RESPONSE__INIT;
    const ProtobufCMessage *answer = NULL;

    node.certificate = root.certificate = cross.certificate = bytes;
    switch (kind) {
    case SWKI_NOTARY_NODE:
        answer = &node.base;
        break;
    case SWKI_NOTARY_ROOT:
        answer = &root.base;
        break;
    case SWKI_NOTARY_CROSS:
        answer = &cross.base;
        break;
    case SWKI_NOTARY_CHECK:
        answer = &check.base;
        break;
    }
    return swki_message_pack(answer, &job->answer, err);
}

static void serve(struct swk_signer_service *service, struct job *job,
                  swk_time now)
{
    const struct swki_notary_request *request = &job->request.notary;
    const struct swk_clock *clock = service->config.clock;
    swk_wall wall = clock->wall(clock->ctx);
    struct swki_notary_decision decision = {0};
    struct swk_error why = {0};
    uint64_t left_out = 0;
    struct swki_buf pem;
    bool told;
    int rc;

    swki_buf_init(&pem, service->config.alloc, SWKI_PEM_LEN_MAX);
    rc = decide(service, now, wall, request, &decision, &why);
    if (rc == 0) {
        rc = sign(service, wall, request, &decision, &pem, &why);
    }
    if (rc == 0) {
        rc = remember(service, wall, request, &decision, &pem, &why);
    }
    if (rc == 0) {
        rc = put_answer(job, request->kind, &pem, &why);
    }
    if (rc == 0) {
        swki_notary_signed(&service->notary, request, &decision);
        why = (struct swk_error){0};
        told = request->kind != SWKI_NOTARY_CHECK;
    } else {
        told = swki_notary_refused(&service->notary, now, rc, &left_out);
        set_failure(job, &why);
    }
    if (told) {
        write_record(service, job, wall, &decision, &pem, &why, left_out);
    }
    swki_buf_fini(&pem);
}

static void describe(struct swk_signer_service *service, struct job *job)
{
    const struct swk_clock *clock = service->config.clock;
    Swkpb__Rpc__DescribeSignerResponse *response;
    struct swk_error err = {0};

    if (swki_signer_approvals_read(service->keys, &service->notary.approvals,
                                   &err) != 0) {
        set_failure(job, &err);
        return;
    }
    response = swki_notary_describe(&service->notary, clock->wall(clock->ctx),
                                    &job->arena);

    if (response == NULL) {
        swki_fail_nomem(&err);
    } else if (swki_message_pack(&response->base, &job->answer, &err) == 0) {
        return;
    }
    set_failure(job, &err);
}

/* Nothing leaves that is not remembered, and of which the log does not tell. */
static void send_answers(struct swk_signer_service *service)
{
    struct swk_error err = {0};
    bool kept = swki_signer_register_sync(&service->nodes, &err) == 0;

    if (swki_signer_log_sync(&service->log, kept ? &err : NULL) != 0) {
        kept = false;
    }

    if (!kept) {
        swki_log(service->config.logger, SWK_LOG_ERROR, "signer", "%s",
                 err.text);
    }
    while (!swki_list_empty(&service->answered)) {
        struct job *job = first_job(&service->answered);

        swki_list_remove(&job->link);
        if (!kept) {
            set_failure(job, &err);
        }
        if (job->status == SWKI_STATUS_OK) {
            swki_rpc_call_send(job->call, job->answer.data, job->answer.len);
        }
        swki_rpc_call_end(job->call, job->status, job->text);
    }
}

/* -- What tools changed -----------------------------------------------------
 */

/* The fingerprints of the keys there are. */
struct held {
    char fingerprints[SWK_AUTHORITIES_MAX][SWK_FINGERPRINT_LEN + 1];
    size_t count;
};

static void note_held(const struct swki_authorities *authorities,
                      struct held *out_held)
{
    out_held->count = 0;
    for (struct swki_link *link = authorities->list.next;
         link != &authorities->list; link = link->next) {
        const struct swki_authority *one =
            SWKI_CONTAINER(link, struct swki_authority, link);

        if (one->signer != NULL) {
            memcpy(out_held->fingerprints[out_held->count++], one->fingerprint,
                   sizeof(one->fingerprint));
        }
    }
}

static void tell_removed(struct swk_signer_service *service,
                         const char *fingerprint)
{
    const struct swk_clock *clock = service->config.clock;
    swk_wall wall = clock->wall(clock->ctx);

    swki_notary_removed(&service->notary, fingerprint, wall);
    swki_signer_record_removed(fingerprint, wall, &service->log);
    swki_log(service->config.logger, SWK_LOG_WARN, "signer",
             "authority %s was removed: nothing is signed with it any more",
             fingerprint);
}

/* What is gone from the directory is gone from memory, and from here on nothing
 * is signed with it. */
static void refresh_keys(struct swk_signer_service *service, swk_time now)
{
    struct swki_authorities *authorities = &service->keys->authorities;
    struct swki_authority *found;
    struct swk_error err = {0};
    struct held held;

    note_held(authorities, &held);
    service->refresh_at = now + SWK_SECOND;
    if (swki_signer_keys_refresh(service->keys, &err) != 0 &&
        strcmp(err.text, service->refresh_error) != 0) {
        swki_log(service->config.logger, SWK_LOG_WARN, "signer", "%s",
                 err.text);
    }
    snprintf(service->refresh_error, sizeof(service->refresh_error), "%s",
             err.text);
    for (size_t i = 0; i < held.count; i++) {
        if (swki_authorities_named(authorities, held.fingerprints[i], &found,
                                   NULL) != 0) {
            tell_removed(service, held.fingerprints[i]);
        }
    }
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swk_signer_service *service = ctx;

    if (now >= service->refresh_at || !swki_list_empty(&service->waiting)) {
        refresh_keys(service, now);
    }
    for (int i = 0; i < JOBS_PER_TURN && !swki_list_empty(&service->waiting);
         i++) {
        struct job *job = first_job(&service->waiting);

        if (job->request.describe) {
            describe(service, job);
        } else {
            serve(service, job, now);
        }
        swki_list_remove(&job->link);
        swki_list_append(&service->answered, &job->link);
    }
    if (!swki_list_empty(&service->answered) || service->log.text.len > 0) {
        send_answers(service);
    }
    return swki_list_empty(&service->waiting) ? service->refresh_at : now;
}

/* -- Life -------------------------------------------------------------------
 */

static int lock_service(struct swk_signer_service *service,
                        struct swk_error *err)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), "%s/service.lock", service->keys->dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
              S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return swki_fail(err, errno == EACCES ? SWK_EDENIED : SWK_EIO,
                         "cannot open %s: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return swki_fail(err, SWK_EBUSY,
                         "another signer serves with the keys in %s",
                         service->keys->dir);
    }
    service->lock_fd = fd;
    return SWK_OK;
}

static int open_log(struct swk_signer_service *service, struct swk_error *err)
{
    const char *path = service->config.log_path;
    char usual[PATH_MAX];

    snprintf(usual, sizeof(usual), "%s/signatures.log", service->keys->dir);
    return swki_signer_log_open(&service->log, service->config.alloc,
                                "the log of signatures",
                                path != NULL ? path : usual, err);
}

static int open_socket(struct swk_signer_service *service,
                       struct swk_error *err)
{
    const struct swk_signer_service_config *config = &service->config;
    const char *path = config->socket_path;
    const struct swki_rpc_server_config server = {
        .alloc = config->alloc,
        .logger = config->logger,
        .clock = config->clock,
        .transport = config->transport,
        .loop = service->loop,
        .handler = {.ctx = service, .request = on_request, .closed = on_closed},
        .request_max = REQUEST_MAX,
        .unsent_max = UNSENT_MAX,
        .connections_max = CONNECTIONS_MAX,
        .local_users = config->users,
        .local_users_count = config->users_count,
        .connections_per_user_max = config->connections_per_user_max,
    };
    int rc = swki_rpc_server_new(&server, &service->server, err);

    if (rc == 0) {
        rc = swki_rpc_server_listen_local(service->server, path, err);
    }
    if (rc == 0 && config->group >= 0 &&
        (chown(path, (uid_t)-1, (gid_t)config->group) != 0 ||
         chmod(path, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) != 0)) {
        rc = swki_fail(err, SWK_EDENIED, "cannot give %s to group %lld: %s",
                       path, (long long)config->group, strerror(errno));
    }
    return rc;
}

static int open_service(struct swk_signer_service *service,
                        struct swk_error *err)
{
    struct swk_signer_policy policy = SWK_SIGNER_POLICY_INIT;
    int rc = SWK_OK;

    if (service->config.policy != NULL) {
        rc = swki_options_read(&policy, sizeof(policy), service->config.policy,
                               "swk_signer_policy", err);
    }
    if (rc == 0) {
        rc =
            swki_notary_init(&service->notary, &policy, service->keys->swarm_id,
                             &service->keys->authorities, err);
    }
    if (rc == 0) {
        service->has_notary = true;
        rc = lock_service(service, err);
    }
    if (rc == 0) {
        rc = swki_signer_register_open(&service->nodes, service->keys,
                                       &service->notary.nodes, err);
    }
    if (rc == 0) {
        rc = open_log(service, err);
    }
    if (rc == 0) {
        rc = swki_loop_new(service->config.alloc, service->config.clock,
                           &service->loop, err);
    }
    if (rc != 0) {
        return rc;
    }
    service->member = (struct swki_loop_member){.ctx = service, .turn = turn};
    swki_loop_add(service->loop, &service->member);
    return open_socket(service, err);
}

static int check_config(const struct swk_signer_service_config *config,
                        struct swk_error *err)
{
    if (config->clock == NULL || config->entropy == NULL ||
        config->transport == NULL || config->keys == NULL ||
        config->socket_path == NULL ||
        (config->users == NULL && config->users_count > 0)) {
        return swki_fail(err, SWK_EINVAL, "signer: NULL in the configuration");
    }
    return SWK_OK;
}

int swk_signer_service_new(const struct swk_signer_service_config *options,
                           swk_signer_service **out_service,
                           struct swk_error *err)
{
    struct swk_signer_service_config config;
    struct swk_signer_service *service;
    int rc;

    if (options == NULL || out_service == NULL) {
        return swki_fail(err, SWK_EINVAL, "signer: NULL argument");
    }
    rc = swki_options_read(&config, sizeof(config), options,
                           "swk_signer_service_config", err);
    if (rc == 0) {
        rc = check_config(&config, err);
    }
    if (rc != 0) {
        return rc;
    }
    service = swki_calloc(config.alloc, 1, sizeof(*service));
    if (service == NULL) {
        return swki_fail_nomem(err);
    }
    if (config.connections_per_user_max == 0) {
        config.connections_per_user_max = CONNECTIONS_PER_USER_MAX;
    }
    service->config = config;
    service->keys = config.keys;
    swki_signer_load_init(&service->load, &config);
    service->lock_fd = -1;
    service->log.fd = -1;
    swki_list_init(&service->waiting);
    swki_list_init(&service->answered);
    rc = open_service(service, err);
    if (rc != 0) {
        swk_signer_service_free(service);
        return rc;
    }
    *out_service = service;
    return SWK_OK;
}

int swk_signer_service_process(swk_signer_service *service, swk_time timeout_ns,
                               struct swk_error *err)
{
    const struct swk_clock *clock = service->config.clock;

    return swki_loop_wait(service->loop, clock->now(clock->ctx) + timeout_ns,
                          err);
}

void swk_signer_service_free(swk_signer_service *service)
{
    if (service == NULL) {
        return;
    }
    swki_rpc_server_free(service->server); /* every job is closed */
    if (service->loop != NULL) {
        swki_loop_remove(service->loop, &service->member);
    }
    swki_loop_free(service->loop);
    swki_signer_log_close(&service->log);
    swki_signer_register_close(&service->nodes);
    if (service->has_notary) {
        swki_notary_fini(&service->notary);
    }
    if (service->lock_fd >= 0) {
        close(service->lock_fd);
    }
    swki_free(service->config.alloc, service);
}
