/* SPDX-License-Identifier: Apache-2.0 */

/* Values of secrets with drivers: asked for, tried again, given up. */

#include "lib/heap.h"
#include "lib/swarm.h"

#include "core/secretdriver/fetcher.h"

struct f {
    struct heap heap;
    struct swki_fetcher *fetcher;
    struct swki_object *task;
    swk_time now;
};

static void put_label(struct swki_object *object,
                      Swkpb__Annotations__LabelsEntry ***list, size_t *count,
                      const char *key, const char *value)
{
    *list = swarm_new(object, sizeof(**list));
    (*list)[0] = swarm_new(object, sizeof(***list));
    swkpb__annotations__labels_entry__init((*list)[0]);
    (*list)[0]->key = swarm_text(object, key);
    (*list)[0]->value = swarm_text(object, value);
    *count = 1;
}

static Swkpb__Annotations *named(struct swki_object *object, const char *name,
                                 const char *label)
{
    Swkpb__Annotations *annotations = swarm_new(object, sizeof(*annotations));

    swkpb__annotations__init(annotations);
    annotations->name = swarm_text(object, name);
    put_label(object, &annotations->labels, &annotations->n_labels, label,
              "yes");
    return annotations;
}

static void set_endpoint(struct swki_object *object)
{
    Swkpb__Task *task = swki_task_edit(object);
    Swkpb__EndpointSpec *spec = swarm_new(object, sizeof(*spec));
    Swkpb__PortConfig *port = swarm_new(object, sizeof(*port));

    task->endpoint = swarm_new(object, sizeof(*task->endpoint));
    swkpb__endpoint__init(task->endpoint);
    swkpb__endpoint_spec__init(spec);
    swkpb__port_config__init(port);
    task->endpoint->spec = spec;
    spec->mode = SWKPB__ENDPOINT_SPEC__RESOLUTION_MODE__DNSRR;
    spec->ports = swarm_new(object, sizeof(spec->ports[0]));
    spec->ports[0] = port;
    spec->n_ports = 1;
    port->name = swarm_text(object, "web");
    port->protocol = SWKPB__PORT_CONFIG__PROTOCOL__UDP;
    port->publish_mode = SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST;
    port->target_port = 80;
    port->published_port = 8080;
}

static struct swki_object *make_task(void)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_TASK);
    Swkpb__Task *task = swki_task_edit(object);

    task->id = swarm_text(object, "t1");
    task->slot = 3;
    task->service_id = swarm_text(object, "service");
    task->service_annotations = named(object, "front", "tier");
    task->spec = swarm_new(object, sizeof(*task->spec));
    swkpb__task_spec__init(task->spec);
    task->spec->runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    task->spec->container = swarm_new(object, sizeof(*task->spec->container));
    swkpb__container_spec__init(task->spec->container);
    task->spec->container->image = swarm_text(object, "nginx");
    task->spec->container->hostname = swarm_text(object, "host");
    return object;
}

static struct swki_object *make_secret(const char *id, const char *driver)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_SECRET);
    Swkpb__Secret *secret = swki_secret_edit(object);
    Swkpb__Driver *d = swarm_new(object, sizeof(*d));

    secret->id = swarm_text(object, id);
    secret->spec = swarm_new(object, sizeof(*secret->spec));
    swkpb__secret_spec__init(secret->spec);
    secret->spec->annotations = named(object, "password", "team");
    secret->spec->driver = d;
    swkpb__driver__init(d);
    d->name = swarm_text(object, driver);
    d->options = swarm_new(object, sizeof(d->options[0]));
    d->options[0] = swarm_new(object, sizeof(*d->options[0]));
    swkpb__driver__options_entry__init(d->options[0]);
    d->options[0]->key = swarm_text(object, "path");
    d->options[0]->value = swarm_text(object, "kv/db");
    d->n_options = 1;
    return object;
}

static void set_up(struct f *f)
{
    const struct swki_fetcher_config config = {
        .alloc = &f->heap.alloc, .logger = &swarm_logger, .seed = 7};

    heap_init(&f->heap);
    assert_int_equal(swki_fetcher_new(&config, &f->fetcher, NULL), 0);
    f->task = make_task();
    f->now = SWK_HOUR;
}

static void tear_down(struct f *f)
{
    swki_fetcher_free(f->fetcher);
    swki_object_unref(f->task);
    assert_int_equal(heap_live(&f->heap), 0);
}

static struct swki_fetch *ask(struct f *f, const char *id, const char *driver)
{
    struct swki_object *secret = make_secret(id, driver);
    struct swki_fetch *fetch =
        swki_fetcher_ask(f->fetcher, f->now, secret, f->task, "n1", f);

    assert_non_null(fetch);
    swki_object_unref(secret);
    return fetch;
}

static void answer(struct f *f, uint64_t id, int code, size_t len)
{
    static uint8_t value[SWK_SECRET_VALUE_MAX + 1];
    const struct swk_secret_result result = {
        .size = sizeof(result), .code = code, .value = {value, len}};

    swki_fetcher_worked(f->fetcher, f->now, id, &result);
}

/* Lets time pass up to what is due next. */
static void pass(struct f *f)
{
    swk_time next = swki_fetcher_deadline(f->fetcher);

    assert_int_not_equal(next, SWK_NEVER);
    f->now = swarm_earlier(next, f->now + SWK_HOUR);
    swki_fetcher_expire(f->fetcher, f->now);
}

/* -- Tests ---------------------------------------------------------------- */

static void a_request_says_which_task_on_which_node_wants_what(void **state)
{
    const struct swki_fetch_work *work;
    struct swki_fetch *fetch;
    struct f f;

    (void)state;
    set_up(&f);
    set_endpoint(f.task);
    fetch = ask(&f, "s1", "vault");
    work = swki_fetcher_next_work(f.fetcher, f.now);
    assert_non_null(work);
    assert_string_equal(work->request.driver, "vault");
    assert_int_equal(work->request.driver_options_count, 1);
    assert_string_equal(work->request.driver_options[0].key, "path");
    assert_string_equal(work->request.driver_options[0].value, "kv/db");
    assert_string_equal(work->request.secret_name, "password");
    assert_int_equal(work->request.secret_labels_count, 1);
    assert_string_equal(work->request.secret_labels[0].key, "team");
    assert_string_equal(work->request.service_id, "service");
    assert_string_equal(work->request.service_name, "front");
    assert_string_equal(work->request.service_labels[0].key, "tier");
    assert_string_equal(work->request.service_hostname, "host");
    assert_string_equal(work->request.task_id, "t1");
    assert_string_equal(work->request.task_name, "front.3.t1");
    assert_string_equal(work->request.task_image, "nginx");
    assert_string_equal(work->request.node_id, "n1");
    assert_true(work->request.has_endpoint);
    assert_int_equal(work->request.endpoint_mode, 1);
    assert_int_equal(work->request.ports_count, 1);
    assert_string_equal(work->request.ports[0].name, "web");
    assert_int_equal(work->request.ports[0].protocol, 1);
    assert_int_equal(work->request.ports[0].publish_mode, 1);
    assert_int_equal(work->request.ports[0].target, 80);
    assert_int_equal(work->request.ports[0].published, 8080);
    assert_int_equal(work->request.timeout_ns, SWKI_FETCH_ATTEMPT);
    assert_null(swki_fetcher_next_work(f.fetcher, f.now));
    swki_fetcher_drop(f.fetcher, fetch);
    tear_down(&f);
}

static void a_task_without_container_has_no_image(void **state)
{
    const struct swki_fetch_work *work;
    struct swki_fetch *fetch;
    struct f f;

    (void)state;
    set_up(&f);
    swki_task_edit(f.task)->spec->runtime_case =
        SWKPB__TASK_SPEC__RUNTIME__NOT_SET;
    fetch = ask(&f, "s1", "vault");
    work = swki_fetcher_next_work(f.fetcher, f.now);
    assert_string_equal(work->request.task_image, "");
    assert_string_equal(work->request.service_hostname, "");
    assert_false(work->request.has_endpoint);
    swki_fetcher_drop(f.fetcher, fetch);
    tear_down(&f);
}

static void a_value_is_held_if_its_size_is_right(void **state)
{
    static const struct {
        size_t len;
        enum swki_fetch_state state;
    } cases[] = {
        {0, SWKI_FETCH_FAILED},
        {1, SWKI_FETCH_READY},
        {SWK_SECRET_VALUE_MAX, SWKI_FETCH_READY},
        {SWK_SECRET_VALUE_MAX + 1, SWKI_FETCH_FAILED},
    };
    struct f f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_fetch *fetch = ask(&f, "s1", "vault");

        assert_null(swki_fetcher_next_ended(f.fetcher));
        answer(&f, swki_fetcher_next_work(f.fetcher, f.now)->id, 0,
               cases[i].len);
        assert_ptr_equal(swki_fetcher_next_ended(f.fetcher), fetch);
        assert_null(swki_fetcher_next_ended(f.fetcher));
        assert_int_equal(fetch->state, cases[i].state);
        if (fetch->state == SWKI_FETCH_READY) {
            assert_int_equal(fetch->value_len, cases[i].len);
        }
        swki_fetcher_drop(f.fetcher, fetch);
    }
    assert_int_equal(swki_fetcher_deadline(f.fetcher), SWK_NEVER);
    tear_down(&f);
}

static void what_is_final_is_not_tried_again(void **state)
{
    static const int codes[] = {SWK_EDENIED, SWK_EMALFORMED, SWK_EINVAL,
                                SWK_ENOTSUP, SWK_ENOTFOUND};
    struct f f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct swki_fetch *fetch = ask(&f, "s1", "vault");

        answer(&f, swki_fetcher_next_work(f.fetcher, f.now)->id, codes[i], 0);
        assert_int_equal(fetch->state, SWKI_FETCH_FAILED);
        swki_fetcher_drop(f.fetcher, fetch);
    }
    tear_down(&f);
}

static void what_may_pass_is_tried_again_with_growing_pauses(void **state)
{
    const swk_time end = SWK_HOUR + SWKI_FETCH_GIVE_UP;
    struct swki_fetch *fetch;
    swk_time last_pause = 0;
    unsigned attempts = 0;
    struct f f;

    (void)state;
    set_up(&f);
    fetch = ask(&f, "s1", "vault");
    while (fetch->state != SWKI_FETCH_FAILED) {
        const struct swki_fetch_work *work =
            swki_fetcher_next_work(f.fetcher, f.now);
        swk_time before = f.now;

        assert_non_null(work);
        attempts++;
        answer(&f, work->id, SWK_EUNAVAILABLE, 0);
        assert_null(swki_fetcher_next_work(f.fetcher, f.now));
        if (fetch->state == SWKI_FETCH_PAUSED) {
            pass(&f);
            assert_true(f.now - before > last_pause);
            last_pause = f.now - before;
        }
    }
    assert_in_range(attempts, 4, 8);
    assert_true(f.now < end);
    swki_fetcher_drop(f.fetcher, fetch);
    tear_down(&f);
}

static void a_reason_to_wait_is_told_when_it_changes(void **state)
{
    static const struct {
        int code;
        bool told;
    } cases[] = {
        {SWK_EUNAVAILABLE, true},
        {SWK_EUNAVAILABLE, false},
        {SWK_EIO, true},
        {SWK_EUNAVAILABLE, true},
    };
    struct swki_fetch *fetch;
    struct f f;

    (void)state;
    set_up(&f);
    fetch = ask(&f, "s1", "vault");
    assert_null(swki_fetcher_next_news(f.fetcher));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer(&f, swki_fetcher_next_work(f.fetcher, f.now)->id, cases[i].code,
               0);
        if (cases[i].told) {
            assert_ptr_equal(swki_fetcher_next_news(f.fetcher), fetch);
            assert_string_equal(fetch->why, swk_error_name(cases[i].code));
        }
        assert_null(swki_fetcher_next_news(f.fetcher));
        pass(&f);
    }
    /* An end has its reason too, and is no news. */
    answer(&f, swki_fetcher_next_work(f.fetcher, f.now)->id, SWK_EIO, 0);
    pass(&f);
    answer(&f, swki_fetcher_next_work(f.fetcher, f.now)->id, SWK_EDENIED, 0);
    assert_null(swki_fetcher_next_news(f.fetcher));
    assert_ptr_equal(swki_fetcher_next_ended(f.fetcher), fetch);
    assert_string_equal(fetch->why, swk_error_name(SWK_EDENIED));
    swki_fetcher_drop(f.fetcher, fetch);
    tear_down(&f);
}

static void an_attempt_has_its_time_and_a_late_answer_is_ignored(void **state)
{
    struct swki_fetch *fetch;
    uint64_t first;
    uint64_t second;
    struct f f;

    (void)state;
    set_up(&f);
    fetch = ask(&f, "s1", "vault");
    first = swki_fetcher_next_work(f.fetcher, f.now)->id;
    pass(&f);
    assert_int_equal(f.now, SWK_HOUR + SWKI_FETCH_ATTEMPT);
    assert_int_equal(fetch->state, SWKI_FETCH_PAUSED);
    pass(&f);
    second = swki_fetcher_next_work(f.fetcher, f.now)->id;
    assert_int_not_equal(first, second);
    answer(&f, first, 0, 5);
    assert_int_equal(fetch->state, SWKI_FETCH_ASKED);
    answer(&f, second, 0, 6);
    assert_int_equal(fetch->state, SWKI_FETCH_READY);
    assert_int_equal(fetch->value_len, 6);
    swki_fetcher_drop(f.fetcher, fetch);
    tear_down(&f);
}

static void a_provider_that_never_answers_is_given_up(void **state)
{
    struct swki_fetch *fetch;
    struct f f;

    (void)state;
    set_up(&f);
    fetch = ask(&f, "s1", "vault");
    while (fetch->state != SWKI_FETCH_FAILED) {
        swki_fetcher_next_work(f.fetcher, f.now);
        pass(&f);
    }
    assert_true(f.now <= SWK_HOUR + SWKI_FETCH_GIVE_UP);
    swki_fetcher_drop(f.fetcher, fetch);
    tear_down(&f);
}

static void a_driver_that_hangs_holds_up_no_other(void **state)
{
    struct swki_fetch *slow[10];
    struct swki_fetch *quick[20];
    size_t asked = 1;
    uint64_t first;
    struct f f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < 10; i++) {
        slow[i] = ask(&f, "s1", "slow");
    }
    first = swki_fetcher_next_work(f.fetcher, f.now)->id;
    while (swki_fetcher_next_work(f.fetcher, f.now) != NULL) {
        asked++;
    }
    assert_int_equal(asked, SWKI_FETCH_ASKED_OF_DRIVER_MAX);
    for (size_t i = 0; i < 20; i++) {
        char driver[16];

        snprintf(driver, sizeof(driver), "d%zu", i);
        quick[i] = ask(&f, "s2", driver);
    }
    while (swki_fetcher_next_work(f.fetcher, f.now) != NULL) {
        asked++;
    }
    assert_int_equal(asked, SWKI_FETCH_ASKED_MAX);
    answer(&f, first, 0, 1); /* makes room */
    assert_string_equal(
        swki_fetcher_next_work(f.fetcher, f.now)->request.driver, "slow");
    for (size_t i = 0; i < 10; i++) {
        swki_fetcher_drop(f.fetcher, slow[i]);
    }
    for (size_t i = 0; i < 20; i++) {
        swki_fetcher_drop(f.fetcher, quick[i]);
    }
    tear_down(&f);
}

/* As by a node that comes and goes without end. */
static void what_is_dropped_keeps_its_place_while_it_is_asked_for(void **state)
{
    const struct swki_fetch_work *work;
    struct swki_fetch *fetch;
    uint64_t first = 0;
    size_t asked = 0;
    struct f f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < 100; i++) {
        fetch = ask(&f, "s1", "vault");
        work = swki_fetcher_next_work(f.fetcher, f.now);
        first = first == 0 ? work->id : first;
        asked += work != NULL;
        swki_fetcher_drop(f.fetcher, fetch);
    }
    assert_int_equal(asked, SWKI_FETCH_ASKED_OF_DRIVER_MAX);
    fetch = ask(&f, "s1", "vault");
    assert_null(swki_fetcher_next_work(f.fetcher, f.now));
    answer(&f, first, 0, 1);
    assert_null(swki_fetcher_next_ended(f.fetcher));
    assert_non_null(swki_fetcher_next_work(f.fetcher, f.now));
    swki_fetcher_drop(f.fetcher, fetch);
    /* No answer comes for these: their time makes room. */
    fetch = ask(&f, "s1", "vault");
    assert_null(swki_fetcher_next_work(f.fetcher, f.now));
    pass(&f);
    assert_non_null(swki_fetcher_next_work(f.fetcher, f.now));
    assert_null(swki_fetcher_next_ended(f.fetcher));
    swki_fetcher_drop(f.fetcher, fetch);
    tear_down(&f);
}

static void values_that_nobody_takes_stop_further_requests(void **state)
{
    enum {
        FULL = SWKI_FETCH_HELD_MAX / SWK_SECRET_VALUE_MAX + 1,
    };
    static struct swki_fetch *held[FULL];
    struct swki_fetch *more;
    struct f f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < FULL; i++) {
        held[i] = ask(&f, "s1", "vault");
        answer(&f, swki_fetcher_next_work(f.fetcher, f.now)->id, 0,
               SWK_SECRET_VALUE_MAX);
    }
    more = ask(&f, "s1", "vault");
    assert_null(swki_fetcher_next_work(f.fetcher, f.now));
    swki_fetcher_drop(f.fetcher, held[0]);
    assert_non_null(swki_fetcher_next_work(f.fetcher, f.now));
    swki_fetcher_drop(f.fetcher, more);
    for (size_t i = 1; i < FULL; i++) {
        swki_fetcher_drop(f.fetcher, held[i]);
    }
    tear_down(&f);
}

/* A fetch that is given up at once is taken at once, not when something else
 * happens to come up. */
static void what_has_ended_is_due_until_it_is_taken(void **state)
{
    static struct swki_fetch *waiting[SWKI_FETCH_WAITING_MAX];
    struct swki_object *secret = make_secret("s1", "vault");
    struct swki_fetch *fetch;
    struct f f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < SWKI_FETCH_WAITING_MAX; i++) {
        waiting[i] =
            swki_fetcher_ask(f.fetcher, f.now, secret, f.task, "n1", &f);
    }
    assert_true(swki_fetcher_deadline(f.fetcher) > f.now);
    fetch = swki_fetcher_ask(f.fetcher, f.now, secret, f.task, "n1", &f);
    assert_int_equal(fetch->state, SWKI_FETCH_FAILED);
    assert_true(swki_fetcher_deadline(f.fetcher) <= f.now);
    assert_ptr_equal(swki_fetcher_next_ended(f.fetcher), fetch);
    assert_true(swki_fetcher_deadline(f.fetcher) > f.now);
    swki_fetcher_drop(f.fetcher, fetch);
    for (size_t i = 0; i < SWKI_FETCH_WAITING_MAX; i++) {
        swki_fetcher_drop(f.fetcher, waiting[i]);
    }
    swki_object_unref(secret);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_says_which_task_on_which_node_wants_what),
        cmocka_unit_test(a_task_without_container_has_no_image),
        cmocka_unit_test(a_value_is_held_if_its_size_is_right),
        cmocka_unit_test(what_is_final_is_not_tried_again),
        cmocka_unit_test(what_may_pass_is_tried_again_with_growing_pauses),
        cmocka_unit_test(a_reason_to_wait_is_told_when_it_changes),
        cmocka_unit_test(an_attempt_has_its_time_and_a_late_answer_is_ignored),
        cmocka_unit_test(a_provider_that_never_answers_is_given_up),
        cmocka_unit_test(a_driver_that_hangs_holds_up_no_other),
        cmocka_unit_test(what_is_dropped_keeps_its_place_while_it_is_asked_for),
        cmocka_unit_test(values_that_nobody_takes_stop_further_requests),
        cmocka_unit_test(what_has_ended_is_due_until_it_is_taken),
    };

    return cmocka_run_group_tests_name("secretdriver/fetcher", tests, NULL,
                                       NULL);
}
