/* SPDX-License-Identifier: Apache-2.0 */

/* Thousands of random transactions, with aborts, savepoints and lost
 * leadership: every selector must find what a full scan finds, and views taken
 * earlier must not change. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "core/store/store_impl.h"
#include "lib/storelog.h"

enum {
    ROUNDS = 600,
    IDS = 300,
    SERVICES = 7,
    NODES = 5,
    HELD = 4,
    WATCH_LIMIT = 1 << 20,
};

struct f {
    struct storelog log;
    struct swki_store *store;
    struct swki_rng rng;
    struct {
        const struct swki_view *view;
        uint64_t digest;
    } held[HELD];
};

static unsigned below(struct f *f, unsigned bound)
{
    return (unsigned)swki_rng_below(&f->rng, bound);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    struct swki_store_config config = {0};

    assert_non_null(f);
    f->log.leads = true;
    config.proposer = storelog_proposer(&f->log);
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    swki_rng_init(&f->rng, 42);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    for (int i = 0; i < HELD; i++) {
        swki_view_unref(f->held[i].view);
    }
    swki_store_free(f->store);
    storelog_fini(&f->log);
    free(f);
    return 0;
}

/* -- What changes ---------------------------------------------------------- */

/* Few prefixes, so that keys collide in their first bytes. */
static void make_id(unsigned n, char id[32])
{
    snprintf(id, 32, "%s%u", n % 2 == 0 ? "longprefix" : "x", n * 7919 % IDS);
}

static char *text(struct swki_object *o, const char *prefix, unsigned n)
{
    return swki_arena_printf(swki_object_arena(o), "%s%u", prefix, n);
}

static Swkpb__Annotations *make_annotations(struct f *f, struct swki_object *o)
{
    struct swki_arena *arena = swki_object_arena(o);
    Swkpb__Annotations *annotations =
        swki_arena_calloc(arena, 1, sizeof(*annotations));
    size_t count = below(f, 3);

    swkpb__annotations__init(annotations);
    annotations->indices =
        swki_arena_calloc(arena, count + 1, sizeof(void *));
    annotations->n_indices = count;
    for (size_t i = 0; i < count; i++) {
        Swkpb__IndexEntry *entry =
            swki_arena_calloc(arena, 1, sizeof(*entry));

        swkpb__index_entry__init(entry);
        entry->key = text(o, "key", below(f, 2));
        entry->val = text(o, "value", below(f, 12));
        annotations->indices[i] = entry;
    }
    return annotations;
}

static struct swki_object *make_task(struct f *f, const char *id)
{
    struct swki_object *o = swki_object_new(NULL, SWKI_KIND_TASK);
    Swkpb__Task *task = swki_task_edit(o);
    struct swki_arena *arena = swki_object_arena(o);

    task->id = swki_arena_strdup(arena, id);
    task->service_id = text(o, "service", below(f, SERVICES));
    task->slot = below(f, 4);
    task->desired_state = SWKPB__TASK_STATE__RUNNING;
    task->annotations = make_annotations(f, o);
    task->service_annotations = make_annotations(f, o);
    task->service_annotations->name = text(o, "Web", below(f, 3));
    task->spec = swki_arena_calloc(arena, 1, sizeof(*task->spec));
    swkpb__task_spec__init(task->spec);
    task->spec->runtime_case = SWKPB__TASK_SPEC__RUNTIME_ATTACHMENT;
    task->spec->attachment =
        swki_arena_calloc(arena, 1, sizeof(*task->spec->attachment));
    swkpb__network_attachment_spec__init(task->spec->attachment);
    return o;
}

static void change_status(struct f *f, struct swki_object *o)
{
    Swkpb__Task *task = swki_task_edit(o);
    struct swki_arena *arena = swki_object_arena(o);
    Swkpb__TaskStatus *status = swki_arena_calloc(arena, 1, sizeof(*status));

    swkpb__task_status__init(status);
    status->message = text(o, "message ", below(f, 1000));
    status->state = task->status != NULL &&
                            task->status->state == SWKPB__TASK_STATE__PENDING
                        ? SWKPB__TASK_STATE__ASSIGNED
                        : SWKPB__TASK_STATE__PENDING;
    if (status->state == SWKPB__TASK_STATE__ASSIGNED) {
        task->node_id = text(o, "node", below(f, NODES));
    }
    task->status = status;
}

static void write_once(struct f *f, struct swki_tx *tx)
{
    char id[32];
    const struct swki_object *old;
    struct swki_object *o;
    Swkpb__TaskState at;

    make_id(below(f, IDS), id);
    old = swki_view_get(swki_tx_view(tx), SWKI_KIND_TASK, id);
    if (old == NULL) {
        tx->actor = SWKI_ACTOR_ORCHESTRATOR;
        assert_int_equal(swki_tx_create(tx, make_task(f, id), NULL), 0);
        return;
    }
    at = swki_task(old)->status != NULL ? swki_task(old)->status->state : 0;
    if (at >= SWKPB__TASK_STATE__ASSIGNED || below(f, 3) == 0) {
        tx->actor = SWKI_ACTOR_CONTROL;
        assert_int_equal(swki_tx_delete(tx, SWKI_KIND_TASK, id, NULL), 0);
        return;
    }
    tx->actor = at == SWKPB__TASK_STATE__NEW ? SWKI_ACTOR_ALLOCATOR
                                             : SWKI_ACTOR_SCHEDULER;
    o = swki_object_edit(old);
    change_status(f, o);
    assert_int_equal(swki_tx_update(tx, o, NULL), 0);
}

/* -- What must hold -------------------------------------------------------- */

static uint64_t mix(uint64_t digest, const char *t)
{
    for (; *t != '\0'; t++) {
        digest = (digest ^ (uint8_t)*t) * UINT64_C(0x100000001b3);
    }
    return digest * 31 + 7;
}

static uint64_t digest_of(const struct swki_view *view)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    struct swki_cursor cursor;
    const struct swki_object *o;
    uint64_t digest = 1;
    size_t count = 0;

    assert_int_equal(
        swki_view_find(view, SWKI_KIND_TASK, &all, &cursor, NULL), 0);
    while ((o = swki_cursor_next(&cursor)) != NULL) {
        const Swkpb__Task *task = swki_task(o);

        digest = mix(mix(mix(digest, task->id), task->service_id),
                     task->status != NULL ? task->status->message : "-");
        digest = mix(digest, task->node_id) + swki_object_version(o);
        count++;
    }
    swki_cursor_close(&cursor);
    assert_int_equal(count, swki_view_count(view, SWKI_KIND_TASK));
    return digest;
}

/* The selector finds, in order of ID, just what a scan finds. */
static void check_selector(const struct swki_view *view,
                           const struct swki_selector *selector)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_key key = swki_index_key(selector);
    struct swki_cursor scan;
    struct swki_cursor found;
    const struct swki_object *o;

    assert_int_equal(swki_view_find(view, SWKI_KIND_TASK, &all, &scan, NULL),
                     0);
    assert_int_equal(
        swki_view_find(view, SWKI_KIND_TASK, selector, &found, NULL), 0);
    while ((o = swki_cursor_next(&scan)) != NULL) {
        if (swki_index_matches(o, &key)) {
            assert_ptr_equal(swki_cursor_next(&found), o);
        }
    }
    assert_null(swki_cursor_next(&found));
    swki_cursor_close(&scan);
    swki_cursor_close(&found);
}

static void check_view(struct f *f, const struct swki_view *view)
{
    const struct swki_table *table = &view->tables[SWKI_KIND_TASK];
    char service[32];
    char node[32];
    char value[32];
    char name[64];
    size_t entries;

    assert_true(swki_tree_check(&table->ids, &table->rows, &entries));
    assert_int_equal(entries, table->rows.count);
    assert_true(swki_tree_check(&table->keys, &table->rows, &entries));
    snprintf(service, sizeof(service), "service%u", below(f, SERVICES));
    snprintf(node, sizeof(node), "node%u", below(f, NODES));
    snprintf(value, sizeof(value), "value%u", below(f, 12));
    snprintf(name, sizeof(name), "web%u.2.x%u", below(f, 3), below(f, IDS));

    const struct swki_selector selectors[] = {
        {.by = SWKI_BY_SERVICE_ID, .text = service},
        {.by = SWKI_BY_NODE_ID, .text = node},
        {.by = SWKI_BY_NODE_ID, .text = ""},
        {.by = SWKI_BY_SLOT, .text = service, .number = below(f, 4)},
        {.by = SWKI_BY_TASK_STATE, .number = SWKPB__TASK_STATE__PENDING},
        {.by = SWKI_BY_TASK_STATE, .number = SWKPB__TASK_STATE__ASSIGNED},
        {.by = SWKI_BY_DESIRED_STATE, .number = SWKPB__TASK_STATE__RUNNING},
        {.by = SWKI_BY_RUNTIME, .text = "attachment"},
        {.by = SWKI_BY_CUSTOM, .text = "key0", .value = value},
        {.by = SWKI_BY_NAME, .text = name},
    };
    for (size_t i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
        check_selector(view, &selectors[i]);
    }
}

static void check_held(struct f *f)
{
    unsigned i = below(f, HELD);

    if (f->held[i].view != NULL) {
        assert_int_equal(digest_of(f->held[i].view), f->held[i].digest);
        swki_view_unref(f->held[i].view);
    }
    f->held[i].view = swki_view_ref(below(f, 2) == 0
                                        ? swki_store_head(f->store)
                                        : swki_store_committed(f->store));
    f->held[i].digest = digest_of(f->held[i].view);
}

/* A transaction with a part that is rolled back; now and then aborted. */
static void transact(struct f *f)
{
    struct swki_tx *tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);
    uint64_t before = digest_of(swki_store_head(f->store));
    unsigned writes = below(f, 12);

    for (unsigned i = 0; i < writes; i++) {
        write_once(f, tx);
    }
    if (below(f, 3) == 0) {
        size_t savepoint = swki_tx_savepoint(tx);
        uint64_t digest = digest_of(swki_tx_view(tx));

        for (unsigned i = 0; i < writes; i++) {
            write_once(f, tx);
        }
        check_view(f, swki_tx_view(tx));
        swki_tx_rollback(tx, savepoint);
        assert_int_equal(digest_of(swki_tx_view(tx)), digest);
    }
    check_view(f, swki_tx_view(tx));
    assert_int_equal(digest_of(swki_store_head(f->store)), before);
    if (below(f, 5) == 0) {
        swki_tx_abort(tx);
        assert_int_equal(digest_of(swki_store_head(f->store)), before);
    } else {
        assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    }
}

static void lose_leadership(struct f *f)
{
    uint64_t committed = digest_of(swki_store_committed(f->store));

    swki_store_lose_leadership(f->store);
    assert_int_equal(digest_of(swki_store_head(f->store)), committed);
    while (f->log.last > f->log.committed) { /* nobody has them */
        free(f->log.entries[f->log.last].data);
        f->log.entries[f->log.last--].data = NULL;
    }
}

static void selectors_agree_with_scans_and_views_stay(void **state)
{
    struct f *f = *state;

    for (int round = 0; round < ROUNDS; round++) {
        transact(f);
        check_held(f);
        if (below(f, 3) == 0 && f->log.committed < f->log.last) {
            assert_int_equal(storelog_commit_one(&f->log, f->store), 0);
        }
        if (below(f, 40) == 0) {
            lose_leadership(f);
        }
        check_view(f, swki_store_head(f->store));
        check_view(f, swki_store_committed(f->store));
    }
}

/* -- Watching -------------------------------------------------------------- */

/* A copy of the tasks that is kept up to date by events alone. */
struct mirror {
    enum swki_feed feed;
    struct swki_watch *watch;
    const struct swki_object *tasks[IDS]; /* by number; each is a reference */
    uint64_t index; /* of what was viewed: events up to it are known */
    unsigned resets;
};

static unsigned number_of(const char *id)
{
    return (unsigned)strtoul(id + strcspn(id, "0123456789"), NULL, 10);
}

static const struct swki_view *mirrored(struct f *f, const struct mirror *m)
{
    return m->feed == SWKI_FEED_HEAD ? swki_store_head(f->store)
                                     : swki_store_committed(f->store);
}

static void mirror_set(struct mirror *m, const struct swki_object *o,
                       const struct swki_object *task)
{
    unsigned n = number_of(swki_object_id(o));

    swki_object_unref(m->tasks[n]);
    m->tasks[n] = task != NULL ? swki_object_ref(task) : NULL;
}

static void mirror_view(struct f *f, struct mirror *m)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *o;
    struct swki_cursor cursor;

    for (unsigned n = 0; n < IDS; n++) {
        swki_object_unref(m->tasks[n]);
        m->tasks[n] = NULL;
    }
    assert_int_equal(swki_view_find(mirrored(f, m), SWKI_KIND_TASK, &all,
                                    &cursor, NULL),
                     0);
    while ((o = swki_cursor_next(&cursor)) != NULL) {
        mirror_set(m, o, o);
    }
    swki_cursor_close(&cursor);
    m->index = swki_view_index(mirrored(f, m));
}

/* An event says just what it changes: nothing is told twice or left out. */
static void mirror_event(struct f *f, struct mirror *m,
                         const struct swki_event *event)
{
    const struct swki_object *o = event->object;
    const struct swki_object *had =
        o != NULL ? m->tasks[number_of(swki_object_id(o))] : NULL;

    switch (event->change) {
    case SWKI_CHANGE_CREATE:
        assert_null(had);
        mirror_set(m, o, o);
        break;
    case SWKI_CHANGE_UPDATE:
        assert_ptr_equal(had, event->old);
        mirror_set(m, o, o);
        break;
    case SWKI_CHANGE_DELETE:
        assert_ptr_equal(had, o);
        mirror_set(m, o, NULL);
        break;
    case SWKI_CHANGE_RESET:
        mirror_view(f, m);
        m->resets++;
        break;
    case SWKI_CHANGE_COMMIT:
        break;
    }
}

static void mirror_follow(struct f *f, struct mirror *m)
{
    const struct swki_view *view = mirrored(f, m);
    const struct swki_event *event;
    size_t count = 0;

    while ((event = swki_watch_next(m->watch)) != NULL) {
        if (event->change == SWKI_CHANGE_RESET || event->index > m->index) {
            mirror_event(f, m, event);
        }
    }
    for (unsigned n = 0; n < IDS; n++) {
        const struct swki_object *o = m->tasks[n];

        if (o != NULL) {
            assert_ptr_equal(
                swki_view_get(view, SWKI_KIND_TASK, swki_object_id(o)), o);
            count++;
        }
    }
    assert_int_equal(count, swki_view_count(view, SWKI_KIND_TASK));
}

static void mirror_begin(struct f *f, struct mirror *m, enum swki_feed feed,
                         size_t limit)
{
    *m = (struct mirror){.feed = feed};
    mirror_view(f, m);
    m->watch = swki_store_watch(f->store, feed, 1u << SWKI_KIND_TASK, limit);
    assert_non_null(m->watch);
}

static void mirror_end(struct f *f, struct mirror *m)
{
    mirror_follow(f, m);
    for (unsigned n = 0; n < IDS; n++) {
        swki_object_unref(m->tasks[n]);
    }
    swki_watch_free(m->watch);
}

static void events_upon_a_view_reproduce_the_store(void **state)
{
    struct f *f = *state;
    struct mirror mirrors[3];

    for (int round = 0; round < ROUNDS; round++) {
        if (round == ROUNDS / 4) { /* in the middle of it all */
            mirror_begin(f, &mirrors[0], SWKI_FEED_HEAD, WATCH_LIMIT);
            mirror_begin(f, &mirrors[1], SWKI_FEED_COMMITTED, WATCH_LIMIT);
            mirror_begin(f, &mirrors[2], SWKI_FEED_COMMITTED, 64);
        }
        transact(f);
        if (below(f, 2) == 0 && f->log.committed < f->log.last) {
            assert_int_equal(storelog_commit_one(&f->log, f->store), 0);
        }
        if (below(f, 50) == 0) {
            lose_leadership(f);
        }
        if (round >= ROUNDS / 4 && below(f, 10) == 0) {
            mirror_follow(f, &mirrors[below(f, 3)]);
        }
    }
    for (int i = 0; i < 3; i++) {
        mirror_end(f, &mirrors[i]);
    }
    assert_true(mirrors[0].resets > 0); /* lost leadership */
    assert_int_equal(mirrors[1].resets, 0);
    assert_true(mirrors[2].resets > 0); /* fell behind */
}

/* -- Copies ---------------------------------------------------------------- */

static void a_follower_becomes_the_same(void **state)
{
    struct f *f = *state;
    struct swki_store_config config = {0};
    struct swki_store *follower;
    struct swki_store *restored;
    struct swki_buf buf;

    for (int round = 0; round < 300; round++) {
        transact(f);
    }
    storelog_commit_all(&f->log, f->store);
    assert_int_equal(swki_store_new(&config, &follower, NULL), 0);
    f->log.committed = 0;
    storelog_commit_all(&f->log, follower);
    assert_int_equal(digest_of(swki_store_head(follower)),
                     digest_of(swki_store_committed(f->store)));
    check_view(f, swki_store_head(follower));

    swki_buf_init(&buf, NULL, SIZE_MAX);
    assert_int_equal(
        swki_view_save(swki_store_committed(f->store), &buf, NULL), 0);
    assert_int_equal(swki_store_new(&config, &restored, NULL), 0);
    for (int i = 0; i < 2; i++) { /* over nothing, and over itself */
        assert_int_equal(swki_store_restore(restored, f->log.last, buf.data,
                                            buf.len, NULL),
                         0);
        assert_int_equal(digest_of(swki_store_head(restored)),
                         digest_of(swki_store_committed(f->store)));
    }
    check_view(f, swki_store_head(restored));
    swki_buf_fini(&buf);
    swki_store_free(restored);
    swki_store_free(follower);
}

/* The store goes on between the pieces; the view does not. */
static void a_view_saved_in_pieces_restores_the_same(void **state)
{
    struct f *f = *state;
    struct swki_store_config config = {0};
    const struct swki_view *view;
    struct swki_store *restored;
    struct swki_saver saver;
    struct swki_buf buf;
    uint64_t digest;
    size_t pieces = 0;

    for (int round = 0; round < 300; round++) {
        transact(f);
    }
    storelog_commit_all(&f->log, f->store);
    view = swki_view_ref(swki_store_committed(f->store));
    digest = digest_of(view);
    swki_buf_init(&buf, NULL, SIZE_MAX);
    swki_saver_init(&saver, view);
    while (!swki_saver_done(&saver)) {
        assert_int_equal(swki_saver_next(&saver, 1000, &buf, NULL), 0);
        transact(f);
        storelog_commit_all(&f->log, f->store);
        pieces++;
    }
    swki_saver_fini(&saver);
    assert_true(pieces > 10);
    assert_int_equal(swki_store_new(&config, &restored, NULL), 0);
    assert_int_equal(swki_store_restore(restored, 1, buf.data, buf.len, NULL),
                     0);
    assert_int_equal(digest_of(swki_store_head(restored)), digest);
    swki_view_unref(view);
    swki_buf_fini(&buf);
    swki_store_free(restored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            selectors_agree_with_scans_and_views_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_upon_a_view_reproduce_the_store,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_follower_becomes_the_same, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_view_saved_in_pieces_restores_the_same, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("store, at random", tests, NULL, NULL);
}
