/* SPDX-License-Identifier: Apache-2.0 */

/* Nodes: read, update (labels, availability, desired role), remove. */

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "control.pb-c.h"
#include "core/control/blacklist.h"
#include "core/control/handlers.h"
#include "core/control/validate.h"
#include "wire/message.h"

static size_t list_members(const struct swki_control_request *r,
                           const struct swki_control_member **out_members)
{
    *out_members = NULL;
    return r->config->members != NULL
               ? r->config->members(r->config->members_ctx, out_members)
               : 0;
}

static const struct swki_control_member *
find_member(const struct swki_control_request *r, const char *node_id)
{
    const struct swki_control_member *members;
    size_t count = list_members(r, &members);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(members[i].node_id, node_id) == 0) {
            return &members[i];
        }
    }
    return NULL;
}

/* The node as it is shown: what raft knows replaces what is stored. NULL for
 * no memory. */
static const Swkpb__Node *show(struct swki_control_request *r,
                               const Swkpb__Node *node)
{
    const struct swki_control_member *member = find_member(r, node->id);

    if (member == NULL) {
        return node;
    }

    Swkpb__Node *shown = swki_arena_memdup(r->arena, node, sizeof(*node));
    Swkpb__ManagerStatus *status =
        swki_arena_alloc(r->arena, sizeof(*status));
    char *addr = swki_arena_strdup(r->arena, member->addr);
    if (shown == NULL || status == NULL || addr == NULL) {
        return NULL;
    }
    swkpb__manager_status__init(status);
    status->raft_id = member->raft_id;
    status->addr = addr;
    status->leader = member->leader;
    status->reachability =
        (Swkpb__RaftMemberStatus__Reachability)member->reachability;
    shown->manager_status = status;
    return shown;
}

int swki_control_get_node(struct swki_control_request *r, const void *request,
                          struct swk_error *err)
{
    const Swkpb__GetNodeRequest *get = request;
    Swkpb__GetNodeResponse reply = SWKPB__GET_NODE_RESPONSE__INIT;
    const struct swki_object *object;
    int rc = swki_control_find(swki_control_view(r), SWKI_KIND_NODE,
                               get->node_id, &object, err);

    if (rc != SWK_OK) {
        return rc;
    }
    reply.node = (Swkpb__Node *)(uintptr_t)show(r, swki_node(object));
    if (reply.node == NULL) {
        return swki_fail_nomem(err);
    }
    swki_control_reply(r, &reply.base, 0);
    return SWK_OK;
}

static bool role_allowed(const Swkpb__ListNodesRequest__Filters *filters,
                         const Swkpb__Node *node)
{
    for (size_t i = 0; i < filters->n_roles; i++) {
        if (filters->roles[i] == node->role) {
            return true;
        }
    }
    return filters->n_roles == 0;
}

static bool membership_allowed(const Swkpb__ListNodesRequest__Filters *filters,
                               const Swkpb__NodeSpec *spec)
{
    for (size_t i = 0; i < filters->n_memberships; i++) {
        if (spec != NULL && filters->memberships[i] == spec->membership) {
            return true;
        }
    }
    return filters->n_memberships == 0;
}

static bool wanted(const Swkpb__ListNodesRequest__Filters *filters,
                   const Swkpb__Node *node)
{
    const struct swki_filter filter = {
        .names = SWKI_TEXTS(filters, names),
        .name_prefixes = SWKI_TEXTS(filters, name_prefixes),
        .id_prefixes = SWKI_TEXTS(filters, id_prefixes),
        .labels = SWKI_LABELS(filters, node_labels),
    };
    const Swkpb__NodeDescription *d = node->description;
    struct swki_labels labels =
        swki_annotations_labels(node->spec ? node->spec->annotations : NULL);
    struct swki_labels engine_labels = {0};

    if (d == NULL && (filters->n_names > 0 || filters->n_name_prefixes > 0)) {
        return false;
    }
    if (d != NULL && d->engine != NULL) {
        engine_labels = SWKI_LABELS(d->engine, labels);
    }
    return swki_filter_all(&filter, node->id, d != NULL ? d->hostname : "",
                           labels) &&
           swki_labels_allow(SWKI_LABELS(filters, labels), engine_labels) &&
           role_allowed(filters, node) &&
           membership_allowed(filters, node->spec);
}

static int pick_node(struct swki_control_request *r,
                     const struct swki_object *object, const void *filters,
                     const void **out_message)
{
    const Swkpb__Node *node = swki_node(object);

    if (filters != NULL && !wanted(filters, node)) {
        return SWK_OK;
    }
    *out_message = show(r, node);
    return *out_message != NULL ? SWK_OK : SWK_ENOMEM;
}

int swki_control_list_nodes(struct swki_control_request *r, const void *request,
                            struct swk_error *err)
{
    const Swkpb__ListNodesRequest *list = request;
    static const struct swki_selector all = {.by = SWKI_BY_ALL};
    Swkpb__ListNodesResponse reply = SWKPB__LIST_NODES_RESPONSE__INIT;
    struct swki_found found;
    int rc = swki_control_list(r, SWKI_KIND_NODE, &all, pick_node,
                               list->filters, &found, err);

    if (rc == SWK_OK) {
        reply.n_nodes = found.count;
        reply.nodes = (Swkpb__Node **)found.items;
        swki_control_reply(r, &reply.base, 0);
    }
    return rc;
}

/* -- Update --------------------------------------------------------------- */

static bool stays_manager(const Swkpb__Node *node)
{
    return node->role == SWKPB__NODE_ROLE__MANAGER && node->spec != NULL &&
           node->spec->desired_role == SWKPB__NODE_ROLE__MANAGER;
}

/* Managers that are to be demoted do not count: two quick demotions must not
 * both pass. */
static bool is_last_manager(const struct swki_view *view, const char *node_id,
                            struct swk_error *err)
{
    const struct swki_selector managers = {.by = SWKI_BY_ROLE,
                                           .number =
                                               SWKPB__NODE_ROLE__MANAGER};
    struct swki_cursor cursor;
    bool others = false;
    bool found = false;

    if (swki_view_find(view, SWKI_KIND_NODE, &managers, &cursor, err) !=
        SWK_OK) {
        return false;
    }
    for (const struct swki_object *o = swki_cursor_next(&cursor); o != NULL;
         o = swki_cursor_next(&cursor)) {
        bool same = strcmp(swki_object_id(o), node_id) == 0;

        found = found || same;
        others = others || (!same && stays_manager(swki_node(o)));
    }
    swki_cursor_close(&cursor);
    return found && !others;
}

static int check_demotion(const struct swki_control_request *r,
                          const struct swki_view *view, const Swkpb__Node *node,
                          const Swkpb__NodeSpec *spec, struct swk_error *err)
{
    if (node->spec == NULL ||
        node->spec->desired_role != SWKPB__NODE_ROLE__MANAGER ||
        spec->desired_role != SWKPB__NODE_ROLE__WORKER) {
        return SWK_OK;
    }
    if (is_last_manager(view, node->id, err)) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "node %.64s is the last manager of the swarm and "
                         "cannot be demoted",
                         node->id);
    }
    if (r->config->members == NULL) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "the members of the raft group are not known");
    }

    const struct swki_control_member *member = find_member(r, node->id);
    if (member == NULL) {
        return SWK_OK; /* its promotion, not yet complete, is taken back */
    }
    if (r->config->can_remove == NULL ||
        !r->config->can_remove(r->config->members_ctx, member->raft_id)) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "demoting node %.64s would leave the managers "
                         "without a quorum",
                         node->id);
    }
    return SWK_OK;
}

static int check_update(const Swkpb__UpdateNodeRequest *update,
                        struct swk_error *err)
{
    if (update->node_id[0] == '\0') {
        return swki_fail(err, SWK_EINVAL, "node ID is missing");
    }
    if (update->node_version == NULL || update->spec == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "the node's version and spec must be given");
    }

    int rc = swki_validate_enum(&swkpb__node_role__descriptor,
                                (int)update->spec->desired_role, "node role",
                                err);
    if (rc == SWK_OK) {
        rc = swki_validate_enum(&swkpb__node_spec__membership__descriptor,
                                (int)update->spec->membership,
                                "node membership", err);
    }
    if (rc == SWK_OK) {
        rc = swki_validate_enum(&swkpb__node_spec__availability__descriptor,
                                (int)update->spec->availability,
                                "node availability", err);
    }
    return rc;
}

static int edit_node(const struct swki_object *old,
                     const Swkpb__UpdateNodeRequest *update,
                     struct swki_object **out_object, struct swk_error *err)
{
    struct swki_object *object = swki_object_edit(old);

    if (object == NULL) {
        return swki_fail_nomem(err);
    }

    Swkpb__Node *node = swki_node_edit(object);
    node->spec = (Swkpb__NodeSpec *)swki_message_copy(
        &update->spec->base, swki_object_arena(object));
    int rc = node->spec == NULL
                 ? swki_fail_nomem(err)
                 : swki_control_claim_version(object, &node->meta,
                                              update->node_version, err);
    if (rc != SWK_OK) {
        swki_object_unref(object);
        return rc;
    }
    *out_object = object;
    return SWK_OK;
}

int swki_control_update_node(struct swki_control_request *r,
                             const void *request, struct swk_error *err)
{
    const Swkpb__UpdateNodeRequest *update = request;
    Swkpb__UpdateNodeResponse reply = SWKPB__UPDATE_NODE_RESPONSE__INIT;
    const struct swki_object *old;
    struct swki_object *object = NULL;
    struct swki_tx *tx;
    uint64_t index;
    int rc = check_update(update, err);

    if (rc == SWK_OK) {
        rc = swki_control_begin(r, &tx, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    rc = swki_control_find(swki_tx_view(tx), SWKI_KIND_NODE, update->node_id,
                           &old, err);
    if (rc == SWK_OK) {
        rc = check_demotion(r, swki_tx_view(tx), swki_node(old), update->spec,
                            err);
    }
    if (rc == SWK_OK) {
        rc = edit_node(old, update, &object, err);
    }
    if (rc != SWK_OK) {
        swki_tx_abort(tx);
        return rc;
    }
    rc = swki_control_store(r, tx, object, SWKI_CHANGE_UPDATE, &old, &index,
                            err);
    if (rc != SWK_OK) {
        return rc;
    }
    reply.node = (Swkpb__Node *)(uintptr_t)show(r, swki_node(old));
    if (reply.node == NULL) {
        return swki_fail_nomem(err);
    }
    swki_control_reply(r, &reply.base, index);
    return SWK_OK;
}

/* -- Remove --------------------------------------------------------------- */

static int check_removal(const struct swki_control_request *r,
                         const Swkpb__Node *node, bool force,
                         struct swk_error *err)
{
    bool manager = node->spec != NULL &&
                   node->spec->desired_role == SWKPB__NODE_ROLE__MANAGER;

    if (manager && r->config->members == NULL) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "node %.64s is a manager, and the members of the "
                         "raft group are not known",
                         node->id);
    }
    if (manager && find_member(r, node->id) != NULL) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "node %.64s is a manager and a member of the raft "
                         "group: demote it before you remove it",
                         node->id);
    }
    if (!force && node->status != NULL &&
        node->status->state == SWKPB__NODE_STATUS__STATE__READY) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "node %.64s is not down, so only force removes it",
                         node->id);
    }
    return SWK_OK;
}

struct removal {
    struct swki_control_request *r;
    const char *id; /* of the node, then of one of its tasks */
};

static int step_blacklist(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const struct removal *removal = ctx;
    const struct swki_object *node =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_NODE, removal->id);

    return swki_blacklist_node(tx, swki_node(node), removal->r->wall, err);
}

static int step_orphan(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const struct removal *removal = ctx;
    const struct swki_object *old =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_TASK, removal->id);
    struct swki_object *object = swki_object_edit(old);

    if (object == NULL) {
        return swki_fail_nomem(err);
    }

    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Task *task = swki_task_edit(object);
    Swkpb__TaskStatus *status = swki_object_own(object, &task->status);
    if (status == NULL) {
        status = swki_arena_alloc(arena, sizeof(*status));
        if (status != NULL) {
            swkpb__task_status__init(status);
        }
    }
    Swkpb__Timestamp *at = swki_timestamp_from_wall(removal->r->wall, arena);
    char *message = swki_arena_strdup(
        arena, "Task belonged to a node that has been deleted");
    if (status == NULL || at == NULL || message == NULL) {
        swki_object_unref(object);
        return swki_fail_nomem(err);
    }
    status->state = SWKPB__TASK_STATE__ORPHANED;
    status->timestamp = at;
    status->applied_at = at;
    status->message = message;
    task->status = status;
    return swki_tx_update(tx, object, err);
}

static int step_delete(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const struct removal *removal = ctx;

    int rc = swki_tx_delete(tx, SWKI_KIND_NODE, removal->id, err);

    return rc != SWK_OK ? rc
                        : swki_control_carry(removal->r, tx, removal->id, err);
}

/* The IDs of the node's tasks that have not ended. */
static int live_tasks(struct swki_control_request *r, const char *node_id,
                      struct swki_texts *out_ids, struct swk_error *err)
{
    const struct swki_selector mine = {.by = SWKI_BY_NODE_ID, .text = node_id};
    const struct swki_view *head = swki_store_head(r->config->store);
    char **ids = swki_arena_calloc(
        r->arena, swki_view_count(head, SWKI_KIND_TASK), sizeof(*ids));
    struct swki_cursor cursor;
    size_t count = 0;

    if (ids == NULL) {
        return swki_fail_nomem(err);
    }
    int rc = swki_view_find(head, SWKI_KIND_TASK, &mine, &cursor, err);
    if (rc != SWK_OK) {
        return rc;
    }
    for (const struct swki_object *o = swki_cursor_next(&cursor);
         rc == SWK_OK && o != NULL; o = swki_cursor_next(&cursor)) {
        const Swkpb__Task *task = swki_task(o);

        if (task->status == NULL ||
            task->status->state < SWKPB__TASK_STATE__COMPLETE) {
            ids[count] = swki_arena_strdup(r->arena, task->id);
            rc = ids[count++] != NULL ? SWK_OK : swki_fail_nomem(err);
        }
    }
    swki_cursor_close(&cursor);
    *out_ids = (struct swki_texts){count, ids};
    return rc;
}

/*
 * The node is locked out first, then its tasks end, then it goes. With few
 * tasks all of it is one transaction; with many the order makes what is left
 * after a failure safe, and the removal can be repeated.
 */
static int remove_node(struct swki_control_request *r, const char *id,
                       struct swk_error *err)
{
    struct removal removal = {r, id};
    struct swki_batch batch;
    struct swki_texts tasks = {0};
    int rc = live_tasks(r, id, &tasks, err);

    if (rc != SWK_OK) {
        return rc;
    }
    swki_batch_init(&batch, r->config->store, SWKI_ACTOR_CONTROL, r->wall);
    rc = swki_batch_step(&batch, step_blacklist, &removal, err);
    for (size_t i = 0; rc == SWK_OK && i < tasks.count; i++) {
        removal.id = tasks.items[i];
        rc = swki_batch_step(&batch, step_orphan, &removal, err);
    }
    removal.id = id;
    if (rc == SWK_OK) {
        rc = swki_batch_step(&batch, step_delete, &removal, err);
    }

    struct swk_error end_err = {0};
    int end_rc = swki_batch_end(&batch, &end_err);
    if (rc == SWK_OK && end_rc != SWK_OK) {
        rc = swki_fail(err, end_rc, "%s", end_err.text);
    }
    return rc;
}

int swki_control_remove_node(struct swki_control_request *r,
                             const void *request, struct swk_error *err)
{
    const Swkpb__RemoveNodeRequest *remove = request;
    Swkpb__RemoveNodeResponse reply = SWKPB__REMOVE_NODE_RESPONSE__INIT;
    const struct swki_view *head = swki_store_head(r->config->store);
    const struct swki_object *object;
    int rc = swki_control_find(head, SWKI_KIND_NODE, remove->node_id, &object,
                               err);

    if (rc == SWK_OK) {
        rc = check_removal(r, swki_node(object), remove->force, err);
    }
    if (rc == SWK_OK) {
        rc = remove_node(r, remove->node_id, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    swki_log(r->config->logger, SWK_LOG_INFO, "control",
             "node %s was removed from the swarm", remove->node_id);
    swki_control_reply(r, &reply.base,
                       swki_view_index(swki_store_head(r->config->store)));
    return SWK_OK;
}
