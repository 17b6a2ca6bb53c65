/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Stored objects: immutable, counted messages that share what did not change.
 *
 * An object is made with swki_object_new() or, as the next version of another,
 * with swki_object_edit(). Until it is given to a transaction its maker may
 * change it; from then on nobody does.
 *
 * An edit copies the top of the message only. Its sub-messages, strings and
 * lists are still the old object's, so:
 *
 *   - scalars of the top are assigned directly,
 *   - a string, list or sub-message of the top is replaced by a pointer to new
 *     memory of swki_object_arena(),
 *   - before anything inside a sub-message is written, swki_object_own() makes
 *     a copy of it.
 *
 * The store finds out, when the object is sealed, which fields still are the
 * old one's, and keeps just that memory alive.
 */

#ifndef SWKI_STORE_OBJECT_H
#define SWKI_STORE_OBJECT_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>

#include "base/arena.h"
#include "objects.pb-c.h"

/* The ten tables. The order is that of the tables' names. */
enum swki_kind {
    SWKI_KIND_CLUSTER,
    SWKI_KIND_CONFIG,
    SWKI_KIND_EXTENSION,
    SWKI_KIND_NETWORK,
    SWKI_KIND_NODE,
    SWKI_KIND_RESOURCE,
    SWKI_KIND_SECRET,
    SWKI_KIND_SERVICE,
    SWKI_KIND_TASK,
    SWKI_KIND_VOLUME,
    SWKI_KINDS_COUNT,
};

/* "cluster", "config", ... */
const char *swki_kind_name(enum swki_kind kind);

struct swki_object;

/* A new object of empty message; NULL for no memory. */
struct swki_object *swki_object_new(const struct swk_alloc *alloc,
                                    enum swki_kind kind);

/* The next version of an object, to be changed; NULL for no memory. */
struct swki_object *swki_object_edit(const struct swki_object *object);

struct swki_object *swki_object_ref(const struct swki_object *object);
void swki_object_unref(const struct swki_object *object);

enum swki_kind swki_object_kind(const struct swki_object *object);
const char *swki_object_id(const struct swki_object *object);

/* spec.annotations.name, annotations.name, the hostname, or the task's derived
 * name (written to buf of size bytes); "" if there is none. */
const char *swki_object_name(const struct swki_object *object, char *buf,
                             size_t size);
/* spec.annotations or annotations; may be NULL. */
const Swkpb__Annotations *
swki_object_annotations(const struct swki_object *object);

uint64_t swki_object_version(const struct swki_object *object);

/* Any kind's message, for encoding and comparing. */
const ProtobufCMessage *swki_object_message(const struct swki_object *object);

/* The message by its type; the kind must be the right one. */
const Swkpb__Cluster *swki_cluster(const struct swki_object *object);
const Swkpb__Config *swki_config(const struct swki_object *object);
const Swkpb__Extension *swki_extension(const struct swki_object *object);
const Swkpb__Network *swki_network(const struct swki_object *object);
const Swkpb__Node *swki_node(const struct swki_object *object);
const Swkpb__Resource *swki_resource(const struct swki_object *object);
const Swkpb__Secret *swki_secret(const struct swki_object *object);
const Swkpb__Service *swki_service(const struct swki_object *object);
const Swkpb__Task *swki_task(const struct swki_object *object);
const Swkpb__Volume *swki_volume(const struct swki_object *object);

/* The same for the maker of an object that is not sealed yet. */
Swkpb__Cluster *swki_cluster_edit(struct swki_object *object);
Swkpb__Config *swki_config_edit(struct swki_object *object);
Swkpb__Extension *swki_extension_edit(struct swki_object *object);
Swkpb__Network *swki_network_edit(struct swki_object *object);
Swkpb__Node *swki_node_edit(struct swki_object *object);
Swkpb__Resource *swki_resource_edit(struct swki_object *object);
Swkpb__Secret *swki_secret_edit(struct swki_object *object);
Swkpb__Service *swki_service_edit(struct swki_object *object);
Swkpb__Task *swki_task_edit(struct swki_object *object);
Swkpb__Volume *swki_volume_edit(struct swki_object *object);

/* Where new parts of an unsealed object come from. */
struct swki_arena *swki_object_arena(struct swki_object *object);

/*
 * Replaces the sub-message that *field points to (a field of the object's top,
 * or of a sub-message that is owned already) by a deep copy in the object's
 * arena, and returns the copy; NULL for no memory or if *field is NULL.
 * Call as (Swkpb__TaskStatus *)swki_object_own(o, &task->status).
 */
void *swki_object_own(struct swki_object *object, void *field);

/*
 * Lets the top field number `field` of an unsealed object point into the memory
 * that holds the top field number `from_field` of another, sealed object; so a
 * task shares the spec of its service. The caller sets the pointer.
 */
int swki_object_share(struct swki_object *object, uint32_t field,
                      const struct swki_object *from, uint32_t from_field);

#endif
