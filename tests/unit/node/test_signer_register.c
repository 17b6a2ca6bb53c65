/* SPDX-License-Identifier: Apache-2.0 */

/* The register of a signer on the disk: what a crash leaves of it. */

#include "lib/cmocka_all.h"

#include <signal.h>
#include <sys/resource.h>

#include <swarmkit/posix.h>

#include "directory.h"
#include "node/signer/signer_register.h"

#define DAY ((swk_wall)(24 * SWK_HOUR))
#define NOW (20000 * DAY)

struct f {
    struct directory dir;
    struct swk_signer_keys *keys;
    struct swki_register nodes;
    struct swki_signer_register file;
    struct swk_error err;
};

static int open_register(struct f *f, size_t nodes_max)
{
    swki_register_init(&f->nodes, NULL, nodes_max, 0);
    return swki_signer_register_open(&f->file, f->keys, &f->nodes, &f->err);
}

static void close_register(struct f *f)
{
    swki_signer_register_close(&f->file);
    swki_register_fini(&f->nodes);
}

static void reopen(struct f *f)
{
    close_register(f);
    if (open_register(f, 100) != 0) {
        fail_msg("%s", f->err.text);
    }
}

static int set_up(void **state)
{
    struct swk_signer_keys_config config = SWK_SIGNER_KEYS_CONFIG_INIT;
    struct f *f = calloc(1, sizeof(*f));

    directory_init(&f->dir);
    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.dir = f->dir.path;
    assert_int_equal(swk_signer_keys_open(&config, &f->keys, NULL), 0);
    assert_int_equal(open_register(f, 100), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    close_register(f);
    swk_signer_keys_free(f->keys);
    directory_fini(&f->dir);
    free(f);
    return 0;
}

static int add(struct f *f, const char *node_id)
{
    struct swki_register_record record = {
        .role = SWKI_ROLE_WORKER, .not_before = NOW, .not_after = NOW + DAY};

    snprintf(record.node_id, sizeof(record.node_id), "%s", node_id);
    return swki_signer_register_add(&f->file, &record, NOW, &f->err);
}

static void keep(struct f *f, const char *node_id)
{
    assert_int_equal(add(f, node_id), 0);
    assert_int_equal(swki_signer_register_sync(&f->file, &f->err), 0);
}

static bool knows(const struct f *f, const char *node_id)
{
    struct swki_register_record found;

    return swki_register_get(&f->nodes, node_id, NOW, &found);
}

static void file_path(const struct f *f, char out_path[256])
{
    snprintf(out_path, 256, "%s/nodes", f->dir.path);
}

static void append(const struct f *f, const char *text)
{
    char path[256];
    FILE *file;

    file_path(f, path);
    file = fopen(path, "ae");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static off_t size_of(const struct f *f)
{
    struct stat st;
    char path[256];

    file_path(f, path);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void what_was_signed_is_known_after_a_restart(void **state)
{
    struct f *f = *state;

    keep(f, "a");
    keep(f, "b");
    assert_int_equal(directory_mode(&f->dir, "nodes"), 0600);
    reopen(f);
    assert_true(knows(f, "a"));
    assert_true(knows(f, "b"));
    assert_int_equal(swki_register_count(&f->nodes), 2);
}

static void a_line_that_a_crash_cut_off_is_left_out(void **state)
{
    static const char *const rests[] = {"c", "c worker 00", "c worker\n",
                                        "\n\n"};
    struct f *f = *state;

    keep(f, "a");
    for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        append(f, rests[i]);
        reopen(f);
        assert_true(knows(f, "a"));
        assert_int_equal(swki_register_count(&f->nodes), 1);
    }
    keep(f, "b");
    reopen(f);
    assert_true(knows(f, "b"));
}

static void damage_in_the_midst_is_told_with_its_line(void **state)
{
    struct f *f = *state;
    char path[256];

    keep(f, "a");
    append(f, "damage\n");
    keep(f, "b");
    close_register(f);
    assert_int_equal(open_register(f, 100), SWK_ECORRUPT);
    file_path(f, path);
    assert_non_null(strstr(f->err.text, "line 2 of "));
    assert_non_null(strstr(f->err.text, path));
}

static void the_file_does_not_grow_without_end(void **state)
{
    struct f *f = *state;
    off_t most;

    keep(f, "a");
    most = size_of(f) * 4200;
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(add(f, "a"), 0);
        if (i % 16 == 0) {
            assert_int_equal(swki_signer_register_sync(&f->file, NULL), 0);
            assert_true(size_of(f) <= most);
        }
    }
    assert_int_equal(swki_signer_register_sync(&f->file, NULL), 0);
    keep(f, "b");
    reopen(f);
    assert_true(knows(f, "a"));
    assert_true(knows(f, "b"));
}

static void what_could_not_be_written_is_told_and_written_later(void **state)
{
    struct f *f = *state;
    struct rlimit before;
    struct rlimit limit;

    keep(f, "a");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)size_of(f) + 20;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(add(f, "b"), 0);
    assert_int_equal(swki_signer_register_sync(&f->file, &f->err), SWK_EIO);
    assert_int_equal(add(f, "c"), 0);
    assert_int_equal(swki_signer_register_sync(&f->file, &f->err), SWK_EIO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    keep(f, "d");
    reopen(f);
    assert_true(knows(f, "a"));
    assert_true(knows(f, "d"));
}

static void who_is_over_the_limit_is_not_remembered(void **state)
{
    struct f *f = *state;

    close_register(f);
    assert_int_equal(open_register(f, 2), 0);
    keep(f, "a");
    keep(f, "b");
    assert_int_equal(add(f, "c"), 1);
    assert_false(knows(f, "c"));
    assert_int_equal(add(f, "b"), 0);
}

static void a_file_that_others_can_read_is_not_used(void **state)
{
    struct f *f = *state;
    char path[256];

    file_path(f, path);
    close_register(f);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(open_register(f, 100), SWK_EDENIED);
    assert_non_null(strstr(f->err.text, path));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_signed_is_known_after_a_restart),
        TEST(a_line_that_a_crash_cut_off_is_left_out),
        TEST(damage_in_the_midst_is_told_with_its_line),
        TEST(the_file_does_not_grow_without_end),
        TEST(what_could_not_be_written_is_told_and_written_later),
        TEST(who_is_over_the_limit_is_not_remembered),
        TEST(a_file_that_others_can_read_is_not_used),
    };

    return cmocka_run_group_tests_name("signer register", tests, NULL, NULL);
}
