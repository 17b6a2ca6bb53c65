/* SPDX-License-Identifier: Apache-2.0 */

/* The keys of a log: the rules of their changes, as tables, and their headers
 * in the key file. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "core/autolock/data_keys.h"

struct f {
    struct swki_rng rng;
    struct swk_entropy entropy;
    bool no_entropy;
    struct swki_data_keys keys;
    struct swki_buf headers;
};

static int fill(void *ctx, void *out_data, size_t len)
{
    struct f *f = ctx;

    if (f->no_entropy) {
        return SWK_EIO;
    }
    swki_rng_fill(&f->rng, out_data, len);
    return 0;
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    swki_rng_init(&f->rng, 3);
    f->entropy = (struct swk_entropy){
        .size = sizeof(f->entropy), .ctx = f, .fill = fill};
    swki_buf_init(&f->headers, NULL, SWKI_DATA_KEYS_HEADERS_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_buf_fini(&f->headers);
    free(f);
    return 0;
}

/* -- Rules ---------------------------------------------------------------- */

/* Keys as a letter each: 0 is none. */
struct plain {
    char current;
    char pending;
    bool needs_rotation;
    char lock;
    uint64_t version;
};

static struct swki_data_keys make(const struct plain *plain)
{
    struct swki_data_keys keys = {
        .has_current = plain->current != 0,
        .has_pending = plain->pending != 0,
        .needs_rotation = plain->needs_rotation,
        .is_locked = plain->lock != 0,
        .lock_version = plain->version,
    };

    memset(keys.current, plain->current, sizeof(keys.current));
    memset(keys.pending, plain->pending, sizeof(keys.pending));
    memset(&keys.unlock_key, plain->lock, sizeof(keys.unlock_key));
    return keys;
}

static void assert_same(const char *why, const struct swki_data_keys *keys,
                        const struct plain *plain)
{
    const struct swki_data_keys expected = make(plain);

    if (keys->has_current != expected.has_current ||
        keys->has_pending != expected.has_pending ||
        keys->needs_rotation != expected.needs_rotation ||
        keys->is_locked != expected.is_locked ||
        keys->lock_version != expected.lock_version ||
        memcmp(keys->current, expected.current, SWKI_DATA_KEY_SIZE) != 0 ||
        memcmp(keys->pending, expected.pending, SWKI_DATA_KEY_SIZE) != 0 ||
        memcmp(&keys->unlock_key, &expected.unlock_key,
               SWK_UNLOCK_KEY_SIZE) != 0) {
        fail_msg("%s: other keys than expected", why);
    }
}

static void a_lock_follows_the_swarm(void **state)
{
    static const struct {
        const char *why;
        struct plain before;
        char lock;
        uint64_t version;
        int rc;
        struct plain after;
    } cases[] = {
        {"same version, same key", {'c', 0, false, 'k', 5}, 'k', 5, 0, {0}},
        {"same version, another key",
         {'c', 0, false, 'k', 5},
         'x',
         5,
         SWK_ECORRUPT,
         {0}},
        {"same version, no key any more",
         {'c', 0, false, 'k', 5},
         0,
         5,
         SWK_ECORRUPT,
         {0}},
        {"same version, a key at last",
         {'c', 0, false, 0, 5},
         'x',
         5,
         SWK_ECORRUPT,
         {0}},
        {"older", {'c', 0, false, 'k', 5}, 'x', 4, 0, {0}},
        {"older, unlocked", {'c', 0, false, 'k', 5}, 0, 4, 0, {0}},
        {"newer, same key", {'c', 0, false, 'k', 5}, 'k', 6, 0, {0}},
        {"newer, unlocked as before", {'c', 0, false, 0, 0}, 0, 6, 0, {0}},
        {"unlocked to locked",
         {'c', 0, false, 0, 0},
         'k',
         6,
         1,
         {'c', 0, true, 'k', 6}},
        {"unlocked to locked during a rotation",
         {'c', 'p', false, 0, 2},
         'k',
         6,
         1,
         {'c', 'p', true, 'k', 6}},
        {"another key",
         {'c', 0, false, 'k', 5},
         'x',
         6,
         1,
         {'c', 0, false, 'x', 6}},
        {"another key while a rotation is wanted",
         {'c', 0, true, 'k', 5},
         'x',
         6,
         1,
         {'c', 0, true, 'x', 6}},
        {"locked to unlocked",
         {'c', 'p', false, 'k', 5},
         0,
         6,
         1,
         {'c', 'p', false, 0, 6}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct swki_data_keys before = make(&cases[i].before);
        struct swki_data_keys next = {.lock_version = 77};
        struct swk_unlock_key lock;
        int rc;

        memset(&lock, cases[i].lock, sizeof(lock));
        rc = swki_data_keys_lock(&before, cases[i].lock != 0 ? &lock : NULL,
                                 cases[i].version, &next, NULL);
        if (rc != cases[i].rc) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
        if (rc == 1) {
            assert_same(cases[i].why, &next, &cases[i].after);
        } else {
            assert_int_equal(next.lock_version, 77); /* untouched */
        }
    }
}

static void a_rotation_has_one_pending_key(void **state)
{
    struct f *f = *state;
    struct swki_data_keys next;

    static const struct {
        const char *why;
        struct plain before;
        int rc;
    } cases[] = {
        {"not wanted", {'c', 0, false, 0, 0}, 0},
        {"wanted", {'c', 0, true, 0, 0}, 1},
        {"under way", {'c', 'p', false, 0, 0}, 0},
        {"under way and wanted again", {'c', 'p', true, 0, 0}, 0},
        {"nothing to rotate", {0, 0, true, 0, 0}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct swki_data_keys before = make(&cases[i].before);
        int rc = swki_data_keys_prepare(&before, &f->entropy, &next, NULL);

        if (rc != cases[i].rc) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
        if (rc == 1) {
            assert_true(next.has_pending);
            assert_false(next.needs_rotation);
            assert_memory_equal(next.current, before.current,
                                SWKI_DATA_KEY_SIZE);
            assert_memory_not_equal(next.pending, before.current,
                                    SWKI_DATA_KEY_SIZE);
        }
    }
}

static void a_finished_rotation_keeps_the_wish_for_another(void **state)
{
    static const struct plain none = {'c', 0, true, 'k', 3};
    static const struct plain before = {'c', 'p', true, 'k', 3};
    static const struct plain after = {'p', 0, true, 'k', 3};
    struct swki_data_keys keys = make(&before);
    struct swki_data_keys next;

    (void)state;
    assert_int_equal(swki_data_keys_finish(&keys, &next), 1);
    assert_same("finished", &next, &after);
    keys = make(&none);
    assert_int_equal(swki_data_keys_finish(&keys, &next), 0);
}

static void a_first_key_is_made_once(void **state)
{
    struct f *f = *state;
    struct swki_data_keys next;

    assert_int_equal(swki_data_keys_begin(&f->keys, &f->entropy, &next, NULL),
                     1);
    assert_true(next.has_current);
    assert_false(swki_data_keys_need_rotation(&next));
    f->keys = next;
    assert_int_equal(swki_data_keys_begin(&f->keys, &f->entropy, &next, NULL),
                     0);
}

static void without_entropy_nothing_changes(void **state)
{
    struct f *f = *state;
    struct swki_data_keys next = {.lock_version = 77};

    f->no_entropy = true;
    assert_int_equal(swki_data_keys_begin(&f->keys, &f->entropy, &next, NULL),
                     SWK_EIO);
    f->keys.has_current = true;
    f->keys.needs_rotation = true;
    assert_int_equal(
        swki_data_keys_prepare(&f->keys, &f->entropy, &next, NULL), SWK_EIO);
    assert_int_equal(next.lock_version, 77);
}

static void without_a_log_the_lock_stays_alone(void **state)
{
    static const struct plain locked = {'c', 'p', true, 'k', 3};
    static const struct plain open = {'c', 0, false, 0, 3};
    static const struct plain lock = {0, 0, false, 'k', 3};
    static const struct plain none = {0, 0, false, 0, 3};
    struct swki_data_keys keys = make(&locked);
    struct swki_data_keys next;

    (void)state;
    assert_int_equal(swki_data_keys_forget(&keys, &next), 1);
    assert_same("locked", &next, &lock);
    assert_int_equal(swki_data_keys_forget(&next, &next), 0);
    keys = make(&open);
    assert_int_equal(swki_data_keys_forget(&keys, &next), 1);
    assert_same("open", &next, &none);
}

static void a_demoted_node_keeps_nothing(void **state)
{
    static const struct plain before = {'c', 'p', true, 'k', 3};
    static const struct plain none = {0};
    struct swki_data_keys keys = make(&before);
    struct swki_data_keys next;

    (void)state;
    assert_int_equal(swki_data_keys_clear(&keys, &next), 1);
    assert_same("cleared", &next, &none);
    assert_int_equal(swki_data_keys_clear(&next, &next), 0);
}

/* -- Headers -------------------------------------------------------------- */

static int read_text(const char *text, const struct swk_unlock_key *lock,
                     struct swki_data_keys *out_keys)
{
    struct swk_error err = {0};
    int rc = swki_data_keys_read(text, strlen(text), lock, out_keys, &err);

    assert_int_equal(err.code, rc);
    return rc;
}

static const char *written(struct f *f, const struct plain *plain)
{
    const struct swki_data_keys keys = make(plain);

    swki_buf_clear(&f->headers);
    assert_int_equal(swki_data_keys_write(&keys, &f->entropy, &f->headers,
                                          NULL),
                     0);
    assert_true(swki_buf_append(&f->headers, "", 1));
    return (const char *)f->headers.data;
}

static void headers_hold_what_was_written(void **state)
{
    static const struct plain cases[] = {
        {0, 0, false, 0, 0},     {'c', 0, false, 0, 0},
        {'c', 'p', true, 0, 7},  {'c', 0, true, 'k', 1},
        {'c', 'p', false, 'k', UINT64_MAX}, {0, 0, false, 'k', 4},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = written(f, &cases[i]);
        struct swki_data_keys keys;
        struct swk_unlock_key lock;

        memset(&lock, cases[i].lock, sizeof(lock));
        assert_int_equal(
            read_text(text, cases[i].lock != 0 ? &lock : NULL, &keys), 0);
        assert_same(text, &keys, &cases[i]);
    }
}

static void the_form_is_that_of_other_swarms(void **state)
{
    static const struct plain plain = {'c', 'p', true, 0, 12};
    struct f *f = *state;
    const char *text = written(f, &plain);

    /* A record with algorithm 0, whose field is left out, and 32 bytes. */
    assert_string_equal(
        text, "kek-version: 12\n"
              "raft-dek: EiBjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjYw==\n"
              "raft-dek-pending: "
              "EiBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcA==\n"
              "raft-dek-needs-rotation: true\n");
}

static void locked_headers_show_no_key(void **state)
{
    static const struct plain plain = {'c', 'p', false, 'k', 12};
    struct f *f = *state;

    assert_null(strstr(written(f, &plain), "Y2NjY2Nj"));
    assert_null(strstr((const char *)f->headers.data, "cHBwcHBw"));
}

static void locked_headers_open_with_their_key_alone(void **state)
{
    static const struct plain plain = {'c', 'p', false, 'k', 12};
    struct f *f = *state;
    const char *text = written(f, &plain);
    struct swki_data_keys keys = {.lock_version = 77};
    struct swk_unlock_key wrong = {{'x'}};

    assert_int_equal(read_text(text, &wrong, &keys), SWK_EDENIED);
    assert_int_equal(read_text(text, NULL, &keys), SWK_EDENIED);
    assert_int_equal(keys.lock_version, 77);
}

/* Somebody with the disk puts the pending key in the place of the current. */
static void a_key_does_not_pass_for_another(void **state)
{
    static const struct plain plain = {'c', 'p', false, 'k', 12};
    struct f *f = *state;
    const struct swki_data_keys keys = make(&plain);
    char *text = strdup(written(f, &plain));
    char *pending = strstr(text, "raft-dek-pending");
    struct swki_data_keys read;
    char swapped[512];

    snprintf(swapped, sizeof(swapped), "raft-dek%s",
             pending + strlen("raft-dek-pending"));
    assert_int_equal(read_text(swapped, &keys.unlock_key, &read), SWK_EDENIED);
    free(text);
}

static void bad_headers_are_refused(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        int rc;
        bool locked;
    } cases[] = {
        {"nothing", "", 0, false},
        {"foreign headers", "Proc-Type: 4,X\nanything: goes\n", 0, false},
        {"carriage returns", "kek-version: 3\r\n", 0, false},
        {"no colon", "raft-dek\n", SWK_ECORRUPT, false},
        {"pending without current",
         "raft-dek-pending: EiBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcA==\n",
         SWK_ECORRUPT, false},
        {"no base 64", "raft-dek: ***=\n", SWK_ECORRUPT, false},
        {"no message", "raft-dek: ////\n", SWK_ECORRUPT, false},
        {"empty", "raft-dek: \n", SWK_ECORRUPT, false},
        {"31 bytes",
         "raft-dek: Eh9jY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj\n",
         SWK_ECORRUPT, false},
        {"in clear in a locked file",
         "raft-dek: EiBjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjYw==\n",
         SWK_ECORRUPT, true},
        {"secretbox", "raft-dek: CAESBGFiY2Q=\n", SWK_ENOTSUP, false},
        {"version is a word", "kek-version: new\n", SWK_ECORRUPT, false},
        {"version is negative", "kek-version: -1\n", SWK_ECORRUPT, false},
        {"version is empty", "kek-version:\n", SWK_ECORRUPT, false},
        {"version is too large", "kek-version: 18446744073709551616\n",
         SWK_ECORRUPT, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_unlock_key lock = {{'k'}};
        struct swki_data_keys keys;
        int rc = read_text(cases[i].text, cases[i].locked ? &lock : NULL,
                           &keys);

        if (rc != cases[i].rc) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
}

static void a_damaged_seal_never_opens(void **state)
{
    static const struct plain plain = {'c', 0, false, 'k', 1};
    struct f *f = *state;
    const struct swki_data_keys good = make(&plain);
    char *text = strdup(written(f, &plain));
    size_t start = (size_t)(strstr(text, "raft-dek: ") - text) + 10;

    for (size_t i = start; text[i] != '\n'; i++) {
        struct swki_data_keys keys;
        char old = text[i];

        text[i] = old == 'A' ? 'B' : 'A';
        assert_int_not_equal(read_text(text, &good.unlock_key, &keys), 0);
        text[i] = old;
    }
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lock_follows_the_swarm),
        TEST(a_rotation_has_one_pending_key),
        TEST(a_finished_rotation_keeps_the_wish_for_another),
        TEST(a_first_key_is_made_once),
        TEST(without_entropy_nothing_changes),
        TEST(without_a_log_the_lock_stays_alone),
        TEST(a_demoted_node_keeps_nothing),
        TEST(headers_hold_what_was_written),
        TEST(the_form_is_that_of_other_swarms),
        TEST(locked_headers_show_no_key),
        TEST(locked_headers_open_with_their_key_alone),
        TEST(a_key_does_not_pass_for_another),
        TEST(bad_headers_are_refused),
        TEST(a_damaged_seal_never_opens),
    };

    return cmocka_run_group_tests_name("data_keys", tests, NULL, NULL);
}
