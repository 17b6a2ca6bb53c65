/* SPDX-License-Identifier: Apache-2.0 */

/* Secrets with drivers: fetched for the tasks that use them, and sent to their
 * node alone. */

#include "fixture.h"

#include "base/rng.h"

#define UPDATE SWKPB__ASSIGNMENT_CHANGE__ASSIGNMENT_ACTION__UPDATE

#define A_WHILE (250 * SWK_MILLISECOND)

/* What a message says, sorted as the dispatcher wrote it: "+s:s1=value",
 * "-s:s1", "+t:t1"; a "!" after the ID of an internal secret. */
static const char *describe(const Swkpb__AssignmentsMessage *message)
{
    static char text[1024];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; message != NULL && i < message->n_changes; i++) {
        const Swkpb__AssignmentChange *change = message->changes[i];
        const Swkpb__Assignment *a = change->assignment;
        bool secret = a->item_case == SWKPB__ASSIGNMENT__ITEM_SECRET;

        at += (size_t)snprintf(
            text + at, sizeof(text) - at, "%s%c%c:%s", at > 0 ? " " : "",
            change->action == UPDATE ? '+' : '-', secret ? 's' : 't',
            secret ? a->secret->id : a->task->id);
        if (secret && a->secret->spec != NULL) {
            assert_null(a->secret->spec->driver); /* no business of nodes */
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s=%.*s",
                                   a->secret->internal ? "!" : "",
                                   (int)a->secret->spec->data.len,
                                   (const char *)a->secret->spec->data.data);
        }
        assert_true(at < sizeof(text));
    }
    return message == NULL ? "none" : text;
}

static const char *next(struct f *f, uint64_t stream)
{
    const char *text;

    f_advance(f, A_WHILE);
    text = describe(f_next_assignments(f, stream));
    assert_null(f_next_assignments(f, stream));
    return text;
}

static void add_driven(struct f *f, const char *id, const char *driver)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_SECRET);
    Swkpb__Secret *secret = swki_secret_edit(object);

    secret->id = swarm_text(object, id);
    secret->spec = swarm_new(object, sizeof(*secret->spec));
    swkpb__secret_spec__init(secret->spec);
    secret->spec->annotations =
        swarm_new(object, sizeof(*secret->spec->annotations));
    swkpb__annotations__init(secret->spec->annotations);
    secret->spec->annotations->name = swarm_text(object, id);
    secret->spec->driver = swarm_new(object, sizeof(*secret->spec->driver));
    swkpb__driver__init(secret->spec->driver);
    secret->spec->driver->name = swarm_text(object, driver);
    swarm_create(&f->s, SWKI_ACTOR_CONTROL, object);
}

/* A task on "n1" that names one or two secrets; secret_too may be NULL. */
static void add_user(struct f *f, const char *id, const char *secret,
                     const char *secret_too)
{
    struct swki_object *object = f_make_task(id, "");
    Swkpb__ContainerSpec *container = swki_task_edit(object)->spec->container;
    const char *const names[] = {secret, secret_too};

    container->secrets = swarm_new(object, 2 * sizeof(container->secrets[0]));
    for (size_t i = 0; i < 2 && names[i] != NULL; i++) {
        container->secrets[i] =
            swarm_new(object, sizeof(*container->secrets[i]));
        swkpb__secret_reference__init(container->secrets[i]);
        container->secrets[i]->secret_id = swarm_text(object, names[i]);
        container->n_secrets++;
    }
    f_place_task(f, object, "n1");
    f_commit(f);
}

static uint64_t set_up(struct f *f)
{
    uint64_t stream;

    f_init(f);
    f_add_cluster(f);
    f_set_period(f, SWK_HOUR);
    swarm_add_node(&f->s, "n1");
    swarm_add_node(&f->s, "n2");
    f_start(f);
    add_driven(f, "s1", "vault");
    add_driven(f, "s2", "vault");
    stream = f_attach(f, "n1");
    assert_string_equal(next(f, stream), "");
    return stream;
}

/* The request that is to be made now, for this task; its ID. */
static uint64_t asked_for(struct f *f, const char *secret, const char *task)
{
    const struct swki_fetch_work *work =
        swki_dispatcher_next_fetch(f->d, f->s.now);

    assert_non_null(work);
    assert_string_equal(work->request.driver, "vault");
    assert_string_equal(work->request.secret_name, secret);
    assert_string_equal(work->request.task_id, task);
    assert_string_equal(work->request.node_id, "n1");
    return work->id;
}

static void assert_nothing_asked(struct f *f)
{
    assert_null(swki_dispatcher_next_fetch(f->d, f->s.now));
}

static void give(struct f *f, uint64_t id, const char *value, int alone)
{
    const struct swk_secret_result result = {
        .size = sizeof(result),
        .do_not_reuse = alone,
        .value = {value, strlen(value)},
    };

    swki_dispatcher_fetched(f->d, f->s.now, id, &result);
}

static void refuse(struct f *f, uint64_t id)
{
    const struct swk_secret_result result = {
        .size = sizeof(result), .code = SWK_EDENIED, .text = "not for you"};

    swki_dispatcher_fetched(f->d, f->s.now, id, &result);
}

static void fail_for_now(struct f *f, uint64_t id, const char *why)
{
    const struct swk_secret_result result = {
        .size = sizeof(result), .code = SWK_EUNAVAILABLE, .text = why};

    swki_dispatcher_fetched(f->d, f->s.now, id, &result);
}

/* Why the task is where it is, as anybody can see. */
static const char *error_of(const struct f *f, const char *task_id)
{
    const Swkpb__Task *task =
        swki_task(swarm_get(&f->s, SWKI_KIND_TASK, task_id));

    assert_int_equal(task->status->state, ASSIGNED);
    return task->status->err;
}

static uint64_t version_of(const struct f *f, const char *task_id)
{
    return swki_task(swarm_get(&f->s, SWKI_KIND_TASK, task_id))
        ->meta->version->index;
}

/* The error that the node is told with its next task. */
static const char *sent_error(struct f *f, uint64_t stream)
{
    const Swkpb__AssignmentsMessage *message;

    f_advance(f, A_WHILE);
    message = f_next_assignments(f, stream);
    assert_non_null(message);
    assert_int_equal(message->changes[0]->assignment->item_case,
                     SWKPB__ASSIGNMENT__ITEM_TASK);
    return message->changes[0]->assignment->task->status->err;
}

/* -- One value for all, or for each --------------------------------------- */

static void a_task_is_sent_when_its_value_has_come(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    assert_string_equal(next(&f, stream), "none");
    give(&f, asked_for(&f, "s1", "t1"), "geheim", 0);
    assert_string_equal(next(&f, stream), "+t:t1 +s:s1=geheim");
    assert_nothing_asked(&f);
    f_fini(&f);
}

static void other_tasks_of_the_node_do_not_wait(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    f_add_task(&f, "t2", "n1");
    f_commit(&f);
    assert_string_equal(next(&f, stream), "+t:t2");
    f_fini(&f);
}

static void tasks_of_a_node_share_a_value_that_may_be_reused(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    uint64_t id;

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    add_user(&f, "t2", "s1", NULL);
    f_advance(&f, A_WHILE);
    id = asked_for(&f, "s1", "t1");
    assert_nothing_asked(&f);
    give(&f, id, "one", 0);
    assert_string_equal(next(&f, stream), "+t:t1 +t:t2 +s:s1=one");
    add_user(&f, "t3", "s1", NULL);
    assert_string_equal(next(&f, stream), "+t:t3");
    assert_nothing_asked(&f);

    /* It goes with the last of them. */
    swarm_report(&f.s, "t1", FAILED);
    swarm_report(&f.s, "t2", FAILED);
    f_commit(&f);
    assert_string_equal(next(&f, stream), "none");
    swarm_report(&f.s, "t3", FAILED);
    f_commit(&f);
    assert_string_equal(next(&f, stream), "-s:s1");
    f_fini(&f);
}

static void two_tasks_get_different_values_if_these_are_not_reused(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    uint64_t second;

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    add_user(&f, "t2", "s1", NULL);
    f_advance(&f, A_WHILE);
    give(&f, asked_for(&f, "s1", "t1"), "one", 1);
    assert_string_equal(next(&f, stream), "+t:t1 +s:s1.t1!=one");
    second = asked_for(&f, "s1", "t2");
    give(&f, second, "two", 1);
    assert_string_equal(next(&f, stream), "+t:t2 +s:s1.t2!=two");

    /* Each is taken back with its own task. */
    swarm_report(&f.s, "t1", FAILED);
    f_commit(&f);
    assert_string_equal(next(&f, stream), "-s:s1.t1");
    f_delete_task(&f, "t1");
    f_commit(&f);
    assert_string_equal(next(&f, stream), "-t:t1");
    swarm_report(&f.s, "t2", RUNNING);
    f_commit(&f);
    assert_string_equal(next(&f, stream), "none");
    swarm_report(&f.s, "t2", COMPLETE);
    f_commit(&f);
    assert_string_equal(next(&f, stream), "-s:s1.t2");
    f_fini(&f);
}

static void tasks_that_wait_for_each_others_answers_all_get_theirs(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    uint64_t first;
    uint64_t second;

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    add_user(&f, "t2", "s2", NULL);
    add_user(&f, "t3", "s1", "s2");
    f_advance(&f, A_WHILE);
    first = asked_for(&f, "s1", "t1");
    second = asked_for(&f, "s2", "t2");
    assert_nothing_asked(&f);
    give(&f, first, "one", 0);
    assert_string_equal(next(&f, stream), "+t:t1 +s:s1=one");
    give(&f, second, "two", 0);
    assert_string_equal(next(&f, stream), "+t:t2 +t:t3 +s:s2=two");
    f_fini(&f);
}

/* -- Failures ------------------------------------------------------------- */

static void a_task_goes_without_a_value_that_is_refused(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    uint64_t id;

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    add_user(&f, "t2", "s1", NULL);
    f_advance(&f, A_WHILE);
    refuse(&f, asked_for(&f, "s1", "t1"));
    assert_string_equal(next(&f, stream), "+t:t1");
    id = asked_for(&f, "s1", "t2"); /* may fare better */
    give(&f, id, "one", 0);
    assert_string_equal(next(&f, stream), "+t:t2 +s:s1=one");

    /* The one without does not let go of what it never had. */
    swarm_report(&f.s, "t1", FAILED);
    f_commit(&f);
    assert_string_equal(next(&f, stream), "none");
    assert_nothing_asked(&f);
    f_fini(&f);
}

static void a_value_that_is_too_large_is_not_sent(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    char *large = malloc(SWK_SECRET_VALUE_MAX + 2);

    (void)state;
    assert_non_null(large);
    memset(large, 'x', SWK_SECRET_VALUE_MAX + 1);
    large[SWK_SECRET_VALUE_MAX + 1] = '\0';
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    give(&f, asked_for(&f, "s1", "t1"), large, 0);
    assert_string_equal(next(&f, stream), "+t:t1");
    free(large);
    f_fini(&f);
}

static void a_provider_that_is_silent_is_asked_again_then_given_up(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    const char *text = "none";
    swk_time began;
    int asked = 0;

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    began = f.s.now;
    while (strcmp(text, "none") == 0) {
        text = next(&f, stream);
        asked += swki_dispatcher_next_fetch(f.d, f.s.now) != NULL;
        assert_true(f.s.now < began + SWKI_FETCH_GIVE_UP + SWK_SECOND);
    }
    assert_string_equal(text, "+t:t1");
    assert_in_range(asked, 3, 5);
    f_fini(&f);
}

/* -- Reasons --------------------------------------------------------------- */

static void all_tasks_that_wait_for_a_value_say_why(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    add_user(&f, "t2", "s1", NULL);
    add_user(&f, "t3", "s2", NULL);
    f_advance(&f, A_WHILE);
    assert_string_equal(error_of(&f, "t1"), "");
    fail_for_now(&f, asked_for(&f, "s1", "t1"), "sealed");
    assert_string_equal(next(&f, stream), "none");
    assert_string_equal(error_of(&f, "t1"),
                        "waits for secret s1 of driver vault: sealed");
    assert_string_equal(error_of(&f, "t2"), error_of(&f, "t1"));
    assert_string_equal(error_of(&f, "t3"), "");
    f_fini(&f);
}

static void a_reason_that_cuts_a_long_name_is_text_all_the_same(void **state)
{
    /* 62 bytes, and one character of three that no longer fits whole. */
    static const char driver[] =
        "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
        "\xe2\x82\xac-store";
    struct f f;
    uint64_t stream = set_up(&f);
    char text[160];

    (void)state;
    add_driven(&f, "s3", driver);
    add_user(&f, "t1", "s3", NULL);
    f_advance(&f, A_WHILE);
    fail_for_now(&f, swki_dispatcher_next_fetch(f.d, f.s.now)->id, "sealed");
    assert_string_equal(next(&f, stream), "none");
    snprintf(text, sizeof(text),
             "waits for secret s3 of driver %.62s??: sealed", driver);
    assert_string_equal(error_of(&f, "t1"), text);
    f_fini(&f);
}

static void a_reason_is_written_when_it_changes_alone(void **state)
{
    static const char *const reasons[] = {"sealed", "sealed", "gone", "gone",
                                          "gone"};
    struct f f;
    uint64_t first;
    int written = 0;

    (void)state;
    set_up(&f);
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        const struct swki_fetch_work *work = NULL;

        while ((work = swki_dispatcher_next_fetch(f.d, f.s.now)) == NULL) {
            f_advance(&f, A_WHILE);
        }
        first = version_of(&f, "t1");
        fail_for_now(&f, work->id, reasons[i]);
        f_advance(&f, A_WHILE);
        written += version_of(&f, "t1") != first;
    }
    assert_int_equal(written, 2);
    assert_string_equal(error_of(&f, "t1"),
                        "waits for secret s1 of driver vault: gone");
    f_fini(&f);
}

static void the_node_is_told_why_no_value_came_in_the_end(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    refuse(&f, asked_for(&f, "s1", "t1"));
    assert_string_equal(sent_error(&f, stream),
                        "driver vault gives no secret s1: not for you");
    f_fini(&f);
}

static void a_task_that_got_its_value_is_sent_without_an_error(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    fail_for_now(&f, asked_for(&f, "s1", "t1"), "sealed");
    f_advance(&f, SWK_SECOND);
    give(&f, asked_for(&f, "s1", "t1"), "one", 0);
    assert_string_equal(sent_error(&f, stream), "");
    f_fini(&f);
}

static void a_task_says_what_it_still_waits_for(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    uint64_t second;

    (void)state;
    add_user(&f, "t1", "s1", "s2");
    f_advance(&f, A_WHILE);
    fail_for_now(&f, asked_for(&f, "s1", "t1"), "sealed");
    second = asked_for(&f, "s2", "t1");
    f_advance(&f, SWK_SECOND);
    assert_string_equal(error_of(&f, "t1"),
                        "waits for secret s1 of driver vault: sealed");
    give(&f, asked_for(&f, "s1", "t1"), "one", 0);
    assert_string_equal(next(&f, stream), "+s:s1=one");
    assert_string_equal(error_of(&f, "t1"), ""); /* nothing is known of s2 */
    fail_for_now(&f, second, "gone");
    assert_string_equal(next(&f, stream), "none");
    assert_string_equal(error_of(&f, "t1"),
                        "waits for secret s2 of driver vault: gone");
    f_fini(&f);
}

/* By then it is the node that says how the task is. */
static void a_reason_never_replaces_what_a_node_reported(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    const Swkpb__Task *task;

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    swarm_report(&f.s, "t1", SWKPB__TASK_STATE__PREPARING);
    swki_dispatcher_cancel(f.d, stream);
    stream = f_attach(&f, "n1");
    assert_string_equal(next(&f, stream), "none");
    fail_for_now(&f, asked_for(&f, "s1", "t1"), "sealed");
    assert_string_equal(next(&f, stream), "none");
    task = swki_task(swarm_get(&f.s, SWKI_KIND_TASK, "t1"));
    assert_int_equal(task->status->state, SWKPB__TASK_STATE__PREPARING);
    assert_string_equal(task->status->err, "");
    f_fini(&f);
}

/* -- What changes meanwhile ----------------------------------------------- */

static void a_task_that_goes_makes_room_for_the_next_to_ask(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    uint64_t first;

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    add_user(&f, "t2", "s1", NULL);
    f_advance(&f, A_WHILE);
    first = asked_for(&f, "s1", "t1");
    swarm_report(&f.s, "t1", FAILED);
    f_delete_task(&f, "t1");
    f_commit(&f);
    assert_string_equal(next(&f, stream), "none");
    give(&f, first, "late", 0);
    give(&f, asked_for(&f, "s1", "t2"), "one", 0);
    assert_string_equal(next(&f, stream), "+t:t2 +s:s1=one");
    f_fini(&f);
}

static void nothing_is_asked_for_a_task_that_is_to_stop(void **state)
{
    struct swki_object *object;
    struct f f;
    uint64_t stream = set_up(&f);

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    asked_for(&f, "s1", "t1");
    object = swarm_edit(&f.s, SWKI_KIND_TASK, "t1");
    swki_task_edit(object)->desired_state = SHUTDOWN;
    swarm_update(&f.s, SWKI_ACTOR_ORCHESTRATOR, object);
    f_commit(&f);
    assert_string_equal(next(&f, stream), "+t:t1");
    assert_nothing_asked(&f);
    f_fini(&f);
}

static void a_node_that_goes_away_gives_up_what_was_asked_for_it(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    uint64_t id;

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    id = asked_for(&f, "s1", "t1");
    swki_dispatcher_cancel(f.d, stream);
    give(&f, id, "late", 0);
    f_advance(&f, SWK_MINUTE);
    assert_nothing_asked(&f);
    assert_null(f_next_assignments(&f, stream));

    /* When it is back, it is asked for again. */
    stream = f_attach(&f, "n1");
    assert_string_equal(next(&f, stream), "none");
    give(&f, asked_for(&f, "s1", "t1"), "new", 0);
    assert_string_equal(next(&f, stream), "+t:t1 +s:s1=new");
    f_fini(&f);
}

static void a_node_that_is_removed_takes_its_requests_along(void **state)
{
    struct f f;

    (void)state;
    set_up(&f);
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    asked_for(&f, "s1", "t1");
    swarm_delete(&f.s, SWKI_ACTOR_CONTROL, SWKI_KIND_NODE, "n1");
    f_commit(&f);
    assert_nothing_asked(&f);
    f_fini(&f);
}

static void another_leader_asks_anew_and_ignores_old_answers(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    uint64_t old;

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    old = asked_for(&f, "s1", "t1");
    f_stop(&f);
    f_start(&f);
    stream = f_attach(&f, "n1");
    assert_string_equal(next(&f, stream), "none");
    give(&f, old, "old", 0);
    assert_string_equal(next(&f, stream), "none");
    give(&f, asked_for(&f, "s1", "t1"), "new", 0);
    assert_string_equal(next(&f, stream), "+t:t1 +s:s1=new");
    f_fini(&f);
}

static void a_complete_set_waits_so_that_nothing_is_stopped(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);

    (void)state;
    f_add_task(&f, "t0", "n1");
    add_user(&f, "t1", "s1", NULL);
    swki_dispatcher_cancel(f.d, stream);
    stream = f_attach(&f, "n1");
    assert_string_equal(next(&f, stream), "none");
    refuse(&f, asked_for(&f, "s1", "t1"));
    assert_string_equal(next(&f, stream), "+t:t0 +t:t1");
    f_fini(&f);
}

static void a_complete_set_waits_for_no_task_that_came_later(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    uint64_t id;

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    swki_dispatcher_cancel(f.d, stream);
    stream = f_attach(&f, "n1");
    assert_string_equal(next(&f, stream), "none");
    id = asked_for(&f, "s1", "t1");
    add_user(&f, "t2", "s2", NULL);
    assert_string_equal(next(&f, stream), "none");
    refuse(&f, id);
    assert_string_equal(next(&f, stream), "+t:t1");
    give(&f, asked_for(&f, "s2", "t2"), "two", 0);
    assert_string_equal(next(&f, stream), "+t:t2 +s:s2=two");
    f_fini(&f);
}

static void no_new_value_is_made_for_a_task_that_runs(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    give(&f, asked_for(&f, "s1", "t1"), "one", 1);
    assert_string_equal(next(&f, stream), "+t:t1 +s:s1.t1!=one");
    swarm_report(&f.s, "t1", RUNNING);
    f_commit(&f);
    swki_dispatcher_cancel(f.d, stream);
    stream = f_attach(&f, "n1");
    assert_string_equal(next(&f, stream), "+t:t1");
    assert_nothing_asked(&f);
    f_fini(&f);
}

static void a_secret_that_is_deleted_is_taken_back_with_its_task(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    give(&f, asked_for(&f, "s1", "t1"), "one", 1);
    assert_string_equal(next(&f, stream), "+t:t1 +s:s1.t1!=one");
    swarm_delete(&f.s, SWKI_ACTOR_CONTROL, SWKI_KIND_SECRET, "s1");
    swarm_report(&f.s, "t1", RUNNING);
    f_commit(&f);
    assert_string_equal(next(&f, stream), "none");
    swarm_report(&f.s, "t1", FAILED);
    f_commit(&f);
    assert_string_equal(next(&f, stream), "-s:s1.t1");
    f_fini(&f);
}

/* -- Privileges ----------------------------------------------------------- */

static void a_node_without_such_a_task_gets_nothing(void **state)
{
    struct f f;
    uint64_t stream = set_up(&f);
    uint64_t other = f_attach(&f, "n2");

    (void)state;
    assert_string_equal(next(&f, other), "");
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    give(&f, asked_for(&f, "s1", "t1"), "one", 0);
    assert_string_equal(next(&f, stream), "+t:t1 +s:s1=one");
    assert_string_equal(next(&f, other), "none");
    f_fini(&f);
}

static void a_value_never_gets_into_the_store(void **state)
{
    const struct swki_object *object;
    struct f f;
    uint64_t stream = set_up(&f);

    (void)state;
    add_user(&f, "t1", "s1", NULL);
    f_advance(&f, A_WHILE);
    give(&f, asked_for(&f, "s1", "t1"), "one", 0);
    assert_string_equal(next(&f, stream), "+t:t1 +s:s1=one");
    object = swarm_get(&f.s, SWKI_KIND_SECRET, "s1");
    assert_int_equal(swki_secret(object)->spec->data.len, 0);
    assert_non_null(swki_secret(object)->spec->driver);
    f_fini(&f);
}

/* -- At random ------------------------------------------------------------- */

enum {
    STEPS = 300,
    TASKS_MAX = STEPS,
    WORK_MAX = 64,
    ITEMS_MAX = 128,
};

/* A node that takes what it is sent, and the requests that are open. */
struct world {
    struct f f;
    struct swki_rng rng;
    const char *session;
    uint64_t stream;
    char items[ITEMS_MAX][48]; /* "s:ID" and "t:ID" that the node has */
    size_t items_count;
    uint64_t work[WORK_MAX];
    size_t work_count;
    unsigned tasks_count; /* that ever were */
    bool gone[TASKS_MAX];
};

static void take_change(struct world *w, const Swkpb__AssignmentChange *change)
{
    const Swkpb__Assignment *a = change->assignment;
    bool secret = a->item_case == SWKPB__ASSIGNMENT__ITEM_SECRET;
    char item[48];
    size_t at = 0;

    snprintf(item, sizeof(item), "%c:%s", secret ? 's' : 't',
             secret ? a->secret->id : a->task->id);
    while (at < w->items_count && strcmp(w->items[at], item) != 0) {
        at++;
    }
    if (change->action == UPDATE && at == w->items_count) {
        assert_true(w->items_count < ITEMS_MAX);
        memcpy(w->items[w->items_count++], item, sizeof(item));
    } else if (change->action == UPDATE) {
        assert_false(secret); /* a secret is sent once */
    } else {
        assert_true(at < w->items_count); /* what goes was there */
        memcpy(w->items[at], w->items[--w->items_count], sizeof(item));
    }
}

static void take_messages(struct world *w)
{
    const Swkpb__AssignmentsMessage *message;

    while ((message = f_next_assignments(&w->f, w->stream)) != NULL) {
        if (message->type == SWKPB__ASSIGNMENTS_MESSAGE__TYPE__COMPLETE) {
            w->items_count = 0;
        }
        for (size_t i = 0; i < message->n_changes; i++) {
            take_change(w, message->changes[i]);
        }
    }
}

static void take_work(struct world *w)
{
    const struct swki_fetch_work *work;

    while ((work = swki_dispatcher_next_fetch(w->f.d, w->f.s.now)) != NULL) {
        assert_true(w->work_count < WORK_MAX);
        w->work[w->work_count++] = work->id;
    }
}

static void answer_one(struct world *w)
{
    size_t at =
        w->work_count > 0 ? (size_t)swki_rng_below(&w->rng, w->work_count) : 0;
    uint64_t kind = swki_rng_below(&w->rng, 5);

    if (w->work_count == 0) {
        return;
    }
    if (kind == 0) {
        refuse(&w->f, w->work[at]);
    } else if (kind > 1) { /* else it is lost */
        give(&w->f, w->work[at], "value", kind == 2);
    }
    w->work[at] = w->work[--w->work_count];
}

static void end_one(struct world *w, unsigned n)
{
    char id[16];

    if (n < w->tasks_count && !w->gone[n]) {
        snprintf(id, sizeof(id), "t%u", n);
        if (f_task_state(&w->f, id) <= RUNNING) {
            swarm_report(&w->f.s, id, FAILED);
        }
        f_delete_task(&w->f, id);
        f_commit(&w->f);
        w->gone[n] = true;
    }
}

static void change_one(struct world *w)
{
    unsigned n = (unsigned)swki_rng_below(&w->rng, w->tasks_count + 1u);
    char id[16];

    snprintf(id, sizeof(id), "t%u", n);
    switch (swki_rng_below(&w->rng, 8)) {
    case 0:
    case 1:
    case 2:
        snprintf(id, sizeof(id), "t%u", w->tasks_count++);
        add_user(&w->f, id, swki_rng_below(&w->rng, 2) == 0 ? "s1" : "s2",
                 swki_rng_below(&w->rng, 3) == 0 ? "s1" : NULL);
        break;
    case 3:
        if (n < w->tasks_count && !w->gone[n] &&
            f_task_state(&w->f, id) < RUNNING) {
            swarm_report(&w->f.s, id, RUNNING);
            f_commit(&w->f);
        }
        break;
    case 4:
    case 5:
        end_one(w, n);
        break;
    case 6:
        f_advance(&w->f, swki_rng_below(&w->rng, 3) * SWK_SECOND);
        break;
    default:
        swki_dispatcher_cancel(w->f.d, w->stream);
        w->stream = f_assignments(&w->f, "n1", w->session);
        break;
    }
}

static void a_node_keeps_nothing_whatever_comes_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        static struct world w;

        memset(&w, 0, sizeof(w));
        swki_rng_init(&w.rng, seed);
        set_up(&w.f);
        w.session = f_register(&w.f, "n1");
        w.stream = f_assignments(&w.f, "n1", w.session);
        for (int i = 0; i < STEPS; i++) {
            if (swki_rng_below(&w.rng, 2) == 0) {
                answer_one(&w);
            } else {
                change_one(&w);
            }
            f_advance(&w.f, 30 * SWK_MILLISECOND);
            take_work(&w);
            take_messages(&w);
        }
        for (unsigned n = 0; n < w.tasks_count; n++) {
            end_one(&w, n);
        }
        f_advance(&w.f, 2 * SWKI_FETCH_GIVE_UP);
        take_messages(&w);
        assert_nothing_asked(&w.f);
        assert_int_equal(w.items_count, 0);
        f_fini(&w.f);
    }
}

/* -- Memory --------------------------------------------------------------- */

/* Answers whatever is asked for, as a value for one task alone. */
static void answer_all(struct f *f)
{
    const struct swki_fetch_work *work;

    while ((work = swki_dispatcher_next_fetch(f->d, f->s.now)) != NULL) {
        char value[64];

        snprintf(value, sizeof(value), "%s", work->request.task_id);
        give(f, work->id, value, 1);
        f_advance(f, A_WHILE);
    }
}

static void use_secrets(struct f *f)
{
    add_user(f, "t1", "s1", NULL);
    add_user(f, "t2", "s1", NULL);
    f_advance(f, A_WHILE);
    answer_all(f);
    swarm_report(&f->s, "t1", FAILED);
    f_commit(f);
    f_advance(f, A_WHILE);
}

static void want_of_memory_anywhere_leaves_it_usable(void **state)
{
    bool failed = true;

    (void)state;
    for (size_t n = 1; failed; n++) {
        struct f f;
        uint64_t stream;

        set_up(&f);
        heap_fail_at(&f.heap, n);
        use_secrets(&f);
        failed = heap_failed(&f.heap);
        heap_fail_at(&f.heap, 0);
        stream = f_attach(&f, "n1");
        f_advance(&f, A_WHILE);
        answer_all(&f);
        assert_string_equal(next(&f, stream), "+t:t1 +t:t2 +s:s1.t2!=t2");
        f_fini(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_is_sent_when_its_value_has_come),
        cmocka_unit_test(other_tasks_of_the_node_do_not_wait),
        cmocka_unit_test(tasks_of_a_node_share_a_value_that_may_be_reused),
        cmocka_unit_test(
            two_tasks_get_different_values_if_these_are_not_reused),
        cmocka_unit_test(
            tasks_that_wait_for_each_others_answers_all_get_theirs),
        cmocka_unit_test(a_task_goes_without_a_value_that_is_refused),
        cmocka_unit_test(a_value_that_is_too_large_is_not_sent),
        cmocka_unit_test(
            a_provider_that_is_silent_is_asked_again_then_given_up),
        cmocka_unit_test(all_tasks_that_wait_for_a_value_say_why),
        cmocka_unit_test(a_reason_that_cuts_a_long_name_is_text_all_the_same),
        cmocka_unit_test(a_reason_is_written_when_it_changes_alone),
        cmocka_unit_test(the_node_is_told_why_no_value_came_in_the_end),
        cmocka_unit_test(a_task_that_got_its_value_is_sent_without_an_error),
        cmocka_unit_test(a_task_says_what_it_still_waits_for),
        cmocka_unit_test(a_reason_never_replaces_what_a_node_reported),
        cmocka_unit_test(a_task_that_goes_makes_room_for_the_next_to_ask),
        cmocka_unit_test(nothing_is_asked_for_a_task_that_is_to_stop),
        cmocka_unit_test(a_node_that_goes_away_gives_up_what_was_asked_for_it),
        cmocka_unit_test(a_node_that_is_removed_takes_its_requests_along),
        cmocka_unit_test(another_leader_asks_anew_and_ignores_old_answers),
        cmocka_unit_test(a_complete_set_waits_so_that_nothing_is_stopped),
        cmocka_unit_test(a_complete_set_waits_for_no_task_that_came_later),
        cmocka_unit_test(no_new_value_is_made_for_a_task_that_runs),
        cmocka_unit_test(a_secret_that_is_deleted_is_taken_back_with_its_task),
        cmocka_unit_test(a_node_without_such_a_task_gets_nothing),
        cmocka_unit_test(a_value_never_gets_into_the_store),
        cmocka_unit_test(a_node_keeps_nothing_whatever_comes_in_any_order),
        cmocka_unit_test(want_of_memory_anywhere_leaves_it_usable),
    };

    return cmocka_run_group_tests_name("dispatcher/leases", tests, NULL, NULL);
}
