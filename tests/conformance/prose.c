/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A line for each kind of event: a level and a template, in which
 *
 *     {id} {peer} {vote}      members, in hexadecimal
 *     {type} {role} {rejection} {reason} {changes} {pr} {cfg} {peers}
 *                             text made of several fields
 *     {anything else}         the event's number of that name
 */

#include "prose.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "render.h"

struct line {
    enum level level;
    const char *text; /* NULL: the event has no line */
};

#define VOTE "{id} [logterm: {log_term}, index: {index}, vote: {vote}] "
#define ASKED " [logterm: {message_log_term}, index: {message_index}] at term "

static const struct line lines[SWKI_TRACE_KINDS] = {
    [SWKI_TRACE_CONFIGURATION] = {LEVEL_INFO,
                                  "{id} switched to configuration {cfg}"},
    [SWKI_TRACE_BECAME] = {LEVEL_INFO, "{id} became {role} at term {term}"},
    [SWKI_TRACE_STARTED] = {LEVEL_INFO,
                            "newRaft {id} [peers: [{peers}], term: {term}, "
                            "commit: {commit}, applied: {applied}, "
                            "lastindex: {index}, lastterm: {log_term}]"},

    [SWKI_TRACE_ELECTION] = {LEVEL_INFO,
                             "{id} is starting a new election at term {term}"},
    [SWKI_TRACE_VOTE_SENT] = {LEVEL_INFO,
                              "{id} [logterm: {log_term}, index: {index}] sent "
                              "{type} request to {peer} at term {term}"},
    [SWKI_TRACE_VOTE_RECEIVED] = {LEVEL_INFO,
                                  "{id} received {type}{rejection} from {peer} "
                                  "at term {term}"},
    [SWKI_TRACE_VOTE_COUNT] = {LEVEL_INFO,
                               "{id} has received {granted} {type} votes and "
                               "{refused} vote rejections"},
    [SWKI_TRACE_HIGHER_TERM] = {LEVEL_INFO,
                                "{id} [term: {term}] received a {type} message "
                                "with higher term from {peer} [term: "
                                "{message_term}]"},
    [SWKI_TRACE_LOWER_TERM] = {LEVEL_INFO,
                               "{id} [term: {term}] ignored a {type} message "
                               "with lower term from {peer} [term: "
                               "{message_term}]"},
    [SWKI_TRACE_VOTE_CAST] = {LEVEL_INFO,
                              VOTE "cast {type} for {peer}" ASKED "{term}"},
    [SWKI_TRACE_VOTE_REFUSED] = {LEVEL_INFO, VOTE
                                 "rejected {type} from {peer}" ASKED "{term}"},
    [SWKI_TRACE_VOTE_IN_LEASE] = {LEVEL_INFO, VOTE
                                  "ignored {type} from {peer}" ASKED
                                  "{term}: lease is not expired (remaining "
                                  "ticks: {ticks})"},
    [SWKI_TRACE_UNPROMOTABLE] = {LEVEL_WARN,
                                 "{id} is unpromotable and can not campaign"},
    [SWKI_TRACE_PENDING_CHANGES] = {LEVEL_WARN,
                                    "{id} cannot campaign at term {term} since "
                                    "there are still pending configuration "
                                    "changes to apply"},
    [SWKI_TRACE_ALREADY_LEADER] = {LEVEL_DEBUG,
                                   "{id} ignoring MsgHup because already "
                                   "leader"},
    [SWKI_TRACE_QUORUM_LOST] = {LEVEL_WARN,
                                "{id} stepped down to follower since quorum is "
                                "not active"},
    [SWKI_TRACE_FORGET_LEADER] = {LEVEL_INFO,
                                  "{id} forgetting leader {peer} at term "
                                  "{term}"},
    [SWKI_TRACE_FORGET_LEADER_IN_LEASE_MODE] =
        {LEVEL_ERROR, "ignoring MsgForgetLeader due to ReadOnlyLeaseBased"},

    [SWKI_TRACE_APPEND_REFUSED] = {LEVEL_DEBUG,
                                   "{id} [logterm: {log_term}, index: "
                                   "{message_index}] rejected MsgApp [logterm: "
                                   "{message_log_term}, index: "
                                   "{message_index}] from {peer}"},
    [SWKI_TRACE_APPEND_REJECTED] = {LEVEL_DEBUG,
                                    "{id} received MsgAppResp(rejected, hint: "
                                    "(index {hint}, term {message_log_term})) "
                                    "from {peer} for index {message_index}"},
    [SWKI_TRACE_PROGRESS_DECREASED] = {LEVEL_DEBUG,
                                       "{id} decreased progress of {peer} to "
                                       "[{pr}]"},
    [SWKI_TRACE_CONFLICT] = {LEVEL_INFO,
                             "found conflict at index {index} [existing term: "
                             "{log_term}, conflicting term: "
                             "{message_log_term}]"},
    [SWKI_TRACE_UNSTABLE_REPLACED] = {LEVEL_INFO,
                                      "replace the unstable entries from index "
                                      "{index}"},
    [SWKI_TRACE_UNSTABLE_TRUNCATED] = {LEVEL_INFO,
                                       "truncate the unstable entries before "
                                       "index {index}"},
    [SWKI_TRACE_STABLE_MISSING] = {LEVEL_INFO,
                                   "entry at index {index} missing from "
                                   "unstable log; ignoring"},
    [SWKI_TRACE_STABLE_SNAPSHOT] = {LEVEL_INFO,
                                    "entry at index {index} matched unstable "
                                    "snapshot; ignoring"},
    [SWKI_TRACE_STABLE_MISMATCHED] = {LEVEL_INFO,
                                      "entry at (index,term)=({index},"
                                      "{message_log_term}) mismatched with "
                                      "entry at ({index},{log_term}) in "
                                      "unstable log; ignoring"},
    [SWKI_TRACE_STABLE_OLD_TERM] = {LEVEL_INFO,
                                    "{id} [term: {term}] ignored entry appends "
                                    "from a MsgStorageAppendResp message with "
                                    "lower term [term: {message_term}]"},
    [SWKI_TRACE_UNREACHABLE] = {LEVEL_DEBUG,
                                "{id} failed to send message to {peer} because "
                                "it is unreachable [{pr}]"},
    [SWKI_TRACE_NO_PROGRESS] = {LEVEL_DEBUG,
                                "{id} no progress available for {peer}"},
    [SWKI_TRACE_UNCOMMITTED_LIMIT] = {LEVEL_WARN,
                                      "{id} appending new entries to log would "
                                      "exceed uncommitted entry size limit; "
                                      "dropping proposal"},
    [SWKI_TRACE_PROPOSAL_NO_LEADER] = {LEVEL_INFO,
                                       "{id} no leader at term {term}; "
                                       "dropping proposal"},
    [SWKI_TRACE_PROPOSAL_NOT_FORWARDED] = {LEVEL_INFO,
                                           "{id} not forwarding to leader "
                                           "{peer} at term {term}; dropping "
                                           "proposal"},

    [SWKI_TRACE_SNAPSHOT_PEER_INACTIVE] = {LEVEL_DEBUG,
                                           "ignore sending snapshot to {peer} "
                                           "since it is not recently active"},
    [SWKI_TRACE_SNAPSHOT_SENT] = {LEVEL_DEBUG,
                                  "{id} [firstindex: {first}, commit: "
                                  "{commit}] sent snapshot[index: {index}, "
                                  "term: {log_term}] to {peer} [{pr}]"},
    [SWKI_TRACE_SNAPSHOT_PAUSED] = {LEVEL_DEBUG,
                                    "{id} paused sending replication messages "
                                    "to {peer} [{pr}]"},
    [SWKI_TRACE_SNAPSHOT_RESTORING] = {LEVEL_INFO,
                                       "log [committed={commit}, "
                                       "applied={applied}, "
                                       "applying={applying}, "
                                       "unstable.offset={offset}, "
                                       "unstable.offsetInProgress="
                                       "{offset_in_progress}, "
                                       "len(unstable.Entries)={count}] starts "
                                       "to restore snapshot [index: {index}, "
                                       "term: {log_term}]"},
    [SWKI_TRACE_SNAPSHOT_RESTORED_LOG] = {LEVEL_INFO,
                                          "{id} [commit: {commit}, lastindex: "
                                          "{last}, lastterm: {last_term}] "
                                          "restored snapshot [index: {index}, "
                                          "term: {log_term}]"},
    [SWKI_TRACE_SNAPSHOT_RESTORED] = {LEVEL_INFO,
                                      "{id} [commit: {commit}] restored "
                                      "snapshot [index: {index}, term: "
                                      "{log_term}]"},
    [SWKI_TRACE_SNAPSHOT_FAST_FORWARD] = {LEVEL_INFO,
                                          "{id} [commit: {commit}, lastindex: "
                                          "{last}, lastterm: {last_term}] "
                                          "fast-forwarded commit to snapshot "
                                          "[index: {index}, term: "
                                          "{log_term}]"},
    [SWKI_TRACE_SNAPSHOT_IGNORED] = {LEVEL_INFO,
                                     "{id} [commit: {commit}] ignored snapshot "
                                     "[index: {index}, term: {log_term}]"},
    [SWKI_TRACE_SNAPSHOT_RECOVERED] = {LEVEL_DEBUG,
                                       "{id} recovered from needing snapshot, "
                                       "resumed sending replication messages "
                                       "to {peer} [{pr}]"},
    [SWKI_TRACE_SNAPSHOT_SUCCEEDED] = {LEVEL_DEBUG,
                                       "{id} snapshot succeeded, resumed "
                                       "sending replication messages to {peer} "
                                       "[{pr}]"},
    [SWKI_TRACE_SNAPSHOT_FAILED] = {LEVEL_DEBUG,
                                    "{id} snapshot failed, resumed sending "
                                    "replication messages to {peer} [{pr}]"},

    [SWKI_TRACE_CHANGE_REFUSED] = {LEVEL_INFO,
                                   "{id} ignoring conf change {changes} at "
                                   "config {cfg}: {reason}"},
    [SWKI_TRACE_AUTO_LEAVE] = {LEVEL_INFO,
                               "initiating automatic transition out of joint "
                               "configuration {cfg}"},
    [SWKI_TRACE_AUTO_LEAVE_DROPPED] = {LEVEL_DEBUG,
                                       "not initiating automatic transition "
                                       "out of joint configuration {cfg}: raft "
                                       "proposal dropped"},
    [SWKI_TRACE_TRANSFER_STARTED] = {LEVEL_INFO,
                                     "{id} [term {term}] starts to transfer "
                                     "leadership to {peer}"},
    [SWKI_TRACE_TRANSFER_TIMEOUT_NOW] = {LEVEL_INFO,
                                         "{id} sends MsgTimeoutNow to {peer} "
                                         "immediately as {peer} already has "
                                         "up-to-date log"},
    [SWKI_TRACE_TRANSFER_TIMEOUT_NOW_LATE] = {LEVEL_INFO,
                                              "{id} sent MsgTimeoutNow to "
                                              "{peer} after received "
                                              "MsgAppResp"},
    [SWKI_TRACE_TIMEOUT_NOW] = {LEVEL_INFO,
                                "{id} [term {term}] received MsgTimeoutNow "
                                "from {peer} and starts an election to get "
                                "leadership."},
    [SWKI_TRACE_TIMEOUT_NOW_IGNORED] = {LEVEL_DEBUG,
                                        "{id} [term {term} state {state}] "
                                        "ignored MsgTimeoutNow from {peer}"},
    [SWKI_TRACE_TRANSFER_SAME] = {LEVEL_INFO,
                                  "{id} [term {term}] transfer leadership to "
                                  "{peer} is in progress, ignores request to "
                                  "same node {peer}"},
    [SWKI_TRACE_TRANSFER_ABORTED] = {LEVEL_INFO,
                                     "{id} [term {term}] abort previous "
                                     "transferring leadership to {peer}"},
    [SWKI_TRACE_TRANSFER_TO_SELF] = {LEVEL_DEBUG,
                                     "{id} is already leader. Ignored "
                                     "transferring leadership to self"},
    [SWKI_TRACE_TRANSFER_TO_LEARNER] = {LEVEL_DEBUG,
                                        "{id} is learner. Ignored transferring "
                                        "leadership"},
    [SWKI_TRACE_TRANSFER_DROPS_PROPOSAL] = {LEVEL_DEBUG,
                                            "{id} [term {term}] transfer "
                                            "leadership to {peer} is in "
                                            "progress; dropping proposal"},
    [SWKI_TRACE_TRANSFER_NO_LEADER] = {LEVEL_INFO,
                                       "{id} no leader at term {term}; "
                                       "dropping leader transfer msg"},
    [SWKI_TRACE_READ_NO_LEADER] = {LEVEL_INFO,
                                   "{id} no leader at term {term}; dropping "
                                   "index reading msg"},
};

struct number {
    const char *name;
    size_t offset;
};

#define NUMBER(field)                                                          \
    {                                                                          \
        #field, offsetof(struct swki_machine_trace, field)                     \
    }

static const struct number numbers[] = {
    NUMBER(term),          NUMBER(index),
    NUMBER(log_term),      NUMBER(message_term),
    NUMBER(message_index), NUMBER(message_log_term),
    NUMBER(hint),          NUMBER(commit),
    NUMBER(applied),       NUMBER(applying),
    NUMBER(first),         NUMBER(last),
    NUMBER(last_term),     NUMBER(offset),
    NUMBER(count),         NUMBER(offset_in_progress),
    NUMBER(ticks),         NUMBER(granted),
    NUMBER(refused),
};

typedef void (*field_fn)(struct swki_buf *buf,
                         const struct swki_machine_trace *event);

static void put_id(struct swki_buf *buf, const struct swki_machine_trace *event)
{
    render_id(buf, event->id);
}

static void put_peer(struct swki_buf *buf,
                     const struct swki_machine_trace *event)
{
    render_id(buf, event->peer);
}

static void put_vote(struct swki_buf *buf,
                     const struct swki_machine_trace *event)
{
    render_id(buf, event->vote);
}

static void put_type(struct swki_buf *buf,
                     const struct swki_machine_trace *event)
{
    const char *name = message_type_name(event->message_type);

    (void)swki_buf_append_text(buf, name != NULL ? name : "Msg?");
}

static void put_rejection(struct swki_buf *buf,
                          const struct swki_machine_trace *event)
{
    (void)swki_buf_append_text(buf, event->reject ? " rejection" : "");
}

static void put_role(struct swki_buf *buf,
                     const struct swki_machine_trace *event)
{
    static const char *const names[] = {
        [SWK_RAFT_FOLLOWER] = "follower",
        [SWK_RAFT_CANDIDATE] = "candidate",
        [SWK_RAFT_LEADER] = "leader",
        [SWK_RAFT_PRE_CANDIDATE] = "pre-candidate",
    };

    (void)swki_buf_append_text(buf, names[event->role]);
}

static void put_state(struct swki_buf *buf,
                      const struct swki_machine_trace *event)
{
    (void)swki_buf_append_text(buf, role_name(event->role));
}

static void put_progress(struct swki_buf *buf,
                         const struct swki_machine_trace *event)
{
    render_progress(buf, event->progress);
}

static void put_configuration(struct swki_buf *buf,
                              const struct swki_machine_trace *event)
{
    render_configuration(buf, event->configuration);
}

/* The voters of both halves, separated by commas. */
static void put_peers(struct swki_buf *buf,
                      const struct swki_machine_trace *event)
{
    const struct swki_raft_configuration *c = event->configuration;
    const char *between = "";

    for (size_t i = 0; i < c->peers_count; i++) {
        if (swki_raft_configuration_is_voter(c, c->peers[i].id)) {
            (void)swki_buf_append_text(buf, between);
            render_id(buf, c->peers[i].id);
            between = ",";
        }
    }
}

static void put_changes(struct swki_buf *buf,
                        const struct swki_machine_trace *event)
{
    static const char *const transitions[] = {"Auto", "JointImplicit",
                                              "JointExplicit"};
    static const char *const types[] = {"AddNode", "RemoveNode", "UpdateNode",
                                        "AddLearnerNode"};
    const struct swk_raft_conf_change *change = event->change;

    (void)swki_buf_printf(buf, "transition:ConfChangeTransition%s",
                          change->transition >= 0 && change->transition < 3
                              ? transitions[change->transition]
                              : "?");
    for (size_t i = 0; i < change->changes_count; i++) {
        int32_t type = change->changes[i].type;

        (void)swki_buf_printf(
            buf, " changes:{type:ConfChange%s node_id:%" PRIu64 "}",
            type >= 0 && type < 4 ? types[type] : "?", change->changes[i].id);
    }
}

static void put_reason(struct swki_buf *buf,
                       const struct swki_machine_trace *event)
{
    switch (event->refusal) {
    case SWKI_MACHINE_REFUSAL_PENDING:
        (void)swki_buf_printf(buf,
                              "possible unapplied conf change at index %" PRIu64
                              " (applied to %" PRIu64 ")",
                              event->index, event->applied);
        return;
    case SWKI_MACHINE_REFUSAL_JOINT:
        (void)swki_buf_append_text(
            buf, "must transition out of joint config first");
        return;
    case SWKI_MACHINE_REFUSAL_NOT_JOINT:
        (void)swki_buf_append_text(
            buf, "not in joint state; refusing empty conf change");
        return;
    case SWKI_MACHINE_REFUSAL_INVALID:
        (void)swki_buf_append_text(buf, "it can never be applied");
        return;
    }
}

static const struct field {
    const char *name;
    field_fn put;
} fields[] = {
    {"id", put_id},
    {"peer", put_peer},
    {"vote", put_vote},
    {"type", put_type},
    {"role", put_role},
    {"state", put_state},
    {"rejection", put_rejection},
    {"pr", put_progress},
    {"cfg", put_configuration},
    {"peers", put_peers},
    {"changes", put_changes},
    {"reason", put_reason},
};

static bool is_name(const char *name, const char *text, size_t len)
{
    return strlen(name) == len && memcmp(name, text, len) == 0;
}

static void put_field(struct swki_buf *buf, const char *name, size_t len,
                      const struct swki_machine_trace *event)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (is_name(fields[i].name, name, len)) {
            fields[i].put(buf, event);
            return;
        }
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (is_name(numbers[i].name, name, len)) {
            uint64_t number;

            memcpy(&number, (const char *)event + numbers[i].offset,
                   sizeof(number));
            (void)swki_buf_printf(buf, "%" PRIu64, number);
            return;
        }
    }
    (void)swki_buf_printf(buf, "{%.*s}", (int)len, name);
}

void prose(struct output *out, const struct swki_machine_trace *event)
{
    const struct line *line = &lines[event->kind];
    struct swki_buf *buf = output_begin(out);

    if (buf == NULL || line->text == NULL || line->level < out->level) {
        return;
    }
    (void)swki_buf_printf(buf, "%s ", level_name(line->level));
    for (const char *at = line->text; *at != '\0';) {
        size_t len = strcspn(at, "{");

        (void)swki_buf_append(buf, at, len);
        at += len;
        if (*at == '{') {
            len = strcspn(at, "}");
            put_field(buf, at + 1, len - 1, event);
            at += len + 1;
        }
    }
    (void)swki_buf_append_byte(buf, '\n');
}
