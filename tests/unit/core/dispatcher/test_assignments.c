/* SPDX-License-Identifier: Apache-2.0 */

/* What nodes are sent: tasks with the secrets and configs that they name. */

#include "fixture.h"

#include "base/map.h"
#include "base/rng.h"

#define UPDATE SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__UPDATE
#define GONE SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__REMOVE
#define IS_COMPLETE SWKPB__ASSIGNMENTS_MESSAGE__TYPE__COMPLETE
#define IS_INCREMENTAL SWKPB__ASSIGNMENTS_MESSAGE__TYPE__INCREMENTAL

#define A_WHILE (250 * SWK_MILLISECOND)

/* "+t:id" for an update of a task, "-s:id" for a removal of a secret. */
static void describe_change(const Swkpb__AssignmentChange *change, char *buf,
                            size_t size)
{
    char sign = change->action == UPDATE ? '+' : '-';
    const Swkpb__Assignment *assignment = change->assignment;

    switch (assignment->item_case) {
    case SWKPB__ASSIGNMENT__ITEM_TASK:
        snprintf(buf, size, "%ct:%s", sign, assignment->task->id);
        break;
    case SWKPB__ASSIGNMENT__ITEM_SECRET:
        snprintf(buf, size, "%cs:%s", sign, assignment->secret->id);
        break;
    case SWKPB__ASSIGNMENT__ITEM_CONFIG:
        snprintf(buf, size, "%cc:%s", sign, assignment->config->id);
        break;
    default:
        fail_msg("an assignment of nothing known");
    }
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* All changes of a message, sorted; "none" for no message. */
static const char *changes(const Swkpb__AssignmentsMessage *message)
{
    static char text[2048];
    char items[32][48];

    text[0] = '\0';
    if (message == NULL) {
        return "none";
    }
    assert_true(message->n_changes <= 32);
    for (size_t i = 0; i < message->n_changes; i++) {
        describe_change(message->changes[i], items[i], sizeof(items[i]));
    }
    qsort(items, message->n_changes, sizeof(items[0]), compare_text);
    for (size_t i = 0; i < message->n_changes; i++) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
                 i > 0 ? " " : "", items[i]);
    }
    return text;
}

/* What the stream brings within a while: one message at most. */
static const char *next_changes(struct f *f, uint64_t stream)
{
    const char *text;

    f_advance(f, A_WHILE);
    text = changes(f_next_assignments(f, stream));
    assert_null(f_next_assignments(f, stream));
    return text;
}

/* With a period so long that nobody goes down. */
static void set_up(struct f *f)
{
    f_init(f);
    f_add_cluster(f);
    f_set_period(f, SWK_HOUR);
    swarm_add_node(&f->s, "n1");
    swarm_add_node(&f->s, "n2");
    f_start(f);
}

/* -- Tasks ---------------------------------------------------------------- */

static void want_state(struct f *f, const char *id, Swkpb__TaskState desired)
{
    struct swki_object *object = swarm_edit(&f->s, SWKI_KIND_TASK, id);

    swki_task_edit(object)->desired_state = desired;
    swarm_update(&f->s, SWKI_ACTOR_ORCHESTRATOR, object);
}

static void end_task(struct f *f, const char *id)
{
    const struct swki_object *object = swarm_get(&f->s, SWKI_KIND_TASK, id);

    if (!swki_task_terminal(swki_task(object))) {
        swarm_report(&f->s, id, FAILED);
    }
    f_delete_task(f, id);
}

/* -- The stream ----------------------------------------------------------- */

static void the_first_message_is_complete_even_if_empty(void **state)
{
    const Swkpb__AssignmentsMessage *message;
    struct f f;
    uint64_t stream;

    (void)state;
    set_up(&f);
    f_add_task(&f, "t1", "n2"); /* another node's */
    stream = f_attach(&f, "n1");
    message = f_next_assignments(&f, stream);
    assert_non_null(message);
    assert_int_equal(message->type, IS_COMPLETE);
    assert_int_equal(message->n_changes, 0);
    assert_string_equal(message->applies_to, "");
    assert_string_equal(message->results_in, "1");
    assert_null(f_next_assignments(&f, stream));
    f_fini(&f);
}

static void messages_form_a_chain(void **state)
{
    struct f f;
    uint64_t stream;
    char id[16];
    char last[16] = "1";

    (void)state;
    set_up(&f);
    stream = f_attach(&f, "n1");
    f_next_assignments(&f, stream);
    for (int i = 2; i < 12; i++) {
        const Swkpb__AssignmentsMessage *message;

        snprintf(id, sizeof(id), "t%d", i);
        f_add_task(&f, id, "n1");
        f_advance(&f, A_WHILE);
        message = f_next_assignments(&f, stream);
        assert_int_equal(message->type, IS_INCREMENTAL);
        assert_string_equal(message->applies_to, last);
        snprintf(last, sizeof(last), "%d", i);
        assert_string_equal(message->results_in, last);
    }
    f_fini(&f);
}

static void the_first_message_lists_what_the_node_should_know(void **state)
{
    struct f f;
    struct swki_object *object;

    (void)state;
    set_up(&f);
    f_add_task(&f, "t1", "n1");
    f_add_task(&f, "t2", "n1");
    swarm_report(&f.s, "t2", FAILED); /* history is kept on the node */
    object = f_make_task("t3", "n1"); /* placed beforehand, not ASSIGNED */
    swarm_create(&f.s, SWKI_ACTOR_ORCHESTRATOR, object);
    assert_string_equal(changes(f_next_assignments(&f, f_attach(&f, "n1"))),
                        "+t:t1 +t:t2");
    f_fini(&f);
}

static void a_newer_stream_ends_the_older_one(void **state)
{
    const Swkpb__AssignmentsMessage *message;
    struct f f;
    uint64_t first;
    uint64_t second;
    const char *id;

    (void)state;
    set_up(&f);
    f_add_task(&f, "t1", "n1");
    id = f_register(&f, "n1");
    first = f_assignments(&f, "n1", id);
    f_advance(&f, A_WHILE);
    second = f_assignments(&f, "n1", id);
    f_advance(&f, A_WHILE);
    assert_int_equal(f_status(&f, first), SWKI_STATUS_INVALID_ARGUMENT);
    message = f_next_assignments(&f, second);
    assert_int_equal(message->type, IS_COMPLETE);
    assert_string_equal(message->results_in, "1");
    assert_string_equal(changes(message), "+t:t1");
    f_fini(&f);
}

static void only_what_is_committed_is_sent(void **state)
{
    struct f f;
    uint64_t stream;

    (void)state;
    set_up(&f);
    stream = f_attach(&f, "n1");
    f_next_assignments(&f, stream);
    f.s.manual = true;
    f_add_task(&f, "t1", "n1");
    assert_string_equal(next_changes(&f, stream), "none");
    f_commit(&f);
    assert_string_equal(next_changes(&f, stream), "+t:t1");
    f_fini(&f);
}

static void changes_close_together_travel_in_one_message(void **state)
{
    struct f f;
    uint64_t stream;

    (void)state;
    set_up(&f);
    stream = f_attach(&f, "n1");
    f_next_assignments(&f, stream);
    f_add_task(&f, "t0", "n1");
    f_settle(&f);
    f_add_task(&f, "t1", "n1");
    f_settle(&f);
    f_add_task(&f, "t2", "n1");
    end_task(&f, "t0");
    assert_string_equal(next_changes(&f, stream), "+t:t1 +t:t2");
    /* What came and went in between is never heard of; an update and a
     * removal become the removal. */
    f_add_task(&f, "t3", "n1");
    f_settle(&f);
    f_next_assignments(&f, stream);
    want_state(&f, "t3", SHUTDOWN);
    end_task(&f, "t3");
    f_add_task(&f, "t4", "n1");
    end_task(&f, "t4");
    assert_string_equal(next_changes(&f, stream), "-t:t3");
    f_fini(&f);
}

static void when_events_are_lost_everything_is_sent_anew(void **state)
{
    const Swkpb__AssignmentsMessage *message;
    struct f f;
    uint64_t session;
    uint64_t stream;
    uint64_t gone;

    (void)state;
    f_init(&f);
    f.events_max = 4;
    f_add_cluster(&f);
    swarm_add_node(&f.s, "n1");
    swarm_add_node(&f.s, "n2");
    f_start(&f);
    f_add_task(&f, "t1", "n1");
    session = f_session(&f, "n1", "");
    f_settle(&f);
    stream = f_assignments(&f, "n1", f_next_session(&f, session)->session_id);
    gone = f_attach(&f, "n2");
    assert_string_equal(changes(f_next_assignments(&f, stream)), "+t:t1");
    swarm_delete(&f.s, SWKI_ACTOR_CONTROL, SWKI_KIND_NODE, "n2");
    end_task(&f, "t1");
    f_add_task(&f, "t2", "n1");
    f_advance(&f, A_WHILE);
    message = f_next_assignments(&f, stream);
    assert_int_equal(message->type, IS_COMPLETE);
    assert_string_equal(message->applies_to, "1");
    assert_string_equal(changes(message), "+t:t2");
    assert_non_null(f_next_session(&f, session));
    assert_int_equal(f_status(&f, gone), SWKI_STATUS_NOT_FOUND);
    f_fini(&f);
}

/* -- Which changes of tasks are sent -------------------------------------- */

static void a_task_below_assigned_is_not_sent(void **state)
{
    struct f f;
    uint64_t stream;
    struct swki_object *object;

    (void)state;
    set_up(&f);
    stream = f_attach(&f, "n1");
    f_next_assignments(&f, stream);
    swarm_create(&f.s, SWKI_ACTOR_ORCHESTRATOR, f_make_task("t1", "n1"));
    assert_string_equal(next_changes(&f, stream), "none");
    object = swarm_edit(&f.s, SWKI_KIND_TASK, "t1");
    swki_object_own(object, &swki_task_edit(object)->status);
    swki_task_edit(object)->status->state = PENDING;
    swarm_update(&f.s, SWKI_ACTOR_ALLOCATOR, object);
    assert_string_equal(next_changes(&f, stream), "none");
    object = swarm_edit(&f.s, SWKI_KIND_TASK, "t1");
    swki_object_own(object, &swki_task_edit(object)->status);
    swki_task_edit(object)->status->state = ASSIGNED;
    swarm_update(&f.s, SWKI_ACTOR_SCHEDULER, object);
    assert_string_equal(next_changes(&f, stream), "+t:t1");
    f_fini(&f);
}

static void a_change_beside_the_status_is_sent(void **state)
{
    struct f f;
    uint64_t stream;

    (void)state;
    set_up(&f);
    f_add_task(&f, "t1", "n1");
    stream = f_attach(&f, "n1");
    f_next_assignments(&f, stream);
    swarm_report(&f.s, "t1", RUNNING);
    assert_string_equal(next_changes(&f, stream), "none");
    want_state(&f, "t1", SHUTDOWN);
    assert_string_equal(next_changes(&f, stream), "+t:t1");
    f_fini(&f);
}

static void a_nodes_own_report_does_not_come_back(void **state)
{
    static const Swkpb__TaskState states[] = {READY, STARTING, RUNNING,
                                              COMPLETE};
    struct f f;
    const char *id;
    uint64_t stream;

    (void)state;
    set_up(&f);
    f_add_task(&f, "t1", "n1");
    id = f_register(&f, "n1");
    stream = f_assignments(&f, "n1", id);
    f_advance(&f, A_WHILE);
    f_next_assignments(&f, stream);
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        f_report(&f, "n1", id, "t1", states[i]);
        assert_string_equal(next_changes(&f, stream), "none");
        assert_int_equal(f_task_state(&f, "t1"), states[i]);
    }
    f_fini(&f);
}

static void a_status_still_assigned_is_the_managers_and_sent(void **state)
{
    struct swki_object *object;
    struct f f;
    uint64_t stream;

    (void)state;
    set_up(&f);
    f_add_task(&f, "t1", "n1");
    stream = f_attach(&f, "n1");
    f_next_assignments(&f, stream);
    object = swarm_edit(&f.s, SWKI_KIND_TASK, "t1");
    swki_object_own(object, &swki_task_edit(object)->status);
    swki_task_edit(object)->status->message = swarm_text(object, "again");
    swarm_update(&f.s, SWKI_ACTOR_DISPATCHER, object);
    assert_string_equal(next_changes(&f, stream), "+t:t1");
    f_fini(&f);
}

static void a_deleted_task_is_removed_if_it_was_sent(void **state)
{
    struct f f;
    uint64_t stream;

    (void)state;
    set_up(&f);
    f_add_task(&f, "t1", "n1");
    stream = f_attach(&f, "n1");
    f_next_assignments(&f, stream);
    swarm_report(&f.s, "t1", FAILED);
    f_delete_task(&f, "t1");
    assert_string_equal(next_changes(&f, stream), "-t:t1");
    swarm_create(&f.s, SWKI_ACTOR_ORCHESTRATOR, f_make_task("t2", "n1"));
    want_state(&f, "t2", REMOVE);
    swarm_delete(&f.s, SWKI_ACTOR_REAPER, SWKI_KIND_TASK, "t2");
    assert_string_equal(next_changes(&f, stream), "none");
    f_fini(&f);
}

/* -- Dependencies --------------------------------------------------------- */

static void use_secret(struct swki_object *object, const char *id)
{
    Swkpb__ContainerSpec *container = swki_task_edit(object)->spec->container;

    container->secrets = swarm_new(object, sizeof(container->secrets[0]));
    container->secrets[0] =
        swarm_new(object, sizeof(*container->secrets[0]));
    container->n_secrets = 1;
    swkpb__secret_reference__init(container->secrets[0]);
    container->secrets[0]->secret_id = swarm_text(object, id);
}

static void use_config(struct swki_object *object, const char *id)
{
    Swkpb__ContainerSpec *container = swki_task_edit(object)->spec->container;

    container->configs = swarm_new(object, sizeof(container->configs[0]));
    container->configs[0] =
        swarm_new(object, sizeof(*container->configs[0]));
    container->n_configs = 1;
    swkpb__config_reference__init(container->configs[0]);
    container->configs[0]->config_id = swarm_text(object, id);
}

static void use_resource(struct swki_object *object, Swkpb__ResourceType type,
                         const char *id)
{
    Swkpb__TaskSpec *spec = swki_task_edit(object)->spec;
    Swkpb__ResourceReference **references = swki_arena_calloc(
        swki_object_arena(object), spec->n_resource_references + 1,
        sizeof(references[0]));
    Swkpb__ResourceReference *reference =
        swarm_new(object, sizeof(*reference));

    for (size_t i = 0; i < spec->n_resource_references; i++) {
        references[i] = spec->resource_references[i];
    }
    swkpb__resource_reference__init(reference);
    reference->resource_type = type;
    reference->resource_id = swarm_text(object, id);
    references[spec->n_resource_references++] = reference;
    spec->resource_references = references;
}

static void add_user(struct f *f, const char *id, const char *secret_id)
{
    struct swki_object *object = f_make_task(id, "");

    use_secret(object, secret_id);
    f_place_task(f, object, "n1");
}

static void a_task_comes_with_what_it_names(void **state)
{
    struct swki_object *object = f_make_task("t1", "");
    struct f f;
    uint64_t stream;

    (void)state;
    set_up(&f);
    f_add_secret(&f, "s1");
    f_add_secret(&f, "s2");
    f_add_config(&f, "c1");
    f_add_config(&f, "c2");
    stream = f_attach(&f, "n1");
    f_next_assignments(&f, stream);
    use_secret(object, "s1");
    use_config(object, "c1");
    use_resource(object, SWKPB__RESOURCE_TYPE__SECRET, "s1"); /* once more */
    use_resource(object, SWKPB__RESOURCE_TYPE__SECRET, "s2");
    use_resource(object, SWKPB__RESOURCE_TYPE__CONFIG, "c2");
    use_resource(object, SWKPB__RESOURCE_TYPE__TASK, "t0");
    f_place_task(&f, object, "n1");
    assert_string_equal(next_changes(&f, stream),
                        "+c:c1 +c:c2 +s:s1 +s:s2 +t:t1");
    swarm_report(&f.s, "t1", FAILED);
    assert_string_equal(next_changes(&f, stream),
                        "-c:c1 -c:c2 -s:s1 -s:s2");
    f_fini(&f);
}

static void what_several_tasks_use_goes_with_the_last(void **state)
{
    struct f f;
    uint64_t stream;

    (void)state;
    set_up(&f);
    f_add_secret(&f, "s1");
    stream = f_attach(&f, "n1");
    f_next_assignments(&f, stream);
    add_user(&f, "t1", "s1");
    assert_string_equal(next_changes(&f, stream), "+s:s1 +t:t1");
    add_user(&f, "t2", "s1");
    assert_string_equal(next_changes(&f, stream), "+t:t2");
    swarm_report(&f.s, "t1", FAILED);
    assert_string_equal(next_changes(&f, stream), "none");
    f_delete_task(&f, "t1");
    assert_string_equal(next_changes(&f, stream), "-t:t1");
    swarm_report(&f.s, "t2", SHUTDOWN);
    assert_string_equal(next_changes(&f, stream), "-s:s1");
    /* Released once only. */
    want_state(&f, "t2", SHUTDOWN);
    assert_string_equal(next_changes(&f, stream), "+t:t2");
    f_delete_task(&f, "t2");
    assert_string_equal(next_changes(&f, stream), "-t:t2");
    f_fini(&f);
}

static void a_running_task_that_is_deleted_releases_its_secret(void **state)
{
    struct f f;
    uint64_t stream;

    (void)state;
    set_up(&f);
    f_add_secret(&f, "s1");
    add_user(&f, "t1", "s1");
    stream = f_attach(&f, "n1");
    assert_string_equal(changes(f_next_assignments(&f, stream)),
                        "+s:s1 +t:t1");
    /* Between two messages it ended and was reaped. */
    swarm_report(&f.s, "t1", FAILED);
    f_delete_task(&f, "t1");
    assert_string_equal(next_changes(&f, stream), "-s:s1 -t:t1");
    f_fini(&f);
}

static void ended_tasks_bring_no_secrets(void **state)
{
    struct f f;

    (void)state;
    set_up(&f);
    f_add_secret(&f, "s1");
    add_user(&f, "t1", "s1");
    swarm_report(&f.s, "t1", FAILED);
    assert_string_equal(changes(f_next_assignments(&f, f_attach(&f, "n1"))),
                        "+t:t1");
    f_fini(&f);
}

static void a_missing_secret_does_not_hold_back_its_task(void **state)
{
    struct f f;
    uint64_t stream;

    (void)state;
    set_up(&f);
    add_user(&f, "t1", "nowhere");
    stream = f_attach(&f, "n1");
    assert_string_equal(changes(f_next_assignments(&f, stream)), "+t:t1");
    swarm_report(&f.s, "t1", FAILED);
    assert_string_equal(next_changes(&f, stream), "none");
    f_fini(&f);
}

static void changes_of_secrets_themselves_send_nothing(void **state)
{
    struct swki_object *object;
    struct f f;
    uint64_t stream;

    (void)state;
    set_up(&f);
    f_add_secret(&f, "s1");
    add_user(&f, "t1", "s1");
    stream = f_attach(&f, "n1");
    f_next_assignments(&f, stream);
    object = swarm_edit(&f.s, SWKI_KIND_SECRET, "s1");
    swki_object_own(object, &swki_secret_edit(object)->spec);
    swki_secret_edit(object)->spec->annotations->name =
        swarm_text(object, "renamed");
    swarm_update(&f.s, SWKI_ACTOR_CONTROL, object);
    assert_string_equal(next_changes(&f, stream), "none");
    swarm_delete(&f.s, SWKI_ACTOR_CONTROL, SWKI_KIND_SECRET, "s1");
    assert_string_equal(next_changes(&f, stream), "none");
    swarm_report(&f.s, "t1", FAILED);
    assert_string_equal(next_changes(&f, stream), "-s:s1");
    f_fini(&f);
}

/* -- At random ------------------------------------------------------------ */

enum {
    RANDOM_TASKS = 24,
    RANDOM_ROUNDS = 400,
};

/* A worker that only applies messages. */
struct worker {
    char name[8];
    uint64_t stream;
    char applied[24];
    bool knows_task[RANDOM_TASKS];
    Swkpb__TaskState desired[RANDOM_TASKS];
    bool knows_secret[4];
};

static size_t number_of(const char *id)
{
    return (size_t)atoi(id + 1);
}

static void worker_apply_change(struct worker *worker,
                                const Swkpb__AssignmentChange *change)
{
    const Swkpb__Assignment *assignment = change->assignment;
    bool there = change->action == UPDATE;

    if (assignment->item_case == SWKPB__ASSIGNMENT__ITEM_TASK) {
        size_t i = number_of(assignment->task->id);

        assert_true(there || worker->knows_task[i]);
        worker->knows_task[i] = there;
        worker->desired[i] = assignment->task->desired_state;
    } else {
        size_t i = number_of(assignment->secret->id);

        assert_true(there != worker->knows_secret[i]);
        worker->knows_secret[i] = there;
    }
}

static void worker_read(struct f *f, struct worker *worker)
{
    const Swkpb__AssignmentsMessage *message;

    while ((message = f_next_assignments(f, worker->stream)) != NULL) {
        assert_string_equal(message->applies_to, worker->applied);
        if (message->type == IS_COMPLETE) {
            memset(worker->knows_task, 0, sizeof(worker->knows_task));
            memset(worker->knows_secret, 0, sizeof(worker->knows_secret));
        }
        for (size_t i = 0; i < message->n_changes; i++) {
            worker_apply_change(worker, message->changes[i]);
        }
        snprintf(worker->applied, sizeof(worker->applied), "%s",
                 message->results_in);
    }
    assert_int_equal(f_status(f, worker->stream), -1);
}

static void worker_open(struct f *f, struct worker *worker)
{
    worker->applied[0] = '\0';
    worker->stream = f_attach(f, worker->name);
}

static void check_worker(struct f *f, const struct worker *worker)
{
    bool needed[4] = {false};

    for (size_t i = 0; i < RANDOM_TASKS; i++) {
        const struct swki_object *object;
        const Swkpb__Task *task;
        char id[8];

        snprintf(id, sizeof(id), "t%zu", i);
        object = swarm_get(&f->s, SWKI_KIND_TASK, id);
        task = object != NULL ? swki_task(object) : NULL;
        if (task == NULL || strcmp(task->node_id, worker->name) != 0) {
            assert_false(worker->knows_task[i]);
            continue;
        }
        assert_true(worker->knows_task[i]);
        assert_int_equal(worker->desired[i], task->desired_state);
        if (swki_task_state(task) <= RUNNING) {
            needed[number_of(
                task->spec->container->secrets[0]->secret_id)] = true;
        }
    }
    assert_memory_equal(needed, worker->knows_secret, sizeof(needed));
}

static void change_at_random(struct f *f, struct swki_rng *rng,
                             const struct worker *workers)
{
    const struct swki_object *object;
    char id[8];
    char secret[8];

    snprintf(id, sizeof(id), "t%d", (int)swki_rng_below(rng, RANDOM_TASKS));
    snprintf(secret, sizeof(secret), "s%d", (int)swki_rng_below(rng, 4));
    object = swarm_get(&f->s, SWKI_KIND_TASK, id);
    if (object == NULL) {
        struct swki_object *task = f_make_task(id, "");

        use_secret(task, secret);
        f_place_task(f, task, workers[swki_rng_below(rng, 2)].name);
    } else if (swki_task_terminal(swki_task(object))) {
        f_delete_task(f, id);
    } else if (swki_rng_below(rng, 3) == 0) {
        want_state(f, id, SHUTDOWN);
    } else {
        swarm_report(&f->s, id,
                     swki_rng_below(rng, 2) == 0 &&
                             swki_task_state(swki_task(object)) < RUNNING &&
                             swki_task(object)->desired_state == RUNNING
                         ? RUNNING
                         : FAILED);
    }
}

static void run_at_random(uint64_t seed)
{
    struct worker workers[2] = {{.name = "n1"}, {.name = "n2"}};
    struct swki_rng rng;
    struct f f;

    swki_rng_init(&rng, seed);
    set_up(&f);
    for (int i = 0; i < 4; i++) {
        char id[8];

        snprintf(id, sizeof(id), "s%d", i);
        f_add_secret(&f, id);
    }
    worker_open(&f, &workers[0]);
    worker_open(&f, &workers[1]);
    for (int i = 0; i < RANDOM_ROUNDS; i++) {
        struct worker *worker = &workers[swki_rng_below(&rng, 2)];

        f.s.manual = swki_rng_below(&rng, 3) != 0; /* commits are late */
        change_at_random(&f, &rng, workers);
        f_settle(&f);
        if (swki_rng_below(&rng, 4) == 0) {
            f_advance(&f, swki_rng_below(&rng, A_WHILE));
        }
        if (swki_rng_below(&rng, 30) == 0) {
            f_advance(&f, 9 * SWK_SECOND); /* for it may not too often */
            f_commit(&f);
            f.s.manual = false;
            worker_open(&f, worker);
        }
        worker_read(&f, worker);
    }
    f_commit(&f);
    f_advance(&f, SWK_SECOND);
    for (int i = 0; i < 2; i++) {
        worker_read(&f, &workers[i]);
        check_worker(&f, &workers[i]);
    }
    f_fini(&f);
}

static void a_worker_ends_with_what_is_committed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_at_random(seed);
    }
}

/* -- Without memory ------------------------------------------------------- */

/* A life of two nodes; whatever fails, nothing leaks, and once there is memory
 * again the node can be served. */
static void scenario(struct f *f)
{
    const char *id;
    uint64_t call = f_session(f, "n1", "");
    const Swkpb__SessionMessage *message;

    f_settle(f);
    message = f_next_session(f, call);
    id = message != NULL ? message->session_id : "";
    f_assignments(f, "n1", id);
    f_settle(f);
    add_user(f, "t1", "s1");
    add_user(f, "t2", "s1");
    f_advance(f, A_WHILE);
    f_report(f, "n1", id, "t1", RUNNING);
    f_report(f, "n1", id, "t1", FAILED);
    f_advance(f, A_WHILE);
    end_task(f, "t1"); /* if its report was lost */
    f_session(f, "n1", id);
    f_beat(f, "n1", id);
    f_advance(f, A_WHILE);
}

static void check_after(struct f *f)
{
    uint64_t stream;

    heap_fail_at(&f->heap, 0);
    f_advance(f, 10 * SWK_SECOND);
    assert_int_equal(f_node(f, "n1")->status->state,
                     SWKPB__NODE_STATUS__STATE__READY);
    stream = f_attach(f, "n1");
    assert_string_equal(changes(f_next_assignments(f, stream)),
                        "+s:s1 +t:t2");
}

static void want_of_memory_anywhere_leaves_it_usable(void **state)
{
    bool failed = true;

    (void)state;
    for (size_t n = 1; failed; n++) {
        struct f f;

        set_up(&f);
        f_add_secret(&f, "s1");
        f_session(&f, "n1", "");
        f_settle(&f);
        heap_fail_at(&f.heap, n);
        scenario(&f);
        failed = heap_failed(&f.heap);
        if (f_task_state(&f, "t2") != ASSIGNED) {
            fail_msg("t2 moved");
        }
        check_after(&f);
        f_fini(&f);
    }
}

static void a_start_without_memory_fails_cleanly(void **state)
{
    int rc = SWK_ENOMEM;

    (void)state;
    for (size_t n = 1; rc != SWK_OK; n++) {
        struct f f;
        struct swki_dispatcher_config config = {0};

        f_init(&f);
        f_add_cluster(&f);
        swarm_add_node(&f.s, "n1");
        config.alloc = &f.heap.alloc;
        config.store = f.s.store;
        config.node_id = "m1";
        heap_fail_at(&f.heap, n);
        rc = swki_dispatcher_new(&config, &f.d, NULL);
        if (rc == SWK_OK) {
            rc = swki_dispatcher_start(f.d, f.s.now, f.s.wall, NULL);
            swki_dispatcher_free(f.d);
        }
        f.d = NULL;
        assert_int_equal(rc, heap_failed(&f.heap) ? SWK_ENOMEM : SWK_OK);
        f_fini(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_message_is_complete_even_if_empty),
        cmocka_unit_test(messages_form_a_chain),
        cmocka_unit_test(the_first_message_lists_what_the_node_should_know),
        cmocka_unit_test(a_newer_stream_ends_the_older_one),
        cmocka_unit_test(only_what_is_committed_is_sent),
        cmocka_unit_test(changes_close_together_travel_in_one_message),
        cmocka_unit_test(when_events_are_lost_everything_is_sent_anew),
        cmocka_unit_test(a_task_below_assigned_is_not_sent),
        cmocka_unit_test(a_change_beside_the_status_is_sent),
        cmocka_unit_test(a_nodes_own_report_does_not_come_back),
        cmocka_unit_test(a_status_still_assigned_is_the_managers_and_sent),
        cmocka_unit_test(a_deleted_task_is_removed_if_it_was_sent),
        cmocka_unit_test(a_task_comes_with_what_it_names),
        cmocka_unit_test(what_several_tasks_use_goes_with_the_last),
        cmocka_unit_test(a_running_task_that_is_deleted_releases_its_secret),
        cmocka_unit_test(ended_tasks_bring_no_secrets),
        cmocka_unit_test(a_missing_secret_does_not_hold_back_its_task),
        cmocka_unit_test(changes_of_secrets_themselves_send_nothing),
        cmocka_unit_test(a_worker_ends_with_what_is_committed),
        cmocka_unit_test(want_of_memory_anywhere_leaves_it_usable),
        cmocka_unit_test(a_start_without_memory_fails_cleanly),
    };

    return cmocka_run_group_tests_name("assignments", tests, NULL, NULL);
}
