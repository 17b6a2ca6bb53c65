/* SPDX-License-Identifier: Apache-2.0 */

#include "core/store/task.h"

#include "wire/time.h"

Swkpb__TaskState swki_task_state(const Swkpb__Task *task)
{
    return task->status != NULL ? task->status->state : SWKPB__TASK_STATE__NEW;
}

bool swki_task_terminal(const Swkpb__Task *task)
{
    return swki_task_state(task) > SWKPB__TASK_STATE__RUNNING;
}

bool swki_task_wanted(const Swkpb__Task *task)
{
    return task->desired_state <= SWKPB__TASK_STATE__RUNNING;
}

uint64_t swki_task_spec_version(const Swkpb__Task *task)
{
    return task->spec_version != NULL ? task->spec_version->index : 0;
}

swk_wall swki_task_status_time(const Swkpb__Task *task)
{
    swk_wall applied;

    if (task->status == NULL) {
        return 0;
    }
    applied = swki_timestamp_get(task->status->applied_at);
    return applied != 0 ? applied : swki_timestamp_get(task->status->timestamp);
}

/* The status, made ready for writing. */
static Swkpb__TaskStatus *writable_status(struct swki_object *object)
{
    Swkpb__Task *task = swki_task_edit(object);

    if (task->status != NULL) {
        return swki_object_own(object, &task->status);
    }
    task->status =
        swki_arena_alloc(swki_object_arena(object), sizeof(*task->status));
    if (task->status != NULL) {
        swkpb__task_status__init(task->status);
    }
    return task->status;
}

int swki_task_report(struct swki_object *object,
                     const struct swki_task_report *report)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__TaskStatus *status = writable_status(object);

    if (status == NULL) {
        return SWK_ENOMEM;
    }
    status->state = report->state;
    status->timestamp = swki_timestamp_from_wall(report->wall, arena);
    status->applied_at = swki_timestamp_from_wall(report->wall, arena);
    status->applied_by = swki_arena_strdup(arena, report->applied_by);
    if (report->message != NULL) {
        status->message = swki_arena_strdup(arena, report->message);
    }
    if (report->err != NULL) {
        status->err = swki_arena_strdup(arena, report->err);
    }
    return status->timestamp == NULL || status->applied_at == NULL ||
                   status->applied_by == NULL || status->message == NULL ||
                   status->err == NULL
               ? SWK_ENOMEM
               : SWK_OK;
}
