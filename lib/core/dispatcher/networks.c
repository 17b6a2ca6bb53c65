/* SPDX-License-Identifier: Apache-2.0 */

#include "core/dispatcher/networks.h"

#include <string.h>

static bool has_name(const Swkpb__Driver *driver)
{
    return driver != NULL && driver->name[0] != '\0';
}

bool swki_network_is_overlay(const Swkpb__Network *network)
{
    const Swkpb__Driver *driver = network->driver_state;

    if (!has_name(driver)) {
        driver = network->spec != NULL ? network->spec->driver_config : NULL;
    }
    if (!has_name(driver)) {
        /* The settings are those of a network that the node has by itself. */
        return network->spec == NULL ||
               network->spec->config_from_case ==
                   SWKPB__NETWORK_SPEC__CONFIG_FROM__NOT_SET;
    }
    return strcmp(driver->name, "overlay") == 0;
}

static bool any_overlay(Swkpb__NetworkAttachment *const *attachments,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (attachments[i]->network != NULL &&
            swki_network_is_overlay(attachments[i]->network)) {
            return true;
        }
    }
    return false;
}

bool swki_task_needs_network_keys(const Swkpb__Task *task)
{
    return task->status != NULL &&
           task->status->state >= SWKPB__TASK_STATE__ASSIGNED &&
           task->status->state <= SWKPB__TASK_STATE__RUNNING &&
           any_overlay(task->networks, task->n_networks);
}

bool swki_node_needs_network_keys(const Swkpb__Node *node)
{
    return any_overlay(node->attachments, node->n_attachments) ||
           (node->attachment != NULL && any_overlay(&node->attachment, 1));
}

bool swki_needs_network_keys(const struct swki_view *view,
                             const Swkpb__Node *node)
{
    const struct swki_selector by = {.by = SWKI_BY_NODE_ID, .text = node->id};
    const struct swki_object *task;
    struct swki_cursor cursor;
    bool needs = swki_node_needs_network_keys(node);

    if (needs ||
        swki_view_find(view, SWKI_KIND_TASK, &by, &cursor, NULL) != SWK_OK) {
        return needs;
    }
    while (!needs && (task = swki_cursor_next(&cursor)) != NULL) {
        needs = swki_task_needs_network_keys(swki_task(task));
    }
    swki_cursor_close(&cursor);
    return needs;
}
