/* SPDX-License-Identifier: Apache-2.0 */

/* What becomes of tasks that the node does not agree to. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "base/rng.h"
#include "core/agent/agent.h"
#include "core/trust/trust.h"
#include "dispatcher.pb-c.h"
#include "wire/message.h"

#define STATE(name) SWKPB__TASK_STATE__##name
#define HOUR (INT64_C(3600) * INT64_C(1000000000))

struct f {
    struct swki_agent *agent;
    struct swki_trust *trust;
    struct swki_arena arena;
    struct swki_rng rng;
    struct swk_entropy entropy;
    struct swki_buf key;
    swk_time now;
    swk_wall wall;
    const Swkpb__Rpc__NodeConsent *consent; /* of agents made from now on */
    uint64_t assignments_call;
    unsigned version; /* of the assignments */
};

static int fill(void *ctx, void *out_data, size_t len)
{
    swki_rng_fill(ctx, out_data, len);
    return 0;
}

static void make_trust(struct f *f)
{
    struct swki_buf public_key;

    swki_rng_init(&f->rng, 21);
    f->entropy = (struct swk_entropy){sizeof(f->entropy), &f->rng, fill};
    swki_buf_init(&f->key, NULL, SIZE_MAX);
    swki_buf_init(&public_key, NULL, SIZE_MAX);
    assert_int_equal(
        swki_signing_key_generate(SWKI_CURVE_P256, &f->entropy, &f->key, NULL),
        0);
    assert_int_equal(swki_signing_key_public(swki_pem_of_buf(&f->key),
                                             &f->entropy, &public_key, NULL),
                     0);
    assert_int_equal(swki_trust_new(NULL, swki_pem_of_buf(&public_key),
                                    "swarm1", &f->trust, NULL),
                     0);
    swki_buf_fini(&public_key);
}

static void make_agent(struct f *f)
{
    const struct swki_agent_config config = {.node_id = "node1",
                                             .seed = 7,
                                             .trust = f->trust,
                                             .consent = f->consent};

    assert_int_equal(swki_agent_new(&config, &f->agent, NULL), 0);
}

static int set_up(void **state)
{
    static struct f f;

    f = (struct f){.now = SWK_SECOND, .wall = INT64_C(1700000000) * 1000000000};
    swki_arena_init(&f.arena, NULL, SIZE_MAX);
    make_trust(&f);
    make_agent(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_agent_free(f->agent);
    swki_trust_free(f->trust);
    swki_buf_fini(&f->key);
    swki_arena_fini(&f->arena);
    return 0;
}

/* -- Events --------------------------------------------------------------- */

static void clear(struct f *f)
{
    swki_agent_clear_actions(f->agent);
}

static const struct swki_agent_action *find(const struct f *f,
                                            enum swki_agent_action_type type)
{
    const struct swki_agent_action *action = swki_agent_actions(f->agent);

    while (action != NULL && action->type != type) {
        action = action->next;
    }
    return action;
}

static uint64_t call_of(const struct f *f, const char *name)
{
    const struct swki_agent_action *action = swki_agent_actions(f->agent);

    while (action->type != SWKI_AGENT_CALL ||
           strstr(action->path, name) == NULL) {
        action = action->next;
    }
    return action->call_id;
}

static void tell(struct f *f, uint64_t call_id, const ProtobufCMessage *message)
{
    struct swki_buf data;

    swki_buf_init(&data, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(message, &data, NULL), 0);
    swki_agent_message(f->agent, f->now, f->wall, call_id, data.data, data.len);
    swki_buf_fini(&data);
}

static void start(struct f *f)
{
    assert_int_equal(swki_agent_start(f->agent, f->now, f->wall, "", 0, NULL),
                     0);
}

static void register_agent(struct f *f)
{
    Swkpb__SessionMessage session = SWKPB__SESSION_MESSAGE__INIT;

    start(f);
    swki_agent_connected(f->agent, f->now);
    session.session_id = (char *)"session1";
    tell(f, call_of(f, "Session"), &session.base);
    f->assignments_call = call_of(f, "Assignments");
    clear(f);
}

static void assign(struct f *f, Swkpb__Task *task)
{
    Swkpb__AssignmentsMessage message = SWKPB__ASSIGNMENTS_MESSAGE__INIT;
    Swkpb__AssignmentChange change = SWKPB__ASSIGNMENT_CHANGE__INIT;
    Swkpb__AssignmentChange *changes[] = {&change};
    Swkpb__Assignment item = SWKPB__ASSIGNMENT__INIT;
    char before[16];
    char after[16];

    snprintf(before, sizeof(before), "%u", f->version);
    snprintf(after, sizeof(after), "%u", ++f->version);
    item.item_case = SWKPB__ASSIGNMENT__ITEM_TASK;
    item.task = task;
    change.assignment = &item;
    message.type = f->version == 1
                       ? SWKPB__ASSIGNMENTS_MESSAGE__TYPE__COMPLETE
                       : SWKPB__ASSIGNMENTS_MESSAGE__TYPE__INCREMENTAL;
    message.applies_to = before;
    message.results_in = after;
    message.changes = changes;
    message.n_changes = 1;
    tell(f, f->assignments_call, &message.base);
}

static void take_away(struct f *f)
{
    Swkpb__AssignmentsMessage none = SWKPB__ASSIGNMENTS_MESSAGE__INIT;

    none.type = SWKPB__ASSIGNMENTS_MESSAGE__TYPE__COMPLETE;
    tell(f, f->assignments_call, &none.base);
}

static void operation(struct f *f, int op, int outcome)
{
    const struct swk_operation_result result = {.outcome = outcome};

    swki_agent_operation(f->agent, f->now, f->wall, "task1", op, &result);
}

/* The newest stored copy of the task. */
static const Swkpb__Task *stored(struct f *f)
{
    const struct swki_agent_action *action = swki_agent_actions(f->agent);
    const struct swki_agent_action *last = NULL;
    ProtobufCMessage *message;

    for (; action != NULL; action = action->next) {
        if (action->type == SWKI_AGENT_STORE) {
            last = action;
        }
    }
    assert_non_null(last);
    assert_int_equal(swki_message_unpack(&swkpb__task__descriptor, last->data,
                                         last->data_len, &f->arena, &message,
                                         NULL),
                     0);
    return (const Swkpb__Task *)message;
}

static void assert_ended(struct f *f, Swkpb__TaskState state, const char *why)
{
    const Swkpb__TaskStatus *status = stored(f)->status;

    assert_int_equal(status->state, state);
    assert_string_equal(status->message, "refused by the node");
    if (strstr(status->err, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", status->err, why);
    }
}

/* -- Tasks ---------------------------------------------------------------- */

static void *make(struct f *f, const ProtobufCMessageDescriptor *type)
{
    void *message = swki_arena_alloc(&f->arena, type->sizeof_message);

    assert_non_null(message);
    type->message_init(message);
    return message;
}

static Swkpb__Task *make_task(struct f *f)
{
    Swkpb__Task *task = make(f, &swkpb__task__descriptor);

    task->id = (char *)"task1";
    task->status = make(f, &swkpb__task_status__descriptor);
    task->status->state = STATE(ASSIGNED);
    task->desired_state = STATE(RUNNING);
    task->service_annotations = make(f, &swkpb__annotations__descriptor);
    task->service_annotations->name = (char *)"web";
    task->spec = make(f, &swkpb__task_spec__descriptor);
    task->spec->runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    task->spec->container = make(f, &swkpb__container_spec__descriptor);
    task->spec->container->image = (char *)"host";
    return task;
}

static Swkpb__Task *sign_until(struct f *f, Swkpb__Task *task, swk_wall end)
{
    const struct swki_sign_terms terms = {"swarm1", f->wall, end};
    Swkpb__ServiceSpec *spec = make(f, &swkpb__service_spec__descriptor);

    spec->annotations = task->service_annotations;
    spec->task = task->spec;
    spec->endpoint = task->endpoint != NULL ? task->endpoint->spec : NULL;
    assert_int_equal(swki_spec_sign(spec, swki_pem_of_buf(&f->key), &terms,
                                    &f->entropy, &f->arena, NULL),
                     0);
    task->signatures = spec->signatures;
    task->n_signatures = spec->n_signatures;
    return task;
}

/* A signed task that runs; leaves no actions. */
static Swkpb__Task *run_task(struct f *f, swk_wall end)
{
    Swkpb__Task *task = sign_until(f, make_task(f), end);

    register_agent(f);
    assign(f, task);
    assert_non_null(find(f, SWKI_AGENT_CONTROLLER_NEW));
    swki_agent_controller(f->agent, f->now, f->wall, "task1", NULL);
    operation(f, SWK_OPERATION_PREPARE, SWK_OUTCOME_DONE);
    operation(f, SWK_OPERATION_START, SWK_OUTCOME_DONE);
    assert_int_equal(stored(f)->status->state, STATE(RUNNING));
    clear(f);
    return task;
}

/* Another agent takes up what the first one stored. */
static void restart(struct f *f, Swkpb__Task *task, Swkpb__TaskState state)
{
    struct swki_buf data;

    task->status->state = state;
    swki_buf_init(&data, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(&task->base, &data, NULL), 0);
    swki_agent_free(f->agent);
    make_agent(f);
    assert_int_equal(swki_agent_restore(f->agent, data.data, data.len, NULL),
                     0);
    swki_buf_fini(&data);
    start(f);
}

/* -- Tests ---------------------------------------------------------------- */

static void an_unsigned_task_is_rejected_before_anything_is_made(void **state)
{
    struct f *f = *state;

    register_agent(f);
    assign(f, make_task(f));
    assert_null(find(f, SWKI_AGENT_CONTROLLER_NEW));
    assert_null(find(f, SWKI_AGENT_BEGIN));
    assert_ended(f, STATE(REJECTED), "not signed by a trusted key");
    assert_true(call_of(f, "UpdateTaskStatus") != 0);
}

static void a_tampered_task_is_rejected(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = sign_until(f, make_task(f), 0);

    task->spec->container->user = (char *)"root";
    register_agent(f);
    assign(f, task);
    assert_null(find(f, SWKI_AGENT_CONTROLLER_NEW));
    assert_ended(f, STATE(REJECTED), "changed after it was signed");
}

static void a_rejected_task_can_be_removed(void **state)
{
    struct f *f = *state;

    register_agent(f);
    assign(f, make_task(f));
    clear(f);
    take_away(f);
    /* What the executor may have of it is removed by a controller. */
    assert_non_null(find(f, SWKI_AGENT_CONTROLLER_NEW));
    swki_agent_controller(f->agent, f->now, f->wall, "task1", NULL);
    assert_int_equal(find(f, SWKI_AGENT_BEGIN)->operation,
                     SWK_OPERATION_REMOVE);
    operation(f, SWK_OPERATION_REMOVE, SWK_OUTCOME_DONE);
    assert_int_equal(swki_agent_tasks_count(f->agent), 0);
}

static void what_was_refused_is_looked_at_once(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = make_task(f);

    register_agent(f);
    assign(f, task);
    clear(f);
    task->desired_state = STATE(SHUTDOWN);
    assign(f, task);
    assert_null(find(f, SWKI_AGENT_CONTROLLER_NEW));
    assert_null(find(f, SWKI_AGENT_BEGIN));
    assert_int_equal(stored(f)->status->state, STATE(REJECTED));
}

static void a_signed_task_runs_and_takes_updates(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = run_task(f, 0);

    task->desired_state = STATE(SHUTDOWN);
    assign(f, task);
    assert_non_null(find(f, SWKI_AGENT_CANCEL));
    operation(f, SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED);
    operation(f, SWK_OPERATION_UPDATE, SWK_OUTCOME_DONE);
    operation(f, SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE);
    assert_int_equal(stored(f)->status->state, STATE(SHUTDOWN));
}

static void a_task_that_is_changed_while_it_runs_is_stopped(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = run_task(f, 0);

    task->spec->container->image = (char *)"other";
    assign(f, task);
    assert_non_null(find(f, SWKI_AGENT_CANCEL));
    /* What is stored is the version that was agreed to. */
    assert_string_equal(stored(f)->spec->container->image, "host");
    clear(f);
    operation(f, SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED);
    assert_int_equal(find(f, SWKI_AGENT_BEGIN)->operation,
                     SWK_OPERATION_SHUTDOWN);
    clear(f);
    operation(f, SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE);
    assert_ended(f, STATE(FAILED), "changed after it was signed");
}

static void a_change_that_also_ends_the_task_is_a_shutdown(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = run_task(f, 0);

    task->spec->container->image = (char *)"other";
    task->desired_state = STATE(SHUTDOWN);
    assign(f, task);
    operation(f, SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED);
    operation(f, SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE);
    assert_int_equal(stored(f)->status->state, STATE(SHUTDOWN));
}

static void the_end_of_a_signature_stops_nothing(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = run_task(f, f->wall + HOUR);

    f->wall += 2 * HOUR;
    task->node_id = (char *)"node1";
    assign(f, task);
    operation(f, SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED);
    assert_int_equal(find(f, SWKI_AGENT_BEGIN)->operation,
                     SWK_OPERATION_UPDATE);
    clear(f);
    restart(f, task, STATE(RUNNING));
    assert_non_null(find(f, SWKI_AGENT_CONTROLLER_NEW));
}

static void an_ended_signature_begins_nothing(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = sign_until(f, make_task(f), f->wall + HOUR);

    f->wall += 2 * HOUR;
    restart(f, task, STATE(ASSIGNED));
    assert_null(find(f, SWKI_AGENT_CONTROLLER_NEW));
    assert_ended(f, STATE(REJECTED), "expired on ");
}

/* One that ended an hour ago, of a task that the manager says is here. */
static void assign_ended(struct f *f, Swkpb__TaskState state)
{
    Swkpb__Task *task = sign_until(f, make_task(f), f->wall + HOUR);

    f->wall += 2 * HOUR;
    task->status->state = state;
    register_agent(f);
    assign(f, task);
}

static void managers_word_that_it_began_does_not_count(void **state)
{
    static const Swkpb__TaskState states[] = {STATE(STARTING), STATE(RUNNING)};

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        struct f *f = *state;

        swki_agent_free(f->agent);
        make_agent(f);
        f->version = 0;
        assign_ended(f, states[i]);
        /* There may be something of it; a restart does not begin it. */
        assert_int_equal(stored(f)->status->state, STATE(PREPARING));
        swki_agent_controller(f->agent, f->now, f->wall, "task1", NULL);
        assert_int_equal(find(f, SWKI_AGENT_BEGIN)->operation,
                         SWK_OPERATION_SHUTDOWN);
        operation(f, SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE);
        assert_ended(f, STATE(REJECTED), "expired on ");
    }
}

static void task_unknown_here_goes_on_while_its_signature_holds(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = sign_until(f, make_task(f), f->wall + HOUR);

    task->status->state = STATE(RUNNING);
    register_agent(f);
    assign(f, task);
    assert_int_equal(stored(f)->status->state, STATE(RUNNING));
    swki_agent_controller(f->agent, f->now, f->wall, "task1", NULL);
    assert_int_equal(find(f, SWKI_AGENT_BEGIN)->operation, SWK_OPERATION_WAIT);
    /* From now on it has begun. */
    f->wall += 2 * HOUR;
    task->node_id = (char *)"node1";
    clear(f);
    assign(f, task);
    assert_int_equal(stored(f)->status->state, STATE(RUNNING));
    operation(f, SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED);
    assert_int_equal(find(f, SWKI_AGENT_BEGIN)->operation,
                     SWK_OPERATION_UPDATE);
}

static void task_that_had_ended_is_not_begun_anew(void **state)
{
    struct f *f = *state;

    assign_ended(f, STATE(COMPLETE));
    assert_null(find(f, SWKI_AGENT_CONTROLLER_NEW));
    assert_int_equal(stored(f)->status->state, STATE(COMPLETE));
    assert_string_equal(stored(f)->status->err, "");
}

static void an_ended_signature_lets_no_other_spec_in(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = run_task(f, 0);

    task->spec->container->image = (char *)"other";
    sign_until(f, task, f->wall + HOUR);
    f->wall += 2 * HOUR;
    assign(f, task);
    operation(f, SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED);
    operation(f, SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE);
    assert_ended(f, STATE(FAILED), "expired on ");
}

/* A change of a task that runs is taken to the controller. */
static void assert_updated(struct f *f)
{
    operation(f, SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED);
    assert_int_equal(find(f, SWKI_AGENT_BEGIN)->operation,
                     SWK_OPERATION_UPDATE);
    assert_int_equal(stored(f)->status->state, STATE(RUNNING));
}

static void what_is_not_signed_changes_without_another_signature(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = run_task(f, f->wall + HOUR);

    f->wall += 2 * HOUR;
    task->spec->restart = make(f, &swkpb__restart_policy__descriptor);
    task->spec->placement = make(f, &swkpb__placement__descriptor);
    task->spec->force_update = 3;
    assign(f, task);
    assert_updated(f);
    assert_int_equal(stored(f)->spec->force_update, 3);
}

static void an_ended_signature_lets_no_other_labels_in(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = run_task(f, 0);
    Swkpb__Annotations__LabelsEntry *label =
        make(f, &swkpb__annotations__labels_entry__descriptor);

    label->key = (char *)"proxy";
    label->value = (char *)"public";
    task->service_annotations->labels = &label;
    task->service_annotations->n_labels = 1;
    sign_until(f, task, f->wall + HOUR);
    f->wall += 2 * HOUR;
    assign(f, task);
    operation(f, SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED);
    operation(f, SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE);
    assert_ended(f, STATE(FAILED), "expired on ");
}

static void an_ended_signature_lets_no_other_ports_in(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = run_task(f, 0);
    Swkpb__PortConfig *port = make(f, &swkpb__port_config__descriptor);

    port->target_port = 22;
    task->endpoint = make(f, &swkpb__endpoint__descriptor);
    task->endpoint->spec = make(f, &swkpb__endpoint_spec__descriptor);
    task->endpoint->spec->ports = &port;
    task->endpoint->spec->n_ports = 1;
    sign_until(f, task, f->wall + HOUR);
    f->wall += 2 * HOUR;
    assign(f, task);
    operation(f, SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED);
    operation(f, SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE);
    assert_ended(f, STATE(FAILED), "expired on ");
}

static void a_new_signature_lets_other_labels_in(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = run_task(f, f->wall + HOUR);

    f->wall += 2 * HOUR;
    task->service_annotations->name = (char *)"shop";
    sign_until(f, task, f->wall + HOUR);
    assign(f, task);
    assert_updated(f);
    assert_string_equal(stored(f)->service_annotations->name, "shop");
}

static void signatures_taken_away_stop_nothing_that_they_were_over(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = run_task(f, 0);

    task->n_signatures = 0;
    task->node_id = (char *)"node1";
    assign(f, task);
    assert_updated(f);
    /* After a restart it is looked at again. */
    assert_string_equal(stored(f)->node_id, "node1");
    assert_int_equal(stored(f)->n_signatures, 1);
    clear(f);
    task->spec->container->user = (char *)"root";
    assign(f, task);
    operation(f, SWK_OPERATION_UPDATE, SWK_OUTCOME_DONE);
    operation(f, SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE);
    assert_ended(f, STATE(FAILED), "it has no signature");
}

static void what_an_earlier_agent_began_is_stopped(void **state)
{
    static const struct {
        Swkpb__TaskState before;
        Swkpb__TaskState after;
    } cases[] = {
        {STATE(PREPARING), STATE(REJECTED)},
        {STATE(READY), STATE(REJECTED)},
        {STATE(STARTING), STATE(FAILED)},
        {STATE(RUNNING), STATE(FAILED)},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct f *f = *state;

        restart(f, make_task(f), cases[i].before);
        assert_non_null(find(f, SWKI_AGENT_CONTROLLER_NEW));
        assert_null(find(f, SWKI_AGENT_BEGIN));
        swki_agent_controller(f->agent, f->now, f->wall, "task1", NULL);
        assert_int_equal(find(f, SWKI_AGENT_BEGIN)->operation,
                         SWK_OPERATION_SHUTDOWN);
        operation(f, SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE);
        assert_ended(f, cases[i].after, "it has no signature");
    }
}

/* An agent that lets nothing run but attachments. */
static void consent_to_attachments(struct f *f)
{
    static char *allow[] = {(char *)"attachment"};
    static Swkpb__Rpc__NodeConsent__Names names;
    static Swkpb__Rpc__NodeConsent consent;

    swkpb__rpc__node_consent__names__init(&names);
    swkpb__rpc__node_consent__init(&consent);
    names.allow = allow;
    names.n_allow = 1;
    consent.executors = &names;
    f->consent = &consent;
}

static void what_the_policy_does_not_allow_is_rejected(void **state)
{
    struct f *f = *state;

    consent_to_attachments(f);
    swki_agent_free(f->agent);
    make_agent(f);
    register_agent(f);
    assign(f, sign_until(f, make_task(f), 0));
    assert_null(find(f, SWKI_AGENT_CONTROLLER_NEW));
    assert_ended(f, STATE(REJECTED),
                 "this node's policy does not allow tasks of kind container");
}

static void another_policy_stops_what_runs(void **state)
{
    struct f *f = *state;
    Swkpb__Task *task = run_task(f, 0);

    consent_to_attachments(f);
    restart(f, task, STATE(RUNNING));
    swki_agent_controller(f->agent, f->now, f->wall, "task1", NULL);
    assert_int_equal(find(f, SWKI_AGENT_BEGIN)->operation,
                     SWK_OPERATION_SHUTDOWN);
    operation(f, SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE);
    assert_ended(f, STATE(FAILED), "this node's policy does not allow");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unsigned_task_is_rejected_before_anything_is_made),
        TEST(a_tampered_task_is_rejected),
        TEST(a_rejected_task_can_be_removed),
        TEST(what_was_refused_is_looked_at_once),
        TEST(a_signed_task_runs_and_takes_updates),
        TEST(a_task_that_is_changed_while_it_runs_is_stopped),
        TEST(a_change_that_also_ends_the_task_is_a_shutdown),
        TEST(the_end_of_a_signature_stops_nothing),
        TEST(an_ended_signature_begins_nothing),
        TEST(managers_word_that_it_began_does_not_count),
        TEST(task_unknown_here_goes_on_while_its_signature_holds),
        TEST(task_that_had_ended_is_not_begun_anew),
        TEST(an_ended_signature_lets_no_other_spec_in),
        TEST(what_is_not_signed_changes_without_another_signature),
        TEST(an_ended_signature_lets_no_other_labels_in),
        TEST(an_ended_signature_lets_no_other_ports_in),
        TEST(a_new_signature_lets_other_labels_in),
        TEST(signatures_taken_away_stop_nothing_that_they_were_over),
        TEST(what_an_earlier_agent_began_is_stopped),
        TEST(what_the_policy_does_not_allow_is_rejected),
        TEST(another_policy_stops_what_runs),
    };

    return cmocka_run_group_tests_name("refusal", tests, NULL, NULL);
}
