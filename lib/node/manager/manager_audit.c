/* SPDX-License-Identifier: Apache-2.0 */

/* What a manager tells its audit log, if it has one. */

#include "node/manager/manager_impl.h"

#include <string.h>

#include "core/store/store.h"
#include "node/audit/audit_log.h"

static struct swki_audit *machine(const struct swki_manager *m)
{
    return m->config.audit_log != NULL
               ? swki_audit_log_machine(m->config.audit_log)
               : NULL;
}

static swk_wall wall_of(const struct swki_manager *m)
{
    return m->config.clock->wall(m->config.clock->ctx);
}

void swki_manager_audit_open(struct swki_manager *m)
{
    struct swki_audit *audit = machine(m);
    struct swki_store_observer observer;

    if (audit != NULL) {
        observer = swki_audit_observer(audit);
        swki_audit_set_time(audit, wall_of(m));
        swki_store_observe(m->store, &observer);
    }
}

void swki_manager_audit_write(struct swki_manager *m)
{
    if (m->config.audit_log != NULL) {
        swki_audit_log_write(m->config.audit_log);
    }
}

void swki_manager_audit_turn(struct swki_manager *m)
{
    struct swki_audit *audit = machine(m);

    if (audit != NULL) {
        swki_audit_set_time(audit, wall_of(m));
    }
}

/* -- Calls ---------------------------------------------------------------- */

/* The agents' calls go on: what they report has happened already, and without
 * their heartbeats the swarm would come to a halt. */
bool swki_manager_audit_blocks(struct swki_manager *m,
                               const struct swki_method *method)
{
    return m->config.audit_log != NULL &&
           (method->flags & SWKI_CALL_READ_ONLY) == 0 &&
           strcmp(method->service, "Dispatcher") != 0 &&
           swki_audit_log_blocks(m->config.audit_log);
}

void swki_manager_refused(struct swki_manager *m, const char *path,
                          const struct swki_caller *caller,
                          enum swki_status status, const char *text)
{
    struct swki_audit *audit = machine(m);

    if (audit != NULL) {
        swki_audit_call_refused(audit, wall_of(m), path, caller, status, text);
        swki_manager_audit_write(m);
    }
}

void swki_manager_audit_begins(struct swki_manager *m,
                               const struct swki_method *method,
                               const struct swki_manager_call *call)
{
    struct swki_audit *audit = machine(m);

    if (audit != NULL) {
        swki_audit_call_begins(audit, wall_of(m), call->id, method,
                               call->caller);
    }
}

void swki_manager_audit_request(struct swki_manager *m, uint64_t call_id,
                                const ProtobufCMessage *request)
{
    struct swki_audit *audit = machine(m);

    if (audit != NULL) {
        swki_audit_set_time(audit, wall_of(m));
        swki_audit_call_request(audit, call_id, request);
        swki_store_set_cause(m->store, swki_audit_call_cause(audit, call_id));
    }
}

void swki_manager_audit_served(struct swki_manager *m)
{
    swki_store_set_cause(m->store, 0);
}

void swki_manager_audit_ends(struct swki_manager *m,
                             const struct swki_answer *answer)
{
    struct swki_audit *audit = machine(m);

    if (audit != NULL && answer->end) {
        swki_audit_call_ends(audit, wall_of(m), answer->call_id, answer->status,
                             answer->text);
    }
}

void swki_manager_audit_cancelled(struct swki_manager *m, uint64_t call_id)
{
    struct swki_audit *audit = machine(m);

    if (audit != NULL) {
        swki_audit_call_ends(audit, wall_of(m), call_id, SWKI_STATUS_CANCELLED,
                             "the caller went away");
    }
}

/* -- The manager's turns -------------------------------------------------- */

void swki_manager_audit_leads(struct swki_manager *m)
{
    struct swki_audit *audit = machine(m);

    if (audit != NULL) {
        swki_audit_leads(audit, wall_of(m), swki_manager_status(m).term);
    }
}

void swki_manager_audit_leads_no_more(struct swki_manager *m)
{
    struct swki_audit *audit = machine(m);

    if (audit != NULL) {
        swki_audit_leads_no_more(audit, wall_of(m));
    }
}

void swki_manager_audit_restored(struct swki_manager *m, uint64_t index)
{
    struct swki_audit *audit = machine(m);

    if (audit != NULL) {
        swki_audit_restored(audit, wall_of(m), index);
    }
}
