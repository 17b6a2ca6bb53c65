/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Least privilege inside the manager: what each component may write.
 *
 * The two tables below are the whole policy; what is not in them is refused.
 * The first grants the making and deleting of objects and the changing of their
 * fields, the second the moves of a task's observed state. Beyond them hold
 * for everybody: the desired state of a task only rises, its node is set once,
 * and it disappears only before it runs or after it ended.
 */

#include "core/store/policy.h"

#include <string.h>

#include "base/error.h"
#include "wire/fields.h"
#include "wire/message.h"

enum {
    FIELDS_MAX = 9,
    CREATE = 1 << 0,
    DELETE = 1 << 1,
};

/* No field of a message is called so: it stands for all of them. */
#define ANY "*"

static const struct grant {
    enum swki_actor actor;
    enum swki_kind kind;
    unsigned verbs;
    const char *fields[FIELDS_MAX + 1]; /* of the top; NULL at the end */
} grants[] = {
    /* A new leader makes the cluster, its own node and the first networks. */
    {SWKI_ACTOR_BOOTSTRAP, SWKI_KIND_CLUSTER, CREATE, {ANY}},
    {SWKI_ACTOR_BOOTSTRAP, SWKI_KIND_NODE, CREATE, {NULL}},
    {SWKI_ACTOR_BOOTSTRAP, SWKI_KIND_NETWORK, CREATE, {NULL}},

    /* Users own specs. */
    {SWKI_ACTOR_CONTROL,
     SWKI_KIND_CLUSTER,
     0,
     {"spec", "root_ca", "unlock_keys", "blacklisted_certificates"}},
    {SWKI_ACTOR_CONTROL, SWKI_KIND_CONFIG, CREATE | DELETE, {"spec"}},
    {SWKI_ACTOR_CONTROL, SWKI_KIND_EXTENSION, CREATE | DELETE, {NULL}},
    {SWKI_ACTOR_CONTROL,
     SWKI_KIND_NETWORK,
     CREATE | DELETE,
     {"spec", "pending_delete"}},
    {SWKI_ACTOR_CONTROL, SWKI_KIND_NODE, DELETE, {"spec"}},
    {SWKI_ACTOR_CONTROL,
     SWKI_KIND_RESOURCE,
     CREATE | DELETE,
     {"annotations", "payload"}},
    {SWKI_ACTOR_CONTROL, SWKI_KIND_SECRET, CREATE | DELETE, {"spec"}},
    {SWKI_ACTOR_CONTROL,
     SWKI_KIND_SERVICE,
     CREATE | DELETE,
     {"spec", "spec_version", "previous_spec", "previous_spec_version",
      "update_status", "pending_delete", "job_status"}},
    /* Attachments to networks; orphans of nodes that are removed. */
    {SWKI_ACTOR_CONTROL,
     SWKI_KIND_TASK,
     CREATE | DELETE,
     {"status", "desired_state"}},
    {SWKI_ACTOR_CONTROL,
     SWKI_KIND_VOLUME,
     CREATE | DELETE,
     {"spec", "pending_delete"}},

    {SWKI_ACTOR_CA, SWKI_KIND_CLUSTER, 0, {"root_ca"}},
    /* Joins, and the end of those that came to nothing. */
    {SWKI_ACTOR_CA, SWKI_KIND_NODE, CREATE | DELETE, {"certificate"}},

    {SWKI_ACTOR_ALLOCATOR,
     SWKI_KIND_NETWORK,
     DELETE, /* once nothing uses it any more */
     {"driver_state", "ipam", "extra"}},
    {SWKI_ACTOR_ALLOCATOR,
     SWKI_KIND_NODE,
     0,
     {"attachment", "attachments", "VXLANUDPPort"}},
    {SWKI_ACTOR_ALLOCATOR, SWKI_KIND_SERVICE, 0, {"endpoint"}},
    {SWKI_ACTOR_ALLOCATOR,
     SWKI_KIND_TASK,
     0,
     {"status", "networks", "endpoint"}},

    /* The spec of a service is touched by rollbacks alone. */
    {SWKI_ACTOR_ORCHESTRATOR,
     SWKI_KIND_SERVICE,
     DELETE, /* once its last task is gone */
     {"spec", "spec_version", "previous_spec", "previous_spec_version",
      "update_status", "job_status"}},
    {SWKI_ACTOR_ORCHESTRATOR,
     SWKI_KIND_TASK,
     CREATE | DELETE,
     {"desired_state"}},

    {SWKI_ACTOR_ENFORCER, SWKI_KIND_TASK, 0, {"status", "desired_state"}},

    {SWKI_ACTOR_REAPER, SWKI_KIND_TASK, DELETE, {NULL}},

    {SWKI_ACTOR_SCHEDULER,
     SWKI_KIND_TASK,
     0,
     {"status", "node_id", "assigned_generic_resources", "volumes"}},
    {SWKI_ACTOR_SCHEDULER, SWKI_KIND_VOLUME, 0, {"publish_status"}},

    {SWKI_ACTOR_DISPATCHER, SWKI_KIND_NODE, 0, {"description", "status"}},
    {SWKI_ACTOR_DISPATCHER, SWKI_KIND_TASK, 0, {"status"}},
    {SWKI_ACTOR_DISPATCHER, SWKI_KIND_VOLUME, 0, {"publish_status"}},

    {SWKI_ACTOR_ROLE_MANAGER, SWKI_KIND_NODE, 0, {"role"}},

    {SWKI_ACTOR_KEY_MANAGER,
     SWKI_KIND_CLUSTER,
     0,
     {"network_bootstrap_keys", "encryption_key_lamport_clock",
      "network_keys_rotated_at"}},

    {SWKI_ACTOR_VOLUME_MANAGER,
     SWKI_KIND_VOLUME,
     DELETE, /* once it is gone from its driver */
     {"publish_status", "volume_info"}},
};

/*
 * Which component moves a task from which states to which. Workers report
 * through the dispatcher, and a report may leave out steps in between. A row
 * whose two ends are the same state lets details change.
 */
#define STATE(name) SWKPB__TASK_STATE__##name

static const struct move {
    enum swki_actor actor;
    Swkpb__TaskState from_first;
    Swkpb__TaskState from_last;
    Swkpb__TaskState to_first;
    Swkpb__TaskState to_last;
} moves[] = {
    {SWKI_ACTOR_ALLOCATOR, STATE(NEW), STATE(NEW), STATE(NEW), STATE(PENDING)},
    {SWKI_ACTOR_SCHEDULER, STATE(PENDING), STATE(PENDING), STATE(PENDING),
     STATE(ASSIGNED)},
    {SWKI_ACTOR_SCHEDULER, STATE(PENDING), STATE(PENDING), STATE(SHUTDOWN),
     STATE(SHUTDOWN)},
    {SWKI_ACTOR_DISPATCHER, STATE(ASSIGNED), STATE(RUNNING), STATE(ASSIGNED),
     STATE(FAILED)},
    {SWKI_ACTOR_DISPATCHER, STATE(ASSIGNED), STATE(READY), STATE(REJECTED),
     STATE(REJECTED)},
    {SWKI_ACTOR_DISPATCHER, STATE(ASSIGNED), STATE(RUNNING), STATE(ORPHANED),
     STATE(ORPHANED)},
    {SWKI_ACTOR_DISPATCHER, STATE(COMPLETE), STATE(COMPLETE), STATE(COMPLETE),
     STATE(COMPLETE)},
    {SWKI_ACTOR_DISPATCHER, STATE(SHUTDOWN), STATE(SHUTDOWN), STATE(SHUTDOWN),
     STATE(SHUTDOWN)},
    {SWKI_ACTOR_DISPATCHER, STATE(FAILED), STATE(FAILED), STATE(FAILED),
     STATE(FAILED)},
    {SWKI_ACTOR_DISPATCHER, STATE(REJECTED), STATE(REJECTED), STATE(REJECTED),
     STATE(REJECTED)},
    {SWKI_ACTOR_ENFORCER, STATE(ASSIGNED), STATE(RUNNING), STATE(REJECTED),
     STATE(REJECTED)},
    {SWKI_ACTOR_CONTROL, STATE(NEW), STATE(RUNNING), STATE(ORPHANED),
     STATE(ORPHANED)},
};

/* -- The tables ------------------------------------------------------------ */

static const struct grant *find_grant(enum swki_actor actor,
                                      enum swki_kind kind)
{
    for (size_t i = 0; i < sizeof(grants) / sizeof(grants[0]); i++) {
        if (grants[i].actor == actor && grants[i].kind == kind) {
            return &grants[i];
        }
    }
    return NULL;
}

static bool grants_field(const struct grant *grant, const char *field)
{
    for (size_t i = 0; grant != NULL && grant->fields[i] != NULL; i++) {
        if (strcmp(grant->fields[i], ANY) == 0 ||
            strcmp(grant->fields[i], field) == 0) {
            return true;
        }
    }
    return false;
}

bool swki_policy_allows_field(enum swki_actor actor, enum swki_kind kind,
                              const char *field)
{
    return grants_field(find_grant(actor, kind), field);
}

static bool allows_verb(enum swki_actor actor, enum swki_kind kind,
                        unsigned verb)
{
    const struct grant *grant = find_grant(actor, kind);

    return grant != NULL && (grant->verbs & verb) != 0;
}

bool swki_policy_allows_create(enum swki_actor actor, enum swki_kind kind)
{
    return allows_verb(actor, kind, CREATE);
}

bool swki_policy_allows_delete(enum swki_actor actor, enum swki_kind kind)
{
    return allows_verb(actor, kind, DELETE);
}

static bool is_state(int state)
{
    return state != STATE(REMOVE) &&
           swki_enum_name(&swkpb__task_state__descriptor, state) != NULL;
}

bool swki_policy_allows_state(enum swki_actor actor, Swkpb__TaskState from,
                              Swkpb__TaskState to)
{
    if (to < from || !is_state((int)to)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        if (moves[i].actor == actor && moves[i].from_first <= from &&
            from <= moves[i].from_last && moves[i].to_first <= to &&
            to <= moves[i].to_last) {
            return true;
        }
    }
    return false;
}

/* -- Tasks ----------------------------------------------------------------- */

static Swkpb__TaskState state_of(const Swkpb__Task *task)
{
    return task->status != NULL ? task->status->state : STATE(NEW);
}

static const char *state_name(Swkpb__TaskState state)
{
    const char *name = swki_enum_name(&swkpb__task_state__descriptor,
                                      (int)state);

    return name != NULL ? name : "an unknown state";
}

static bool is_desired(Swkpb__TaskState state)
{
    return state == STATE(READY) || state == STATE(RUNNING) ||
           state == STATE(COMPLETE) || state == STATE(SHUTDOWN) ||
           state == STATE(REMOVE);
}

static int check_new_task(enum swki_actor actor, const Swkpb__Task *task,
                          struct swk_error *err)
{
    if (state_of(task) != STATE(NEW)) {
        return swki_fail(err, SWK_EDENIED,
                         "%s may not create a task in state %s",
                         swki_actor_name(actor), state_name(state_of(task)));
    }
    if (!is_desired(task->desired_state)) {
        return swki_fail(err, SWK_EDENIED,
                         "%s may not create a task with desired state %s",
                         swki_actor_name(actor),
                         state_name(task->desired_state));
    }
    return SWK_OK;
}

/* Deleted is what never ran and never will, and what has ended. Users may
 * remove any. */
static int check_old_task(enum swki_actor actor, const Swkpb__Task *task,
                          struct swk_error *err)
{
    Swkpb__TaskState state = state_of(task);
    bool is_over = state > STATE(RUNNING);
    bool is_unborn = state < STATE(ASSIGNED) &&
                     task->desired_state >= STATE(SHUTDOWN);

    if (is_over || is_unborn || actor == SWKI_ACTOR_CONTROL) {
        return SWK_OK;
    }
    return swki_fail(err, SWK_EDENIED, "%s may not delete a task in state %s",
                     swki_actor_name(actor), state_name(state));
}

static int check_state(enum swki_actor actor, const Swkpb__Task *old,
                       const Swkpb__Task *task, struct swk_error *err)
{
    Swkpb__TaskState from = state_of(old);
    Swkpb__TaskState to = state_of(task);
    bool is_progress = to > STATE(ASSIGNED) && to <= STATE(RUNNING);
    bool needs_node = to >= STATE(ASSIGNED) && to <= STATE(RUNNING);

    if (!swki_policy_allows_state(actor, from, to) ||
        (to != from && is_progress && to > task->desired_state)) {
        return swki_fail(err, SWK_EDENIED,
                         "%s may not change task.status from %s to %s",
                         swki_actor_name(actor), state_name(from),
                         state_name(to));
    }
    if (needs_node && (task->node_id == NULL || *task->node_id == '\0')) {
        return swki_fail(err, SWK_EDENIED,
                         "%s may not set task.status to %s without a node",
                         swki_actor_name(actor), state_name(to));
    }
    return SWK_OK;
}

/* What holds for the values of fields that the actor may change. */
static int check_task(enum swki_actor actor, const Swkpb__Task *old,
                      const Swkpb__Task *task, struct swk_error *err)
{
    const char *old_node = old->node_id != NULL ? old->node_id : "";
    const char *node = task->node_id != NULL ? task->node_id : "";

    if (task->status != old->status &&
        !swki_message_equal((const ProtobufCMessage *)old->status,
                            (const ProtobufCMessage *)task->status)) {
        int rc = check_state(actor, old, task, err);

        if (rc < 0) {
            return rc;
        }
    }
    if (task->desired_state != old->desired_state &&
        (task->desired_state < old->desired_state ||
         !is_desired(task->desired_state))) {
        return swki_fail(err, SWK_EDENIED,
                         "%s may not change task.desired_state from %s to %s",
                         swki_actor_name(actor),
                         state_name(old->desired_state),
                         state_name(task->desired_state));
    }
    if (*old_node != '\0' && strcmp(old_node, node) != 0) {
        return swki_fail(err, SWK_EDENIED,
                         "%s may not change task.node_id: it is set already",
                         swki_actor_name(actor));
    }
    return SWK_OK;
}

/* -- Changes --------------------------------------------------------------- */

static int fail_verb(enum swki_actor actor, const char *verb,
                     enum swki_kind kind, struct swk_error *err)
{
    return swki_fail(err, SWK_EDENIED, "%s may not %s a %s",
                     swki_actor_name(actor), verb, swki_kind_name(kind));
}

static int check_create(enum swki_actor actor,
                        const struct swki_object *object,
                        struct swk_error *err)
{
    enum swki_kind kind = swki_object_kind(object);

    if (!allows_verb(actor, kind, CREATE)) {
        return fail_verb(actor, "create", kind, err);
    }
    return kind == SWKI_KIND_TASK
               ? check_new_task(actor, swki_task(object), err)
               : SWK_OK;
}

static int check_delete(enum swki_actor actor, const struct swki_object *old,
                        struct swk_error *err)
{
    enum swki_kind kind = swki_object_kind(old);

    if (!allows_verb(actor, kind, DELETE)) {
        return fail_verb(actor, "delete", kind, err);
    }
    return kind == SWKI_KIND_TASK ? check_old_task(actor, swki_task(old), err)
                                  : SWK_OK;
}

/* Fields at the same address are the same, which most are after an edit. */
static bool field_changed(const ProtobufCMessage *old,
                          const ProtobufCMessage *message,
                          const ProtobufCFieldDescriptor *field)
{
    size_t size = field->label == PROTOBUF_C_LABEL_REPEATED
                      ? sizeof(void *)
                      : swki_type_size(field->type);
    bool same_count = field->label != PROTOBUF_C_LABEL_REPEATED ||
                      swki_field_count(old, field) ==
                          swki_field_count(message, field);

    if (same_count && memcmp(swki_field_member(old, field),
                             swki_field_member(message, field), size) == 0) {
        return false;
    }
    return !swki_field_equal(old, message, field);
}

static int check_update(enum swki_actor actor, const struct swki_object *old,
                        const struct swki_object *object,
                        struct swk_error *err)
{
    enum swki_kind kind = swki_object_kind(object);
    const struct grant *grant = find_grant(actor, kind);
    const ProtobufCMessage *before = swki_object_message(old);
    const ProtobufCMessage *after = swki_object_message(object);

    for (unsigned i = 0; i < after->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &after->descriptor->fields[i];

        if (strcmp(field->name, "meta") != 0 &&
            field_changed(before, after, field) &&
            !grants_field(grant, field->name)) {
            return swki_fail(err, SWK_EDENIED, "%s may not change %s.%s",
                             swki_actor_name(actor), swki_kind_name(kind),
                             field->name);
        }
    }
    return kind == SWKI_KIND_TASK
               ? check_task(actor, swki_task(old), swki_task(object), err)
               : SWK_OK;
}

int swki_policy_check(enum swki_actor actor, const struct swki_object *old,
                      const struct swki_object *object, struct swk_error *err)
{
    if (old == NULL) {
        return check_create(actor, object, err);
    }
    if (object == NULL) {
        return check_delete(actor, old, err);
    }
    return check_update(actor, old, object, err);
}
