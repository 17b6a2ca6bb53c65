/* SPDX-License-Identifier: Apache-2.0 */

/* What the dispatcher writes: reports of tasks, status of nodes, orphans. */

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "core/dispatcher/internal.h"
#include "wire/message.h"

/* After a write that was refused. */
#define WRITE_RETRY (100 * SWK_MILLISECOND)

/* One object to write in a step of a batch. */
struct step {
    struct swki_dispatcher *d;
    const struct report *report;
    const struct node *node;
    const char *task_id;
    swk_wall wall;
};

/* -- Reports -------------------------------------------------------------- */

static void free_report(struct swki_dispatcher *d, struct report *report)
{
    swki_arena_fini(&report->arena);
    swki_free(d->config.alloc, report);
}

void swki_dispatcher_free_reports(struct swki_dispatcher *d)
{
    size_t cursor = 0;
    struct report *report;

    while ((report = swki_map_next(&d->reports, &cursor)) != NULL) {
        swki_map_remove(&d->reports, report->task_id);
        free_report(d, report);
    }
}

/* Texts from a node go into every manager's memory: they are cut. */
static void cut(char *text)
{
    size_t len = strlen(text);

    if (len > SWKI_DISPATCHER_TEXT_MAX) {
        len = SWKI_DISPATCHER_TEXT_MAX;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
            len--; /* not within a character */
        }
        text[len] = '\0';
    }
}

static struct report *new_report(struct swki_dispatcher *d,
                                 const char *task_id,
                                 const Swkpb__TaskStatus *status)
{
    struct report *report = swki_calloc(d->config.alloc, 1, sizeof(*report));

    if (report == NULL) {
        return NULL;
    }
    snprintf(report->task_id, sizeof(report->task_id), "%s", task_id);
    swki_arena_init(&report->arena, d->config.alloc, SIZE_MAX);
    report->status = (Swkpb__TaskStatus *)swki_message_copy(&status->base,
                                                            &report->arena);
    if (report->status == NULL) {
        free_report(d, report);
        return NULL;
    }
    swki_message_drop_unknown(&report->status->base);
    report->status->applied_by = NULL; /* not the node's to say */
    report->status->applied_at = NULL;
    cut(report->status->message);
    cut(report->status->err);
    return report;
}

int swki_dispatcher_queue_report(struct swki_dispatcher *d,
                                 const char *task_id,
                                 const Swkpb__TaskStatus *status)
{
    struct report *waiting = swki_map_get(&d->reports, task_id);
    struct report *report;

    if (waiting != NULL && waiting->status->state > status->state) {
        return SWK_OK; /* the later state stays */
    }
    report = new_report(d, task_id, status);
    if (report == NULL) {
        return SWK_ENOMEM;
    }
    if (!swki_map_put(&d->reports, report->task_id, report)) {
        free_report(d, report);
        return SWK_ENOMEM;
    }
    if (waiting != NULL) {
        free_report(d, waiting);
    }
    d->writes_due = true;
    return SWK_OK;
}

/* Whether the report says something that the store does not have. */
static bool report_is_news(const Swkpb__TaskStatus *stored,
                           const Swkpb__TaskStatus *reported)
{
    Swkpb__TaskStatus a;
    Swkpb__TaskStatus b = *reported;

    if (stored == NULL) {
        return true;
    }
    if (stored->state > reported->state) {
        return false;
    }
    a = *stored;
    a.applied_by = b.applied_by = NULL;
    a.applied_at = b.applied_at = NULL;
    return !swki_message_equal(&a.base, &b.base);
}

static int set_applied(struct step *step, struct swki_object *object,
                       Swkpb__TaskStatus *status)
{
    struct swki_arena *arena = swki_object_arena(object);

    status->applied_by = swki_arena_strdup(arena, step->d->config.node_id);
    status->applied_at = swki_timestamp_from_wall(step->wall, arena);
    return status->applied_by != NULL && status->applied_at != NULL
               ? SWK_OK
               : SWK_ENOMEM;
}

static int write_report(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct step *step = ctx;
    const struct report *report = step->report;
    const struct swki_object *stored =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_TASK, report->task_id);
    struct swki_object *object;
    Swkpb__Task *task;

    if (stored == NULL ||
        !report_is_news(swki_task(stored)->status, report->status)) {
        return SWK_OK;
    }
    object = swki_object_edit(stored);
    if (object == NULL) {
        return SWK_ENOMEM;
    }
    task = swki_task_edit(object);
    task->status = (Swkpb__TaskStatus *)swki_message_copy(
        &report->status->base, swki_object_arena(object));
    if (task->status == NULL || set_applied(step, object, task->status) != 0) {
        swki_object_unref(object);
        return SWK_ENOMEM;
    }
    return swki_tx_update(tx, object, err);
}

/* -- Nodes ---------------------------------------------------------------- */

static int fill_node(const struct node *node, struct swki_object *object)
{
    Swkpb__Node *stored = swki_node_edit(object);
    struct swki_arena *arena = swki_object_arena(object);
    const char *address = node->address;
    Swkpb__NodeStatus *status = swki_arena_alloc(arena, sizeof(*status));

    if (status == NULL) {
        return SWK_ENOMEM;
    }
    if (address[0] == '\0' && stored->status != NULL) {
        address = stored->status->addr;
    }
    swkpb__node_status__init(status);
    status->state = (Swkpb__NodeStatus__State)node->state;
    status->message = swki_arena_strdup(arena, node->message);
    status->addr = swki_arena_strdup(arena, address);
    stored->status = status;
    if (node->description != NULL && !swki_dispatcher_description_waits(node)) {
        stored->description =
            (Swkpb__NodeDescription *)swki_message_copy(
                &node->description->base, arena);
        if (stored->description == NULL) {
            return SWK_ENOMEM;
        }
    }
    return status->message != NULL && status->addr != NULL ? SWK_OK
                                                           : SWK_ENOMEM;
}

static bool same_status(const Swkpb__Node *a, const Swkpb__Node *b)
{
    return a->status != NULL &&
           swki_message_equal(&a->status->base, &b->status->base) &&
           (a->description == b->description ||
            (a->description != NULL && b->description != NULL &&
             swki_message_equal(&a->description->base,
                                &b->description->base)));
}

static int write_node(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct step *step = ctx;
    const struct swki_object *stored =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_NODE, step->node->id);
    struct swki_object *object;
    int rc;

    if (stored == NULL) {
        return SWK_OK;
    }
    object = swki_object_edit(stored);
    if (object == NULL) {
        return SWK_ENOMEM;
    }
    rc = fill_node(step->node, object);
    if (rc != 0 || same_status(swki_node(stored), swki_node_edit(object))) {
        swki_object_unref(object);
        return rc;
    }
    return swki_tx_update(tx, object, err);
}

/* -- Batches -------------------------------------------------------------- */

/* Writes one status. Whether to try again: memory and leadership may come back,
 * while what was refused stays so. */
static bool write_step(struct swki_dispatcher *d, struct swki_batch *batch,
                       swki_step_fn write, struct step *step, const char *id)
{
    struct swk_error err = {0};
    int rc = swki_batch_step(batch, write, step, &err);
    bool again = rc == SWK_ENOMEM || rc == SWK_ENOTLEADER;

    if (rc != 0 && !again && batch->failed == 0) {
        swki_log(d->config.logger, SWK_LOG_WARN, "dispatcher",
                 "status of %s not written: %s", id, err.text);
    }
    return again;
}

static void write_reports(struct swki_dispatcher *d, struct swki_batch *batch,
                          swk_wall wall)
{
    size_t cursor = 0;
    struct report *report;

    while ((report = swki_map_next(&d->reports, &cursor)) != NULL) {
        struct step step = {.d = d, .report = report, .wall = wall};

        report->failed = write_step(d, batch, write_report, &step,
                                    report->task_id);
    }
}

static void write_nodes(struct swki_dispatcher *d, struct swki_batch *batch,
                        swk_wall wall)
{
    for (struct swki_link *link = d->writes.next; link != &d->writes;
         link = link->next) {
        struct node *node = SWKI_CONTAINER(link, struct node, write);
        struct step step = {.d = d, .node = node, .wall = wall};

        node->write_failed =
            write_step(d, batch, write_node, &step, node->id);
    }
}

static void settle_reports(struct swki_dispatcher *d)
{
    size_t cursor = 0;
    struct report *report;

    while ((report = swki_map_next(&d->reports, &cursor)) != NULL) {
        if (!report->failed) {
            swki_map_remove(&d->reports, report->task_id);
            free_report(d, report);
        }
    }
}

/* Remembers up to where the log must be committed before a registration
 * counts. */
static void settle_nodes(struct swki_dispatcher *d)
{
    uint64_t index = swki_view_index(swki_store_head(d->store));
    struct swki_link *next;

    for (struct swki_link *link = d->writes.next; link != &d->writes;
         link = next) {
        struct node *node = SWKI_CONTAINER(link, struct node, write);

        next = link->next;
        if (node->write_failed) {
            continue;
        }
        swki_list_remove(link);
        if (node->phase == NODE_READY) {
            node->registered_index = index;
            swki_dispatcher_note_due(d, node);
        }
        if (!swki_dispatcher_description_waits(node)) {
            node->description = NULL;
            swki_arena_fini(&node->description_arena);
        }
    }
}

void swki_dispatcher_flush_writes(struct swki_dispatcher *d, swk_wall wall)
{
    struct swki_batch batch;

    swki_batch_init(&batch, d->store, SWKI_ACTOR_DISPATCHER, wall);
    write_reports(d, &batch, wall);
    write_nodes(d, &batch, wall);
    if (swki_batch_end(&batch, NULL) == 0) { /* else all is still queued */
        settle_reports(d);
        settle_nodes(d);
    }
    d->writes_due = d->reports.count > 0 || !swki_list_empty(&d->writes);
    if (d->writes_due) {
        d->write_at = d->now + WRITE_RETRY;
    }
}

/* -- Orphans -------------------------------------------------------------- */

static int write_orphan(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct step *step = ctx;
    const struct swki_object *stored =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_TASK, step->task_id);
    struct swki_object *object = stored != NULL ? swki_object_edit(stored)
                                                : NULL;
    struct swki_arena *arena;
    Swkpb__TaskStatus *status;

    if (object == NULL) {
        return stored == NULL ? SWK_OK : SWK_ENOMEM;
    }
    arena = swki_object_arena(object);
    status = swki_object_own(object, &swki_task_edit(object)->status);
    if (status != NULL) {
        status->state = SWKPB__TASK_STATE__ORPHANED;
        status->message = swki_arena_strdup(arena, "node was down too long");
        status->timestamp = swki_timestamp_from_wall(step->wall, arena);
    }
    if (status == NULL || status->message == NULL ||
        status->timestamp == NULL || set_applied(step, object, status) != 0) {
        swki_object_unref(object);
        return SWK_ENOMEM;
    }
    return swki_tx_update(tx, object, err);
}

static bool orphan_wanted(const Swkpb__Task *task)
{
    return task->status != NULL &&
           task->status->state >= SWKPB__TASK_STATE__ASSIGNED &&
           task->status->state <= SWKPB__TASK_STATE__RUNNING;
}

void swki_dispatcher_orphan(struct swki_dispatcher *d, struct node *node,
                            swk_wall wall)
{
    const struct swki_selector by_node = {.by = SWKI_BY_NODE_ID,
                                          .text = node->id};
    const struct swki_view *view = swki_view_ref(swki_store_head(d->store));
    struct swki_batch batch;
    struct swki_cursor cursor;
    const struct swki_object *object;
    int rc = swki_view_find(view, SWKI_KIND_TASK, &by_node, &cursor, NULL);

    if (rc == 0) {
        swki_batch_init(&batch, d->store, SWKI_ACTOR_DISPATCHER, wall);
        while ((object = swki_cursor_next(&cursor)) != NULL) {
            struct step step = {
                .d = d, .task_id = swki_object_id(object), .wall = wall};

            if (orphan_wanted(swki_task(object))) {
                (void)swki_batch_step(&batch, write_orphan, &step, NULL);
            }
        }
        swki_cursor_close(&cursor);
        rc = swki_batch_end(&batch, NULL);
    }
    swki_view_unref(view);
    if (rc != 0) { /* the log was full: the timer's place is still there */
        (void)swki_timers_set(&d->timers, &node->timer, d->now + SWK_SECOND);
    }
}
