/* SPDX-License-Identifier: Apache-2.0 */

/* Reports: the newest status of each task reaches the manager, sometimes
 * skipping those between; many travel in one call, one call at a time. */

#include "core/agent/internal.h"
#include "dispatcher.pb-c.h"
#include "wire/status.h"

void swki_agent_note_report(struct swki_agent *agent, struct agent_task *t)
{
    t->report_due = true;
    agent->reports_due = true;
}

void swki_agent_report_all(struct swki_agent *agent)
{
    size_t cursor = 0;
    struct agent_task *t;

    while ((t = swki_map_next(&agent->tasks, &cursor)) != NULL) {
        t->reporting = false;
        swki_agent_note_report(agent, t);
    }
}

void swki_agent_send_reports(struct swki_agent *agent)
{
    typedef Swkpb__UpdateTaskStatusRequest__TaskStatusUpdate Update;
    Swkpb__UpdateTaskStatusRequest request =
        SWKPB__UPDATE_TASK_STATUS_REQUEST__INIT;
    Update *list[SWKI_AGENT_REPORTS_PER_CALL];
    size_t cursor = 0;
    struct agent_task *t;

    if (agent->state != SESSION_UP || agent->report_call != 0 ||
        !agent->reports_due) {
        return;
    }
    agent->reports_due = false;
    while ((t = swki_map_next(&agent->tasks, &cursor)) != NULL) {
        Update *update;

        if (!t->report_due) {
            continue;
        }
        update = request.n_updates < SWKI_AGENT_REPORTS_PER_CALL
                     ? swki_arena_alloc(&agent->actions_arena, sizeof(*update))
                     : NULL;
        if (update == NULL) {
            agent->reports_due = true;
            break;
        }
        swkpb__update_task_status_request__task_status_update__init(update);
        update->task_id = t->id;
        update->status = t->status;
        list[request.n_updates++] = update;
        t->report_due = false;
        t->reporting = true;
    }
    if (request.n_updates > 0) {
        request.session_id = agent->session_id;
        request.updates = list;
        agent->report_call = swki_agent_call(
            agent, "/docker.swarmkit.v1.Dispatcher/UpdateTaskStatus",
            &request.base);
    }
}

void swki_agent_reported(struct swki_agent *agent, int status)
{
    size_t cursor = 0;
    struct agent_task *t;

    while ((t = swki_map_next(&agent->tasks, &cursor)) != NULL) {
        if (t->reporting && status != SWKI_STATUS_OK) {
            swki_agent_note_report(agent, t);
        }
        t->reporting = false;
    }
}
