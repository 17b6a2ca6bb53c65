/* SPDX-License-Identifier: Apache-2.0 */

#include "core/rolemanager/rolemanager.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "core/store/component.h"

/* A node whose role is not yet what it is to be. */
struct open_case {
    swk_time ask_at; /* a removal is not asked for before */
    bool reported;   /* why it waits */
    char id[];
};

struct swki_role_manager {
    struct swki_role_manager_config config;
    struct swki_component base;
    struct swki_map cases; /* by node ID */
    uint64_t version;      /* of the membership that was looked at */
};

/* -- Cases ---------------------------------------------------------------- */

static bool open_case(struct swki_role_manager *rm, const char *node_id)
{
    size_t id_size = strlen(node_id) + 1;
    struct open_case *one;

    if (node_id[0] == '\0' || swki_map_get(&rm->cases, node_id) != NULL) {
        return true;
    }
    one = swki_calloc(rm->config.alloc, 1, sizeof(*one) + id_size);
    if (one == NULL) {
        return false;
    }
    memcpy(one->id, node_id, id_size);
    if (!swki_map_put(&rm->cases, one->id, one)) {
        swki_free(rm->config.alloc, one);
        return false;
    }
    return true;
}

static void close_case(struct swki_role_manager *rm, struct open_case *one)
{
    swki_map_remove(&rm->cases, one->id);
    swki_free(rm->config.alloc, one);
}

static void close_all(struct swki_role_manager *rm)
{
    size_t cursor = 0;
    struct open_case *one;

    while ((one = swki_map_next(&rm->cases, &cursor)) != NULL) {
        close_case(rm, one);
    }
    swki_map_fini(&rm->cases);
}

static Swkpb__NodeRole desired_role(const Swkpb__Node *node)
{
    return node->spec != NULL ? node->spec->desired_role
                              : SWKPB__NODE_ROLE__WORKER;
}

static bool differs(const Swkpb__Node *node)
{
    return desired_role(node) != node->role;
}

/* -- Looking at everything ------------------------------------------------ */

/* Members that are not to be: their node is gone, or to be a worker. */
static bool open_members(struct swki_role_manager *rm)
{
    const struct swki_membership *m = rm->config.membership;
    const struct swki_view *head = swki_store_head(rm->base.store);

    for (size_t i = 0; i < swki_membership_count(m); i++) {
        const char *id = swki_membership_at(m, i)->node_id;
        const struct swki_object *object =
            swki_view_get(head, SWKI_KIND_NODE, id);

        if ((object == NULL || desired_role(swki_node(object)) !=
                                   SWKPB__NODE_ROLE__MANAGER) &&
            !open_case(rm, id)) {
            return false;
        }
    }
    return true;
}

static int look_at_all(struct swki_role_manager *rm)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *node;
    struct swki_cursor cursor;
    int rc;

    close_all(rm);
    if (!swki_component_restart(&rm->base)) {
        return SWK_ENOMEM;
    }
    rc = swki_view_find(swki_store_head(rm->base.store), SWKI_KIND_NODE, &all,
                        &cursor, NULL);
    if (rc != 0) {
        return rc;
    }
    while (rc == 0 && (node = swki_cursor_next(&cursor)) != NULL) {
        if (differs(swki_node(node)) &&
            !open_case(rm, swki_object_id(node))) {
            rc = SWK_ENOMEM;
        }
    }
    swki_cursor_close(&cursor);
    return rc != 0 || open_members(rm) ? rc : SWK_ENOMEM;
}

static int follow(struct swki_role_manager *rm)
{
    for (int i = 0; i < SWKI_COMPONENT_STEP_EVENTS; i++) {
        const struct swki_event *event = swki_component_next(&rm->base);

        if (event == NULL) {
            break;
        }
        if ((event->change == SWKI_CHANGE_DELETE ||
             differs(swki_node(event->object))) &&
            !open_case(rm, swki_object_id(event->object))) {
            return SWK_ENOMEM;
        }
    }
    /* Who joined meanwhile may be one who is not to be. */
    if (rm->version != swki_membership_version(rm->config.membership)) {
        rm->version = swki_membership_version(rm->config.membership);
        return open_members(rm) ? SWK_OK : SWK_ENOMEM;
    }
    return SWK_OK;
}

/* -- One node ------------------------------------------------------------- */

struct role_step {
    const char *node_id;
    Swkpb__NodeRole role;
};

static int set_role(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const struct role_step *step = ctx;
    const struct swki_object *stored =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_NODE, step->node_id);
    struct swki_object *next;

    if (stored == NULL || swki_node(stored)->role == step->role ||
        desired_role(swki_node(stored)) != step->role) {
        return SWK_OK;
    }
    next = swki_object_edit(stored);
    if (next == NULL) {
        return swki_fail_nomem(err);
    }
    swki_node_edit(next)->role = step->role;
    return swki_tx_update(tx, next, err);
}

static void ask_removal(struct swki_role_manager *rm, struct open_case *one,
                        const struct swki_member *member, swk_time now)
{
    struct swk_error err = {0};

    if (now < one->ask_at) {
        return;
    }
    one->ask_at = now + SWKI_ROLE_MANAGER_INTERVAL;
    if (rm->config.remove(rm->config.remove_ctx, now, member->raft_id,
                          &err) != 0 &&
        !one->reported) {
        one->reported = true;
        swki_log(rm->config.logger, SWK_LOG_WARN, "rolemanager",
                 "node %s stays a manager for now: %s", one->id, err.text);
    }
}

/* Does what is next for a node, and closes its case if that was all. */
static int settle(struct swki_role_manager *rm, struct swki_batch *batch,
                  struct open_case *one, swk_time now, struct swk_error *err)
{
    const struct swki_object *object = swki_view_get(
        swki_store_head(rm->base.store), SWKI_KIND_NODE, one->id);
    const struct swki_member *member =
        swki_membership_find_node(rm->config.membership, one->id);
    struct role_step step = {.node_id = one->id};
    int rc = SWK_OK;

    if (object != NULL) {
        step.role = desired_role(swki_node(object));
    }
    if (member != NULL &&
        (object == NULL || step.role != SWKPB__NODE_ROLE__MANAGER)) {
        ask_removal(rm, one, member, now);
        return SWK_OK;
    }
    if (object != NULL && swki_node(object)->role != step.role) {
        rc = swki_batch_step(batch, set_role, &step, err);
        if (rc == 0) {
            swki_log(rm->config.logger, SWK_LOG_INFO, "rolemanager",
                     "node %s is a %s from now on", one->id,
                     step.role == SWKPB__NODE_ROLE__MANAGER ? "manager"
                                                            : "worker");
        }
    }
    if (rc == 0) {
        close_case(rm, one);
    }
    return rc;
}

/* -- The machine ---------------------------------------------------------- */

int swki_role_manager_new(const struct swki_role_manager_config *config,
                          struct swki_role_manager **out_manager,
                          struct swk_error *err)
{
    struct swki_role_manager *rm = swki_calloc(config->alloc, 1, sizeof(*rm));

    if (rm == NULL) {
        return swki_fail_nomem(err);
    }
    rm->config = *config;
    swki_component_init(&rm->base, "rolemanager", config->store,
                        config->logger, 1U << SWKI_KIND_NODE);
    swki_map_init(&rm->cases, config->alloc);
    *out_manager = rm;
    return SWK_OK;
}

void swki_role_manager_free(struct swki_role_manager *rm)
{
    if (rm != NULL) {
        close_all(rm);
        swki_component_fini(&rm->base);
        swki_free(rm->config.alloc, rm);
    }
}

static int work(struct swki_role_manager *rm, swk_time now, swk_wall wall,
                struct swk_error *err)
{
    struct swki_batch batch;
    struct open_case *one;
    size_t cursor = 0;
    int rc = rm->base.stale ? look_at_all(rm) : SWK_OK;
    int end;

    if (rc == 0) {
        rc = follow(rm);
    }
    if (rc != 0 || !swki_component_can_write(&rm->base)) {
        return rc;
    }
    swki_batch_init(&batch, rm->base.store, SWKI_ACTOR_ROLE_MANAGER, wall);
    while (rc == 0 && (one = swki_map_next(&rm->cases, &cursor)) != NULL) {
        rc = settle(rm, &batch, one, now, err);
    }
    end = swki_batch_end(&batch, err);
    return rc != 0 ? rc : end;
}

void swki_role_manager_step(struct swki_role_manager *rm, swk_time now,
                            swk_wall wall)
{
    struct swk_error err = {0};
    int rc;

    if (!swki_component_due(&rm->base, now)) {
        return;
    }
    rc = work(rm, now, wall, &err);
    if (rc != 0) {
        swki_component_failed(&rm->base, now, rc, err.text);
    } else {
        swki_component_succeeded(&rm->base);
    }
}

bool swki_role_manager_pending(const struct swki_role_manager *rm)
{
    return swki_component_pending(&rm->base) ||
           (rm->base.retry_at == 0 &&
            rm->version != swki_membership_version(rm->config.membership));
}

swk_time swki_role_manager_deadline(const struct swki_role_manager *rm)
{
    swk_time deadline = SWK_NEVER;
    const struct open_case *one;
    size_t cursor = 0;

    while ((one = swki_map_next(&rm->cases, &cursor)) != NULL) {
        if (one->ask_at < deadline) {
            deadline = one->ask_at;
        }
    }
    return swki_component_deadline(&rm->base, deadline);
}
