/* SPDX-License-Identifier: Apache-2.0 */

/* The store's promises, one by one. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/store/policy.h"
#include "lib/storelog.h"

struct f {
    struct storelog log;
    struct swki_store *store;
    struct swk_error err;
    unsigned fates[2];
    swk_wall wall;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    struct swki_store_config config = {0};

    assert_non_null(f);
    f->log.leads = true;
    f->wall = 1000000000;
    config.proposer = storelog_proposer(&f->log);
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_store_free(f->store);
    storelog_fini(&f->log);
    free(f);
    return 0;
}

static struct swki_object *config_new(const char *id, const char *name)
{
    struct swki_object *o = swki_object_new(NULL, SWKI_KIND_CONFIG);
    struct swki_arena *arena = swki_object_arena(o);
    Swkpb__Config *config = swki_config_edit(o);

    config->id = swki_arena_strdup(arena, id);
    config->spec = swki_arena_calloc(arena, 1, sizeof(*config->spec));
    swkpb__config_spec__init(config->spec);
    config->spec->annotations =
        swki_arena_calloc(arena, 1, sizeof(*config->spec->annotations));
    swkpb__annotations__init(config->spec->annotations);
    config->spec->annotations->name = swki_arena_strdup(arena, name);
    return o;
}

static struct swki_object *config_renamed(const struct swki_view *view,
                                          const char *id, const char *name)
{
    struct swki_object *o =
        swki_object_edit(swki_view_get(view, SWKI_KIND_CONFIG, id));
    Swkpb__Config *config = swki_config_edit(o);

    assert_non_null(swki_object_own(o, &config->spec));
    config->spec->annotations->name =
        swki_arena_strdup(swki_object_arena(o), name);
    return o;
}

static struct swki_tx *begin(struct f *f)
{
    struct swki_tx *tx =
        swki_store_begin(f->store, SWKI_ACTOR_CONTROL, f->wall++);

    assert_non_null(tx);
    return tx;
}

static void remember_fate(void *ctx, enum swki_fate fate, uint64_t index)
{
    struct f *f = ctx;

    (void)index;
    f->fates[fate]++;
}

static void commit(struct f *f, struct swki_tx *tx)
{
    assert_int_equal(swki_tx_commit(tx, remember_fate, f, NULL, NULL), 0);
}

static void seed_config(struct f *f, const char *id, const char *name)
{
    struct swki_tx *tx = begin(f);

    assert_int_equal(swki_tx_create(tx, config_new(id, name), NULL), 0);
    commit(f, tx);
    storelog_commit_all(&f->log, f->store);
}

static size_t count_by(const struct swki_view *view, enum swki_by by,
                       const char *text)
{
    const struct swki_selector selector = {.by = by, .text = text};
    struct swki_cursor cursor;
    size_t count = 0;

    assert_int_equal(
        swki_view_find(view, SWKI_KIND_CONFIG, &selector, &cursor, NULL), 0);
    while (swki_cursor_next(&cursor) != NULL) {
        count++;
    }
    swki_cursor_close(&cursor);
    return count;
}

static void create_refuses_a_taken_id_and_a_name_in_any_case(void **state)
{
    struct f *f = *state;
    struct swki_tx *tx;

    seed_config(f, "id1", "Name");
    tx = begin(f);
    assert_int_equal(swki_tx_create(tx, config_new("id1", "other"), &f->err),
                     SWK_EEXIST);
    assert_string_equal(f->err.text, "object already exists");
    swki_tx_rollback(tx, 0);
    assert_int_equal(swki_tx_create(tx, config_new("id2", "nAME"), &f->err),
                     SWK_EEXIST);
    assert_string_equal(f->err.text,
                        "name conflicts with an existing object");
    /* Until it is rolled back, a failed transaction can do no more. */
    assert_int_equal(swki_tx_create(tx, config_new("id3", "x"), NULL),
                     SWK_EEXIST);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), SWK_EEXIST);
    assert_int_equal(swki_view_count(swki_store_head(f->store),
                                     SWKI_KIND_CONFIG),
                     1);
}

static void update_needs_the_stored_version(void **state)
{
    struct f *f = *state;
    const struct swki_view *before;
    struct swki_tx *tx;

    seed_config(f, "id1", "one");
    before = swki_view_ref(swki_store_head(f->store));
    tx = begin(f);
    for (int i = 0; i < 2; i++) { /* twice in one transaction */
        assert_int_equal(
            swki_tx_update(
                tx, config_renamed(swki_tx_view(tx), "id1", "two"), NULL),
            0);
    }
    commit(f, tx);
    tx = begin(f);
    assert_int_equal(
        swki_tx_update(tx, config_renamed(before, "id1", "three"), &f->err),
        SWK_ECONFLICT);
    assert_string_equal(f->err.text, "update out of sequence");
    swki_tx_abort(tx);
    swki_view_unref(before);
}

static void meta_has_the_entry_and_both_times(void **state)
{
    struct f *f = *state;
    const Swkpb__Meta *meta;
    struct swki_tx *tx;
    int64_t created;

    seed_config(f, "id1", "one");
    meta = swki_config(swki_view_get(swki_store_head(f->store),
                                     SWKI_KIND_CONFIG, "id1"))
               ->meta;
    created = meta->created_at->nanos;
    assert_int_equal(meta->version->index, 1);
    assert_int_equal(meta->updated_at->nanos, created);
    tx = begin(f);
    assert_int_equal(
        swki_tx_update(tx, config_renamed(swki_tx_view(tx), "id1", "two"),
                       NULL),
        0);
    f->log.last++; /* an entry of another sort comes between */
    f->log.committed++;
    swki_store_apply_nothing(f->store, f->log.last);
    commit(f, tx);
    meta = swki_config(swki_view_get(swki_store_head(f->store),
                                     SWKI_KIND_CONFIG, "id1"))
               ->meta;
    assert_int_equal(meta->version->index, 3);
    assert_int_equal(meta->created_at->nanos, created);
    assert_true(meta->updated_at->nanos > created);
}

static void a_rename_frees_the_name_at_once(void **state)
{
    struct f *f = *state;
    struct swki_tx *tx;

    seed_config(f, "id1", "one");
    tx = begin(f);
    assert_int_equal(
        swki_tx_update(tx, config_renamed(swki_tx_view(tx), "id1", "two"),
                       NULL),
        0);
    assert_int_equal(count_by(swki_tx_view(tx), SWKI_BY_NAME, "one"), 0);
    assert_int_equal(count_by(swki_tx_view(tx), SWKI_BY_NAME, "TWO"), 1);
    assert_int_equal(swki_tx_create(tx, config_new("id2", "one"), NULL), 0);
    commit(f, tx);
    assert_int_equal(
        count_by(swki_store_head(f->store), SWKI_BY_NAME_PREFIX, "O"), 1);
    assert_int_equal(
        count_by(swki_store_head(f->store), SWKI_BY_ID_PREFIX, "ID"), 0);
    assert_int_equal(
        count_by(swki_store_head(f->store), SWKI_BY_ID_PREFIX, "id"), 2);
    assert_int_equal(swki_view_count(swki_store_committed(f->store),
                                     SWKI_KIND_CONFIG),
                     1);
}

static void or_finds_each_object_once(void **state)
{
    struct f *f = *state;
    const struct swki_selector any[] = {
        {.by = SWKI_BY_NAME, .text = "b"},
        {.by = SWKI_BY_ALL},
        {.by = SWKI_BY_SLOT, .text = "x"},
    };
    struct swki_selector selector = {
        .by = SWKI_BY_OR,
        .any = any,
        .any_count = 2,
    };
    const struct swki_view *view;
    struct swki_cursor cursor;

    seed_config(f, "1", "a");
    seed_config(f, "2", "b");
    view = swki_store_head(f->store);
    assert_int_equal(
        swki_view_find(view, SWKI_KIND_CONFIG, &selector, &cursor, NULL), 0);
    assert_string_equal(swki_object_id(swki_cursor_next(&cursor)), "2");
    assert_string_equal(swki_object_id(swki_cursor_next(&cursor)), "1");
    assert_null(swki_cursor_next(&cursor));
    swki_cursor_close(&cursor);
    selector.any_count = 3;
    assert_int_equal(
        swki_view_find(view, SWKI_KIND_CONFIG, &selector, &cursor, &f->err),
        SWK_EINVAL);
    assert_string_equal(f->err.text, "invalid find argument type");
    selector.any_count = 0;
    assert_int_equal(
        swki_view_find(view, SWKI_KIND_CONFIG, &selector, &cursor, NULL), 0);
    assert_null(swki_cursor_next(&cursor));
    swki_cursor_close(&cursor);
}

struct many {
    unsigned next;
    unsigned fail_at;
};

static int create_one(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct many *many = ctx;
    char id[16];

    snprintf(id, sizeof(id), "c%04u", many->next);
    if (many->next++ == many->fail_at) {
        (void)swki_tx_create(tx, config_new(id, id), err);
        return SWK_ECANCELED;
    }
    return swki_tx_create(tx, config_new(id, id), err);
}

static void a_batch_splits_and_undoes_a_failing_step(void **state)
{
    struct f *f = *state;
    struct many many = {.fail_at = 300};
    struct swki_batch batch;

    swki_batch_init(&batch, f->store, SWKI_ACTOR_CONTROL, 1);
    for (int i = 0; i < 406; i++) {
        int rc = swki_batch_step(&batch, create_one, &many, NULL);

        assert_int_equal(rc, i == 300 ? SWK_ECANCELED : 0);
    }
    assert_int_equal(f->log.last, 2);
    assert_int_equal(swki_batch_end(&batch, NULL), 0);
    assert_int_equal(f->log.last, 3);
    assert_int_equal(swki_view_count(swki_store_head(f->store),
                                     SWKI_KIND_CONFIG),
                     405);
    assert_null(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CONFIG, "c0300"));
}

static void a_batch_stops_for_good_when_a_commit_fails(void **state)
{
    struct f *f = *state;
    struct many many = {.fail_at = 1000};
    struct swki_batch batch;
    int rc = 0;

    swki_batch_init(&batch, f->store, SWKI_ACTOR_CONTROL, 1);
    for (int i = 0; i < 250; i++) {
        f->log.leads = i < 199;
        rc = swki_batch_step(&batch, create_one, &many, NULL);
    }
    assert_int_equal(rc, SWK_ENOTLEADER);
    f->log.leads = true;
    assert_int_equal(swki_batch_end(&batch, NULL), SWK_ENOTLEADER);
    assert_int_equal(f->log.last, 0);
}

static void an_entry_too_large_changes_nothing(void **state)
{
    struct f *f = *state;
    struct swki_object *o = config_new("big", "big");
    Swkpb__Config *config = swki_config_edit(o);
    struct swki_tx *tx = begin(f);

    config->spec->data.len = SWKI_STORE_ENTRY_SIZE_MAX;
    config->spec->data.data = swki_arena_calloc(
        swki_object_arena(o), 1, SWKI_STORE_ENTRY_SIZE_MAX);
    assert_int_equal(swki_tx_create(tx, o, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, remember_fate, f, NULL, &f->err),
                     SWK_ELIMIT);
    assert_string_equal(f->err.text,
                        "raft: raft message is too large and can't be sent");
    assert_int_equal(f->log.last, 0);
    assert_int_equal(swki_view_count(swki_store_head(f->store),
                                     SWKI_KIND_CONFIG),
                     0);
}

/* No manager could read the entry, ever. */
static void text_that_is_no_text_changes_nothing(void **state)
{
    struct f *f = *state;
    struct swki_object *o = config_new("cut", "cut");
    struct swki_tx *tx = begin(f);

    swki_config_edit(o)->spec->annotations->name =
        swki_arena_strdup(swki_object_arena(o), "caf\xc3");
    assert_int_equal(swki_tx_create(tx, o, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, remember_fate, f, NULL, &f->err),
                     SWK_EMALFORMED);
    assert_non_null(strstr(f->err.text, "Annotations.name is not UTF-8 text"));
    assert_int_equal(f->log.last, 0);
    assert_null(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CONFIG, "cut"));
}

struct sized {
    const char *id;
    size_t size;
};

static int create_sized(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const struct sized *sized = ctx;
    struct swki_object *o = config_new(sized->id, sized->id);
    Swkpb__Config *config = swki_config_edit(o);

    config->spec->data.len = sized->size;
    config->spec->data.data =
        swki_arena_calloc(swki_object_arena(o), 1, sized->size);
    return swki_tx_create(tx, o, err);
}

static int batch_sized(struct swki_batch *batch, const char *id, size_t size)
{
    struct sized sized = {.id = id, .size = size};

    return swki_batch_step(batch, create_sized, &sized, NULL);
}

static void a_batch_commits_when_a_step_brings_it_over_its_size(void **state)
{
    struct f *f = *state;
    struct swki_batch batch;

    swki_batch_init(&batch, f->store, SWKI_ACTOR_CONTROL, 1);
    assert_int_equal(batch_sized(&batch, "a", SWKI_STORE_BATCH_SIZE - 1000), 0);
    assert_int_equal(f->log.last, 0);
    assert_int_equal(batch_sized(&batch, "b", 1000), 0);
    assert_int_equal(f->log.last, 1);
    assert_int_equal(batch_sized(&batch, "c", 10), 0);
    assert_int_equal(f->log.last, 1);
    assert_int_equal(swki_batch_end(&batch, NULL), 0);
    assert_int_equal(f->log.last, 2);
}

static void a_batch_commits_before_a_step_that_does_not_fit(void **state)
{
    struct f *f = *state;
    const struct swki_view *view;
    struct swki_batch batch;

    swki_batch_init(&batch, f->store, SWKI_ACTOR_CONTROL, 1);
    assert_int_equal(batch_sized(&batch, "a", SWKI_STORE_BATCH_SIZE - 1000), 0);
    assert_int_equal(batch_sized(&batch, "b", SWKI_STORE_BATCH_SIZE - 1000), 0);
    assert_int_equal(f->log.last, 1);
    /* One that fits nowhere is undone alone. */
    assert_int_equal(batch_sized(&batch, "c", SWKI_STORE_ENTRY_SIZE_MAX),
                     SWK_ELIMIT);
    assert_int_equal(batch_sized(&batch, "d", 10), 0);
    assert_int_equal(swki_batch_end(&batch, NULL), 0);
    storelog_commit_all(&f->log, f->store);
    view = swki_store_head(f->store);
    assert_int_equal(
        swki_object_version(swki_view_get(view, SWKI_KIND_CONFIG, "a")), 1);
    assert_int_equal(
        swki_object_version(swki_view_get(view, SWKI_KIND_CONFIG, "b")), 2);
    assert_null(swki_view_get(view, SWKI_KIND_CONFIG, "c"));
    assert_non_null(swki_view_get(view, SWKI_KIND_CONFIG, "d"));
    assert_int_equal(count_by(view, SWKI_BY_NAME, "b"), 1);
}

static int grow_and_delete(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    size_t *size = ctx;
    struct swki_object *o = config_renamed(swki_tx_view(tx), "old", "new");
    Swkpb__Config *config = swki_config_edit(o);
    int rc;

    config->spec->data.len = *size;
    config->spec->data.data =
        swki_arena_calloc(swki_object_arena(o), 1, *size);
    *size = 0; /* a step must not be run twice */
    rc = swki_tx_update(tx, o, err);
    return rc < 0 ? rc : swki_tx_delete(tx, SWKI_KIND_CONFIG, "gone", err);
}

static void a_step_moved_to_the_next_entry_keeps_all_its_writes(void **state)
{
    struct f *f = *state;
    size_t size = SWKI_STORE_BATCH_SIZE - 1000;
    struct swki_batch batch;

    seed_config(f, "old", "old");
    seed_config(f, "gone", "gone");
    swki_batch_init(&batch, f->store, SWKI_ACTOR_CONTROL, 1);
    assert_int_equal(batch_sized(&batch, "a", size), 0);
    assert_int_equal(swki_batch_step(&batch, grow_and_delete, &size, NULL), 0);
    assert_int_equal(f->log.last, 3);
    assert_int_equal(swki_batch_end(&batch, NULL), 0);
    assert_int_equal(f->log.last, 4);
    storelog_commit_all(&f->log, f->store);
    assert_int_equal(
        count_by(swki_store_head(f->store), SWKI_BY_NAME, "new"), 1);
    assert_int_equal(
        count_by(swki_store_head(f->store), SWKI_BY_NAME, "old"), 0);
    assert_int_equal(
        count_by(swki_store_head(f->store), SWKI_BY_NAME, "gone"), 0);
    assert_int_equal(swki_object_version(swki_view_get(
                         swki_store_head(f->store), SWKI_KIND_CONFIG, "old")),
                     4);
}

static void expect(struct swki_watch *watch, enum swki_change change)
{
    const struct swki_event *event = swki_watch_next(watch);

    assert_non_null(event);
    assert_int_equal(event->change, change);
}

static void events_come_in_order_and_end_with_a_commit(void **state)
{
    struct f *f = *state;
    struct swki_watch *head =
        swki_store_watch(f->store, SWKI_FEED_HEAD, UINT32_MAX, 100);
    struct swki_watch *committed =
        swki_store_watch(f->store, SWKI_FEED_COMMITTED, UINT32_MAX, 2);
    struct swki_tx *tx = begin(f);

    assert_int_equal(swki_tx_create(tx, config_new("1", "a"), NULL), 0);
    assert_int_equal(
        swki_tx_update(tx, config_renamed(swki_tx_view(tx), "1", "b"), NULL),
        0);
    assert_int_equal(swki_tx_delete(tx, SWKI_KIND_CONFIG, "1", NULL), 0);
    commit(f, tx);
    assert_false(swki_watch_pending(committed));
    expect(head, SWKI_CHANGE_CREATE);
    expect(head, SWKI_CHANGE_UPDATE);
    expect(head, SWKI_CHANGE_DELETE);
    expect(head, SWKI_CHANGE_COMMIT);
    assert_null(swki_watch_next(head));
    storelog_commit_all(&f->log, f->store);
    expect(committed, SWKI_CHANGE_RESET); /* it has room for two */
    commit(f, begin(f));
    assert_false(swki_watch_pending(head));
    swki_watch_free(head);
    swki_watch_free(committed);
}

static void a_follower_refuses_writes_but_not_empty_transactions(void **state)
{
    struct f *f = *state;
    struct swki_tx *tx;

    f->log.leads = false;
    commit(f, begin(f));
    tx = begin(f);
    assert_int_equal(swki_tx_create(tx, config_new("1", "a"), &f->err),
                     SWK_ENOTLEADER);
    assert_string_equal(
        f->err.text,
        "raft: failed to process the request: node lost leader status");
    swki_tx_abort(tx);
}

static void lost_leadership_leaves_the_outcome_unknown(void **state)
{
    struct f *f = *state;
    struct swki_watch *watch =
        swki_store_watch(f->store, SWKI_FEED_COMMITTED, UINT32_MAX, 100);
    struct swki_tx *tx = begin(f);

    assert_int_equal(swki_tx_create(tx, config_new("1", "a"), NULL), 0);
    commit(f, tx);
    assert_int_equal(swki_store_in_flight(f->store), 1);
    swki_store_lose_leadership(f->store);
    assert_int_equal(f->fates[SWKI_FATE_UNKNOWN], 1);
    assert_null(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CONFIG, "1"));
    /* The next leader has the entry and commits it. */
    storelog_commit_all(&f->log, f->store);
    assert_non_null(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CONFIG, "1"));
    expect(watch, SWKI_CHANGE_CREATE);
    expect(watch, SWKI_CHANGE_COMMIT);
    assert_null(swki_watch_next(watch));
    assert_int_equal(f->fates[SWKI_FATE_COMMITTED], 0);
    swki_watch_free(watch);
}

static void an_entry_that_does_not_apply_is_fatal(void **state)
{
    struct f *f = *state;
    static const uint8_t garbage[] = {0xff, 0xff};

    assert_int_equal(
        swki_store_apply(f->store, 1, garbage, sizeof(garbage), NULL),
        SWK_EMALFORMED);
    assert_int_equal(swki_store_apply(f->store, 2, NULL, 0, NULL),
                     SWK_EMALFORMED);
}

/* One that takes far more memory than bytes: of two bytes for each platform. */
static struct swki_object *sparse_service_new(const char *id)
{
    enum {
        PLATFORMS = 10000,
    };
    static Swkpb__Platform platform = SWKPB__PLATFORM__INIT;
    struct swki_object *o = swki_object_new(NULL, SWKI_KIND_SERVICE);
    struct swki_arena *arena = swki_object_arena(o);
    Swkpb__Service *service = swki_service_edit(o);
    Swkpb__ServiceSpec *spec = swki_arena_calloc(arena, 1, sizeof(*spec));
    Swkpb__Annotations *names = swki_arena_calloc(arena, 1, sizeof(*names));
    Swkpb__TaskSpec *task = swki_arena_calloc(arena, 1, sizeof(*task));
    Swkpb__Placement *placement =
        swki_arena_calloc(arena, 1, sizeof(*placement));

    swkpb__service_spec__init(spec);
    swkpb__annotations__init(names);
    swkpb__task_spec__init(task);
    swkpb__placement__init(placement);
    placement->platforms =
        swki_arena_calloc(arena, PLATFORMS, sizeof(placement->platforms[0]));
    placement->n_platforms = PLATFORMS;
    for (size_t i = 0; i < PLATFORMS; i++) {
        placement->platforms[i] = &platform;
    }
    names->name = swki_arena_strdup(arena, id);
    task->placement = placement;
    spec->annotations = names;
    spec->task = task;
    service->id = swki_arena_strdup(arena, id);
    service->spec = spec;
    return o;
}

/* Everybody must take what is committed, however large it is in memory. */
static void what_is_sparse_is_taken_from_entries_and_snapshots(void **state)
{
    struct f *f = *state;
    const struct swki_store_config config = {0};
    struct swki_store *others[2];
    struct swki_tx *tx = begin(f);
    struct swki_buf snapshot;

    assert_int_equal(swki_tx_create(tx, sparse_service_new("s1"), NULL), 0);
    assert_int_equal(swki_tx_create(tx, sparse_service_new("s2"), NULL), 0);
    commit(f, tx);
    storelog_commit_all(&f->log, f->store);
    swki_buf_init(&snapshot, NULL, SIZE_MAX);
    assert_int_equal(
        swki_view_save(swki_store_committed(f->store), &snapshot, NULL), 0);
    assert_int_equal(swki_store_new(&config, &others[0], NULL), 0);
    assert_int_equal(swki_store_new(&config, &others[1], NULL), 0);
    assert_int_equal(swki_store_apply(others[0], 1, f->log.entries[1].data,
                                      f->log.entries[1].len, NULL),
                     0);
    assert_int_equal(
        swki_store_restore(others[1], 1, snapshot.data, snapshot.len, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_non_null(swki_view_get(swki_store_committed(others[i]),
                                      SWKI_KIND_SERVICE, "s2"));
        swki_store_free(others[i]);
    }
    swki_buf_fini(&snapshot);
}

static void restore_refuses_other_versions(void **state)
{
    struct f *f = *state;
    static const uint8_t version_7[] = {0x08, 0x07};

    assert_int_equal(swki_store_restore(f->store, 5, version_7,
                                        sizeof(version_7), &f->err),
                     SWK_ENOTSUP);
    assert_string_equal(f->err.text, "unrecognized snapshot version 7");
}

static void policy_names_the_actor_and_the_field(void **state)
{
    struct f *f = *state;
    struct swki_tx *tx =
        swki_store_begin(f->store, SWKI_ACTOR_DISPATCHER, 1);

    assert_int_equal(swki_tx_create(tx, config_new("1", "a"), &f->err),
                     SWK_EDENIED);
    assert_string_equal(f->err.text, "dispatcher may not create a config");
    swki_tx_abort(tx);
    assert_int_equal(swki_store_denials(f->store), 1);
    seed_config(f, "1", "a");
    tx = swki_store_begin(f->store, SWKI_ACTOR_SCHEDULER, 1);
    assert_int_equal(
        swki_tx_update(tx, config_renamed(swki_tx_view(tx), "1", "b"),
                       &f->err),
        SWK_EDENIED);
    assert_string_equal(f->err.text, "scheduler may not change config.spec");
    swki_tx_abort(tx);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(create_refuses_a_taken_id_and_a_name_in_any_case),
        TEST(update_needs_the_stored_version),
        TEST(meta_has_the_entry_and_both_times),
        TEST(a_rename_frees_the_name_at_once),
        TEST(or_finds_each_object_once),
        TEST(a_batch_splits_and_undoes_a_failing_step),
        TEST(a_batch_stops_for_good_when_a_commit_fails),
        TEST(an_entry_too_large_changes_nothing),
        TEST(text_that_is_no_text_changes_nothing),
        TEST(a_batch_commits_when_a_step_brings_it_over_its_size),
        TEST(a_batch_commits_before_a_step_that_does_not_fit),
        TEST(a_step_moved_to_the_next_entry_keeps_all_its_writes),
        TEST(events_come_in_order_and_end_with_a_commit),
        TEST(a_follower_refuses_writes_but_not_empty_transactions),
        TEST(lost_leadership_leaves_the_outcome_unknown),
        TEST(an_entry_that_does_not_apply_is_fatal),
        TEST(what_is_sparse_is_taken_from_entries_and_snapshots),
        TEST(restore_refuses_other_versions),
        TEST(policy_names_the_actor_and_the_field),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
