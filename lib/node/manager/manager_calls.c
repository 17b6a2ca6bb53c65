/* SPDX-License-Identifier: Apache-2.0 */

/* The calls that a manager answers, and who may make them. */

#include "node/manager/manager_impl.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "health.pb-c.h"
#include "node/manager/authorize.h"
#include "wire/message.h"
#include "wire/status.h"

/* -- Answers -------------------------------------------------------------- */

static void give(struct swki_manager *m, const struct swki_answer *answer)
{
    swki_manager_audit_ends(m, answer);
    swki_manager_audit_write(m);
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

/* All that are to be released have their records written in one go. */
static void audit_released(struct swki_manager *m, uint64_t committed)
{
    for (const struct swki_held_answer *held = m->held;
         held != NULL && held->answer.index <= committed; held = held->next) {
        swki_manager_audit_ends(m, &held->answer);
    }
    swki_manager_audit_write(m);
}

void swki_manager_release_answers(struct swki_manager *m)
{
    uint64_t committed = swki_view_index(swki_store_committed(m->store));

    audit_released(m, committed);

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

static bool is_removed(void *ctx, const char *node_id)
{
    return swki_manager_has_removed(ctx, node_id);
}

static bool is_worker(void *ctx, const char *node_id)
{
    const struct swki_manager *m = ctx;
    const struct swki_object *node = swki_view_get(
        swki_store_committed(m->store), SWKI_KIND_NODE, node_id);

    return node != NULL && swki_node(node)->role == SWKPB__NODE_ROLE__WORKER;
}

/* Only a leader is sure of roles: who reads the log of the past sees those of
 * the past, and must listen to the leader all the same. */
static struct swki_swarm_access access_of(const struct swki_manager *m)
{
    return (struct swki_swarm_access){
        .swarm_id = m->config.swarm_id,
        .is_removed = is_removed,
        .is_worker = m->leader != NULL ? is_worker : NULL,
        .ctx = (void *)(uintptr_t)m, /* it is only read */
    };
}

int swki_manager_admit(const struct swki_manager *m, const char *path,
                       const struct swki_caller *caller, struct swk_error *err)
{
    const struct swki_swarm_access access = access_of(m);
    const struct swki_method *method =
        swki_method_by_path(path, strlen(path));

    return method != NULL
               ? swki_authorize(&access, method, caller, err)
               : swki_fail(err, SWK_ENOTSUP, "unknown method %.120s", path);
}

int swki_manager_admit_forwarder(const struct swki_manager *m,
                                 const struct swki_caller *forwarder,
                                 struct swk_error *err)
{
    const struct swki_swarm_access access = access_of(m);

    return swki_authorize_forwarder(&access, forwarder, err);
}

void swki_manager_dispatch(struct swki_manager *m, const struct swki_method *method,
                     const struct swki_manager_call *call)
{
    struct swki_arena arena;
    ProtobufCMessage *request;
    struct swk_error err;

    swki_manager_audit_begins(m, method, call);
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

        swki_manager_audit_request(m, call->id, request);
        swki_leader_call(m->leader, m->now,
                         m->config.clock->wall(m->config.clock->ctx), &decoded,
                         &m->answers);
        swki_manager_audit_served(m);
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

static void refuse(struct swki_manager *m, const struct swki_manager_call *call,
                   enum swki_status status, const char *text)
{
    swki_manager_refused(m, call->path, call->caller, status, text);
    swki_manager_end_call(m, call->id, status, text);
}

void swki_manager_call(struct swki_manager *m, swk_time now,
                       const struct swki_manager_call *call)
{
    struct swk_error err;
    const struct swki_method *method =
        swki_method_by_path(call->path, strlen(call->path));

    m->now = now;
    if (swki_manager_admit(m, call->path, call->caller, &err) != 0) {
        refuse(m, call, swki_status_from_error(err.code), err.text);
    } else if (call->request_len > SWKI_MANAGER_REQUEST_MAX) {
        refuse(m, call, SWKI_STATUS_RESOURCE_EXHAUSTED,
               "request is larger than 4 MiB");
    } else if (swki_manager_audit_blocks(m, method)) {
        refuse(m, call, SWKI_STATUS_UNAVAILABLE,
               "the audit log cannot be written, and changes without a record "
               "are not wanted");
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
    swki_manager_audit_cancelled(m, call_id);
    if (m->leader != NULL) {
        swki_leader_cancel(m->leader, call_id);
    }
}
