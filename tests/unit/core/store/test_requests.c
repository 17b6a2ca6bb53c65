/* SPDX-License-Identifier: Apache-2.0 */

/* Requests of users, as all managers remember that they were carried out. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/storelog.h"

struct f {
    struct storelog log;
    struct swki_store *store;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    struct swki_store_config config = {0};

    assert_non_null(f);
    f->log.leads = true;
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

static struct swki_object *config_of(const char *id, size_t size)
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
    config->spec->annotations->name = swki_arena_strdup(arena, id);
    config->spec->data.data = swki_arena_calloc(arena, 1, size);
    config->spec->data.len = size;
    return o;
}

/* Creates a config for a request; it is not committed yet. */
static void propose(struct f *f, const char *key, const char *id)
{
    struct swki_tx *tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);

    assert_int_equal(swki_tx_create(tx, config_of(id, 0), NULL), 0);
    assert_int_equal(swki_tx_set_request(tx, key, id, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
}

static bool known(const struct swki_store *store, const char *key)
{
    struct swki_done_request done;

    return swki_store_find_request(store, key, &done);
}

static void a_request_is_known_once_it_is_committed(void **state)
{
    struct f *f = *state;
    struct swki_done_request done;

    propose(f, "/Create r1", "c1");
    assert_false(known(f->store, "/Create r1"));
    storelog_commit_all(&f->log, f->store);
    assert_true(swki_store_find_request(f->store, "/Create r1", &done));
    assert_int_equal(done.index, 1);
    assert_string_equal(done.object_id, "c1");
    assert_false(known(f->store, "/Create r2"));
}

static void a_follower_knows_it_too(void **state)
{
    struct f *f = *state;
    const struct swki_store_config config = {0};
    struct swki_done_request done;
    struct swki_store *follower;

    propose(f, "/Create r1", "c1");
    propose(f, "/Create r2", "c2");
    assert_int_equal(swki_store_new(&config, &follower, NULL), 0);
    for (uint64_t i = 1; i <= f->log.last; i++) {
        assert_int_equal(swki_store_apply(follower, i, f->log.entries[i].data,
                                          f->log.entries[i].len, NULL),
                         0);
    }
    assert_true(swki_store_find_request(follower, "/Create r2", &done));
    assert_int_equal(done.index, 2);
    assert_string_equal(done.object_id, "c2");
    swki_store_free(follower);
}

static void what_was_lost_is_not_known(void **state)
{
    struct f *f = *state;

    propose(f, "/Create r1", "c1");
    swki_store_lose_leadership(f->store);
    assert_false(known(f->store, "/Create r1"));
}

static void a_write_that_is_undone_takes_its_request_along(void **state)
{
    struct f *f = *state;
    struct swki_tx *tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);
    size_t before;

    assert_int_equal(swki_tx_create(tx, config_of("c0", 0), NULL), 0);
    before = swki_tx_savepoint(tx);
    assert_int_equal(swki_tx_create(tx, config_of("c1", 0), NULL), 0);
    assert_int_equal(swki_tx_set_request(tx, "/Create r1", "c1", NULL), 0);
    swki_tx_rollback(tx, before);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    storelog_commit_all(&f->log, f->store);
    assert_false(known(f->store, "/Create r1"));
}

struct batch_step {
    const char *id;
    bool last;
};

/* A third of what an entry holds. */
static int create_big(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    const struct batch_step *step = ctx;
    int rc = swki_tx_create(tx, config_of(step->id, 600000), err);

    return rc == 0 && step->last
               ? swki_tx_set_request(tx, "/Remove r1", step->id, err)
               : rc;
}

static void a_step_that_moves_to_the_next_entry_keeps_its_request(void **state)
{
    const struct batch_step steps[] = {
        {"c1", false}, {"c2", false}, {"c3", true}};
    struct f *f = *state;
    struct swki_done_request done;
    struct swki_batch batch;

    swki_batch_init(&batch, f->store, SWKI_ACTOR_CONTROL, 1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(swki_batch_step(&batch, create_big,
                                         (void *)(uintptr_t)&steps[i], NULL),
                         0);
    }
    assert_int_equal(swki_batch_end(&batch, NULL), 0);
    storelog_commit_all(&f->log, f->store);
    assert_true(swki_store_find_request(f->store, "/Remove r1", &done));
    assert_int_equal(done.index, f->log.last);
    assert_true(f->log.last > 1);
}

static void the_latest_are_remembered(void **state)
{
    struct f *f = *state;
    char key[32];

    for (int i = 0; i <= SWKI_STORE_REQUESTS_MAX; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        propose(f, key, key);
        storelog_commit_all(&f->log, f->store);
    }
    assert_false(known(f->store, "k0"));
    assert_true(known(f->store, "k1"));
    assert_true(known(f->store, key));
}

static void a_text_that_is_too_long_is_refused(void **state)
{
    struct f *f = *state;
    struct swki_tx *tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);
    char key[SWKI_STORE_REQUEST_KEY_MAX + 2];

    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    assert_int_equal(swki_tx_set_request(tx, key, "c1", NULL), SWK_EINVAL);
    assert_int_equal(swki_tx_set_request(tx, key + 1, "c1", NULL), 0);
    swki_tx_abort(tx);
}

/* -- Snapshots ------------------------------------------------------------ */

static void save(const struct f *f, struct swki_buf *buf)
{
    swki_buf_init(buf, NULL, SIZE_MAX);
    assert_int_equal(swki_store_save_requests(f->store, buf, NULL), 0);
    assert_int_equal(
        swki_view_save(swki_store_committed(f->store), buf, NULL), 0);
}

static void a_snapshot_keeps_them_and_their_order(void **state)
{
    struct f *f = *state;
    const struct swki_store_config config = {0};
    struct swki_store *other;
    struct swki_done_request done;
    struct swki_buf buf;
    struct swki_buf again;

    propose(f, "/Create r1", "c1");
    propose(f, "/Create r2", "c2");
    storelog_commit_all(&f->log, f->store);
    save(f, &buf);
    assert_int_equal(swki_store_new(&config, &other, NULL), 0);
    assert_int_equal(swki_store_restore(other, 2, buf.data, buf.len, NULL), 0);
    assert_true(swki_store_find_request(other, "/Create r1", &done));
    assert_int_equal(done.index, 1);
    assert_string_equal(done.object_id, "c1");

    swki_buf_init(&again, NULL, SIZE_MAX);
    assert_int_equal(swki_store_save_requests(other, &again, NULL), 0);
    assert_in_range(again.len, 1, buf.len);
    assert_memory_equal(again.data, buf.data, again.len);
    swki_buf_fini(&again);
    swki_buf_fini(&buf);
    swki_store_free(other);
}

static void a_snapshot_takes_the_place_of_what_was_known(void **state)
{
    struct f *f = *state;
    struct swki_buf buf;

    save(f, &buf);
    propose(f, "/Create r1", "c1");
    storelog_commit_all(&f->log, f->store);
    assert_int_equal(swki_store_restore(f->store, 2, buf.data, buf.len, NULL),
                     0);
    assert_false(known(f->store, "/Create r1"));
    swki_buf_fini(&buf);
}

static void a_damaged_snapshot_leaves_what_was_known(void **state)
{
    struct f *f = *state;
    struct swki_buf buf;

    propose(f, "/Create r1", "c1");
    storelog_commit_all(&f->log, f->store);
    save(f, &buf);
    for (size_t len = 1; len < buf.len; len++) {
        (void)swki_store_restore(f->store, 1, buf.data, len, NULL);
        assert_true(known(f->store, "/Create r1") ||
                    swki_view_get(swki_store_committed(f->store),
                                  SWKI_KIND_CONFIG, "c1") == NULL);
    }
    swki_buf_fini(&buf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_known_once_it_is_committed),
        TEST(a_follower_knows_it_too),
        TEST(what_was_lost_is_not_known),
        TEST(a_write_that_is_undone_takes_its_request_along),
        TEST(a_step_that_moves_to_the_next_entry_keeps_its_request),
        TEST(the_latest_are_remembered),
        TEST(a_text_that_is_too_long_is_refused),
        TEST(a_snapshot_keeps_them_and_their_order),
        TEST(a_snapshot_takes_the_place_of_what_was_known),
        TEST(a_damaged_snapshot_leaves_what_was_known),
    };

    return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
