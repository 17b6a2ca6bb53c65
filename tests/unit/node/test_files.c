/* SPDX-License-Identifier: Apache-2.0 */

/* What an agent keeps over its restarts: its tasks, and the managers it knows;
 * and the directory for all of it, with a manager's log. */

#include "lib/cmocka_all.h"

#include "directory.h"
#include "lib/heap.h"
#include "node/host/managing.h"
#include "node/identity/remotes.h"
#include "node/identity/state_dir.h"
#include "node/agent/task_files.h"

static int set_up(void **state)
{
    struct directory *dir = calloc(1, sizeof(*dir));

    directory_init(dir);
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    directory_fini(*state);
    free(*state);
    return 0;
}

/* -- Tasks ---------------------------------------------------------------- */

/* What was found: how often, and of what length in all. */
struct found {
    size_t count;
    size_t bytes;
    int rc; /* of the next calls */
};

static int take(void *ctx, const void *data, size_t len)
{
    struct found *found = ctx;

    assert_true(len == 0 || data != NULL);
    found->count++;
    found->bytes += len;
    return found->rc;
}

static int load(struct directory *dir, struct found *found)
{
    found->count = 0;
    found->bytes = 0;
    return swki_task_files_load(dir->path, NULL, take, found, NULL);
}

static void tasks_come_back_until_they_are_removed(void **state)
{
    struct directory *dir = *state;
    struct found found = {0};

    assert_int_equal(swki_task_files_create(dir->path, NULL), 0);
    assert_int_equal(swki_task_files_create(dir->path, NULL), 0);
    assert_int_equal(load(dir, &found), 0);
    assert_int_equal(found.count, 0);
    assert_int_equal(swki_task_files_put(dir->path, "t1", "12345", 5, NULL),
                     0);
    assert_int_equal(swki_task_files_put(dir->path, "t2", "1", 1, NULL), 0);
    assert_int_equal(swki_task_files_put(dir->path, "t1", "123", 3, NULL), 0);
    assert_int_equal(load(dir, &found), 0);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.bytes, 4);
    assert_int_equal(directory_mode(dir, "worker/tasks/t1"), 0600);
    swki_task_files_remove(dir->path, "t1");
    swki_task_files_remove(dir->path, "t1");
    assert_int_equal(load(dir, &found), 0);
    assert_int_equal(found.count, 1);
}

static void ids_that_are_no_plain_names_touch_no_file(void **state)
{
    static const char *const ids[] = {
        "", ".", "..", "../escaped", "a/b", "/etc/passwd", "a.new", "a b",
        "a\nb", "\xc3\xa4", "*", "~",
        "0123456789012345678901234567890123456789012345678901234567890123456"};
    struct directory *dir = *state;
    struct found found = {0};

    assert_int_equal(swki_task_files_create(dir->path, NULL), 0);
    directory_put(dir, "worker", "escaped", "x", 1);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        assert_int_equal(swki_task_files_put(dir->path, ids[i], "x", 1, NULL),
                         SWK_EINVAL);
        swki_task_files_remove(dir->path, ids[i]);
    }
    assert_true(directory_has(dir, "worker/escaped"));
    assert_int_equal(load(dir, &found), 0);
    assert_int_equal(found.count, 0);
}

static void what_is_refused_or_unfinished_is_removed(void **state)
{
    struct directory *dir = *state;
    struct found found = {.rc = SWK_EMALFORMED};

    assert_int_equal(swki_task_files_create(dir->path, NULL), 0);
    directory_put(dir, "worker/tasks", "t1.new", "half", 4);
    directory_put(dir, "worker/tasks", "t2", "damaged", 7);
    assert_int_equal(load(dir, &found), 0);
    assert_int_equal(found.count, 1);
    assert_false(directory_has(dir, "worker/tasks/t1.new"));
    assert_false(directory_has(dir, "worker/tasks/t2"));
}

static void want_of_memory_removes_no_task(void **state)
{
    struct directory *dir = *state;
    struct found found = {.rc = SWK_ENOMEM};
    struct heap heap;

    assert_int_equal(swki_task_files_create(dir->path, NULL), 0);
    assert_int_equal(swki_task_files_put(dir->path, "t1", "1", 1, NULL), 0);
    assert_int_equal(load(dir, &found), SWK_ENOMEM);
    heap_init(&heap);
    heap_fail_at(&heap, 1);
    found.rc = 0;
    assert_int_equal(
        swki_task_files_load(dir->path, &heap.alloc, take, &found, NULL),
        SWK_ENOMEM);
    assert_true(directory_has(dir, "worker/tasks/t1"));
}

static void without_its_directory_nothing_is_loaded(void **state)
{
    struct found found = {0};

    assert_int_equal(load(*state, &found), SWK_EIO);
    assert_int_equal(
        swki_task_files_put(((struct directory *)*state)->path, "t1", "1", 1,
                            NULL),
        SWK_EIO);
}

/* -- Managers ------------------------------------------------------------- */

static void only_hosts_with_ports_are_managers(void **state)
{
    static const struct {
        const char *address;
        const char *node_id;
        int rc;
    } cases[] = {
        {"192.0.2.1:4242", "", 0},
        {"[2001:db8::1]:4242", "n1", 0},
        {"[fe80::1%eth0]:1", "n1", 0},
        {"a-host_.example:65535", "n1", 0},
        {"host", "", SWK_EINVAL},
        {"host:", "", SWK_EINVAL},
        {":4242", "", SWK_EINVAL},
        {"host:0", "", SWK_EINVAL},
        {"host:65536", "", SWK_EINVAL},
        {"host:-1", "", SWK_EINVAL},
        {"host:1x", "", SWK_EINVAL},
        {"ho st:1", "", SWK_EINVAL},
        {"host\n:1", "", SWK_EINVAL},
        {"tcp://host:1", "", SWK_EINVAL},
        {"", "", SWK_EINVAL},
        {"[::", "", SWK_EINVAL},
        {"[::1:1", "", SWK_EINVAL},
        {"::1]:1", "", SWK_EINVAL},
        {"[::1]x:1", "", SWK_EINVAL},
        {"[[::1]]:1", "", SWK_EINVAL},
        {"other:1", "a b", SWK_EINVAL},
        {"other:1", "a\nb:1", SWK_EINVAL},
    };
    struct swki_remotes remotes = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = swki_remotes_add(&remotes, cases[i].node_id,
                                  cases[i].address, NULL);

        if (rc != cases[i].rc) {
            fail_msg("%s: %d", cases[i].address, rc);
        }
    }
    assert_int_equal(remotes.count, 4);
}

static void managers_take_turns(void **state)
{
    struct swki_remotes remotes = {0};

    (void)state;
    assert_null(swki_remotes_pick(&remotes));
    assert_int_equal(swki_remotes_add(&remotes, "", "a:1", NULL), 0);
    assert_int_equal(swki_remotes_add(&remotes, "", "b:1", NULL), 0);
    assert_int_equal(swki_remotes_add(&remotes, "", "a:1", NULL), 0);
    assert_string_equal(swki_remotes_pick(&remotes)->address, "a:1");
    assert_string_equal(swki_remotes_pick(&remotes)->address, "b:1");
    assert_string_equal(swki_remotes_pick(&remotes)->address, "a:1");
}

/* As the agent asks: who is to be connected to at that time? */
static const char *due(struct swki_remotes *remotes, swk_time now)
{
    const struct swki_remote *remote = swki_remotes_pick_due(remotes, now);

    return remote != NULL ? remote->address : "nobody";
}

static void a_manager_that_shuts_the_node_out_alone_is_left_out(void **state)
{
    const swk_time now = SWK_HOUR;
    const swk_time later = now + SWKI_REMOTES_SHUT_OUT_PAUSE;
    struct swki_remotes remotes = {0};

    (void)state;
    swki_remotes_shut_out(&remotes, "a:1", now); /* nobody knows it */
    assert_int_equal(swki_remotes_due(&remotes), 0);
    swki_remotes_add(&remotes, "", "a:1", NULL);
    swki_remotes_add(&remotes, "", "b:1", NULL);
    swki_remotes_add(&remotes, "", "c:1", NULL);
    swki_remotes_shut_out(&remotes, "b:1", now);
    assert_int_equal(swki_remotes_due(&remotes), 0);
    assert_string_equal(due(&remotes, now), "a:1");
    assert_string_equal(due(&remotes, now), "c:1");
    assert_string_equal(due(&remotes, now), "a:1");
    /* Once in a while it may have come to its senses. */
    assert_string_equal(due(&remotes, later), "b:1");
    assert_string_equal(due(&remotes, later), "c:1");
    assert_string_equal(due(&remotes, later), "a:1");
    assert_string_equal(due(&remotes, later), "c:1");
    swki_remotes_let_in(&remotes, "b:1");
    assert_string_equal(due(&remotes, later), "a:1");
    assert_string_equal(due(&remotes, later), "b:1");
}

static void a_node_waits_if_all_managers_shut_it_out(void **state)
{
    const swk_time now = SWK_HOUR;
    const swk_time later = now + SWKI_REMOTES_SHUT_OUT_PAUSE;
    struct swki_remotes remotes = {0};

    (void)state;
    swki_remotes_add(&remotes, "", "a:1", NULL);
    swki_remotes_add(&remotes, "", "b:1", NULL);
    swki_remotes_shut_out(&remotes, "b:1", now);
    swki_remotes_shut_out(&remotes, "a:1", now + SWK_MINUTE);
    assert_string_equal(due(&remotes, now + SWK_MINUTE), "nobody");
    assert_int_equal(swki_remotes_due(&remotes), later);
    assert_string_equal(due(&remotes, later), "b:1");
    assert_string_equal(due(&remotes, later), "nobody");
    assert_int_equal(swki_remotes_due(&remotes), later + SWK_MINUTE);
    assert_int_equal(swki_remotes_tally(&remotes, "m1").shut_out, 2);
    swki_remotes_let_in(&remotes, NULL);
    assert_string_equal(due(&remotes, now), "a:1");
}

static const char *asked(struct swki_remotes *remotes)
{
    const struct swki_remote *remote = swki_remotes_pick_other(remotes, "m1");

    return remote != NULL ? remote->address : "nobody";
}

static void whoever_has_said_least_is_asked_first(void **state)
{
    struct swki_remotes remotes = {0};

    (void)state;
    swki_remotes_add(&remotes, "m1", "a:1", NULL);
    assert_string_equal(asked(&remotes), "nobody"); /* it is the node itself */
    swki_remotes_add(&remotes, "m2", "b:1", NULL);
    swki_remotes_add(&remotes, "m3", "c:1", NULL);
    swki_remotes_add(&remotes, "m4", "d:1", NULL);
    swki_remotes_shut_out(&remotes, "b:1", SWK_HOUR);
    assert_string_equal(asked(&remotes), "c:1");
    assert_string_equal(asked(&remotes), "d:1");
    assert_string_equal(asked(&remotes), "c:1");
    swki_remotes_silent(&remotes, "c:1");
    assert_string_equal(asked(&remotes), "d:1");
    assert_string_equal(asked(&remotes), "d:1");
    swki_remotes_shut_out(&remotes, "d:1", SWK_HOUR);
    assert_string_equal(asked(&remotes), "c:1");
    assert_string_equal(asked(&remotes), "c:1");
    swki_remotes_shut_out(&remotes, "c:1", SWK_HOUR);
    assert_string_equal(asked(&remotes), "d:1");
    assert_string_equal(asked(&remotes), "b:1");
}

static void what_managers_say_is_counted_without_the_node_itself(void **state)
{
    struct swki_remotes remotes = {0};
    struct swki_remotes_tally tally;

    (void)state;
    swki_remotes_add(&remotes, "m1", "a:1", NULL);
    swki_remotes_add(&remotes, "m2", "b:1", NULL);
    swki_remotes_add(&remotes, "", "c:1", NULL);
    swki_remotes_add(&remotes, "", "d:1", NULL);
    swki_remotes_shut_out(&remotes, "b:1", SWK_HOUR);
    swki_remotes_silent(&remotes, "b:1"); /* it has said so, though */
    swki_remotes_silent(&remotes, "c:1");
    tally = swki_remotes_tally(&remotes, "m1");
    assert_int_equal(tally.shut_out, 1);
    assert_int_equal(tally.silent, 1);
    assert_int_equal(tally.open, 1);
    assert_string_equal(due(&remotes, SWK_HOUR), "a:1");
    assert_string_equal(due(&remotes, SWK_HOUR), "c:1"); /* it may be back */
    swki_remotes_let_in(&remotes, NULL);
    tally = swki_remotes_tally(&remotes, "m1");
    assert_int_equal(tally.open, 3);
}

static void managers_are_limited_and_all_of_them_saved(void **state)
{
    struct directory *dir = *state;
    struct swki_remotes saved = {0};
    struct swki_remotes loaded = {0};
    char address[SWKI_REMOTE_ADDRESS_SIZE];

    for (int i = 0; i < SWKI_REMOTES_MAX; i++) {
        snprintf(address, sizeof(address), "%0250d:4242", i);
        assert_int_equal(swki_remotes_add(&saved, i % 2 ? "node" : "", address,
                                          NULL),
                         0);
    }
    assert_int_equal(swki_remotes_add(&saved, "", "more:1", NULL), SWK_ELIMIT);
    assert_int_equal(swki_remotes_save(&saved, dir->path, NULL), 0);
    assert_int_equal(swki_remotes_load(&loaded, dir->path, NULL), 0);
    assert_int_equal(loaded.count, SWKI_REMOTES_MAX);
    for (size_t i = 0; i < loaded.count; i++) {
        assert_string_equal(loaded.list[i].address, saved.list[i].address);
        assert_string_equal(loaded.list[i].node_id, saved.list[i].node_id);
    }
}

static void a_damaged_list_of_managers_is_told_from_none(void **state)
{
    struct directory *dir = *state;
    struct swki_remotes remotes = {0};

    assert_int_equal(swki_remotes_load(&remotes, dir->path, NULL),
                     SWK_ENOTFOUND);
    directory_put(dir, ".", "managers", "a:1 node\n\nb:2\n", 14);
    assert_int_equal(swki_remotes_load(&remotes, dir->path, NULL), 0);
    assert_int_equal(remotes.count, 2);
    assert_string_equal(remotes.list[0].node_id, "node");
    swki_remotes_clear(&remotes);
    directory_put(dir, ".", "managers", "a:1\n\x01\x02\n", 7);
    assert_int_equal(swki_remotes_load(&remotes, dir->path, NULL),
                     SWK_ECORRUPT);
}

/* -- The state directory -------------------------------------------------- */

static void a_state_directory_is_made_for_its_owner_alone(void **state)
{
    struct directory *dir = *state;
    char path[128];

    snprintf(path, sizeof(path), "%s/a/b/state", dir->path);
    assert_int_equal(swki_state_dir_create(path, NULL), 0);
    assert_int_equal(swki_state_dir_create(path, NULL), 0);
    assert_int_equal(directory_mode(dir, "a/b/state"), 0700);
}

static void a_state_directory_that_cannot_be_is_an_error(void **state)
{
    struct directory *dir = *state;
    char path[128];
    char *endless = malloc(8192);

    directory_put(dir, ".", "file", "x", 1);
    snprintf(path, sizeof(path), "%s/file/state", dir->path);
    assert_int_equal(swki_state_dir_create(path, NULL), SWK_EIO);
    assert_int_equal(swki_state_dir_create("", NULL), SWK_EINVAL);
    memset(endless, 'x', 8191);
    endless[8191] = '\0';
    assert_int_equal(swki_state_dir_create(endless, NULL), SWK_EINVAL);
    free(endless);
}

static void a_state_directory_is_one_owners_at_a_time(void **state)
{
    struct directory *dir = *state;
    struct swk_error err = {0};
    int other = 77;
    int fd;

    assert_int_equal(swki_state_dir_lock(dir->path, &fd, NULL), 0);
    assert_int_equal(swki_state_dir_lock(dir->path, &other, &err), SWK_EBUSY);
    assert_non_null(strstr(err.text, dir->path));
    assert_int_equal(other, 77);
    swki_state_dir_unlock(fd);
    assert_int_equal(swki_state_dir_lock(dir->path, &fd, NULL), 0);
    swki_state_dir_unlock(fd);
    assert_int_equal(swki_state_dir_lock("/nowhere", &fd, NULL), SWK_EIO);
    swki_state_dir_unlock(-1);
}

/* -- A log that is not needed any more ------------------------------------- */

/* Even if not all of it can be removed: a part is no log to start with. */
static void a_log_that_goes_goes_in_one_step(void **state)
{
    struct directory *dir = *state;

    assert_int_equal(swki_managing_clear(dir->path, NULL), 0); /* none */
    directory_put(dir, "raft", "log-0000000000000001", "1", 1);
    directory_put(dir, "raft", "log-0000000000000002", "2", 1);
    directory_put(dir, "raft/held", "back", "3", 1);
    assert_int_not_equal(swki_managing_clear(dir->path, NULL), 0);
    assert_false(directory_has(dir, "raft"));
}

static void what_is_left_of_a_log_goes_too(void **state)
{
    struct directory *dir = *state;

    directory_put(dir, "raft.removed", "snapshot.tmp", "1", 1);
    assert_int_equal(swki_managing_clear(dir->path, NULL), 0);
    assert_false(directory_has(dir, "raft.removed"));
    directory_put(dir, "raft.removed", "snapshot.tmp", "1", 1);
    directory_put(dir, "raft", "log-0000000000000001", "2", 1);
    assert_int_equal(swki_managing_clear(dir->path, NULL), 0);
    assert_false(directory_has(dir, "raft"));
    assert_false(directory_has(dir, "raft.removed"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tasks_come_back_until_they_are_removed),
        TEST(ids_that_are_no_plain_names_touch_no_file),
        TEST(what_is_refused_or_unfinished_is_removed),
        TEST(want_of_memory_removes_no_task),
        TEST(without_its_directory_nothing_is_loaded),
        TEST(only_hosts_with_ports_are_managers),
        TEST(managers_take_turns),
        TEST(a_manager_that_shuts_the_node_out_alone_is_left_out),
        TEST(a_node_waits_if_all_managers_shut_it_out),
        TEST(whoever_has_said_least_is_asked_first),
        TEST(what_managers_say_is_counted_without_the_node_itself),
        TEST(managers_are_limited_and_all_of_them_saved),
        TEST(a_damaged_list_of_managers_is_told_from_none),
        TEST(a_state_directory_is_made_for_its_owner_alone),
        TEST(a_state_directory_that_cannot_be_is_an_error),
        TEST(a_state_directory_is_one_owners_at_a_time),
        TEST(a_log_that_goes_goes_in_one_step),
        TEST(what_is_left_of_a_log_goes_too),
    };

    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
