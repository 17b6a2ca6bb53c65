/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls that read. A leader that others have replaced meanwhile does not know
 * it yet: so the quorum is asked whether it leads still, once for all reads of
 * a turn, before any is answered. What is read then is at least as new as
 * everything that was acknowledged before the call came.
 */

#include "node/manager/manager_impl.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

/* A call with all it points to in memory of its own. */
struct swki_waiting_read {
    struct swki_waiting_read *next;
    uint64_t number; /* of the question to the quorum */
    uint64_t index;  /* that must be applied; 0: not known yet */
    const struct swki_method *method;
    struct swki_manager_call call;
    struct swki_caller caller;
    uint8_t memory[]; /* the request, then the caller's strings */
};

/* By which an answer of the quorum is told from those of another life. */
struct read_context {
    uint64_t seed;
    uint64_t number;
};

/* Moves a string to *to, which is moved behind it. */
static const char *take_string(char **to, const char *string)
{
    char *copy = *to;
    size_t size = strlen(string) + 1;

    memcpy(copy, string, size);
    *to += size;
    return copy;
}

static const char *forwarded_by(const struct swki_caller *caller)
{
    return caller->forwarded_by != NULL ? caller->forwarded_by : "";
}

static size_t strings_size(const struct swki_caller *caller)
{
    return strlen(caller->node_id) + strlen(caller->swarm_id) +
           strlen(caller->address) + strlen(caller->request_id) +
           strlen(forwarded_by(caller)) + 5;
}

static struct swki_waiting_read *copy_call(const struct swki_manager *m,
                                           const struct swki_method *method,
                                           const struct swki_manager_call *call)
{
    size_t size = call->request_len + strings_size(call->caller);
    struct swki_waiting_read *read =
        swki_calloc(m->config.alloc, 1, sizeof(*read) + size);
    char *strings;

    if (read == NULL) {
        return NULL;
    }
    if (call->request_len > 0) {
        memcpy(read->memory, call->request, call->request_len);
    }
    strings = (char *)read->memory + call->request_len;
    read->method = method;
    read->caller = *call->caller;
    read->caller.node_id = take_string(&strings, call->caller->node_id);
    read->caller.swarm_id = take_string(&strings, call->caller->swarm_id);
    read->caller.address = take_string(&strings, call->caller->address);
    read->caller.request_id = take_string(&strings, call->caller->request_id);
    read->caller.forwarded_by =
        take_string(&strings, forwarded_by(call->caller));
    read->call = *call;
    read->call.path = method->path;
    read->call.caller = &read->caller;
    read->call.request = read->memory;
    return read;
}

bool swki_manager_read_later(struct swki_manager *m,
                             const struct swki_method *method,
                             const struct swki_manager_call *call)
{
    struct swki_reads *reads = &m->reads;
    struct swki_waiting_read *read = copy_call(m, method, call);

    if (read == NULL) {
        return false;
    }
    read->number = reads->asked + 1;
    *reads->last = read;
    reads->last = &read->next;
    return true;
}

/* Takes a read out of the list. */
static void unlink_read(struct swki_reads *reads,
                        struct swki_waiting_read **place)
{
    struct swki_waiting_read *read = *place;

    *place = read->next;
    if (reads->last == &read->next) {
        reads->last = place;
    }
}

void swki_manager_cancel_read(struct swki_manager *m, uint64_t call_id)
{
    struct swki_waiting_read **place = &m->reads.first;

    while (*place != NULL && (*place)->call.id != call_id) {
        place = &(*place)->next;
    }
    if (*place != NULL) {
        struct swki_waiting_read *read = *place;

        unlink_read(&m->reads, place);
        swki_free(m->config.alloc, read);
    }
}

void swki_manager_fail_reads(struct swki_manager *m, const char *why)
{
    while (m->reads.first != NULL) {
        struct swki_waiting_read *read = m->reads.first;

        unlink_read(&m->reads, &m->reads.first);
        if (why != NULL) {
            swki_manager_end_call(m, read->call.id, SWKI_STATUS_UNAVAILABLE,
                                  why);
        }
        swki_free(m->config.alloc, read);
    }
}

void swki_manager_ask_reads(struct swki_manager *m)
{
    struct swki_reads *reads = &m->reads;
    const struct read_context context = {m->config.seed, reads->asked + 1};
    const struct swki_waiting_read *read = reads->first;
    struct swk_error err;

    while (read != NULL && read->number <= reads->asked) {
        read = read->next;
    }
    if (read == NULL) {
        return;
    }
    reads->asked++;
    if (swk_raft_read_index(m->raft, &context, sizeof(context), &err) != 0) {
        swki_manager_fail_reads(m, err.text);
    }
}

void swki_manager_note_reads(struct swki_manager *m,
                             const struct swk_raft_read *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct read_context context;

        if (answers[i].context_len != sizeof(context)) {
            continue;
        }
        memcpy(&context, answers[i].context, sizeof(context));
        for (struct swki_waiting_read *read = m->reads.first;
             read != NULL && context.seed == m->config.seed &&
             read->number <= context.number;
             read = read->next) {
            if (read->index == 0) {
                read->index = answers[i].index;
            }
        }
    }
}

void swki_manager_serve_reads(struct swki_manager *m)
{
    uint64_t applied = swki_view_index(swki_store_committed(m->store));
    struct swki_waiting_read *read;

    while ((read = m->reads.first) != NULL && read->index != 0 &&
           read->index <= applied && m->leader != NULL) {
        unlink_read(&m->reads, &m->reads.first);
        swki_manager_dispatch(m, read->method, &read->call);
        swki_free(m->config.alloc, read);
    }
}
