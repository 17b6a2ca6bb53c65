/* SPDX-License-Identifier: Apache-2.0 */

/* What rows and trees share. */

#ifndef SWKI_STORE_TREE_IMPL_H
#define SWKI_STORE_TREE_IMPL_H

#include "core/store/tree.h"

/* The node itself if the writer may change it, else a copy of its own; NULL
 * for no memory. */
struct swki_node *swki_node_open(struct swki_writer *writer,
                                 struct swki_node *node);

/* Takes a node out of use. */
void swki_node_discard(struct swki_writer *writer, struct swki_node *node);

#endif
