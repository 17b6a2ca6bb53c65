/* SPDX-License-Identifier: Apache-2.0 */

/* The calls that a manager answers, and who may make them. */

#include "node/manager_impl.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/roles.h"
#include "health.pb-c.h"
#include "wire/message.h"
#include "wire/status.h"

/* -- Answers -------------------------------------------------------------- */

static void give(struct swki_manager *m, const struct swki_answer *answer)
{
    m->config.answer(m->config.answer_ctx, answer);
}

void swki_manager_end_call(struct swki_manager *m, uint64_t call_id,
                     enum swki_status status, const char *text)
{
    const struct swki_answer answer = {
        .call_id = call_id,
        .end = true,
        .status = status,
        .text = text,
    };

    give(m, &answer);
}

static void hold(struct swki_manager *m, const struct swki_answer *answer)
{
    struct swki_held_answer *held = swki_calloc(m->config.alloc, 1, sizeof(*held));
    uint8_t *copy = swki_alloc(m->config.alloc, answer->message_len);

    if (held == NULL || copy == NULL) {
        swki_free(m->config.alloc, held);
        swki_free(m->config.alloc, copy);
        swki_manager_end_call(m, answer->call_id, SWKI_STATUS_UNKNOWN,
                 "out of memory: the change may have been made");
        return;
    }
    if (answer->message_len > 0) {
        memcpy(copy, answer->message, answer->message_len);
    }
    held->answer = *answer;
    held->answer.message = copy;
    held->answer.text = ""; /* only replies are held, and they are good */
    *m->held_last = held;
    m->held_last = &held->next;
}

void swki_manager_release_answers(struct swki_manager *m)
{
    uint64_t committed = swki_view_index(swki_store_committed(m->store));

    while (m->held != NULL && m->held->answer.index <= committed) {
        struct swki_held_answer *held = m->held;

        give(m, &held->answer);
        m->held = held->next;
        if (m->held == NULL) {
            m->held_last = &m->held;
        }
        swki_free(m->config.alloc, held->answer.message);
        swki_free(m->config.alloc, held);
    }
}

void swki_manager_give_answers(struct swki_manager *m)
{
    uint64_t committed = swki_view_index(swki_store_committed(m->store));

    for (const struct swki_answer *answer = m->answers.first; answer != NULL;
         answer = answer->next) {
        if (answer->index > committed) {
            hold(m, answer);
        } else {
            give(m, answer);
        }
    }
    if (m->answers.failed) {
        const struct swk_error err = {SWK_ENOMEM,
                                      "out of memory: an answer was lost"};

        swki_manager_give_up(m, &err);
    }
    swki_answers_reset(&m->answers);
}

void swki_manager_drop_answers(struct swki_manager *m)
{
    while (m->held != NULL) {
        struct swki_held_answer *next = m->held->next;

        swki_free(m->config.alloc, m->held->answer.message);
        swki_free(m->config.alloc, m->held);
        m->held = next;
    }
    m->held_last = &m->held;
}

void swki_manager_fail_answers(struct swki_manager *m)
{
    for (const struct swki_held_answer *held = m->held; held != NULL; held = held->next) {
        swki_manager_end_call(m, held->answer.call_id, SWKI_STATUS_UNAVAILABLE,
                 "raft: failed to process the request: node lost leader "
                 "status; it may still take effect: retry with the same "
                 "request ID");
    }
    swki_manager_drop_answers(m);
}

/* -- Calls ---------------------------------------------------------------- */

/* Whether the node was removed from the swarm. */
static bool blacklisted(const struct swki_manager *m, const char *node_id)
{
    const struct swki_object *object = swki_manager_cluster(m);
    const Swkpb__Cluster *cluster;

    if (object == NULL) {
        return false;
    }
    cluster = swki_cluster(object);
    for (size_t i = 0; i < cluster->n_blacklisted_certificates; i++) {
        if (strcmp(cluster->blacklisted_certificates[i]->key, node_id) == 0) {
            return true;
        }
    }
    return false;
}

/* Refuses a call: the caller may not make it. */
static bool deny(struct swk_error *err, const char *why, const char *detail)
{
    swki_fail(err, SWK_EDENIED, "Permission denied: %s%s", why, detail);
    return false;
}

/* The control socket's caller is the administrator, who may do all that it is
 * offered; but nodes speak for themselves. */
static bool permits_local(const struct swki_method *method,
                          struct swk_error *err)
{
    return (method->roles & SWKI_ROLE_WORKER) == 0 ||
           deny(err, "only a node with its certificate makes this call, and "
                     "the control socket is none", "");
}

static bool permits_remote(const struct swki_manager *m,
                           const struct swki_method *method,
                           const struct swki_caller *caller,
                           struct swk_error *err)
{
    if (method->roles == SWKI_ROLE_NONE) {
        return true;
    }
    if (caller->role == SWKI_ROLE_NONE) {
        return deny(err, "no client certificates in request", "");
    }
    if ((caller->role & method->roles) == 0) {
        return deny(err,
                    "unauthorized peer role: remote certificate not part of "
                    "OUs: ",
                    (method->roles & SWKI_ROLE_WORKER) != 0
                        ? "[swarm-worker swarm-manager]"
                        : "[swarm-manager]");
    }
    if (strcmp(caller->swarm_id, m->config.swarm_id) != 0) {
        return deny(err,
                    "unauthorized peer role: remote certificate not part of "
                    "organization: ",
                    m->config.swarm_id);
    }
    if (blacklisted(m, caller->node_id)) {
        swki_fail(err, SWK_EDENIED,
                  "Permission denied: node %s was removed from swarm",
                  caller->node_id);
        return false;
    }
    return true;
}

int swki_manager_admit(const struct swki_manager *m, const char *path,
                       const struct swki_caller *caller, struct swk_error *err)
{
    const struct swki_method *method =
        swki_method_by_path(path, strlen(path));

    if (method == NULL) {
        return swki_fail(err, SWK_ENOTSUP, "unknown method %.120s", path);
    }
    if (caller->local ? !permits_local(method, err)
                      : !permits_remote(m, method, caller, err)) {
        return SWK_EDENIED;
    }
    if ((caller->local ? method->local : method->remote) == SWKI_SERVED_NOT) {
        return swki_fail(err, SWK_ENOTSUP, "%s.%s is not served %s",
                         method->service, method->name,
                         caller->local ? "through the control socket"
                                       : "to the network");
    }
    return SWK_OK;
}

bool swki_manager_trusts(const struct swki_manager *m,
                         const struct swki_identity *peer)
{
    return peer->role == SWKI_ROLE_MANAGER &&
           strcmp(peer->swarm_id, m->config.swarm_id) == 0 &&
           !blacklisted(m, peer->node_id);
}

void swki_manager_dispatch(struct swki_manager *m, const struct swki_method *method,
                     const struct swki_manager_call *call)
{
    struct swki_arena arena;
    ProtobufCMessage *request;
    struct swk_error err;

    swki_arena_init(&arena, m->config.alloc,
                    swki_message_memory_max(call->request_len));
    if (swki_message_unpack(method->request, call->request, call->request_len,
                            &arena, &request, &err) != 0) {
        swki_manager_end_call(m, call->id, swki_status_from_error(err.code), err.text);
    } else {
        const struct swki_call decoded = {
            .id = call->id,
            .path = call->path,
            .caller = call->caller,
            .request = request,
        };

        swki_leader_call(m->leader, m->now,
                         m->config.clock->wall(m->config.clock->ctx), &decoded,
                         &m->answers);
        m->leader_deadline = m->now;
    }
    swki_arena_fini(&arena);
}

/* Whether a call is answered from the store alone: such an answer must not be
 * older than what others were told. */
static bool reads_only(const struct swki_method *method)
{
    return method->kind == SWKI_METHOD_UNARY &&
           (method->flags & SWKI_CALL_READ_ONLY) != 0 &&
           (strcmp(method->service, "Control") == 0 ||
            strcmp(method->service, "JoinTokens") == 0);
}

void swki_manager_call(struct swki_manager *m, swk_time now,
                       const struct swki_manager_call *call)
{
    struct swk_error err;
    const struct swki_method *method =
        swki_method_by_path(call->path, strlen(call->path));

    m->now = now;
    if (swki_manager_admit(m, call->path, call->caller, &err) != 0) {
        swki_manager_end_call(m, call->id, swki_status_from_error(err.code), err.text);
    } else if (call->request_len > SWKI_MANAGER_REQUEST_MAX) {
        swki_manager_end_call(m, call->id, SWKI_STATUS_RESOURCE_EXHAUSTED,
                 "request is larger than 4 MiB");
    } else if (m->leader == NULL) {
        swki_manager_end_call(m, call->id, SWKI_STATUS_UNAVAILABLE,
                 "this manager does not lead the swarm at the moment: retry");
    } else if (reads_only(method) &&
               swki_membership_count(m->membership) > 1) {
        if (!swki_manager_read_later(m, method, call)) {
            swki_manager_end_call(m, call->id, SWKI_STATUS_RESOURCE_EXHAUSTED,
                                  "out of memory");
        }
    } else {
        swki_manager_dispatch(m, method, call);
    }
}

void swki_manager_cancel(struct swki_manager *m, uint64_t call_id)
{
    swki_manager_cancel_read(m, call_id);
    if (m->leader != NULL) {
        swki_leader_cancel(m->leader, call_id);
    }
}
