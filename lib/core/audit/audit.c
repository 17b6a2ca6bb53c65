/* SPDX-License-Identifier: Apache-2.0 */

#include "core/audit/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/roles.h"
#include "core/audit/open_calls.h"

struct swki_audit {
    struct swki_audit_config config;
    struct swki_audit_link head;
    struct swki_buf pending;
    struct swki_open_calls calls;
    swk_wall wall;     /* of the changes that come */
    uint64_t start;    /* number of the record of the start */
    uint64_t recorded; /* index up to which changes are in the log */
    uint64_t lost;     /* records that no record has told of */
    int64_t second;    /* in which refusals are counted */
    uint32_t refusals;
    uint64_t suppressed; /* refusals of that second without a record */
};

/* -- Records -------------------------------------------------------------- */

/* While there is no room for a record there is none for the later ones either:
 * the log has one gap, which is told of where it is. */
static bool tell_of_gap(struct swki_audit *audit, swk_wall wall)
{
    struct swki_audit_line line;

    if (audit->lost == 0) {
        return true;
    }
    if (audit->pending.len > audit->config.pending_max / 2) {
        return false;
    }
    line = swki_audit_line_begin(&audit->pending, &audit->head, wall, "gap");
    swki_audit_line_number(&line, "lost", audit->lost);
    if (!swki_audit_line_end(&line, &audit->head)) {
        return false;
    }
    audit->lost = 0;
    return true;
}

static struct swki_audit_line begin(struct swki_audit *audit, swk_wall wall,
                                    const char *type)
{
    if (!tell_of_gap(audit, wall)) {
        return (struct swki_audit_line){0};
    }
    return swki_audit_line_begin(&audit->pending, &audit->head, wall, type);
}

static void text(const struct swki_audit_line *line, const char *name,
                 const char *value)
{
    if (line->buf != NULL) {
        swki_audit_line_text(line, name, value);
    }
}

static void number(const struct swki_audit_line *line, const char *name,
                   uint64_t value)
{
    if (line->buf != NULL) {
        swki_audit_line_number(line, name, value);
    }
}

static void end(struct swki_audit *audit, const struct swki_audit_line *line)
{
    if (line->buf == NULL || !swki_audit_line_end(line, &audit->head)) {
        audit->lost++;
    }
}

/* In each file, since the others may be gone. */
static void put_owner(const struct swki_audit *audit,
                      const struct swki_audit_line *line)
{
    text(line, "node", audit->config.node_id);
    text(line, "swarm", audit->config.swarm_id);
}

/* -- Life ----------------------------------------------------------------- */

int swki_audit_new(const struct swki_audit_config *config,
                   struct swki_audit **out_audit, struct swk_error *err)
{
    struct swki_audit *audit = swki_calloc(config->alloc, 1, sizeof(*audit));

    if (audit == NULL) {
        return swki_fail_nomem(err);
    }
    audit->config = *config;
    if (config->pending_max == 0) {
        audit->config.pending_max = SWKI_AUDIT_PENDING_MAX;
    }
    if (config->refusals_max == 0) {
        audit->config.refusals_max = SWKI_AUDIT_REFUSALS_MAX;
    }
    audit->head = config->last;
    swki_buf_init(&audit->pending, config->alloc, audit->config.pending_max);
    swki_open_calls_init(&audit->calls, config->alloc);
    *out_audit = audit;
    return SWK_OK;
}

void swki_audit_free(struct swki_audit *audit)
{
    if (audit != NULL) {
        swki_open_calls_fini(&audit->calls);
        swki_buf_fini(&audit->pending);
        swki_free(audit->config.alloc, audit);
    }
}

void swki_audit_start(struct swki_audit *audit, swk_wall wall,
                      const struct swki_audit_start *start)
{
    static const char *const before[] = {
        [SWKI_AUDIT_BEFORE_NONE] = "none",
        [SWKI_AUDIT_BEFORE_STOPPED] = "stopped",
        [SWKI_AUDIT_BEFORE_CRASHED] = "crashed",
        [SWKI_AUDIT_BEFORE_TRUNCATED] = "truncated",
        [SWKI_AUDIT_BEFORE_ALTERED] = "altered",
        [SWKI_AUDIT_BEFORE_UNSIGNED] = "unsigned",
    };
    struct swki_audit_line line = begin(audit, wall, "start");

    audit->start = audit->head.seq + 1;
    put_owner(audit, &line);
    text(&line, "release", start->release);
    text(&line, "before", before[start->before]);
    if (start->torn > 0) {
        number(&line, "torn", start->torn);
    }
    end(audit, &line);
}

/* -- Calls ---------------------------------------------------------------- */

/* What gets no record when it was permitted. */
static bool is_routine(const struct swki_method *method)
{
    return (method->flags & SWKI_CALL_READ_ONLY) != 0 ||
           strcmp(method->path, SWKI_PATH_DISPATCHER_HEARTBEAT) == 0;
}

void swki_audit_call_request(struct swki_audit *audit, uint64_t call_id,
                             const ProtobufCMessage *request)
{
    struct swki_open_call *call = swki_open_calls_find(&audit->calls, call_id);

    if (call != NULL) {
        swki_open_call_look(call, request);
    }
}

uint64_t swki_audit_call_cause(const struct swki_audit *audit, uint64_t call_id)
{
    const struct swki_open_call *call =
        swki_open_calls_find(&audit->calls, call_id);

    return call != NULL ? call->number : 0;
}

/* Numbers of calls begin anew with each start. */
static void put_call(const struct swki_audit *audit,
                     const struct swki_audit_line *line, uint64_t call)
{
    char name[48];

    if (call != 0) {
        snprintf(name, sizeof(name), "%" PRIu64 ".%" PRIu64, audit->start,
                 call);
        text(line, "call", name);
    }
}

static void put_caller(const struct swki_audit_line *line,
                       const struct swki_caller *caller)
{
    const char *who = caller->local ? "local" : caller->node_id;

    text(line, "actor", who == NULL || who[0] == '\0' ? "anonymous" : who);
    if (caller->role != SWKI_ROLE_NONE) {
        text(line, "role",
             caller->role == SWKI_ROLE_MANAGER ? "manager" : "worker");
    }
    text(line, "swarm", caller->swarm_id);
    text(line, "address", caller->address);
    if (caller->local && caller->pid > 0) {
        number(line, "uid", (uint64_t)caller->uid);
        number(line, "pid", (uint64_t)caller->pid);
    }
    text(line, "by", caller->forwarded_by);
    text(line, "request", caller->request_id);
}

/* What a status says about the change that was asked for. */
static const char *outcome_of(enum swki_status status)
{
    switch (status) {
    case SWKI_STATUS_OK:
        return "done";
    case SWKI_STATUS_CANCELLED:
    case SWKI_STATUS_UNKNOWN:
    case SWKI_STATUS_DEADLINE_EXCEEDED:
    case SWKI_STATUS_INTERNAL:
    case SWKI_STATUS_UNAVAILABLE:
    case SWKI_STATUS_DATA_LOSS:
        return "unknown"; /* the change may have been made */
    case SWKI_STATUS_INVALID_ARGUMENT:
    case SWKI_STATUS_NOT_FOUND:
    case SWKI_STATUS_ALREADY_EXISTS:
    case SWKI_STATUS_PERMISSION_DENIED:
    case SWKI_STATUS_RESOURCE_EXHAUSTED:
    case SWKI_STATUS_FAILED_PRECONDITION:
    case SWKI_STATUS_ABORTED:
    case SWKI_STATUS_OUT_OF_RANGE:
    case SWKI_STATUS_UNIMPLEMENTED:
    case SWKI_STATUS_UNAUTHENTICATED:
        break;
    }
    return "refused";
}

static void put_outcome(const struct swki_audit_line *line, const char *outcome,
                        enum swki_status status, const char *why)
{
    text(line, "outcome", outcome);
    if (status != SWKI_STATUS_OK) {
        text(line, "status", swki_status_name((int)status));
        text(line, "text", why);
    }
}

/* Tells of the refusals that got no record. */
static void tell_of_suppressed(struct swki_audit *audit, swk_wall wall)
{
    struct swki_audit_line line;

    if (audit->suppressed > 0) {
        line = begin(audit, wall, "suppressed");
        number(&line, "calls", audit->suppressed);
        end(audit, &line);
    }
    audit->refusals = 0;
    audit->suppressed = 0;
}

/* Whether a call that did not succeed gets a record; the others are counted,
 * and told of when their second is over. Administrators are not held back; but
 * one who is denied a call is none, such as a manager that was removed. */
static bool count_refusal(struct swki_audit *audit, swk_wall wall,
                          const struct swki_caller *caller,
                          enum swki_status status)
{
    int64_t second = wall / (int64_t)SWK_SECOND;
    bool is_denied = status == SWKI_STATUS_PERMISSION_DENIED ||
                     status == SWKI_STATUS_UNAUTHENTICATED;

    if (caller->local || (caller->role == SWKI_ROLE_MANAGER && !is_denied)) {
        return true;
    }
    if (second != audit->second) {
        tell_of_suppressed(audit, wall);
        audit->second = second;
    }
    if (audit->refusals < audit->config.refusals_max) {
        audit->refusals++;
        return true;
    }
    audit->suppressed++;
    return false;
}

static void record_call(struct swki_audit *audit, swk_wall wall,
                        const struct swki_open_call *call, const char *outcome,
                        enum swki_status status, const char *why)
{
    struct swki_audit_line line = begin(audit, wall, "call");

    put_call(audit, &line, call->number);
    text(&line, "method", call->method->path);
    put_caller(&line, &call->caller);
    text(&line, "object", call->object);
    text(&line, "name", call->name);
    if (call->version != 0) {
        number(&line, "version", call->version);
    }
    put_outcome(&line, outcome, status, why);
    end(audit, &line);
}

void swki_audit_call_begins(struct swki_audit *audit, swk_wall wall,
                            uint64_t call_id, const struct swki_method *method,
                            const struct swki_caller *caller)
{
    struct swki_open_call *call;

    if (is_routine(method)) {
        return;
    }
    call = swki_open_calls_add(&audit->calls, call_id, method, caller);
    if (call == NULL) {
        audit->lost++;
    } else if (method->kind != SWKI_METHOD_UNARY) {
        record_call(audit, wall, call, "begun", SWKI_STATUS_OK, "");
    }
}

void swki_audit_call_ends(struct swki_audit *audit, swk_wall wall,
                          uint64_t call_id, enum swki_status status,
                          const char *why)
{
    struct swki_open_call *call = swki_open_calls_find(&audit->calls, call_id);

    if (call == NULL) {
        return;
    }
    if (status == SWKI_STATUS_OK ||
        count_refusal(audit, wall, &call->caller, status)) {
        record_call(audit, wall, call, outcome_of(status), status, why);
    }
    swki_open_calls_remove(&audit->calls, call);
}

void swki_audit_call_refused(struct swki_audit *audit, swk_wall wall,
                             const char *path, const struct swki_caller *caller,
                             enum swki_status status, const char *why)
{
    struct swki_audit_line line;

    if (!count_refusal(audit, wall, caller, status)) {
        return;
    }
    line = begin(audit, wall, "call");
    text(&line, "method", path);
    put_caller(&line, caller);
    put_outcome(&line, "refused", status, why);
    end(audit, &line);
}

/* -- Changes -------------------------------------------------------------- */

static void put_change(const struct swki_audit *audit,
                       const struct swki_audit_line *line,
                       const struct swki_observed *observed)
{
    static const char *const verbs[] = {
        [SWKI_CHANGE_CREATE] = "create",
        [SWKI_CHANGE_UPDATE] = "update",
        [SWKI_CHANGE_DELETE] = "delete",
    };
    const struct swki_object *object = observed->object;
    char name[SWKI_AUDIT_TEXT_MAX];

    put_call(audit, line, observed->cause);
    text(line, "actor",
         observed->actor < SWKI_ACTORS_COUNT ? swki_actor_name(observed->actor)
                                             : "unknown");
    text(line, "request", observed->request);
    text(line, "action", verbs[observed->change]);
    text(line, "kind", swki_kind_name(swki_object_kind(object)));
    text(line, "object", swki_object_id(object));
    text(line, "name", swki_object_name(object, name, sizeof(name)));
}

static void change_ended(void *ctx, const struct swki_observed *observed)
{
    struct swki_audit *audit = ctx;
    bool committed = observed->fate == SWKI_FATE_COMMITTED;
    struct swki_audit_line line;

    /* After a start the end of the raft log is applied anew. */
    if (audit->config.level != SWKI_AUDIT_ALL ||
        (committed && observed->index <= audit->config.recorded_index)) {
        return;
    }
    line = begin(audit, audit->wall, "change");
    put_change(audit, &line, observed);
    number(&line, "version", observed->index);
    text(&line, "outcome", committed ? "committed" : "unknown");
    end(audit, &line);
}

static void change_refused(void *ctx, const struct swki_observed *observed,
                           const struct swk_error *why)
{
    struct swki_audit *audit = ctx;
    struct swki_audit_line line = begin(audit, audit->wall, "change");

    put_change(audit, &line, observed);
    put_outcome(&line, "refused", swki_status_from_error(why->code), why->text);
    end(audit, &line);
}

struct swki_store_observer swki_audit_observer(struct swki_audit *audit)
{
    return (struct swki_store_observer){
        .ctx = audit,
        .ended = change_ended,
        .refused = change_refused,
    };
}

void swki_audit_set_time(struct swki_audit *audit, swk_wall wall)
{
    audit->wall = wall;
}

/* -- The manager ---------------------------------------------------------- */

void swki_audit_leads(struct swki_audit *audit, swk_wall wall, uint64_t term)
{
    struct swki_audit_line line = begin(audit, wall, "leads");

    number(&line, "term", term);
    end(audit, &line);
}

void swki_audit_leads_no_more(struct swki_audit *audit, swk_wall wall)
{
    struct swki_audit_line line = begin(audit, wall, "leads-no-more");

    end(audit, &line);
}

void swki_audit_restored(struct swki_audit *audit, swk_wall wall,
                         uint64_t index)
{
    struct swki_audit_line line = begin(audit, wall, "restored");

    number(&line, "version", index);
    end(audit, &line);
}

void swki_audit_file(struct swki_audit *audit, swk_wall wall, uint64_t file,
                     uint64_t oldest)
{
    struct swki_audit_line line = begin(audit, wall, "file");

    number(&line, "file", file);
    number(&line, "oldest", oldest);
    put_owner(audit, &line);
    end(audit, &line);
}

void swki_audit_stop(struct swki_audit *audit, swk_wall wall)
{
    struct swki_open_call *call;
    struct swki_audit_line line;
    size_t cursor = 0;

    while ((call = swki_map_next(&audit->calls.map, &cursor)) != NULL) {
        record_call(audit, wall, call, "unknown", SWKI_STATUS_UNAVAILABLE,
                    "the manager stops");
        swki_open_calls_remove(&audit->calls, call);
    }
    tell_of_suppressed(audit, wall);
    line = begin(audit, wall, "stop");
    end(audit, &line);
}

/* -- Writing -------------------------------------------------------------- */

const struct swki_buf *swki_audit_pending(const struct swki_audit *audit)
{
    return &audit->pending;
}

void swki_audit_written(struct swki_audit *audit, size_t len)
{
    swki_buf_consume(&audit->pending, len);
}

const struct swki_audit_link *swki_audit_head(const struct swki_audit *audit)
{
    return &audit->head;
}

uint64_t swki_audit_lost(const struct swki_audit *audit)
{
    return audit->lost;
}
