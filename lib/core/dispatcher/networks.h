/* SPDX-License-Identifier: Apache-2.0 */

/* Which nodes are told the keys of networks: those that take part in one whose
 * traffic is sealed by them, for themselves or for a task. */

#ifndef SWKI_DISPATCHER_NETWORKS_H
#define SWKI_DISPATCHER_NETWORKS_H

#include "core/store/store.h"

/* An absent driver is the default one, overlay. */
bool swki_network_is_overlay(const Swkpb__Network *network);

/* From its assignment until it has ended. */
bool swki_task_needs_network_keys(const Swkpb__Task *task);

/* The node alone, without its tasks. */
bool swki_node_needs_network_keys(const Swkpb__Node *node);

/* The node or any task on it, in a view. */
bool swki_needs_network_keys(const struct swki_view *view,
                             const Swkpb__Node *node);

#endif
