/* SPDX-License-Identifier: Apache-2.0 */

/* Small files: replaced whole, with their mode, and read within a limit. */

#include "lib/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/file/atomic.h"

struct f {
    char dir[64];
    char path[128];
    struct swki_buf buf;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    snprintf(f->dir, sizeof(f->dir), "/tmp/swk-atomic-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/key", f->dir);
    swki_buf_init(&f->buf, NULL, SIZE_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;
    char command[128];

    swki_buf_fini(&f->buf);
    snprintf(command, sizeof(command), "rm -r %s", f->dir);
    free(f);
    return system(command);
}

static void assert_content(struct f *f, const char *text)
{
    swki_buf_clear(&f->buf);
    assert_int_equal(swki_file_read(f->path, 100, &f->buf, NULL), 0);
    assert_int_equal(f->buf.len, strlen(text));
    assert_memory_equal(f->buf.data, text, strlen(text));
}

static void replace_makes_and_replaces(void **state)
{
    struct f *f = *state;
    struct stat st;

    assert_int_equal(swki_file_replace(f->dir, "key", "one", 3, 0600, NULL), 0);
    assert_content(f, "one");
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(swki_file_replace(f->dir, "key", "", 0, 0644, NULL), 0);
    assert_content(f, "");
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
}

static void what_a_crash_left_does_not_matter(void **state)
{
    struct f *f = *state;
    char left[128];
    struct stat st;

    snprintf(left, sizeof(left), "%s/.key.tmp", f->dir);
    int fd = open(left, O_WRONLY | O_CREAT, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "something longer", 16), 16);
    close(fd);
    assert_int_equal(swki_file_replace(f->dir, "key", "new", 3, 0600, NULL), 0);
    assert_content(f, "new");
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_not_equal(stat(left, &st), 0);
}

static void a_link_in_the_place_is_replaced_not_followed(void **state)
{
    struct f *f = *state;
    char target[128];
    struct stat st;

    snprintf(target, sizeof(target), "%s/target", f->dir);
    assert_int_equal(symlink(target, f->path), 0);
    assert_int_equal(swki_file_replace(f->dir, "key", "new", 3, 0600, NULL), 0);
    assert_int_not_equal(stat(target, &st), 0);
    assert_content(f, "new");
}

static void replace_refuses_bad_names_and_places(void **state)
{
    struct f *f = *state;
    char longest[300];
    struct swk_error err;

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(swki_file_replace(f->dir, "", "x", 1, 0600, NULL),
                     SWK_EINVAL);
    assert_int_equal(swki_file_replace(f->dir, "../key", "x", 1, 0600, NULL),
                     SWK_EINVAL);
    assert_int_equal(swki_file_replace(f->dir, longest, "x", 1, 0600, NULL),
                     SWK_EINVAL);
    assert_int_equal(
        swki_file_replace("/nonexistent", "key", "x", 1, 0600, &err), SWK_EIO);
    assert_non_null(strstr(err.text, "/nonexistent"));
}

static void a_failed_replace_keeps_the_old_file(void **state)
{
    struct f *f = *state;
    struct swk_error err;
    char inside[192];
    int entries;

    /* A directory in the file's place: the rename cannot work. */
    assert_int_equal(mkdir(f->path, 0700), 0);
    snprintf(inside, sizeof(inside), "%s/inside", f->path);
    entries = mkdir(inside, 0700);
    assert_int_equal(entries, 0);
    assert_int_equal(swki_file_replace(f->dir, "key", "x", 1, 0600, &err),
                     SWK_EIO);
    assert_non_null(strstr(err.text, f->path));
    snprintf(inside, sizeof(inside), "%s/.key.tmp", f->dir);
    assert_int_not_equal(access(inside, F_OK), 0);
}

static void read_says_why_it_cannot(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    assert_int_equal(swki_file_read(f->path, 100, &f->buf, &err),
                     SWK_ENOTFOUND);
    assert_non_null(strstr(err.text, f->path));
    assert_int_equal(swki_file_read(f->dir, 100, &f->buf, NULL), SWK_EINVAL);
    assert_int_equal(swki_file_replace(f->dir, "key", "12345", 5, 0600, NULL),
                     0);
    assert_int_equal(swki_file_read(f->path, 4, &f->buf, NULL), SWK_ELIMIT);
    assert_int_equal(f->buf.len, 0);
    assert_int_equal(swki_file_read(f->path, 5, &f->buf, NULL), 0);
    assert_int_equal(swki_file_read(f->path, 5, &f->buf, NULL), 0);
    assert_memory_equal(f->buf.data, "1234512345", 10); /* appends */
}

static void a_pipe_in_the_place_does_not_hang(void **state)
{
    struct f *f = *state;

    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(swki_file_read(f->path, 4, &f->buf, NULL), SWK_EINVAL);
}

#define TEST(function)                                                         \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replace_makes_and_replaces),
        TEST(what_a_crash_left_does_not_matter),
        TEST(a_link_in_the_place_is_replaced_not_followed),
        TEST(replace_refuses_bad_names_and_places),
        TEST(a_failed_replace_keeps_the_old_file),
        TEST(read_says_why_it_cannot),
        TEST(a_pipe_in_the_place_does_not_hang),
    };

    return cmocka_run_group_tests_name("atomic", tests, NULL, NULL);
}
