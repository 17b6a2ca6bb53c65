/* SPDX-License-Identifier: Apache-2.0 */

#include "core/raft/recorder.h"

#include "base/log.h"

enum {
    EVENTS_MAX = 256, /* a power of two, as a ring has room for */
};

/* What is kept of an event. */
struct event {
    uint8_t kind;
    uint8_t message_type;
    uint8_t role;
    uint8_t reject;
    uint64_t term;
    uint64_t peer;
    uint64_t index;
    uint64_t other; /* the message's index, or the commit */
};

static const char *const role_names[] = {
    [SWK_RAFT_FOLLOWER] = "follower",
    [SWK_RAFT_CANDIDATE] = "candidate",
    [SWK_RAFT_LEADER] = "leader",
    [SWK_RAFT_PRE_CANDIDATE] = "pre-candidate",
};

void swki_raft_recorder_init(struct swki_raft_recorder *recorder,
                             const struct swk_alloc *alloc,
                             const struct swk_logger *logger)
{
    recorder->logger = logger;
    swki_raft_ring_init(&recorder->events, alloc, sizeof(struct event));
}

void swki_raft_recorder_fini(struct swki_raft_recorder *recorder)
{
    swki_raft_ring_fini(&recorder->events);
}

static void keep(struct swki_raft_recorder *recorder,
                 const struct swki_machine_trace *event)
{
    struct swki_raft_ring *events = &recorder->events;
    struct event *kept;

    if (events->count == EVENTS_MAX || !swki_raft_ring_reserve(events, 1)) {
        if (events->count == 0) {
            return;
        }
        swki_raft_ring_pop(events);
    }
    kept = swki_raft_ring_push(events);
    *kept = (struct event){
        .kind = (uint8_t)event->kind,
        .message_type = (uint8_t)event->message_type,
        .role = (uint8_t)event->role,
        .reject = (uint8_t)event->reject_reason,
        .term = event->term,
        .peer = event->peer,
        .index = event->index,
        .other = event->message_index != 0 ? event->message_index
                                           : event->commit,
    };
}

static void tell(const struct swki_raft_recorder *recorder,
                 const struct swki_machine_trace *event)
{
    switch ((int)event->kind) {
    case SWKI_TRACE_BECAME:
        /* One that cannot reach the others tries again and again. */
        swki_log(recorder->logger,
                 event->role == SWK_RAFT_PRE_CANDIDATE ? SWK_LOG_DEBUG
                                                       : SWK_LOG_INFO,
                 "raft", "member %llx is %s in term %llu",
                 (unsigned long long)event->id, role_names[event->role],
                 (unsigned long long)event->term);
        break;
    case SWKI_TRACE_QUORUM_LOST:
        swki_log(recorder->logger, SWK_LOG_WARN, "raft",
                 "member %llx cannot reach a quorum, and leads no more",
                 (unsigned long long)event->id);
        break;
    case SWKI_TRACE_LOG_LOST:
        swki_log(recorder->logger, SWK_LOG_ERROR, "raft",
                 "member %llx lost its log up to %llu: it waits until the "
                 "leader has sent it again",
                 (unsigned long long)event->id,
                 (unsigned long long)event->index);
        break;
    case SWKI_TRACE_RECOVERED:
        swki_log(recorder->logger, SWK_LOG_INFO, "raft",
                 "member %llx has its whole log again",
                 (unsigned long long)event->id);
        break;
    case SWKI_TRACE_SNAPSHOT_STALLED:
        swki_log(recorder->logger, SWK_LOG_WARN, "raft",
                 "nothing was heard of the snapshot for member %llx",
                 (unsigned long long)event->peer);
        break;
    default:
        break;
    }
}

void swki_raft_recorder_trace(void *ctx,
                              const struct swki_machine_trace *event)
{
    struct swki_raft_recorder *recorder = ctx;

    keep(recorder, event);
    if (recorder->logger != NULL) {
        tell(recorder, event);
    }
}

void swki_raft_recorder_dump(const struct swki_raft_recorder *recorder,
                             const struct swk_error *failure)
{
    const struct swki_raft_ring *events = &recorder->events;

    swki_log(recorder->logger, SWK_LOG_ERROR, "raft",
             "stopped for good: %s; what came before follows", failure->text);
    for (size_t i = 0; i < events->count; i++) {
        const struct event *e = swki_raft_ring_at(events, i);

        swki_log(recorder->logger, SWK_LOG_INFO, "raft",
                 "event %u: type %u, role %u, reason %u, term %llu, peer %llx, "
                 "index %llu, %llu",
                 e->kind, e->message_type, e->role, e->reject,
                 (unsigned long long)e->term, (unsigned long long)e->peer,
                 (unsigned long long)e->index, (unsigned long long)e->other);
    }
}
