/* SPDX-License-Identifier: Apache-2.0 */

/* Each actor may do its own, and nothing of what is another's: every actor
 * with every field, and with every pair of task states. */

#include "lib/cmocka_all.h"

#include "core/store/object_impl.h"
#include "core/store/policy.h"

#define S(name) SWKPB__TASK_STATE__##name
#define A(name) (1u << SWKI_ACTOR_##name)

static const Swkpb__TaskState states[] = {
    S(NEW),     S(PENDING),  S(ASSIGNED), S(ACCEPTED), S(PREPARING),
    S(READY),   S(STARTING), S(RUNNING),  S(COMPLETE), S(SHUTDOWN),
    S(FAILED),  S(REJECTED), S(REMOVE),   S(ORPHANED),
};

/* Who may write the fields that belong to somebody; all others are nobody's
 * once the object exists. */
static const struct {
    enum swki_kind kind;
    const char *field;
    unsigned actors;
} owners[] = {
    {SWKI_KIND_NODE, "spec", A(CONTROL)},
    {SWKI_KIND_NODE, "certificate", A(CA)},
    {SWKI_KIND_NODE, "role", A(ROLE_MANAGER)},
    {SWKI_KIND_NODE, "status", A(DISPATCHER)},
    {SWKI_KIND_NODE, "description", A(DISPATCHER)},
    {SWKI_KIND_NODE, "attachment", A(ALLOCATOR)},
    {SWKI_KIND_NODE, "attachments", A(ALLOCATOR)},
    {SWKI_KIND_NODE, "VXLANUDPPort", A(ALLOCATOR)},
    {SWKI_KIND_TASK, "status",
     A(CONTROL) | A(ALLOCATOR) | A(SCHEDULER) | A(DISPATCHER) | A(ENFORCER)},
    {SWKI_KIND_TASK, "desired_state",
     A(CONTROL) | A(ORCHESTRATOR) | A(ENFORCER)},
    {SWKI_KIND_TASK, "node_id", A(SCHEDULER)},
    {SWKI_KIND_TASK, "assigned_generic_resources", A(SCHEDULER)},
    {SWKI_KIND_TASK, "volumes", A(SCHEDULER)},
    {SWKI_KIND_TASK, "networks", A(ALLOCATOR)},
    {SWKI_KIND_TASK, "endpoint", A(ALLOCATOR)},
    {SWKI_KIND_SERVICE, "spec", A(CONTROL) | A(ORCHESTRATOR)},
    {SWKI_KIND_SERVICE, "spec_version", A(CONTROL) | A(ORCHESTRATOR)},
    {SWKI_KIND_SERVICE, "previous_spec", A(CONTROL) | A(ORCHESTRATOR)},
    {SWKI_KIND_SERVICE, "previous_spec_version",
     A(CONTROL) | A(ORCHESTRATOR)},
    {SWKI_KIND_SERVICE, "update_status", A(CONTROL) | A(ORCHESTRATOR)},
    {SWKI_KIND_SERVICE, "job_status", A(CONTROL) | A(ORCHESTRATOR)},
    {SWKI_KIND_SERVICE, "pending_delete", A(CONTROL)},
    {SWKI_KIND_SERVICE, "endpoint", A(ALLOCATOR)},
    {SWKI_KIND_NETWORK, "spec", A(CONTROL)},
    {SWKI_KIND_NETWORK, "pending_delete", A(CONTROL)},
    {SWKI_KIND_NETWORK, "driver_state", A(ALLOCATOR)},
    {SWKI_KIND_NETWORK, "ipam", A(ALLOCATOR)},
    {SWKI_KIND_NETWORK, "extra", A(ALLOCATOR)},
    {SWKI_KIND_CLUSTER, "spec", A(CONTROL)},
    {SWKI_KIND_CLUSTER, "root_ca", A(CONTROL) | A(CA)},
    {SWKI_KIND_CLUSTER, "unlock_keys", A(CONTROL)},
    {SWKI_KIND_CLUSTER, "blacklisted_certificates", A(CONTROL)},
    {SWKI_KIND_CLUSTER, "network_bootstrap_keys", A(KEY_MANAGER)},
    {SWKI_KIND_CLUSTER, "network_keys_rotated_at", A(KEY_MANAGER)},
    {SWKI_KIND_CLUSTER, "encryption_key_lamport_clock", A(KEY_MANAGER)},
    {SWKI_KIND_SECRET, "spec", A(CONTROL)},
    {SWKI_KIND_CONFIG, "spec", A(CONTROL)},
    {SWKI_KIND_RESOURCE, "annotations", A(CONTROL)},
    {SWKI_KIND_RESOURCE, "payload", A(CONTROL)},
    {SWKI_KIND_VOLUME, "spec", A(CONTROL)},
    {SWKI_KIND_VOLUME, "pending_delete", A(CONTROL)},
    {SWKI_KIND_VOLUME, "publish_status",
     A(SCHEDULER) | A(DISPATCHER) | A(VOLUME_MANAGER)},
    {SWKI_KIND_VOLUME, "volume_info", A(VOLUME_MANAGER)},
};

static unsigned owners_of(enum swki_kind kind, const char *field)
{
    /* A new leader may repair the cluster object. */
    unsigned actors = kind == SWKI_KIND_CLUSTER ? A(BOOTSTRAP) : 0;

    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        if (owners[i].kind == kind && strcmp(owners[i].field, field) == 0) {
            actors |= owners[i].actors;
        }
    }
    return actors;
}

static void each_field_is_written_by_its_owners_alone(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < (unsigned)SWKI_KINDS_COUNT; kind++) {
        const ProtobufCMessageDescriptor *type =
            swki_kind_type((enum swki_kind)kind);

        for (unsigned i = 0; i < type->n_fields; i++) {
            const char *field = type->fields[i].name;
            unsigned actors = owners_of((enum swki_kind)kind, field);

            for (unsigned actor = 0; actor < (unsigned)SWKI_ACTORS_COUNT; actor++) {
                bool allowed = swki_policy_allows_field(
                    (enum swki_actor)actor, (enum swki_kind)kind, field);

                if (allowed != ((actors >> actor & 1) != 0)) {
                    fail_msg("%s, %s.%s: %d", swki_actor_name(actor),
                             swki_kind_name(kind), field, allowed);
                }
            }
        }
    }
}

/* The rows of the task model, written down once more by their meaning. */
static bool may_move(enum swki_actor actor, Swkpb__TaskState from,
                     Swkpb__TaskState to)
{
    bool is_workers = from >= S(ASSIGNED) && from <= S(RUNNING);

    if (to == S(REMOVE) || to < from) {
        return false;
    }
    switch ((int)actor) {
    case SWKI_ACTOR_ALLOCATOR:
        return from == S(NEW) && to <= S(PENDING);
    case SWKI_ACTOR_SCHEDULER:
        return from == S(PENDING) && (to == S(PENDING) || to == S(ASSIGNED) ||
                                      to == S(SHUTDOWN));
    case SWKI_ACTOR_ENFORCER:
        return is_workers && to == S(REJECTED);
    case SWKI_ACTOR_CONTROL:
        return from < S(COMPLETE) && to == S(ORPHANED);
    case SWKI_ACTOR_DISPATCHER:
        if (to == S(REJECTED)) {
            return (is_workers && from <= S(READY)) || from == to;
        }
        return is_workers ||
               (from == to && from > S(RUNNING) && from < S(REJECTED));
    default:
        return false;
    }
}

static void each_task_transition_belongs_to_its_component(void **state)
{
    size_t count = sizeof(states) / sizeof(states[0]);

    (void)state;
    for (unsigned actor = 0; actor < (unsigned)SWKI_ACTORS_COUNT; actor++) {
        for (size_t i = 0; i < count * count; i++) {
            Swkpb__TaskState from = states[i / count];
            Swkpb__TaskState to = states[i % count];
            bool allowed = swki_policy_allows_state((enum swki_actor)actor,
                                                    from, to);

            if (allowed != may_move((enum swki_actor)actor, from, to)) {
                fail_msg("%s, %d to %d: %d", swki_actor_name(actor), from, to,
                         allowed);
            }
        }
        assert_false(swki_policy_allows_state((enum swki_actor)actor,
                                              S(RUNNING), 600));
    }
}

/* A task in a state, sealed. */
static struct swki_object *task_in(Swkpb__TaskState at,
                                   Swkpb__TaskState desired)
{
    struct swki_object *o = swki_object_new(NULL, SWKI_KIND_TASK);
    Swkpb__Task *task = swki_task_edit(o);

    task->id = swki_arena_strdup(swki_object_arena(o), "t");
    task->node_id = swki_arena_strdup(swki_object_arena(o), "n");
    task->desired_state = desired;
    task->status =
        swki_arena_calloc(swki_object_arena(o), 1, sizeof(*task->status));
    swkpb__task_status__init(task->status);
    task->status->state = at;
    assert_int_equal(swki_object_seal(o), 0);
    return o;
}

static void the_desired_state_only_rises(void **state)
{
    struct swki_object *old = task_in(S(RUNNING), S(SHUTDOWN));
    struct swki_object *next = swki_object_edit(old);

    (void)state;
    swki_task_edit(next)->desired_state = S(REMOVE);
    assert_int_equal(
        swki_policy_check(SWKI_ACTOR_ORCHESTRATOR, old, next, NULL), 0);
    swki_task_edit(next)->desired_state = S(RUNNING);
    assert_int_equal(
        swki_policy_check(SWKI_ACTOR_ORCHESTRATOR, old, next, NULL),
        SWK_EDENIED);
    swki_object_unref(next);
    swki_object_unref(old);
}

static void a_task_disappears_before_it_runs_or_after_it_ended(void **state)
{
    static const struct {
        Swkpb__TaskState at;
        Swkpb__TaskState desired;
        int rc;
    } cases[] = {
        {S(NEW), S(REMOVE), 0},
        {S(PENDING), S(REMOVE), 0},
        {S(PENDING), S(RUNNING), SWK_EDENIED},
        {S(ASSIGNED), S(REMOVE), SWK_EDENIED},
        {S(RUNNING), S(REMOVE), SWK_EDENIED},
        {S(COMPLETE), S(RUNNING), 0},
        {S(ORPHANED), S(RUNNING), 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_object *task = task_in(cases[i].at, cases[i].desired);

        assert_int_equal(swki_policy_check(SWKI_ACTOR_REAPER, task, NULL, NULL),
                         cases[i].rc);
        assert_int_equal(
            swki_policy_check(SWKI_ACTOR_SCHEDULER, task, NULL, NULL),
            SWK_EDENIED);
        swki_object_unref(task);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_is_written_by_its_owners_alone),
        cmocka_unit_test(each_task_transition_belongs_to_its_component),
        cmocka_unit_test(the_desired_state_only_rises),
        cmocka_unit_test(a_task_disappears_before_it_runs_or_after_it_ended),
    };

    return cmocka_run_group_tests_name("store, policy", tests, NULL, NULL);
}
