/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Least privilege: no node is ever sent what its tasks do not need.
 *
 * Each message that the manager gives to a node's session is taken apart when
 * it leaves, and held against what the committed tasks of that node ask for.
 * The need is computed here anew, from the tasks alone.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/store/task.h"
#include "dispatcher.pb-c.h"
#include "lib/sim_swarm.h"
#include "wire/message.h"

/* A secret or config that a node was given and not told to forget. */
struct given {
    char id[SWK_ID_LEN_MAX + 1];
    enum swki_kind kind;
};

/* -- Need ----------------------------------------------------------------- */

static bool names_beside(const Swkpb__TaskSpec *spec, enum swki_kind kind,
                         const char *id)
{
    for (size_t i = 0; i < spec->n_resource_references; i++) {
        const Swkpb__ResourceReference *r = spec->resource_references[i];

        if (r->resource_type == (kind == SWKI_KIND_SECRET
                                     ? SWKPB__RESOURCE_TYPE__SECRET
                                     : SWKPB__RESOURCE_TYPE__CONFIG) &&
            strcmp(r->resource_id, id) == 0) {
            return true;
        }
    }
    return false;
}

static bool references(const Swkpb__ContainerSpec *c, enum swki_kind kind,
                       const char *id)
{
    for (size_t i = 0; kind == SWKI_KIND_SECRET && i < c->n_secrets; i++) {
        if (strcmp(c->secrets[i]->secret_id, id) == 0) {
            return true;
        }
    }
    for (size_t i = 0; kind == SWKI_KIND_CONFIG && i < c->n_configs; i++) {
        if (strcmp(c->configs[i]->config_id, id) == 0) {
            return true;
        }
    }
    return false;
}

/* A task is the node's from its assignment on; what it names is needed until
 * it has ended. */
static bool task_needs(const Swkpb__Task *task, enum swki_kind kind,
                       const char *id)
{
    Swkpb__TaskState state = swki_task_state(task);

    return state >= SWKPB__TASK_STATE__ASSIGNED &&
           state <= SWKPB__TASK_STATE__RUNNING && task->spec != NULL &&
           (names_beside(task->spec, kind, id) ||
            (task->spec->runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER &&
             references(task->spec->container, kind, id)));
}

static bool needs(const struct swki_view *view, const char *node_id,
                  enum swki_kind kind, const char *id)
{
    const struct swki_selector by = {.by = SWKI_BY_NODE_ID, .text = node_id};
    const struct swki_object *object;
    struct swki_cursor cursor;
    bool found = false;

    if (swki_view_find(view, SWKI_KIND_TASK, &by, &cursor, NULL) != 0) {
        return false;
    }
    while (!found && (object = swki_cursor_next(&cursor)) != NULL) {
        found = task_needs(swki_task(object), kind, id);
    }
    swki_cursor_close(&cursor);
    return found;
}

static bool has_task(const struct swki_view *view, const char *node_id,
                     const char *task_id)
{
    const struct swki_object *object =
        swki_view_get(view, SWKI_KIND_TASK, task_id);

    return object != NULL && strcmp(swki_task(object)->node_id, node_id) == 0 &&
           swki_task_state(swki_task(object)) >= SWKPB__TASK_STATE__ASSIGNED;
}

/* -- What a node has ------------------------------------------------------- */

static void forget(struct sim_node *node, const char *id)
{
    free(swki_map_remove(&node->given, id));
}

static void hold(struct sim_node *node, enum swki_kind kind, const char *id)
{
    struct given *given = calloc(1, sizeof(*given));

    assert(given != NULL);
    forget(node, id);
    snprintf(given->id, sizeof(given->id), "%s", id);
    given->kind = kind;
    if (!swki_map_put(&node->given, given->id, given)) {
        abort();
    }
}

void sim_forget_given(struct sim_node *node)
{
    struct given *given;
    size_t cursor = 0;

    while ((given = swki_map_next(&node->given, &cursor)) != NULL) {
        forget(node, given->id);
    }
}

const char *sim_holds_too_much(const struct sim_node *node)
{
    const struct given *given;
    size_t cursor = 0;

    while ((given = swki_map_next(&node->given, &cursor)) != NULL) {
        if (!needs(sim_view(node->sim), node->id, given->kind, given->id)) {
            return given->id;
        }
    }
    return NULL;
}

/* -- What is sent --------------------------------------------------------- */

static void check_dependency(struct sim_node *node,
                             const struct swki_view *view, enum swki_kind kind,
                             const char *id,
                             Swkpb__AssignmentChange__AssignmentAction action)
{
    if (action == SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__REMOVE) {
        forget(node, id);
        return;
    }
    if (!needs(view, node->id, kind, id)) {
        sim_broken(node->sim, "%s is sent %s %s, which no task of it needs",
                   node->name, swki_kind_name(kind),
                   sim_name_of(node->sim, id));
    }
    hold(node, kind, id);
}

static void check_change(struct sim_node *node, const struct swki_view *view,
                         const Swkpb__AssignmentChange *change)
{
    const Swkpb__Assignment *a = change->assignment;

    switch (a->item_case) {
    case SWKPB__ASSIGNMENT__ITEM_TASK:
        if (change->action ==
                SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__UPDATE &&
            !has_task(view, node->id, a->task->id)) {
            sim_broken(node->sim, "%s is sent task %s, which is not its own",
                       node->name, sim_name_of(node->sim, a->task->id));
        }
        break;
    case SWKPB__ASSIGNMENT__ITEM_SECRET:
        check_dependency(node, view, SWKI_KIND_SECRET, a->secret->id,
                         change->action);
        break;
    case SWKPB__ASSIGNMENT__ITEM_CONFIG:
        check_dependency(node, view, SWKI_KIND_CONFIG, a->config->id,
                         change->action);
        break;
    default:
        sim_broken(node->sim, "%s is sent something unknown", node->name);
        break;
    }
}

static void check_assignments(struct sim_node *node,
                              const struct swki_view *view,
                              const Swkpb__AssignmentsMessage *message)
{
    if (message->type == SWKPB__ASSIGNMENTS_MESSAGE__TYPE__COMPLETE) {
        sim_forget_given(node);
    }
    for (size_t i = 0; i < message->n_changes; i++) {
        check_change(node, view, message->changes[i]);
    }
}

/* No task of these swarms takes part in a network, so nobody needs a key. */
static void check_session(struct sim_node *node,
                          const Swkpb__SessionMessage *message)
{
    if (message->node == NULL || strcmp(message->node->id, node->id) != 0) {
        sim_broken(node->sim, "%s is sent another's node object", node->name);
    }
    if (message->n_network_bootstrap_keys > 0) {
        sim_broken(node->sim, "%s is sent keys of networks", node->name);
    }
}

static ProtobufCMessage *decode(const char *path, const uint8_t *data,
                                size_t len, struct swki_arena *arena)
{
    const struct swki_method *method = swki_method_by_path(path, strlen(path));
    ProtobufCMessage *message = NULL;

    return method != NULL && swki_message_unpack(method->response, data, len,
                                                 arena, &message, NULL) == 0
               ? message
               : NULL;
}

void sim_check_sent(struct sim_node *node, const char *path,
                    const uint8_t *data, size_t len)
{
    const struct swki_view *view = swki_manager_view(node->sim->manager);
    static const char secret[] = "PRIVATE KEY";
    struct swki_arena arena;
    ProtobufCMessage *message;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    message = decode(path, data, len, &arena);
    if (message == NULL) {
        sim_broken(node->sim, "%s is sent what %s does not answer", node->name,
                   path);
    } else if (message->descriptor == &swkpb__assignments_message__descriptor) {
        check_assignments(node, view,
                          (const Swkpb__AssignmentsMessage *)message);
    } else if (message->descriptor == &swkpb__session_message__descriptor) {
        check_session(node, (const Swkpb__SessionMessage *)message);
    } else if (message->descriptor == &swkpb__tasks_message__descriptor) {
        sim_broken(node->sim, "%s asks in the way of old agents", node->name);
    }
    if (memmem(data, len, secret, sizeof(secret) - 1) != NULL) {
        sim_broken(node->sim, "%s is sent a private key", node->name);
    }
    swki_arena_fini(&arena);
}
