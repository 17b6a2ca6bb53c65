/* SPDX-License-Identifier: Apache-2.0 */

#include "core/orchestrator/slot.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/store/task.h"
#include "wire/time.h"

static swk_wall created_at(const Swkpb__Task *task)
{
    return task->meta != NULL ? swki_timestamp_get(task->meta->created_at) : 0;
}

static int compare(const void *left, const void *right)
{
    const Swkpb__Task *a = swki_task(*(const struct swki_object *const *)left);
    const Swkpb__Task *b = swki_task(*(const struct swki_object *const *)right);
    swk_wall created_a = created_at(a);
    swk_wall created_b = created_at(b);

    if (a->slot != b->slot) {
        return a->slot < b->slot ? -1 : 1;
    }
    if (created_a != created_b) {
        return created_a < created_b ? -1 : 1;
    }
    /* Two of the same moment: the one that is further on is the older. */
    if (a->desired_state != b->desired_state) {
        return a->desired_state > b->desired_state ? -1 : 1;
    }
    return strcmp(a->id, b->id);
}

/* Cuts the sorted tasks into slots. */
static int group(struct swki_slots *slots, const struct swki_object **tasks,
                 size_t count)
{
    slots->items =
        swki_arena_calloc(&slots->arena, count, sizeof(*slots->items));
    if (slots->items == NULL) {
        return SWK_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t number = swki_task(tasks[i])->slot;

        if (slots->count == 0 ||
            slots->items[slots->count - 1].number != number) {
            slots->items[slots->count++] = (struct swki_slot){
                .number = number,
                .tasks = &tasks[i],
            };
        }
        slots->items[slots->count - 1].tasks_count++;
    }
    return SWK_OK;
}

static int collect(struct swki_slots *slots, struct swki_cursor *cursor)
{
    const struct swki_object **tasks = NULL;
    const struct swki_object *task;
    size_t count = 0;
    size_t size = 0;

    while ((task = swki_cursor_next(cursor)) != NULL) {
        if (count == size) {
            const struct swki_object **more = swki_arena_alloc(
                &slots->arena, (size == 0 ? 16 : size * 2) * sizeof(*more));

            if (more == NULL) {
                return SWK_ENOMEM;
            }
            if (count > 0) {
                memcpy(more, tasks, count * sizeof(*more));
            }
            size = size == 0 ? 16 : size * 2;
            tasks = more;
        }
        tasks[count++] = task;
    }
    if (count == 0) {
        return SWK_OK;
    }
    qsort(tasks, count, sizeof(*tasks), compare);
    return group(slots, tasks, count);
}

static int load(const struct swk_alloc *alloc, const struct swki_view *view,
                const struct swki_selector *selector, struct swki_slots *out)
{
    struct swki_cursor cursor;
    int rc;

    *out = (struct swki_slots){.view = swki_view_ref(view)};
    swki_arena_init(&out->arena, alloc, SIZE_MAX);
    rc = swki_view_find(view, SWKI_KIND_TASK, selector, &cursor, NULL);
    if (rc == SWK_OK) {
        rc = collect(out, &cursor);
        swki_cursor_close(&cursor);
    }
    if (rc != SWK_OK) {
        swki_slots_fini(out);
    }
    return rc;
}

int swki_slots_load(const struct swk_alloc *alloc, const struct swki_view *view,
                    const char *service_id, struct swki_slots *out)
{
    struct swki_selector selector = {.by = SWKI_BY_SERVICE_ID,
                                     .text = service_id};

    return load(alloc, view, &selector, out);
}

int swki_slot_load(const struct swk_alloc *alloc, const struct swki_view *view,
                   const char *service_id, uint64_t number,
                   struct swki_slots *out)
{
    struct swki_selector selector = {
        .by = SWKI_BY_SLOT,
        .text = service_id,
        .number = number,
    };

    return load(alloc, view, &selector, out);
}

void swki_slots_fini(struct swki_slots *slots)
{
    swki_arena_fini(&slots->arena);
    swki_view_unref(slots->view);
    *slots = (struct swki_slots){0};
}
