/* SPDX-License-Identifier: Apache-2.0 */

/* Tasks whose image is a directory: their root, their mounts, their users. */

#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct f {
    struct node node;
    char image[128];
    struct task t;
    /* of a thread of the test's */
    atomic_bool stop;
    char real[256];
    char link[256];
};

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void copy_probe(const char *path)
{
    static char data[1 << 22];
    FILE *in = fopen(PROBE_PATH, "r");
    FILE *out = fopen(path, "w");
    size_t n;

    assert_non_null(in);
    assert_non_null(out);
    n = fread(data, 1, sizeof(data), in);
    assert_in_range(n, 1, sizeof(data) - 1);
    assert_int_equal(fwrite(data, 1, n, out), n);
    fclose(in);
    fclose(out);
    assert_int_equal(chmod(path, 0755), 0);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    node_start(&f->node);
    snprintf(f->image, sizeof(f->image), "%s", in_dir(&f->node, "image"));
    mkdir(f->image, 0755);
    mkdir(in_dir(&f->node, "image/etc"), 0755);
    copy_probe(in_dir(&f->node, "image/probe"));
    write_text(in_dir(&f->node, "image/etc/passwd"),
               "root:x:0:0::/root:/bin/sh\nweb:x:77:78::/srv:/bin/sh\n");
    write_text(in_dir(&f->node, "image/etc/group"),
               "root:x:0:\nweb:x:78:\nlogs:x:79:other,web\n");
    write_text(in_dir(&f->node, "image/etc/mark"), "of the image\n");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    node_remove(&f->node);
    free(f);
    return 0;
}

/* A task that runs the probe with these words. */
static void init(struct f *f, const char *a, const char *b, const char *c,
                 const char *d, const char *e)
{
    const char *words[] = {"/probe", a, b, c, d, e};

    task_init(&f->t, &f->node, "t1", "");
    f->t.container.image = f->image;
    f->t.container.n_command = 0;
    for (int i = 0; i < 6 && words[i] != NULL; i++) {
        f->t.args[i] = (char *)words[i];
        f->t.container.n_command++;
    }
}

static const char *output(struct f *f)
{
    task_run(&f->t);
    if (task_do(&f->t, SWK_OPERATION_WAIT) != SWK_OUTCOME_DONE) {
        fail_msg("%s", f->t.result.text);
    }
    task_close(&f->t);
    return task_output(&f->t, 0);
}

static void the_image_is_the_root(void **state)
{
    struct f *f = *state;

    init(f, "ls", "/", "cat", "/etc/mark", "pwd");
    assert_string_equal(output(f),
                        "dev etc probe proc tmp \nof the image\n/\n");
}

static void changes_are_not_written_to_the_image(void **state)
{
    struct f *f = *state;

    init(f, "write", "/etc/mark", "cat", "/etc/mark", NULL);
    assert_string_equal(output(f), "/etc/mark: written\nwritten\n");
    assert_string_equal(wait_file(in_dir(&f->node, "image/etc/mark")),
                        "of the image\n");
    assert_int_not_equal(access(in_dir(&f->node, "image/tmp"), F_OK), 0);
    assert_int_equal(task_new(&f->t, NULL), 0);
    assert_int_equal(task_do(&f->t, SWK_OPERATION_REMOVE), SWK_OUTCOME_DONE);
    task_close(&f->t);
}

static void a_read_only_root_cannot_be_written(void **state)
{
    struct f *f = *state;

    init(f, "write", "/etc/mark", "write", "/tmp/x", NULL);
    f->t.container.read_only = 1;
    assert_string_equal(output(f),
                        "/etc/mark: Read-only file system\n/tmp/x: written\n");
}

static void devices_and_proc_are_there(void **state)
{
    struct f *f = *state;

    init(f, "ls", "/dev", "write", "/dev/null", "hostname");
    f->t.container.hostname = (char *)"inside";
    assert_string_equal(output(f),
                        "fd full null random shm stderr stdin stdout tty "
                        "urandom zero \n/dev/null: written\ninside\n");
}

static void users_are_those_of_the_image(void **state)
{
    struct f *f = *state;

    init(f, "id", NULL, NULL, NULL, NULL);
    f->t.container.user = (char *)"web";
    assert_string_equal(output(f), "uid=77 gid=78 groups=79 home=/srv\n");

    init(f, "id", "status", "CapEff", "write", "/etc/mark");
    f->t.message.id = (char *)"t2";
    f->t.container.user = (char *)"web:logs";
    assert_string_equal(output(f), "uid=77 gid=79 groups= home=/srv\n"
                                   "CapEff:\t0000000000000000\n"
                                   "/etc/mark: Permission denied\n");
}

static void bind_and_tmpfs_mounts_appear(void **state)
{
    struct f *f = *state;
    Swkpb__Mount mounts[3];
    Swkpb__Mount *list[3] = {&mounts[0], &mounts[1], &mounts[2]};
    Swkpb__Mount__TmpfsOptions options = SWKPB__MOUNT__TMPFS_OPTIONS__INIT;
    const char *text;

    for (int i = 0; i < 3; i++) {
        swkpb__mount__init(&mounts[i]);
    }
    mkdir(in_dir(&f->node, "shared"), 0755);
    write_text(in_dir(&f->node, "shared/file"), "shared\n");
    mounts[0].source = strdup(in_dir(&f->node, "shared"));
    mounts[0].target = (char *)"/mnt/deep/rw";
    mounts[1].source = strdup(in_dir(&f->node, "shared/file"));
    mounts[1].target = (char *)"/etc/one";
    mounts[1].readonly = 1;
    mounts[2].type = SWKPB__MOUNT__TYPE__TMPFS;
    mounts[2].target = (char *)"/scratch";
    mounts[2].tmpfs_options = &options;
    options.size_bytes = 1 << 20;
    options.mode = 0700;

    init(f, "write", "/etc/one", "write", "/mnt/deep/rw/new", NULL);
    f->t.container.mounts = list;
    f->t.container.n_mounts = 3;
    assert_string_equal(output(f), "/etc/one: Read-only file system\n"
                                   "/mnt/deep/rw/new: written\n");
    assert_string_equal(wait_file(in_dir(&f->node, "shared/new")), "written\n");

    init(f, "cat", "/proc/self/mounts", NULL, NULL, NULL);
    f->t.message.id = (char *)"t2";
    f->t.container.mounts = list;
    f->t.container.n_mounts = 3;
    text = output(f);
    assert_non_null(
        strstr(text, "tmpfs /scratch tmpfs rw,nosuid,nodev,noexec"));
    assert_non_null(strstr(text, "size=1024k,mode=700"));
    assert_null(strstr(text, " /tmp/swk")); /* nothing of the old root */
    free(mounts[0].source);
    free(mounts[1].source);
}

static void a_missing_bind_source_is_named(void **state)
{
    struct f *f = *state;
    Swkpb__Mount mount = SWKPB__MOUNT__INIT;
    Swkpb__Mount *list[1] = {&mount};

    mount.source = (char *)"/no/such/source";
    mount.target = (char *)"/mnt";
    init(f, "pwd", NULL, NULL, NULL, NULL);
    f->t.container.mounts = list;
    f->t.container.n_mounts = 1;
    task_open(&f->t);
    assert_int_equal(task_do(&f->t, SWK_OPERATION_START), SWK_OUTCOME_FATAL);
    assert_string_equal(f->t.result.text,
                        "starting task failed: invalid bind mount source, "
                        "source path not found: /no/such/source");
    task_close(&f->t);
}

/* A link in the image must not lead a mount out of it. */
static void mount_targets_stay_inside_the_image(void **state)
{
    struct f *f = *state;
    Swkpb__Mount mount = SWKPB__MOUNT__INIT;
    Swkpb__Mount *list[1] = {&mount};

    assert_int_equal(symlink(f->node.top_dir, in_dir(&f->node, "image/out")),
                     0);
    mount.source = (char *)"/etc";
    mount.target = (char *)"/out/made";
    init(f, "pwd", NULL, NULL, NULL, NULL);
    f->t.container.mounts = list;
    f->t.container.n_mounts = 1;
    task_open(&f->t);
    (void)task_do(&f->t, SWK_OPERATION_START);
    (void)task_do(&f->t, SWK_OPERATION_WAIT);
    assert_int_not_equal(access(in_dir(&f->node, "made"), F_OK), 0);
    task_close(&f->t);
}

/* /proc shows the whole machine to root, by links that are not paths. */
static void mount_targets_do_not_leave_through_proc(void **state)
{
    struct f *f = *state;
    Swkpb__Mount mount = SWKPB__MOUNT__INIT;
    Swkpb__Mount *list[1] = {&mount};
    char outside[256];

    snprintf(outside, sizeof(outside), "/proc/%d/root%s", getpid(),
             f->node.top_dir);
    assert_int_equal(symlink(outside, in_dir(&f->node, "image/out")), 0);
    mount.source = (char *)"/etc";
    mount.target = (char *)"/out/made";
    init(f, "pwd", NULL, NULL, NULL, NULL);
    f->t.container.mounts = list;
    f->t.container.n_mounts = 1;
    task_open(&f->t);
    (void)task_do(&f->t, SWK_OPERATION_START);
    (void)task_do(&f->t, SWK_OPERATION_WAIT);
    assert_int_not_equal(access(in_dir(&f->node, "made"), F_OK), 0);
    task_close(&f->t);
}

static void working_directories_do_not_leave_through_proc(void **state)
{
    struct f *f = *state;
    char dir[64];

    snprintf(dir, sizeof(dir), "/proc/%d/root", getpid());
    init(f, "ls", ".", NULL, NULL, NULL);
    f->t.container.dir = dir;
    task_open(&f->t);
    assert_int_equal(task_do(&f->t, SWK_OPERATION_START), SWK_OUTCOME_FATAL);
    assert_non_null(strstr(f->t.result.text, "container.dir /proc/"));
    task_close(&f->t);
}

/* Starts a task that shows a file of the mounted source; whether it ran. */
static bool shows_file(struct f *f, const char *id, const char *source)
{
    Swkpb__Mount mount = SWKPB__MOUNT__INIT;
    Swkpb__Mount *list[1] = {&mount};
    bool runs;

    mount.source = (char *)(uintptr_t)source;
    mount.target = (char *)"/mnt";
    init(f, "cat", "/mnt/file", NULL, NULL, NULL);
    f->t.message.id = (char *)(uintptr_t)id;
    f->t.container.mounts = list;
    f->t.container.n_mounts = 1;
    task_open(&f->t);
    assert_int_equal(task_do(&f->t, SWK_OPERATION_PREPARE), SWK_OUTCOME_DONE);
    runs = task_do(&f->t, SWK_OPERATION_START) == SWK_OUTCOME_DONE;
    if (runs) {
        assert_int_equal(task_do(&f->t, SWK_OPERATION_WAIT), SWK_OUTCOME_DONE);
    }
    task_close(&f->t);
    return runs;
}

static void make_directories(struct f *f)
{
    mkdir(in_dir(&f->node, "data"), 0755);
    mkdir(in_dir(&f->node, "data/real"), 0755);
    mkdir(in_dir(&f->node, "secret"), 0755);
    write_text(in_dir(&f->node, "data/real/file"), "public\n");
    write_text(in_dir(&f->node, "secret/file"), "secret\n");
    assert_int_equal(
        symlink(in_dir(&f->node, "secret"), in_dir(&f->node, "data/link")), 0);
}

static void links_lead_to_sources_without_a_policy(void **state)
{
    struct f *f = *state;
    char source[256];

    make_directories(f);
    snprintf(source, sizeof(source), "%s", in_dir(&f->node, "data/link"));
    assert_true(shows_file(f, "t1", source));
    assert_string_equal(task_output(&f->t, 0), "secret\n");
}

static void a_policy_on_mounts_takes_no_links_in_sources(void **state)
{
    struct f *f = *state;
    char source[256];
    char says[512];

    make_directories(f);
    f->node.executor.refuse_links(f->node.executor.ctx,
                                  SWK_EXECUTOR_BIND_PATHS);
    snprintf(source, sizeof(source), "%s", in_dir(&f->node, "data/real"));
    assert_true(shows_file(f, "t1", source));
    assert_string_equal(task_output(&f->t, 0), "public\n");

    snprintf(source, sizeof(source), "%s", in_dir(&f->node, "data/link"));
    assert_false(shows_file(f, "t2", source));
    snprintf(says, sizeof(says),
             "starting task failed: bind mount source: %s is a symbolic link, "
             "and this node's policy takes none in a path: name the real path",
             source);
    assert_string_equal(f->t.result.text, says);

    assert_int_equal(symlink("data", in_dir(&f->node, "other")), 0);
    snprintf(source, sizeof(source), "%s", in_dir(&f->node, "other/real"));
    assert_false(shows_file(f, "t3", source)); /* in the middle */
    assert_non_null(strstr(f->t.result.text, "/other is a symbolic link"));
}

/* What a source leads to is changed all the time, as a task could that writes
 * to the directory above. */
static void *exchange_all_the_time(void *arg)
{
    struct f *f = arg;

    while (!atomic_load(&f->stop)) {
        (void)renameat2(AT_FDCWD, f->real, AT_FDCWD, f->link, RENAME_EXCHANGE);
        sched_yield();
    }
    return NULL;
}

static void a_link_put_in_place_meanwhile_leads_nowhere(void **state)
{
    struct f *f = *state;
    pthread_t thread;

    make_directories(f);
    f->node.executor.refuse_links(f->node.executor.ctx,
                                  SWK_EXECUTOR_BIND_PATHS);
    snprintf(f->real, sizeof(f->real), "%s", in_dir(&f->node, "data/real"));
    snprintf(f->link, sizeof(f->link), "%s", in_dir(&f->node, "data/link"));
    assert_int_equal(pthread_create(&thread, NULL, exchange_all_the_time, f),
                     0);
    for (int i = 0; i < 30; i++) {
        char id[16];

        snprintf(id, sizeof(id), "t%d", i);
        if (shows_file(f, id, f->real)) {
            assert_string_equal(task_output(&f->t, 0), "public\n");
        }
    }
    atomic_store(&f->stop, true);
    pthread_join(thread, NULL);
}

static void a_policy_on_images_takes_no_links_to_them(void **state)
{
    struct f *f = *state;

    assert_int_equal(symlink("image", in_dir(&f->node, "alias")), 0);
    snprintf(f->image, sizeof(f->image), "%s", in_dir(&f->node, "alias"));
    init(f, "cat", "/etc/mark", NULL, NULL, NULL);
    assert_string_equal(output(f), "of the image\n");

    f->node.executor.refuse_links(f->node.executor.ctx,
                                  SWK_EXECUTOR_IMAGE_PATHS);
    init(f, "cat", "/etc/mark", NULL, NULL, NULL);
    f->t.message.id = (char *)"t2";
    task_open(&f->t);
    assert_int_equal(task_do(&f->t, SWK_OPERATION_PREPARE), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&f->t, SWK_OPERATION_START), SWK_OUTCOME_FATAL);
    assert_non_null(strstr(f->t.result.text, "/alias is a symbolic link"));
    task_close(&f->t);
}

static void an_image_that_is_no_directory_is_refused_by_prepare(void **state)
{
    struct f *f = *state;

    init(f, "pwd", NULL, NULL, NULL, NULL);
    f->t.container.image = (char *)"/no/such/image";
    task_open(&f->t);
    assert_int_equal(task_do(&f->t, SWK_OPERATION_PREPARE), SWK_OUTCOME_FATAL);
    assert_string_equal(f->t.result.text,
                        "image /no/such/image: No such file or directory");
    task_close(&f->t);

    f->t.message.id = (char *)"t2";
    f->t.container.image = (char *)"/dev/null";
    task_open(&f->t);
    assert_int_equal(task_do(&f->t, SWK_OPERATION_PREPARE), SWK_OUTCOME_FATAL);
    assert_string_equal(f->t.result.text, "image /dev/null: not a directory");
    task_close(&f->t);
}

/* As an old kernel answers, or a filter: for good, of all that is begun by this
 * thread. */
static void refuse_openat2(int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {
        .len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static int set_up_old_kernel(void **state)
{
    refuse_openat2(ENOSYS);
    return set_up(state);
}

static int set_up_filter(void **state)
{
    refuse_openat2(EPERM);
    return set_up(state);
}

static void a_system_without_openat2_is_told_as_the_reason(void **state)
{
    struct f *f = *state;

    init(f, "pwd", NULL, NULL, NULL, NULL);
    task_open(&f->t);
    assert_int_equal(task_do(&f->t, SWK_OPERATION_PREPARE), SWK_OUTCOME_DONE);
    assert_int_equal(task_do(&f->t, SWK_OPERATION_START), SWK_OUTCOME_FATAL);
    assert_non_null(strstr(f->t.result.text, "this node needs openat2()"));
    assert_non_null(strstr(f->t.result.text, "seccomp"));
    assert_null(strstr(f->t.result.text, "irectory"));
    task_close(&f->t);
}

static int count_mounts(void)
{
    FILE *file = fopen("/proc/self/mounts", "r");
    int count = 0;
    int c;

    assert_non_null(file);
    while ((c = fgetc(file)) != EOF) {
        count += c == '\n' ? 1 : 0;
    }
    fclose(file);
    return count;
}

static int count_files(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

static void failed_starts_leave_no_mounts_and_no_files(void **state)
{
    struct f *f = *state;
    int mounts = count_mounts();
    int files = count_files();

    for (int i = 0; i < 20; i++) {
        init(f, "pwd", NULL, NULL, NULL, NULL);
        f->t.args[0] = (char *)"/no/such/program";
        task_open(&f->t);
        assert_int_equal(task_do(&f->t, SWK_OPERATION_START),
                         SWK_OUTCOME_FATAL);
        assert_int_equal(task_do(&f->t, SWK_OPERATION_REMOVE),
                         SWK_OUTCOME_DONE);
        task_close(&f->t);
    }
    assert_int_equal(count_mounts(), mounts);
    assert_int_equal(count_files(), files);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_image_is_the_root),
        TEST(changes_are_not_written_to_the_image),
        TEST(a_read_only_root_cannot_be_written),
        TEST(devices_and_proc_are_there),
        TEST(users_are_those_of_the_image),
        TEST(bind_and_tmpfs_mounts_appear),
        TEST(a_missing_bind_source_is_named),
        TEST(mount_targets_stay_inside_the_image),
        TEST(mount_targets_do_not_leave_through_proc),
        TEST(working_directories_do_not_leave_through_proc),
        TEST(links_lead_to_sources_without_a_policy),
        TEST(a_policy_on_mounts_takes_no_links_in_sources),
        TEST(a_link_put_in_place_meanwhile_leads_nowhere),
        TEST(a_policy_on_images_takes_no_links_to_them),
        TEST(an_image_that_is_no_directory_is_refused_by_prepare),
        TEST(failed_starts_leave_no_mounts_and_no_files),
        /* Nothing can be opened by the tests after these. */
        cmocka_unit_test_setup_teardown(
            a_system_without_openat2_is_told_as_the_reason, set_up_old_kernel,
            tear_down),
        cmocka_unit_test_setup_teardown(
            a_system_without_openat2_is_told_as_the_reason, set_up_filter,
            tear_down),
    };
    struct node node;
    bool directories;

    node_start(&node);
    directories =
        strstr(node_label(&node, "swarmkit.images"), "directory") != NULL;
    node_remove(&node);
    if (PROBE_PATH[0] == '\0' || !directories) {
        return 77; /* meson: skipped */
    }
    return cmocka_run_group_tests_name("exec image", tests, NULL, NULL);
}
