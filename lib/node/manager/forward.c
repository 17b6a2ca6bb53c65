/* SPDX-License-Identifier: Apache-2.0 */

#include "node/manager/forward.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "base/roles.h"
#include "wire/methods.h"

/* An election takes about one. */
#define PATIENCE (3 * SWK_SECOND)

enum {
    LOCAL_SIZE = 64, /* of a local caller as text */
};

static const char no_leader[] =
    "The swarm does not have a leader. It's possible that too few managers are "
    "online. Make sure more than half of the managers are online.";

/* A call on its way to the leader. */
struct passed {
    struct swki_link link; /* in forward->waiting or forward->passed */
    struct swki_forward *forward;
    struct swki_rpc_call *call;
    const struct swki_method *method; /* NULL for one that is not known */
    struct swki_buf request; /* of one that waits or may be made again */
    uint64_t id;             /* on the connection to the leader; 0: not there */
    swk_time give_up_at;     /* while it waits */
    bool answered;           /* some of the answer is with the caller */
    bool again;              /* it is made for the second time */
    bool ended;
};

struct swki_forward {
    struct swki_forward_config config;
    struct swki_loop_member member;
    struct swki_rpc_client *client; /* to the leader, or NULL */
    bool reached;                   /* the client has been connected */
    struct swki_link waiting;       /* struct passed, oldest first */
    struct swki_link passed;
    size_t waiting_count;
    size_t waiting_size;
    uint64_t leader;
    uint64_t own;
    uint64_t last_id;
};

/* -- Calls ----------------------------------------------------------------- */

static struct passed *passed_of(struct swki_link *link)
{
    return SWKI_CONTAINER(link, struct passed, link);
}

static bool waits(const struct passed *p)
{
    return p->give_up_at != SWK_NEVER;
}

/* Takes a call out of its list. */
static void take_out(struct passed *p)
{
    struct swki_forward *forward = p->forward;

    if (waits(p)) {
        forward->waiting_count--;
        forward->waiting_size -= p->request.len;
        p->give_up_at = SWK_NEVER;
    }
    swki_list_remove(&p->link);
}

static void free_passed(struct passed *p)
{
    take_out(p);
    swki_buf_fini(&p->request);
    swki_free(p->forward->config.alloc, p);
}

/* The caller is told how it ended; closed() follows, and frees it. */
static void end(struct passed *p, int status, const char *text)
{
    take_out(p);
    p->id = 0;
    p->ended = true;
    swki_rpc_call_end(p->call, status, text);
}

static struct passed *find(struct swki_forward *forward, uint64_t id)
{
    for (struct swki_link *at = forward->passed.next; at != &forward->passed;
         at = at->next) {
        if (passed_of(at)->id == id) {
            return passed_of(at);
        }
    }
    return NULL;
}

static void wait_for_leader(struct passed *p, swk_time now)
{
    struct swki_forward *forward = p->forward;

    take_out(p);
    p->id = 0;
    if (forward->waiting_count >= SWKI_FORWARD_WAITING_MAX ||
        forward->waiting_size + p->request.len >
            SWKI_FORWARD_WAITING_SIZE_MAX) {
        end(p, SWKI_STATUS_UNAVAILABLE, no_leader);
        return;
    }
    p->give_up_at = now + forward->config.patience_ns;
    forward->waiting_count++;
    forward->waiting_size += p->request.len;
    swki_list_append(&forward->waiting, &p->link);
    swki_loop_wake(forward->config.loop);
}

static bool many_requests(const struct passed *p)
{
    return p->method != NULL && (p->method->kind == SWKI_METHOD_CLIENT_STREAM ||
                                 p->method->kind == SWKI_METHOD_BOTH_STREAM);
}

/* -- The leader's answers -------------------------------------------------- */

static void message(void *ctx, uint64_t call_id, const uint8_t *data,
                    size_t len, swk_time now)
{
    struct passed *p = find(ctx, call_id);

    (void)now;
    if (p != NULL) {
        p->answered = true;
        swki_rpc_call_send(p->call, data, len);
    }
}

/* Whether a call that failed may be made once more: the leader never got it, or
 * twice does no harm, since its request ID tells that it is the same. */
static bool may_repeat(const struct passed *p)
{
    bool unary = p->method != NULL && p->method->kind == SWKI_METHOD_UNARY;
    bool harmless =
        (p->method != NULL && (p->method->flags & SWKI_CALL_IDEMPOTENT) != 0) ||
        swki_rpc_call_info(p->call)->request_id[0] != '\0';

    return !p->answered && !p->again && !many_requests(p) &&
           (!p->forward->reached || (unary && harmless));
}

static void ended(void *ctx, uint64_t call_id, int status, const char *text,
                  swk_time now)
{
    struct passed *p = find(ctx, call_id);

    if (p == NULL) {
        return;
    }
    if (status == SWKI_STATUS_UNAVAILABLE && may_repeat(p)) {
        p->again = true;
        wait_for_leader(p, now);
        return;
    }
    end(p, status, text);
}

/* -- The connection -------------------------------------------------------- */

static void connected(void *ctx, swk_time now)
{
    struct swki_forward *forward = ctx;

    (void)now;
    forward->reached = true;
}

static void disconnected(void *ctx, const struct swk_error *reason,
                         swk_time now)
{
    struct swki_forward *forward = ctx;

    (void)reason;
    (void)now;
    swki_rpc_client_free(forward->client);
    forward->client = NULL;
    swki_loop_wake(forward->config.loop);
}

static int reach_leader(struct swki_forward *forward, struct swk_error *err)
{
    struct swki_rpc_client_config config = {
        .alloc = forward->config.alloc,
        .logger = forward->config.logger,
        .clock = forward->config.clock,
        .loop = forward->config.loop,
        .ctx = forward,
        .connected = connected,
        .disconnected = disconnected,
    };

    forward->reached = forward->reached && forward->client != NULL;
    return forward->client != NULL
               ? SWK_OK
               : forward->config.connect(forward->config.ctx, forward->leader,
                                         &config, &forward->client, err);
}

/* The caller as the leader is told of it. What came through the control socket
 * is this manager's own request; the address says whose it is here. */
static struct swki_rpc_header header_of(const struct passed *p, swk_time now,
                                        char local[LOCAL_SIZE])
{
    const struct swki_forward_config *config = &p->forward->config;
    const struct swki_rpc_call_info *info = swki_rpc_call_info(p->call);
    struct swki_rpc_header header = {
        .path = info->path,
        .request_id = info->request_id,
        .timeout_ns = info->deadline == SWK_NEVER ? 0
                      : info->deadline > now      ? info->deadline - now
                                                  : 1,
        .forwarded_node_id = "",
        .forwarded_swarm_id = "",
        .forwarded_role = "",
        .forwarded_address = info->address[0] != '\0' ? info->address : local,
    };

    snprintf(local, LOCAL_SIZE, "local, uid %" PRId64 ", pid %" PRId64,
             info->uid, info->pid);
    if (info->local) {
        header.forwarded_node_id = config->node_id;
        header.forwarded_swarm_id = config->swarm_id;
        header.forwarded_role = SWKI_OU_MANAGER;
    } else if (info->identified) {
        header.forwarded_node_id = info->peer.node_id;
        header.forwarded_swarm_id = info->peer.swarm_id;
        header.forwarded_role = info->peer.role == SWKI_ROLE_MANAGER
                                    ? SWKI_OU_MANAGER
                                    : SWKI_OU_WORKER;
    }
    return header;
}

static int make_call(struct passed *p, const uint8_t *data, size_t len,
                     swk_time now, struct swk_error *err)
{
    struct swki_forward *forward = p->forward;
    char local[LOCAL_SIZE];
    const struct swki_rpc_header header = header_of(p, now, local);
    const struct swki_rpc_client_call_events events = {
        .ctx = forward,
        .call_id = p->id,
        .message = message,
        .ended = ended,
    };
    int rc;

    if (!many_requests(p)) {
        return swki_rpc_client_call_with(forward->client, &header, data, len,
                                         &events, err);
    }
    rc = swki_rpc_client_open(forward->client, &header, &events, err);
    return rc != 0 ? rc
                   : swki_rpc_client_send(forward->client, p->id, data, len,
                                          err);
}

/* Makes the call at the leader, which is another manager. */
static void pass(struct passed *p, const uint8_t *data, size_t len,
                 swk_time now)
{
    struct swki_forward *forward = p->forward;
    struct swk_error err;
    int rc = reach_leader(forward, &err);

    take_out(p);
    swki_list_append(&forward->passed, &p->link);
    p->id = ++forward->last_id;
    if (rc == 0) {
        rc = make_call(p, data, len, now, &err);
    }
    if (rc != 0) {
        end(p, SWKI_STATUS_UNAVAILABLE, err.text);
    }
}

/* -- The server's side ----------------------------------------------------- */

void swki_forward_request(struct swki_forward *forward,
                          struct swki_rpc_call *call, const uint8_t *data,
                          size_t len, swk_time now)
{
    const char *path = swki_rpc_call_info(call)->path;
    struct passed *p = swki_calloc(forward->config.alloc, 1, sizeof(*p));
    bool kept;

    if (p == NULL) {
        swki_rpc_call_end(call, SWKI_STATUS_RESOURCE_EXHAUSTED,
                          "out of memory");
        return;
    }
    swki_list_init(&p->link);
    p->forward = forward;
    p->call = call;
    p->method = swki_method_by_path(path, strlen(path));
    p->give_up_at = SWK_NEVER;
    swki_buf_init(&p->request, forward->config.alloc, SIZE_MAX);
    swki_rpc_call_set_ctx(call, p);
    kept = many_requests(p) || swki_buf_append(&p->request, data, len);
    if (!kept) {
        end(p, SWKI_STATUS_RESOURCE_EXHAUSTED, "out of memory");
    } else if (forward->leader != 0 && forward->leader != forward->own) {
        pass(p, data, len, now);
    } else if (many_requests(p)) {
        end(p, SWKI_STATUS_UNAVAILABLE, no_leader);
    } else {
        wait_for_leader(p, now);
    }
}

void swki_forward_message(struct swki_forward *forward,
                          struct swki_rpc_call *call, const uint8_t *data,
                          size_t len, swk_time now)
{
    struct passed *p = swki_rpc_call_ctx(call);
    struct swk_error err;

    (void)now;
    if (p->ended || p->id == 0 || forward->client == NULL) {
        return;
    }
    if (!many_requests(p)) {
        swki_rpc_client_cancel(forward->client, p->id);
        end(p, SWKI_STATUS_UNIMPLEMENTED, "more than one request in a call");
    } else if (swki_rpc_client_send(forward->client, p->id, data, len, &err) !=
               0) {
        swki_rpc_client_cancel(forward->client, p->id);
        end(p, SWKI_STATUS_RESOURCE_EXHAUSTED, err.text);
    }
}

void swki_forward_finished(struct swki_forward *forward,
                           struct swki_rpc_call *call, swk_time now)
{
    struct passed *p = swki_rpc_call_ctx(call);

    (void)now;
    if (!p->ended && p->id != 0 && forward->client != NULL &&
        many_requests(p)) {
        swki_rpc_client_finish(forward->client, p->id);
    }
}

void swki_forward_closed(struct swki_forward *forward,
                         struct swki_rpc_call *call, swk_time now)
{
    struct passed *p = swki_rpc_call_ctx(call);

    (void)now;
    if (p->id != 0 && forward->client != NULL) {
        swki_rpc_client_cancel(forward->client, p->id);
    }
    free_passed(p);
}

/* -- Who leads ------------------------------------------------------------- */

/* Serves here what waited for a leader that this manager has become. */
static void serve_here(struct passed *p, swk_time now)
{
    struct swki_forward *forward = p->forward;
    struct swki_rpc_call *call = p->call;
    struct swki_buf request = p->request;

    swki_buf_init(&p->request, forward->config.alloc, SIZE_MAX);
    forward->waiting_size -= request.len;
    free_passed(p);
    swki_rpc_call_set_ctx(call, NULL);
    forward->config.serve_here(forward->config.ctx, call, request.data,
                               request.len, now);
    swki_buf_fini(&request);
}

/* Makes a call that waited, at the leader of the moment. */
static void go_on(struct passed *p, swk_time now)
{
    const struct swki_forward *forward = p->forward;

    if (forward->leader == 0) {
        end(p, SWKI_STATUS_UNAVAILABLE, no_leader);
    } else if (forward->leader == forward->own) {
        serve_here(p, now);
    } else {
        pass(p, p->request.data, p->request.len, now);
    }
}

/* Calls that the former leader has not answered: it may never do so. */
static void leave_leader(struct swki_forward *forward, swk_time now)
{
    swki_rpc_client_free(forward->client);
    forward->client = NULL;
    while (!swki_list_empty(&forward->passed)) {
        ended(forward, passed_of(forward->passed.next)->id,
              SWKI_STATUS_UNAVAILABLE,
              "the leader has changed; it may still take effect: retry with "
              "the same request ID",
              now);
    }
}

void swki_forward_set_leader(struct swki_forward *forward, uint64_t leader_id,
                             uint64_t own_id, swk_time now)
{
    if (leader_id != forward->leader) {
        forward->leader = leader_id;
        leave_leader(forward, now);
    }
    forward->own = own_id;
    while (forward->leader != 0 && !swki_list_empty(&forward->waiting)) {
        go_on(passed_of(forward->waiting.next), now);
    }
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swki_forward *forward = ctx;

    while (!swki_list_empty(&forward->waiting)) {
        struct passed *p = passed_of(forward->waiting.next);

        if (p->give_up_at > now) {
            return p->give_up_at;
        }
        /* One that failed at the leader waited for another one. */
        go_on(p, now);
    }
    return SWK_NEVER;
}

/* -- Life ------------------------------------------------------------------ */

int swki_forward_new(const struct swki_forward_config *config,
                     struct swki_forward **out_forward, struct swk_error *err)
{
    struct swki_forward *forward =
        swki_calloc(config->alloc, 1, sizeof(*forward));

    if (forward == NULL) {
        return swki_fail_nomem(err);
    }
    forward->config = *config;
    if (config->patience_ns == 0) {
        forward->config.patience_ns = PATIENCE;
    }
    swki_list_init(&forward->waiting);
    swki_list_init(&forward->passed);
    forward->member.ctx = forward;
    forward->member.turn = turn;
    swki_loop_add(config->loop, &forward->member);
    *out_forward = forward;
    return SWK_OK;
}

void swki_forward_free(struct swki_forward *forward)
{
    if (forward != NULL) {
        swki_rpc_client_free(forward->client);
        swki_loop_remove(forward->config.loop, &forward->member);
        swki_free(forward->config.alloc, forward);
    }
}
