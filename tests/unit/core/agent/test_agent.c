/* SPDX-License-Identifier: Apache-2.0 */

/* The agent: sessions, assignments, the states of tasks, reports. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "core/agent/agent.h"
#include "dispatcher.pb-c.h"
#include "wire/message.h"
#include "wire/status.h"

struct f {
    struct swki_agent *agent;
    swk_time now;
    swk_wall wall;
    struct swki_arena arena;
    uint64_t session_call;
    uint64_t heartbeat_call;
    uint64_t assignments_call;
    uint64_t report_call;
    char applied[24];
};

static const swk_wall start_wall = INT64_C(1700000000) * 1000000000;

static int set_up(void **state)
{
    static struct f f;
    const struct swki_agent_config config = {.node_id = "node1", .seed = 7};

    f = (struct f){.now = SWK_SECOND, .wall = start_wall};
    swki_arena_init(&f.arena, NULL, SIZE_MAX);
    assert_int_equal(swki_agent_new(&config, &f.agent, NULL), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_agent_free(f->agent);
    swki_arena_fini(&f->arena);
    return 0;
}

/* -- Actions -------------------------------------------------------------- */

static const struct swki_agent_action *
find_action(const struct f *f, enum swki_agent_action_type type,
            const char *task_id)
{
    const struct swki_agent_action *action = swki_agent_actions(f->agent);

    while (action != NULL &&
           (action->type != type ||
            (task_id != NULL && strcmp(action->task_id, task_id) != 0))) {
        action = action->next;
    }
    return action;
}

static const struct swki_agent_action *find_call(const struct f *f,
                                                 const char *name)
{
    const struct swki_agent_action *action = swki_agent_actions(f->agent);

    for (; action != NULL; action = action->next) {
        if (action->type == SWKI_AGENT_CALL &&
            strcmp(strrchr(action->path, '/') + 1, name) == 0) {
            return action;
        }
    }
    return NULL;
}

/* The operation begun for a task since the last clear, or 0. */
static int begun(const struct f *f, const char *task_id)
{
    const struct swki_agent_action *action =
        find_action(f, SWKI_AGENT_BEGIN, task_id);

    return action != NULL ? action->operation : 0;
}

static void clear(struct f *f)
{
    swki_agent_clear_actions(f->agent);
}

/* -- Events --------------------------------------------------------------- */

static void tell(struct f *f, uint64_t call_id, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = swki_arena_alloc(&f->arena, len);

    protobuf_c_message_pack(message, data);
    swki_agent_message(f->agent, f->now, f->wall, call_id, data, len);
}

static void start(struct f *f)
{
    assert_int_equal(
        swki_agent_start(f->agent, f->now, f->wall, "", 0, NULL), 0);
}

static void tell_session(struct f *f)
{
    Swkpb__SessionMessage message = SWKPB__SESSION_MESSAGE__INIT;

    message.session_id = (char *)"session1";
    tell(f, f->session_call, &message.base);
}

/* Up to a session with its streams; leaves no actions. */
static void register_agent(struct f *f)
{
    start(f);
    assert_non_null(find_action(f, SWKI_AGENT_CONNECT, NULL));
    clear(f);
    swki_agent_connected(f->agent, f->now);
    f->session_call = find_call(f, "Session")->call_id;
    clear(f);
    tell_session(f);
    f->heartbeat_call = find_call(f, "Heartbeat")->call_id;
    f->assignments_call = find_call(f, "Assignments")->call_id;
    clear(f);
}

struct assigned {
    const char *id;
    int desired; /* 0: remove */
};

static void assign(struct f *f, bool complete, const char *applies_to,
                   const char *results_in, const struct assigned *list,
                   size_t count)
{
    Swkpb__AssignmentsMessage message = SWKPB__ASSIGNMENTS_MESSAGE__INIT;
    Swkpb__AssignmentChange *changes[8];

    for (size_t i = 0; i < count; i++) {
        Swkpb__Assignment *item = swki_arena_alloc(&f->arena, sizeof(*item));
        Swkpb__Task *task = swki_arena_alloc(&f->arena, sizeof(*task));
        Swkpb__TaskStatus *status =
            swki_arena_alloc(&f->arena, sizeof(*status));

        changes[i] = swki_arena_alloc(&f->arena, sizeof(*changes[i]));
        swkpb__assignment_change__init(changes[i]);
        swkpb__assignment__init(item);
        swkpb__task__init(task);
        swkpb__task_status__init(status);
        status->state = SWKPB__TASK_STATE__ASSIGNED;
        task->id = (char *)list[i].id;
        task->status = status;
        task->desired_state = (Swkpb__TaskState)list[i].desired;
        item->item_case = SWKPB__ASSIGNMENT__ITEM_TASK;
        item->task = task;
        changes[i]->assignment = item;
        changes[i]->action =
            list[i].desired == 0
                ? SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__REMOVE
                : SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__UPDATE;
    }
    message.type = complete ? SWKPB__ASSIGNMENTS_MESSAGE__TYPE__COMPLETE
                            : SWKPB__ASSIGNMENTS_MESSAGE__TYPE__INCREMENTAL;
    message.applies_to = (char *)applies_to;
    message.results_in = (char *)results_in;
    message.changes = changes;
    message.n_changes = count;
    tell(f, f->assignments_call, &message.base);
}

static void assign_one(struct f *f, const char *id, int desired)
{
    const struct assigned list[] = {{id, desired}};

    assign(f, true, "", "1", list, 1);
}

static void operation(struct f *f, const char *id, int op, int outcome,
                      const char *text)
{
    struct swk_operation_result result = {.outcome = outcome};

    snprintf(result.text, sizeof(result.text), "%s", text);
    swki_agent_operation(f->agent, f->now, f->wall, id, op, &result);
}

/* The state in the newest stored copy of the task. */
static const Swkpb__TaskStatus *stored(struct f *f, const char *id)
{
    const struct swki_agent_action *action = swki_agent_actions(f->agent);
    const struct swki_agent_action *last = NULL;
    ProtobufCMessage *message;

    for (; action != NULL; action = action->next) {
        if (action->type == SWKI_AGENT_STORE &&
            strcmp(action->task_id, id) == 0) {
            last = action;
        }
    }
    assert_non_null(last);
    assert_int_equal(swki_message_unpack(&swkpb__task__descriptor, last->data,
                                         last->data_len, &f->arena, &message,
                                         NULL),
                     0);
    return ((const Swkpb__Task *)message)->status;
}

/* A task that runs and is waited for; leaves no actions. */
static void run_task(struct f *f, const char *id)
{
    assign_one(f, id, SWKPB__TASK_STATE__RUNNING);
    assert_non_null(find_action(f, SWKI_AGENT_CONTROLLER_NEW, id));
    swki_agent_controller(f->agent, f->now, f->wall, id, NULL);
    operation(f, id, SWK_OPERATION_PREPARE, SWK_OUTCOME_DONE, "");
    operation(f, id, SWK_OPERATION_START, SWK_OUTCOME_DONE, "");
    assert_int_equal(stored(f, id)->state, SWKPB__TASK_STATE__RUNNING);
    clear(f);
}

static void expire_until(struct f *f, swk_time limit)
{
    while (swki_agent_deadline(f->agent) <= limit) {
        f->now = swki_agent_deadline(f->agent);
        swki_agent_expire(f->agent, f->now, f->wall);
    }
    f->now = limit;
}

/* -- Sessions ------------------------------------------------------------- */

static void a_session_beats_at_once_and_asks_for_assignments(void **state)
{
    struct f *f = *state;

    register_agent(f);
    assert_true(swki_agent_registered(f->agent));
    assert_true(f->heartbeat_call != 0);
    assert_true(f->assignments_call != 0);
}

static void the_next_beat_comes_after_the_period_of_the_answer(void **state)
{
    struct f *f = *state;
    Swkpb__HeartbeatResponse response = SWKPB__HEARTBEAT_RESPONSE__INIT;
    Swkpb__Duration period = SWKPB__DURATION__INIT;

    register_agent(f);
    period.seconds = 3;
    response.period = &period;
    tell(f, f->heartbeat_call, &response.base);
    swki_agent_ended(f->agent, f->now, f->heartbeat_call, SWKI_STATUS_OK, "");
    assert_int_equal(swki_agent_deadline(f->agent), f->now + 3 * SWK_SECOND);
    f->now += 3 * SWK_SECOND;
    swki_agent_expire(f->agent, f->now, f->wall);
    assert_non_null(find_call(f, "Heartbeat"));
}

static void an_unanswered_beat_ends_the_session(void **state)
{
    struct f *f = *state;

    register_agent(f);
    f->now += 5 * SWK_SECOND;
    swki_agent_expire(f->agent, f->now, f->wall);
    assert_non_null(find_action(f, SWKI_AGENT_DISCONNECT, NULL));
    assert_false(swki_agent_registered(f->agent));
}

static void the_end_of_any_stream_leads_to_one_new_session(void **state)
{
    struct f *f = *state;
    const uint64_t *const calls[] = {&f->session_call, &f->heartbeat_call,
                                     &f->assignments_call};

    for (size_t i = 0; i < 3; i++) {
        if (i > 0) {
            tear_down(state);
            set_up(state);
        }
        register_agent(f);
        swki_agent_ended(f->agent, f->now, *calls[i], SWKI_STATUS_UNAVAILABLE,
                         "gone");
        assert_non_null(find_action(f, SWKI_AGENT_DISCONNECT, NULL));
        clear(f);
        expire_until(f, f->now + SWK_SECOND);
        assert_non_null(find_action(f, SWKI_AGENT_CONNECT, NULL));
        clear(f);
        swki_agent_connected(f->agent, f->now);
        assert_non_null(find_call(f, "Session"));
    }
}

static void a_silent_manager_is_given_up_after_five_seconds(void **state)
{
    struct f *f = *state;

    start(f);
    clear(f);
    swki_agent_connected(f->agent, f->now);
    assert_int_equal(swki_agent_deadline(f->agent), f->now + 5 * SWK_SECOND);
    f->now += 5 * SWK_SECOND;
    swki_agent_expire(f->agent, f->now, f->wall);
    assert_non_null(find_action(f, SWKI_AGENT_DISCONNECT, NULL));
}

static void pauses_between_attempts_grow_and_are_bounded(void **state)
{
    struct f *f = *state;
    const struct swk_error err = {SWK_EUNAVAILABLE, "refused"};
    swk_time longest = 0;

    start(f);
    for (int i = 0; i < 40; i++) {
        swk_time pause;

        clear(f);
        swki_agent_disconnected(f->agent, f->now, &err);
        pause = swki_agent_deadline(f->agent) - f->now;
        assert_true(pause < 8 * SWK_SECOND);
        if (i == 0) {
            assert_true(pause < 100 * SWK_MILLISECOND);
        }
        longest = pause > longest ? pause : longest;
        f->now += pause;
        swki_agent_expire(f->agent, f->now, f->wall);
        assert_non_null(find_action(f, SWKI_AGENT_CONNECT, NULL));
    }
    assert_true(longest > 4 * SWK_SECOND);
}

static void a_new_description_resumes_the_session_it_has(void **state)
{
    struct f *f = *state;
    Swkpb__NodeDescription description = SWKPB__NODE_DESCRIPTION__INIT;
    const struct swki_agent_action *call;
    ProtobufCMessage *message;
    uint8_t data[32];
    size_t len;

    register_agent(f);
    description.hostname = (char *)"renamed";
    len = protobuf_c_message_pack(&description.base, data);
    assert_int_equal(swki_agent_describe(f->agent, f->now, data, len, NULL), 0);
    call = find_call(f, "Session");
    assert_non_null(call);
    assert_int_equal(swki_message_unpack(&swkpb__session_request__descriptor,
                                         call->data, call->data_len, &f->arena,
                                         &message, NULL),
                     0);
    assert_string_equal(((Swkpb__SessionRequest *)message)->session_id,
                        "session1");
    clear(f);
    assert_int_equal(swki_agent_describe(f->agent, f->now, data, len, NULL), 0);
    assert_null(find_call(f, "Session")); /* nothing new in it */
}

static const char *described_as(struct f *f)
{
    const struct swki_agent_action *call = find_call(f, "Session");
    ProtobufCMessage *message;

    if (call == NULL) {
        return "not described";
    }
    assert_int_equal(swki_message_unpack(&swkpb__session_request__descriptor,
                                         call->data, call->data_len, &f->arena,
                                         &message, NULL),
                     0);
    return ((Swkpb__SessionRequest *)message)->description->hostname;
}

/* As by a certificate that is renewed at that moment: managers wait for it. */
static void a_description_that_changes_while_registering_is_sent(void **state)
{
    struct f *f = *state;
    Swkpb__NodeDescription description = SWKPB__NODE_DESCRIPTION__INIT;
    uint8_t data[32];
    size_t len;

    start(f);
    clear(f);
    swki_agent_connected(f->agent, f->now);
    f->session_call = find_call(f, "Session")->call_id;
    clear(f);
    description.hostname = (char *)"renamed";
    len = protobuf_c_message_pack(&description.base, data);
    assert_int_equal(swki_agent_describe(f->agent, f->now, data, len, NULL), 0);
    assert_string_equal(described_as(f), "not described");
    tell_session(f);
    assert_string_equal(described_as(f), "renamed");
    assert_true(swki_agent_registered(f->agent));
    f->session_call = find_call(f, "Session")->call_id;
    clear(f);
    tell_session(f);
    assert_string_equal(described_as(f), "not described"); /* it was */
}

/* -- Assignments ---------------------------------------------------------- */

static void a_complete_set_removes_what_it_does_not_name(void **state)
{
    struct f *f = *state;
    const struct assigned first[] = {{"a", SWKPB__TASK_STATE__RUNNING},
                                     {"b", SWKPB__TASK_STATE__RUNNING}};
    const struct assigned second[] = {{"b", SWKPB__TASK_STATE__RUNNING},
                                      {"c", SWKPB__TASK_STATE__RUNNING}};

    register_agent(f);
    assign(f, true, "", "1", first, 2);
    swki_agent_controller(f->agent, f->now, f->wall, "a", NULL);
    swki_agent_controller(f->agent, f->now, f->wall, "b", NULL);
    clear(f);
    assign(f, true, "", "1", second, 2);
    assert_non_null(find_action(f, SWKI_AGENT_CANCEL, "a"));
    assert_null(find_action(f, SWKI_AGENT_CANCEL, "b"));
    assert_non_null(find_action(f, SWKI_AGENT_CONTROLLER_NEW, "c"));
    operation(f, "a", SWK_OPERATION_PREPARE, SWK_OUTCOME_CANCELED, "");
    assert_int_equal(begun(f, "a"), SWK_OPERATION_REMOVE);
    operation(f, "a", SWK_OPERATION_REMOVE, SWK_OUTCOME_DONE, "");
    assert_non_null(find_action(f, SWKI_AGENT_CONTROLLER_FREE, "a"));
    assert_non_null(find_action(f, SWKI_AGENT_FORGET, "a"));
    assert_int_equal(swki_agent_tasks_count(f->agent), 2);
}

static void a_removed_node_ends_its_tasks(void **state)
{
    /* The second is what a manager was told that passes calls on. */
    static const char *const others[] = {
        "no certificate",
        "Permission denied: node node17 was removed from swarm",
    };
    struct f *f = *state;

    register_agent(f);
    run_task(f, "a");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        swki_agent_ended(f->agent, f->now, f->session_call,
                         SWKI_STATUS_PERMISSION_DENIED, others[i]);
        assert_null(find_action(f, SWKI_AGENT_CANCEL, "a"));
        expire_until(f, f->now + 2 * SWK_SECOND);
        clear(f);
        swki_agent_connected(f->agent, f->now);
        f->session_call = find_call(f, "Session")->call_id;
    }
    swki_agent_ended(f->agent, f->now, f->session_call,
                     SWKI_STATUS_PERMISSION_DENIED,
                     "Permission denied: node node1 was removed from swarm");
    assert_non_null(find_action(f, SWKI_AGENT_CANCEL, "a"));
    assert_null(find_action(f, SWKI_AGENT_LEFT, NULL)); /* not yet */
    operation(f, "a", SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED, "");
    operation(f, "a", SWK_OPERATION_REMOVE, SWK_OUTCOME_TEMPORARY, "");
    expire_until(f, f->now + SWK_SECOND);
    assert_null(find_action(f, SWKI_AGENT_LEFT, NULL));
    operation(f, "a", SWK_OPERATION_REMOVE, SWK_OUTCOME_DONE, "");
    assert_non_null(find_action(f, SWKI_AGENT_FORGET, "a"));
    assert_non_null(find_action(f, SWKI_AGENT_LEFT, NULL));
}

static void a_removed_node_calls_nobody_again(void **state)
{
    struct f *f = *state;

    register_agent(f);
    clear(f);
    swki_agent_ended(f->agent, f->now, f->heartbeat_call,
                     SWKI_STATUS_PERMISSION_DENIED,
                     "Permission denied: node node1 was removed from swarm");
    assert_non_null(find_action(f, SWKI_AGENT_DISCONNECT, NULL));
    assert_non_null(find_action(f, SWKI_AGENT_LEFT, NULL));
    clear(f);
    swki_agent_ended(f->agent, f->now, f->session_call,
                     SWKI_STATUS_PERMISSION_DENIED,
                     "Permission denied: node node1 was removed from swarm");
    assert_null(swki_agent_actions(f->agent));
    assert_true(swki_agent_deadline(f->agent) == SWK_NEVER);
}

/* Its certificate has ended meanwhile: it comes to no session. */
static void a_removed_node_that_has_no_session_ends_its_tasks(void **state)
{
    struct f *f = *state;

    register_agent(f);
    run_task(f, "a");
    swki_agent_disconnected(f->agent, f->now, NULL);
    clear(f);
    swki_agent_refused(f->agent, f->now, "Permission denied: its certificate");
    assert_null(find_action(f, SWKI_AGENT_CANCEL, "a"));
    swki_agent_refused(f->agent, f->now,
                       "Permission denied: node node1 was removed from swarm");
    assert_non_null(find_action(f, SWKI_AGENT_CANCEL, "a"));
    operation(f, "a", SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED, "");
    operation(f, "a", SWK_OPERATION_REMOVE, SWK_OUTCOME_DONE, "");
    assert_non_null(find_action(f, SWKI_AGENT_LEFT, NULL));
}

static void only_a_managers_answer_removes_the_node(void **state)
{
    static const char text[] =
        "Permission denied: node node1 was removed from swarm";
    static const int statuses[] = {
        SWKI_STATUS_UNAVAILABLE,         SWKI_STATUS_UNAUTHENTICATED,
        SWKI_STATUS_NOT_FOUND,           SWKI_STATUS_CANCELLED,
        SWKI_STATUS_FAILED_PRECONDITION,
    };
    struct swk_error reason = {.code = SWK_EDENIED};
    struct f *f = *state;

    snprintf(reason.text, sizeof(reason.text), "%s", text);
    register_agent(f);
    run_task(f, "a");
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        swki_agent_ended(f->agent, f->now, f->session_call, statuses[i], text);
        assert_null(find_action(f, SWKI_AGENT_CANCEL, "a"));
        expire_until(f, f->now + 8 * SWK_SECOND);
        assert_non_null(find_action(f, SWKI_AGENT_CONNECT, NULL));
        clear(f);
        swki_agent_connected(f->agent, f->now);
        f->session_call = find_call(f, "Session")->call_id;
    }
    swki_agent_disconnected(f->agent, f->now, &reason);
    assert_null(find_action(f, SWKI_AGENT_CANCEL, "a"));
    assert_null(find_action(f, SWKI_AGENT_LEFT, NULL));
    assert_true(swki_agent_deadline(f->agent) != SWK_NEVER);
}

static void a_gap_is_not_applied_and_asks_for_everything(void **state)
{
    struct f *f = *state;
    const struct assigned one[] = {{"a", SWKPB__TASK_STATE__RUNNING}};
    uint64_t before;

    register_agent(f);
    assign(f, true, "", "1", NULL, 0);
    assign(f, false, "1", "2", one, 1);
    assert_int_equal(swki_agent_tasks_count(f->agent), 1);
    clear(f);
    before = f->assignments_call;
    assign(f, false, "5", "6", (const struct assigned[]){{"b", 512}}, 1);
    assert_int_equal(swki_agent_tasks_count(f->agent), 1);
    assert_non_null(find_action(f, SWKI_AGENT_HANG_UP, NULL));
    assert_non_null(find_call(f, "Assignments"));
    f->assignments_call = find_call(f, "Assignments")->call_id;
    assert_true(f->assignments_call != before);
    assign(f, true, "", "1", one, 1);
    assign(f, false, "1", "2", (const struct assigned[]){{"b", 512}}, 1);
    assert_int_equal(swki_agent_tasks_count(f->agent), 2);
}

static void messages_of_a_call_that_was_given_up_are_ignored(void **state)
{
    struct f *f = *state;

    register_agent(f);
    f->assignments_call += 100;
    assign_one(f, "a", SWKPB__TASK_STATE__RUNNING);
    assert_int_equal(swki_agent_tasks_count(f->agent), 0);
}

static void malformed_assignments_change_nothing(void **state)
{
    struct f *f = *state;

    register_agent(f);
    swki_agent_message(f->agent, f->now, f->wall, f->assignments_call,
                       "\xff\xff\xff", 3);
    assert_int_equal(swki_agent_tasks_count(f->agent), 0);
    assert_non_null(find_call(f, "Assignments"));
}

/* -- Tasks ---------------------------------------------------------------- */

static void a_task_walks_from_assigned_to_complete(void **state)
{
    struct f *f = *state;

    register_agent(f);
    assign_one(f, "a", SWKPB__TASK_STATE__RUNNING);
    assert_non_null(find_action(f, SWKI_AGENT_CONTROLLER_NEW, "a"));
    swki_agent_controller(f->agent, f->now, f->wall, "a", NULL);
    assert_int_equal(begun(f, "a"), SWK_OPERATION_PREPARE);
    assert_int_equal(stored(f, "a")->state, SWKPB__TASK_STATE__PREPARING);
    clear(f);
    operation(f, "a", SWK_OPERATION_PREPARE, SWK_OUTCOME_DONE, "");
    assert_int_equal(begun(f, "a"), SWK_OPERATION_START);
    assert_int_equal(stored(f, "a")->state, SWKPB__TASK_STATE__STARTING);
    clear(f);
    operation(f, "a", SWK_OPERATION_START, SWK_OUTCOME_ALREADY, "");
    assert_int_equal(begun(f, "a"), SWK_OPERATION_WAIT);
    clear(f);
    operation(f, "a", SWK_OPERATION_WAIT, SWK_OUTCOME_DONE, "");
    assert_int_equal(begun(f, "a"), 0);
    assert_int_equal(stored(f, "a")->state, SWKPB__TASK_STATE__COMPLETE);
    assert_string_equal(stored(f, "a")->message, "finished");
}

static void a_task_wanted_ready_parks_and_starts_when_released(void **state)
{
    struct f *f = *state;

    register_agent(f);
    assign_one(f, "a", SWKPB__TASK_STATE__READY);
    swki_agent_controller(f->agent, f->now, f->wall, "a", NULL);
    clear(f);
    operation(f, "a", SWK_OPERATION_PREPARE, SWK_OUTCOME_DONE, "");
    assert_int_equal(begun(f, "a"), 0);
    clear(f);
    assign_one(f, "a", SWKPB__TASK_STATE__RUNNING);
    assert_int_equal(begun(f, "a"), SWK_OPERATION_UPDATE);
    clear(f);
    operation(f, "a", SWK_OPERATION_UPDATE, SWK_OUTCOME_DONE, "");
    assert_int_equal(begun(f, "a"), SWK_OPERATION_START);
}

static void a_stop_cancels_the_wait_and_shuts_down_without_a_pause(void **state)
{
    struct f *f = *state;

    register_agent(f);
    run_task(f, "a");
    assign_one(f, "a", SWKPB__TASK_STATE__SHUTDOWN);
    assert_non_null(find_action(f, SWKI_AGENT_CANCEL, "a"));
    clear(f);
    operation(f, "a", SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED, "");
    assert_int_equal(begun(f, "a"), SWK_OPERATION_UPDATE);
    clear(f);
    operation(f, "a", SWK_OPERATION_UPDATE, SWK_OUTCOME_DONE, "");
    assert_int_equal(begun(f, "a"), SWK_OPERATION_SHUTDOWN);
    clear(f);
    operation(f, "a", SWK_OPERATION_SHUTDOWN, SWK_OUTCOME_DONE, "");
    assert_int_equal(stored(f, "a")->state, SWKPB__TASK_STATE__SHUTDOWN);
    assert_int_equal(begun(f, "a"), 0);
}

static void fatal_failures_reject_before_the_start_and_fail_after(void **state)
{
    struct f *f = *state;
    struct swk_operation_result result = {
        .outcome = SWK_OUTCOME_FATAL,
        .exit_code = 3,
        .has_status = 1,
        .text = "task: non-zero exit (3)",
    };

    register_agent(f);
    assign_one(f, "a", SWKPB__TASK_STATE__RUNNING);
    swki_agent_controller(f->agent, f->now, f->wall, "a", NULL);
    operation(f, "a", SWK_OPERATION_PREPARE, SWK_OUTCOME_FATAL, "no image");
    assert_int_equal(stored(f, "a")->state, SWKPB__TASK_STATE__REJECTED);
    assert_string_equal(stored(f, "a")->message, "preparing");
    assert_string_equal(stored(f, "a")->err, "no image");
    assign(f, true, "", "1",
           (const struct assigned[]){{"a", 512}, {"b", 512}}, 2);
    swki_agent_controller(f->agent, f->now, f->wall, "b", NULL);
    operation(f, "b", SWK_OPERATION_PREPARE, SWK_OUTCOME_DONE, "");
    operation(f, "b", SWK_OPERATION_START, SWK_OUTCOME_DONE, "");
    swki_agent_operation(f->agent, f->now, f->wall, "b", SWK_OPERATION_WAIT,
                         &result);
    assert_int_equal(stored(f, "b")->state, SWKPB__TASK_STATE__FAILED);
    assert_int_equal(stored(f, "b")->container->exit_code, 3);
    assert_string_equal(stored(f, "b")->err, "task: non-zero exit (3)");
}

static void a_task_without_controller_is_rejected_with_the_reason(void **state)
{
    struct f *f = *state;
    const struct swk_error err = {SWK_ENOTSUP, "secrets: not here"};

    register_agent(f);
    assign_one(f, "a", SWKPB__TASK_STATE__RUNNING);
    swki_agent_controller(f->agent, f->now, f->wall, "a", &err);
    assert_int_equal(stored(f, "a")->state, SWKPB__TASK_STATE__REJECTED);
    assert_string_equal(stored(f, "a")->message, "resolving controller failed");
    assert_string_equal(stored(f, "a")->err, "secrets: not here");
}

static void a_reason_cut_within_a_character_can_still_be_reported(void **state)
{
    struct f *f = *state;

    register_agent(f);
    assign_one(f, "a", SWKPB__TASK_STATE__RUNNING);
    swki_agent_controller(f->agent, f->now, f->wall, "a", NULL);
    clear(f);
    operation(f, "a", SWK_OPERATION_PREPARE, SWK_OUTCOME_FATAL,
              "no /\xc3\xa4\xc3");
    assert_string_equal(stored(f, "a")->err, "no /\xc3\xa4?");
}

static void a_temporary_failure_is_shown_and_tried_again_later(void **state)
{
    struct f *f = *state;

    register_agent(f);
    assign_one(f, "a", SWKPB__TASK_STATE__RUNNING);
    swki_agent_controller(f->agent, f->now, f->wall, "a", NULL);
    clear(f);
    operation(f, "a", SWK_OPERATION_PREPARE, SWK_OUTCOME_TEMPORARY, "busy");
    assert_int_equal(begun(f, "a"), 0);
    assert_int_equal(stored(f, "a")->state, SWKPB__TASK_STATE__PREPARING);
    assert_string_equal(stored(f, "a")->err, "busy");
    clear(f);
    f->now += SWK_SECOND;
    swki_agent_expire(f->agent, f->now, f->wall);
    assert_int_equal(begun(f, "a"), SWK_OPERATION_PREPARE);
    operation(f, "a", SWK_OPERATION_PREPARE, SWK_OUTCOME_DONE, "");
    assert_string_equal(stored(f, "a")->err, "");
}

static void an_update_ends_the_pause_after_a_failure(void **state)
{
    struct f *f = *state;

    register_agent(f);
    assign_one(f, "a", SWKPB__TASK_STATE__RUNNING);
    swki_agent_controller(f->agent, f->now, f->wall, "a", NULL);
    operation(f, "a", SWK_OPERATION_PREPARE, SWK_OUTCOME_TEMPORARY, "busy");
    clear(f);
    assign_one(f, "a", SWKPB__TASK_STATE__SHUTDOWN);
    assert_int_equal(begun(f, "a"), SWK_OPERATION_UPDATE);
    operation(f, "a", SWK_OPERATION_UPDATE, SWK_OUTCOME_DONE, "");
    clear(f);
    f->now += SWK_MINUTE;
    /* The pause is over too, but only one operation may be under way. */
    swki_agent_expire(f->agent, f->now, f->wall);
    assert_int_equal(begun(f, "a"), 0);
}

static void a_lower_desired_state_and_an_equal_task_are_ignored(void **state)
{
    struct f *f = *state;

    register_agent(f);
    run_task(f, "a");
    assign_one(f, "a", SWKPB__TASK_STATE__READY);
    assert_null(find_action(f, SWKI_AGENT_CANCEL, "a"));
    assign_one(f, "a", SWKPB__TASK_STATE__RUNNING);
    assert_null(find_action(f, SWKI_AGENT_CANCEL, "a"));
}

static void a_removal_that_fails_is_tried_again(void **state)
{
    struct f *f = *state;

    register_agent(f);
    run_task(f, "a");
    assign(f, true, "", "1", NULL, 0);
    operation(f, "a", SWK_OPERATION_WAIT, SWK_OUTCOME_CANCELED, "");
    assert_int_equal(begun(f, "a"), SWK_OPERATION_REMOVE);
    clear(f);
    operation(f, "a", SWK_OPERATION_REMOVE, SWK_OUTCOME_FATAL, "busy mount");
    assert_int_equal(swki_agent_tasks_count(f->agent), 1);
    f->now += SWK_SECOND;
    swki_agent_expire(f->agent, f->now, f->wall);
    assert_int_equal(begun(f, "a"), SWK_OPERATION_REMOVE);
}

static void stored_tasks_go_on_before_a_manager_is_reached(void **state)
{
    struct f *f = *state;
    Swkpb__Task task = SWKPB__TASK__INIT;
    Swkpb__TaskStatus status = SWKPB__TASK_STATUS__INIT;
    uint8_t data[128];
    size_t len;

    task.id = (char *)"a";
    task.desired_state = SWKPB__TASK_STATE__RUNNING;
    task.status = &status;
    status.state = SWKPB__TASK_STATE__RUNNING;
    len = protobuf_c_message_pack(&task.base, data);
    assert_int_equal(swki_agent_restore(f->agent, data, len, NULL), 0);
    assert_int_equal(swki_agent_restore(f->agent, data, len, NULL),
                     SWK_ECORRUPT);
    assert_int_equal(swki_agent_restore(f->agent, "\xff", 1, NULL),
                     SWK_EMALFORMED);
    start(f);
    assert_non_null(find_action(f, SWKI_AGENT_CONTROLLER_NEW, "a"));
    swki_agent_controller(f->agent, f->now, f->wall, "a", NULL);
    assert_int_equal(begun(f, "a"), SWK_OPERATION_WAIT);
}

/* -- Reports -------------------------------------------------------------- */

static const Swkpb__UpdateTaskStatusRequest *reported(struct f *f)
{
    const struct swki_agent_action *call = find_call(f, "UpdateTaskStatus");
    ProtobufCMessage *message;

    if (call == NULL) {
        return NULL;
    }
    f->report_call = call->call_id;
    assert_int_equal(
        swki_message_unpack(&swkpb__update_task_status_request__descriptor,
                            call->data, call->data_len, &f->arena, &message,
                            NULL),
        0);
    return (const Swkpb__UpdateTaskStatusRequest *)message;
}

static void only_the_newest_status_is_sent_after_a_call_ended(void **state)
{
    struct f *f = *state;
    const Swkpb__UpdateTaskStatusRequest *request;

    register_agent(f);
    assign_one(f, "a", SWKPB__TASK_STATE__RUNNING);
    swki_agent_controller(f->agent, f->now, f->wall, "a", NULL);
    request = reported(f);
    assert_non_null(request);
    assert_int_equal(request->n_updates, 1);
    assert_string_equal(request->session_id, "session1");
    clear(f);
    operation(f, "a", SWK_OPERATION_PREPARE, SWK_OUTCOME_DONE, "");
    operation(f, "a", SWK_OPERATION_START, SWK_OUTCOME_DONE, "");
    assert_null(reported(f)); /* one call at a time */
    swki_agent_ended(f->agent, f->now, f->report_call, SWKI_STATUS_OK, "");
    request = reported(f);
    assert_non_null(request);
    assert_int_equal(request->n_updates, 1);
    assert_int_equal(request->updates[0]->status->state,
                     SWKPB__TASK_STATE__RUNNING);
    clear(f);
    swki_agent_ended(f->agent, f->now, f->report_call, SWKI_STATUS_OK, "");
    assert_null(reported(f)); /* all is told */
}

static void statuses_are_told_again_after_a_new_registration(void **state)
{
    struct f *f = *state;

    register_agent(f);
    run_task(f, "a");
    swki_agent_ended(f->agent, f->now, f->session_call,
                     SWKI_STATUS_UNAVAILABLE, "gone");
    expire_until(f, f->now + SWK_SECOND);
    clear(f);
    swki_agent_connected(f->agent, f->now);
    f->session_call = find_call(f, "Session")->call_id;
    tell_session(f);
    assert_non_null(reported(f));
    assert_int_equal(reported(f)->updates[0]->status->state,
                     SWKPB__TASK_STATE__RUNNING);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_session_beats_at_once_and_asks_for_assignments),
        TEST(the_next_beat_comes_after_the_period_of_the_answer),
        TEST(an_unanswered_beat_ends_the_session),
        TEST(the_end_of_any_stream_leads_to_one_new_session),
        TEST(a_silent_manager_is_given_up_after_five_seconds),
        TEST(pauses_between_attempts_grow_and_are_bounded),
        TEST(a_new_description_resumes_the_session_it_has),
        TEST(a_description_that_changes_while_registering_is_sent),
        TEST(a_complete_set_removes_what_it_does_not_name),
        TEST(a_removed_node_ends_its_tasks),
        TEST(a_removed_node_calls_nobody_again),
        TEST(a_removed_node_that_has_no_session_ends_its_tasks),
        TEST(only_a_managers_answer_removes_the_node),
        TEST(a_gap_is_not_applied_and_asks_for_everything),
        TEST(messages_of_a_call_that_was_given_up_are_ignored),
        TEST(malformed_assignments_change_nothing),
        TEST(a_task_walks_from_assigned_to_complete),
        TEST(a_task_wanted_ready_parks_and_starts_when_released),
        TEST(a_stop_cancels_the_wait_and_shuts_down_without_a_pause),
        TEST(fatal_failures_reject_before_the_start_and_fail_after),
        TEST(a_task_without_controller_is_rejected_with_the_reason),
        TEST(a_reason_cut_within_a_character_can_still_be_reported),
        TEST(a_temporary_failure_is_shown_and_tried_again_later),
        TEST(an_update_ends_the_pause_after_a_failure),
        TEST(a_lower_desired_state_and_an_equal_task_are_ignored),
        TEST(a_removal_that_fails_is_tried_again),
        TEST(stored_tasks_go_on_before_a_manager_is_reached),
        TEST(only_the_newest_status_is_sent_after_a_call_ended),
        TEST(statuses_are_told_again_after_a_new_registration),
    };

    return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
