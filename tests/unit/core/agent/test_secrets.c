/* SPDX-License-Identifier: Apache-2.0 */

/* Secrets on a node: which a task sees, and what becomes of one without. */

#include "lib/heap.h"
#include "lib/cmocka_all.h"

#include <stdio.h>

#include "base/alloc.h"
#include "core/agent/agent.h"
#include "dispatcher.pb-c.h"
#include "wire/message.h"

#define STATE(name) SWKPB__TASK_STATE__##name

enum {
    CHANGES_MAX = 8,
};

struct f {
    struct heap heap;
    struct swki_agent *agent;
    struct swki_arena arena;
    swk_time now;
    uint64_t assignments_call;
    unsigned version;                              /* of the assignments */
    Swkpb__AssignmentChange *changes[CHANGES_MAX]; /* of the next message */
    size_t changes_count;
};

static void make_agent(struct f *f)
{
    const struct swki_agent_config config = {
        .alloc = &f->heap.alloc, .node_id = "node1", .seed = 7};

    assert_int_equal(swki_agent_new(&config, &f->agent, NULL), 0);
    f->version = 0;
}

static int set_up(void **state)
{
    static struct f f;

    f = (struct f){.now = SWK_SECOND};
    heap_init(&f.heap);
    swki_arena_init(&f.arena, NULL, SIZE_MAX);
    make_agent(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_agent_free(f->agent);
    swki_arena_fini(&f->arena);
    assert_int_equal(heap_live(&f->heap), 0);
    return 0;
}

static void *make(struct f *f, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message =
        swki_arena_alloc(&f->arena, type->sizeof_message);

    assert_non_null(message);
    protobuf_c_message_init(type, message);
    return message;
}

/* -- Messages ------------------------------------------------------------- */

static void tell(struct f *f, uint64_t call_id, const ProtobufCMessage *message)
{
    struct swki_buf data;

    swki_buf_init(&data, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(message, &data, NULL), 0);
    swki_agent_message(f->agent, f->now, 0, call_id, data.data, data.len);
    swki_buf_fini(&data);
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

static void register_agent(struct f *f)
{
    Swkpb__SessionMessage session = SWKPB__SESSION_MESSAGE__INIT;

    assert_int_equal(swki_agent_start(f->agent, f->now, 0, "", 0, NULL), 0);
    swki_agent_connected(f->agent, f->now);
    session.session_id = (char *)"session1";
    tell(f, call_of(f, "Session"), &session.base);
    f->assignments_call = call_of(f, "Assignments");
}

static Swkpb__Assignment *change(struct f *f, bool removal)
{
    Swkpb__AssignmentChange *c = make(f, &swkpb__assignment_change__descriptor);

    assert_true(f->changes_count < CHANGES_MAX);
    c->assignment = make(f, &swkpb__assignment__descriptor);
    c->action = removal ? SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__REMOVE
                        : SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__UPDATE;
    f->changes[f->changes_count++] = c;
    return c->assignment;
}

/* value NULL: it goes. */
static void with_secret(struct f *f, const char *id, const char *value)
{
    Swkpb__Assignment *a = change(f, value == NULL);

    a->item_case = SWKPB__ASSIGNMENT__ITEM_SECRET;
    a->secret = make(f, &swkpb__secret__descriptor);
    a->secret->id = swki_arena_strdup(&f->arena, id);
    if (value != NULL) {
        a->secret->spec = make(f, &swkpb__secret_spec__descriptor);
        a->secret->spec->data.data =
            (uint8_t *)swki_arena_strdup(&f->arena, value);
        a->secret->spec->data.len = strlen(value);
    }
}

/* A task that names one secret, or none. */
static void with_task(struct f *f, const char *id, const char *secret)
{
    Swkpb__Assignment *a = change(f, false);
    Swkpb__ContainerSpec *container =
        make(f, &swkpb__container_spec__descriptor);

    a->item_case = SWKPB__ASSIGNMENT__ITEM_TASK;
    a->task = make(f, &swkpb__task__descriptor);
    a->task->id = swki_arena_strdup(&f->arena, id);
    a->task->desired_state = STATE(RUNNING);
    a->task->status = make(f, &swkpb__task_status__descriptor);
    a->task->status->state = STATE(ASSIGNED);
    a->task->spec = make(f, &swkpb__task_spec__descriptor);
    a->task->spec->runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    a->task->spec->container = container;
    if (secret != NULL) {
        container->secrets =
            swki_arena_calloc(&f->arena, 1, sizeof(container->secrets[0]));
        container->secrets[0] = make(f, &swkpb__secret_reference__descriptor);
        container->secrets[0]->secret_id = swki_arena_strdup(&f->arena, secret);
        container->secrets[0]->secret_name = (char *)"db";
        container->n_secrets = 1;
    }
}

static void send(struct f *f)
{
    Swkpb__AssignmentsMessage message = SWKPB__ASSIGNMENTS_MESSAGE__INIT;
    char before[16];
    char after[16];

    snprintf(before, sizeof(before), "%u", f->version);
    snprintf(after, sizeof(after), "%u", ++f->version);
    message.type = f->version == 1
                       ? SWKPB__ASSIGNMENTS_MESSAGE__TYPE__COMPLETE
                       : SWKPB__ASSIGNMENTS_MESSAGE__TYPE__INCREMENTAL;
    message.applies_to = before;
    message.results_in = after;
    message.changes = f->changes;
    message.n_changes = f->changes_count;
    swki_agent_clear_actions(f->agent);
    tell(f, f->assignments_call, &message.base);
    f->changes_count = 0;
}

/* -- Questions ------------------------------------------------------------ */

/* What a task sees as its one secret, or why not. */
static const char *sees(struct f *f, const char *task_id)
{
    static char text[128];
    struct swk_task_secret *secrets;
    struct swk_error err;
    size_t count;

    if (swki_agent_task_secrets(f->agent, task_id, &secrets, &count, &err) !=
        0) {
        snprintf(text, sizeof(text), "%s", err.text);
        return text;
    }
    assert_int_equal(count, 1);
    snprintf(text, sizeof(text), "%s=%.*s", secrets[0].secret_id,
             (int)secrets[0].data.len, (const char *)secrets[0].data.data);
    swki_free(&f->heap.alloc, secrets);
    return text;
}

/* The operation that was asked for, or 0. */
static int32_t operation_of(const struct f *f, const char *task_id)
{
    int32_t operation = 0;

    for (const struct swki_agent_action *action = swki_agent_actions(f->agent);
         action != NULL; action = action->next) {
        if (action->type == SWKI_AGENT_BEGIN &&
            strcmp(action->task_id, task_id) == 0) {
            operation = action->operation;
        }
    }
    return operation;
}

/* Its controller is made: what is done then? */
static int32_t controlled(struct f *f, const char *task_id)
{
    swki_agent_clear_actions(f->agent);
    swki_agent_controller(f->agent, f->now, 0, task_id, NULL);
    return operation_of(f, task_id);
}

/* The status that was stored last. */
static void assert_stored(struct f *f, Swkpb__TaskState state, const char *err)
{
    const struct swki_agent_action *last = NULL;
    const Swkpb__Task *task;
    ProtobufCMessage *message;

    for (const struct swki_agent_action *action = swki_agent_actions(f->agent);
         action != NULL; action = action->next) {
        last = action->type == SWKI_AGENT_STORE ? action : last;
    }
    assert_non_null(last);
    assert_int_equal(swki_message_unpack(&swkpb__task__descriptor, last->data,
                                         last->data_len, &f->arena, &message,
                                         NULL),
                     0);
    task = (const Swkpb__Task *)message;
    assert_int_equal(task->status->state, state);
    assert_string_equal(task->status->err, err);
}

/* -- Tests ---------------------------------------------------------------- */

static void a_task_sees_the_secret_that_it_names(void **state)
{
    struct f *f = *state;

    register_agent(f);
    with_task(f, "task1", "s1"); /* before its secret, in one message */
    with_secret(f, "s1", "one");
    with_secret(f, "s2", "two");
    send(f);
    assert_int_equal(controlled(f, "task1"), SWK_OPERATION_PREPARE);
    assert_string_equal(sees(f, "task1"), "s1=one");
}

static void a_value_of_its_own_comes_first_under_the_plain_id(void **state)
{
    struct f *f = *state;

    register_agent(f);
    with_secret(f, "s1", "shared");
    with_secret(f, "s1.task1", "own");
    with_task(f, "task1", "s1");
    with_task(f, "task2", "s1");
    send(f);
    assert_string_equal(sees(f, "task1"), "s1=own");
    assert_string_equal(sees(f, "task2"), "s1=shared");
    /* What is stored has kept its ID: it can be seen again, and be removed. */
    assert_string_equal(sees(f, "task1"), "s1=own");
    with_secret(f, "s1.task1", NULL);
    send(f);
    assert_string_equal(sees(f, "task1"), "s1=shared");
}

static void a_task_without_its_secret_is_rejected(void **state)
{
    struct f *f = *state;

    register_agent(f);
    with_secret(f, "s1.task2", "of another");
    with_task(f, "task1", "s1");
    send(f);
    assert_int_equal(controlled(f, "task1"), 0);
    assert_stored(f, STATE(REJECTED),
                  "secret db (s1) is not available: the manager has sent no "
                  "value");
    assert_string_equal(sees(f, "task1"), "secret s1 not found");
}

static void a_task_without_its_secret_says_what_the_manager_said(void **state)
{
    struct f *f = *state;

    register_agent(f);
    with_task(f, "task1", "s1");
    f->changes[0]->assignment->task->status->err =
        (char *)"driver vault gives no secret db: sealed";
    send(f);
    assert_int_equal(controlled(f, "task1"), 0);
    assert_stored(f, STATE(REJECTED),
                  "secret db (s1) is not available: the manager has sent no "
                  "value: driver vault gives no secret db: sealed");
}

static void a_secret_that_is_taken_back_is_gone(void **state)
{
    struct f *f = *state;

    register_agent(f);
    with_secret(f, "s1", "one");
    with_task(f, "task1", "s1");
    send(f);
    with_secret(f, "s1", NULL);
    send(f);
    assert_string_equal(sees(f, "task1"), "secret s1 not found");
}

static void a_complete_set_replaces_all_secrets(void **state)
{
    struct f *f = *state;

    register_agent(f);
    with_secret(f, "s1", "one");
    with_task(f, "task1", "s1");
    with_task(f, "task2", "s2");
    with_secret(f, "s2", "two");
    send(f);
    f->version = 0;
    with_secret(f, "s2", "another");
    with_task(f, "task1", "s1");
    with_task(f, "task2", "s2");
    send(f);
    assert_string_equal(sees(f, "task1"), "secret s1 not found");
    assert_string_equal(sees(f, "task2"), "s2=another");
}

static void what_is_empty_or_too_large_is_no_secret(void **state)
{
    struct f *f = *state;
    char *large = swki_arena_alloc(&f->arena, SWK_TASK_SECRET_MAX + 2);

    memset(large, 'x', SWK_TASK_SECRET_MAX + 1);
    large[SWK_TASK_SECRET_MAX + 1] = '\0';
    register_agent(f);
    with_secret(f, "s1", "");
    with_secret(f, "s2", large);
    with_task(f, "task1", "s1");
    with_task(f, "task2", "s2");
    send(f);
    assert_string_equal(sees(f, "task1"), "secret s1 not found");
    assert_string_equal(sees(f, "task2"), "secret s2 not found");
}

static void a_restored_task_waits_for_the_first_assignments(void **state)
{
    struct f *f = *state;
    struct swki_buf stored;
    Swkpb__Task *task;

    with_task(f, "task1", "s1");
    task = f->changes[0]->assignment->task;
    f->changes_count = 0;
    task->status->state = STATE(READY);
    swki_buf_init(&stored, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(&task->base, &stored, NULL), 0);
    assert_int_equal(
        swki_agent_restore(f->agent, stored.data, stored.len, NULL), 0);
    swki_buf_fini(&stored);

    register_agent(f);
    assert_int_equal(controlled(f, "task1"), 0);
    with_secret(f, "s1", "one");
    with_task(f, "task1", "s1");
    send(f);
    assert_int_equal(operation_of(f, "task1"), SWK_OPERATION_START);
    assert_string_equal(sees(f, "task1"), "s1=one");
}

static void a_restored_task_fails_if_its_secret_does_not_come_then(void **state)
{
    struct f *f = *state;
    struct swki_buf stored;
    Swkpb__Task *task;

    with_task(f, "task1", "s1");
    task = f->changes[0]->assignment->task;
    f->changes_count = 0;
    task->status->state = STATE(STARTING);
    swki_buf_init(&stored, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(&task->base, &stored, NULL), 0);
    assert_int_equal(
        swki_agent_restore(f->agent, stored.data, stored.len, NULL), 0);
    swki_buf_fini(&stored);

    register_agent(f);
    assert_int_equal(controlled(f, "task1"), 0);
    with_task(f, "task1", "s1");
    send(f);
    assert_int_equal(operation_of(f, "task1"), 0);
    assert_stored(f, STATE(FAILED),
                  "secret db (s1) is not available: the manager has sent no "
                  "value");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_task_sees_the_secret_that_it_names),
        TEST(a_value_of_its_own_comes_first_under_the_plain_id),
        TEST(a_task_without_its_secret_is_rejected),
        TEST(a_task_without_its_secret_says_what_the_manager_said),
        TEST(a_secret_that_is_taken_back_is_gone),
        TEST(a_complete_set_replaces_all_secrets),
        TEST(what_is_empty_or_too_large_is_no_secret),
        TEST(a_restored_task_waits_for_the_first_assignments),
        TEST(a_restored_task_fails_if_its_secret_does_not_come_then),
    };

    return cmocka_run_group_tests_name("agent/secrets", tests, NULL, NULL);
}
