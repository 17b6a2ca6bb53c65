/* SPDX-License-Identifier: Apache-2.0 */

/* The transport over nng: bytes, order of events, closing, clear errors. */

#include "lib/cmocka_all.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/nng_transport.h>

#include "base/buf.h"

enum {
    WAIT_SECONDS = 10,
    BIG = 4 << 20,
    CROWD = 200,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* One end of a stream, and what has been reported of it. */
struct end {
    const struct swk_transport *t;
    swk_stream *stream;
    struct swki_buf got;
    unsigned sent;
    unsigned failed;
    unsigned after_failed;
    int code;
    char text[SWK_ERROR_TEXT_SIZE];
    bool dialed;
    bool paused;
    unsigned while_paused;
};

struct f {
    swk_nng_transport *transport;
    const struct swk_transport *t;
    swk_listener *listener;
    swk_stream *accepted[CROWD];
    unsigned accepted_count;
    char dir[64];
    char address[128];
};

static void on_accepted(void *ctx, swk_stream *stream)
{
    struct f *f = ctx;

    pthread_mutex_lock(&lock);
    f->accepted[f->accepted_count++] = stream;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_received(void *ctx, const void *data, size_t len)
{
    struct end *end = ctx;

    pthread_mutex_lock(&lock);
    end->after_failed += end->failed;
    end->while_paused += end->paused;
    swki_buf_append(&end->got, data, len);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_sent(void *ctx)
{
    struct end *end = ctx;

    pthread_mutex_lock(&lock);
    end->after_failed += end->failed;
    end->sent++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_failed(void *ctx, const struct swk_error *err)
{
    struct end *end = ctx;

    pthread_mutex_lock(&lock);
    end->failed++;
    end->code = err->code;
    memcpy(end->text, err->text, sizeof(end->text));
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_dialed(void *ctx, swk_stream *stream,
                      const struct swk_error *err)
{
    struct end *end = ctx;

    pthread_mutex_lock(&lock);
    end->dialed = true;
    end->stream = stream;
    if (err != NULL) {
        end->code = err->code;
        memcpy(end->text, err->text, sizeof(end->text));
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Waits until *value, which is changed under the lock, reaches least. */
static void wait_for(const unsigned *value, unsigned least)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&lock);
    while (*value < least) {
        if (pthread_cond_timedwait(&changed, &lock, &until) != 0) {
            pthread_mutex_unlock(&lock);
            fail_msg("waited in vain for %u to become %u", *value, least);
        }
    }
    pthread_mutex_unlock(&lock);
}

static void wait_bytes(struct end *end, size_t least)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&lock);
    while (end->got.len < least) {
        if (pthread_cond_timedwait(&changed, &lock, &until) != 0) {
            pthread_mutex_unlock(&lock);
            fail_msg("waited in vain for %zu bytes", least);
        }
    }
    pthread_mutex_unlock(&lock);
}

static void wait_dialed(struct end *end)
{
    pthread_mutex_lock(&lock);
    while (!end->dialed) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

static void end_init(struct f *f, struct end *end)
{
    *end = (struct end){.t = f->t};
    swki_buf_init(&end->got, NULL, SIZE_MAX);
}

static void end_start(struct end *end, swk_stream *stream)
{
    static const struct swk_stream_events events = {
        .size = sizeof(events),
        .received = on_received,
        .sent = on_sent,
        .failed = on_failed,
    };

    end->stream = stream;
    end->t->start(end->t->ctx, stream, &events, end);
}

static void end_fini(struct end *end)
{
    if (end->stream != NULL) {
        end->t->free(end->t->ctx, end->stream);
    }
    assert_int_equal(end->after_failed, 0);
    swki_buf_fini(&end->got);
}

static void set_up(struct f *f)
{
    memset(f, 0, sizeof(*f));
    assert_int_equal(
        swk_nng_transport_new(NULL, NULL, &f->transport, NULL), 0);
    f->t = swk_nng_transport_port(f->transport);
    strcpy(f->dir, "/tmp/swk-nng-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
}

static void listen_tcp(struct f *f)
{
    assert_int_equal(f->t->listen(f->t->ctx, "tcp://127.0.0.1:0", on_accepted,
                                  f, &f->listener, NULL),
                     0);
    snprintf(f->address, sizeof(f->address), "tcp://127.0.0.1:%d",
             f->t->listener_port(f->t->ctx, f->listener));
}

static void listen_local(struct f *f)
{
    snprintf(f->address, sizeof(f->address), "ipc://%s/s", f->dir);
    assert_int_equal(f->t->listen(f->t->ctx, f->address, on_accepted, f,
                                  &f->listener, NULL),
                     0);
}

static void tear_down(struct f *f)
{
    char command[96];

    f->t->listener_close(f->t->ctx, f->listener);
    swk_nng_transport_free(f->transport);
    snprintf(command, sizeof(command), "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
}

/* A pair of started ends: a dialed, b accepted. */
static void connect_pair(struct f *f, struct end *a, struct end *b)
{
    unsigned before = f->accepted_count;

    end_init(f, a);
    end_init(f, b);
    assert_int_equal(f->t->dial(f->t->ctx, f->address, 5 * SWK_SECOND,
                                on_dialed, a, NULL),
                     0);
    wait_dialed(a);
    assert_non_null(a->stream);
    wait_for(&f->accepted_count, before + 1);
    end_start(a, a->stream);
    end_start(b, f->accepted[before]);
}

static void bytes_pass_both_ways_over_tcp_and_local_sockets(void **state)
{
    void (*const kinds[])(struct f *) = {listen_tcp, listen_local};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct f f;
        struct end a;
        struct end b;
        struct swk_stream_peer peer;

        set_up(&f);
        kinds[i](&f);
        connect_pair(&f, &a, &b);
        f.t->send(f.t->ctx, a.stream, "ping", 4);
        wait_bytes(&b, 4);
        f.t->send(f.t->ctx, b.stream, "pong!", 5);
        wait_bytes(&a, 5);
        wait_for(&a.sent, 1);
        assert_memory_equal(b.got.data, "ping", 4);
        assert_memory_equal(a.got.data, "pong!", 5);
        f.t->peer(f.t->ctx, b.stream, &peer);
        assert_int_equal(peer.uid, i == 0 ? -1 : (int64_t)getuid());
        assert_int_equal(peer.pid, i == 0 ? -1 : (int64_t)getpid());
        assert_int_equal(strncmp(peer.address, "127.0.0.1:", 10) == 0, i == 0);
        end_fini(&a);
        end_fini(&b);
        tear_down(&f);
    }
}

static void a_long_send_arrives_whole(void **state)
{
    struct f f;
    struct end a;
    struct end b;
    uint8_t *big = malloc(BIG);

    (void)state;
    assert_non_null(big);
    for (size_t i = 0; i < BIG; i++) {
        big[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    set_up(&f);
    listen_tcp(&f);
    connect_pair(&f, &a, &b);
    f.t->send(f.t->ctx, a.stream, big, BIG);
    wait_for(&a.sent, 1);
    wait_bytes(&b, BIG);
    assert_memory_equal(b.got.data, big, BIG);
    end_fini(&a);
    end_fini(&b);
    tear_down(&f);
    free(big);
}

static void a_paused_stream_holds_bytes_back(void **state)
{
    struct f f;
    struct end a;
    struct end b;

    (void)state;
    set_up(&f);
    listen_tcp(&f);
    connect_pair(&f, &a, &b);
    for (int i = 0; i < 50; i++) {
        pthread_mutex_lock(&lock);
        b.paused = true;
        pthread_mutex_unlock(&lock);
        f.t->pause(f.t->ctx, b.stream, 1);
        f.t->send(f.t->ctx, a.stream, "x", 1);
        wait_for(&a.sent, (unsigned)i + 1);
        pthread_mutex_lock(&lock);
        b.paused = false;
        pthread_mutex_unlock(&lock);
        f.t->pause(f.t->ctx, b.stream, 0);
        wait_bytes(&b, (size_t)i + 1);
    }
    assert_int_equal(b.while_paused, 0);
    end_fini(&a);
    end_fini(&b);
    tear_down(&f);
}

static void the_end_of_the_peer_is_told_once(void **state)
{
    struct f f;
    struct end a;
    struct end b;

    (void)state;
    set_up(&f);
    listen_tcp(&f);
    connect_pair(&f, &a, &b);
    end_fini(&a);
    wait_for(&b.failed, 1);
    f.t->close(f.t->ctx, b.stream);
    f.t->send(f.t->ctx, b.stream, "late", 4);
    end_fini(&b);
    assert_int_equal(b.failed, 1);
    assert_int_equal(b.code, SWK_EIO);
    tear_down(&f);
}

static void closing_tells_the_failure_in_every_state(void **state)
{
    static const struct {
        const char *why;
        bool paused;
        bool before_start;
    } cases[] = {
        {"receiving", false, false},
        {"paused", true, false},
        {"not started", false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct f f;
        struct end a;

        set_up(&f);
        listen_tcp(&f);
        end_init(&f, &a);
        assert_int_equal(f.t->dial(f.t->ctx, f.address, SWK_NEVER, on_dialed,
                                   &a, NULL),
                         0);
        wait_dialed(&a);
        wait_for(&f.accepted_count, 1);
        if (cases[i].before_start) {
            f.t->close(f.t->ctx, a.stream);
        }
        if (cases[i].paused) {
            f.t->pause(f.t->ctx, a.stream, 1);
        }
        end_start(&a, a.stream);
        f.t->close(f.t->ctx, a.stream);
        wait_for(&a.failed, 1);
        f.t->free(f.t->ctx, f.accepted[0]);
        end_fini(&a);
        assert_int_equal(a.failed, 1);
        tear_down(&f);
    }
}

static void a_port_in_use_is_named(void **state)
{
    struct f f;
    struct swk_error err = {0};
    swk_listener *second = NULL;

    (void)state;
    set_up(&f);
    listen_tcp(&f);
    assert_int_equal(f.t->listen(f.t->ctx, f.address, on_accepted, &f, &second,
                                 &err),
                     SWK_EBUSY);
    assert_non_null(strstr(err.text, f.address));
    assert_non_null(strstr(err.text, "address in use"));
    assert_null(second);
    tear_down(&f);
}

static void a_local_socket_is_private_and_taken_over_only_when_dead(void **state)
{
    struct f f;
    struct stat st;
    struct swk_error err = {0};
    swk_listener *second = NULL;
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    set_up(&f);
    /* A socket file that a dead process left behind. */
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", f.dir);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    close(fd);
    listen_local(&f);
    assert_int_equal(stat(sun.sun_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(f.t->listen(f.t->ctx, f.address, on_accepted, &f, &second,
                                 &err),
                     SWK_EBUSY);
    assert_non_null(strstr(err.text, "address in use"));
    /* nng has connected, to see whether somebody answers. */
    f.t->listener_close(f.t->ctx, f.listener);
    f.listener = NULL;
    for (unsigned i = 0; i < f.accepted_count; i++) {
        f.t->free(f.t->ctx, f.accepted[i]);
    }
    tear_down(&f);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    struct f f;
    struct swk_error err = {0};
    char path[96];
    FILE *file;

    (void)state;
    set_up(&f);
    snprintf(path, sizeof(path), "%s/s", f.dir);
    file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    snprintf(f.address, sizeof(f.address), "ipc://%s", path);
    assert_int_equal(f.t->listen(f.t->ctx, f.address, on_accepted, &f,
                                 &f.listener, &err),
                     SWK_EEXIST);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(chmod(f.dir, 0777), 0);
    assert_int_equal(f.t->listen(f.t->ctx, f.address, on_accepted, &f,
                                 &f.listener, &err),
                     SWK_EDENIED);
    tear_down(&f);
}

static void dial_says_what_is_wrong(void **state)
{
    static const struct {
        const char *address;
        int code;
        const char *text;
    } cases[] = {
        {"udp://127.0.0.1:1", SWK_EINVAL, "expected tcp://"},
        {"tcp://127.0.0.1", SWK_EINVAL, "HOST:PORT"},
        {"tcp://127.0.0.1:99999", SWK_EINVAL, "HOST:PORT"},
        {"ipc:///tmp/swk-no/such/socket", SWK_ENOTFOUND, "no such file"},
        {"ipc:///etc/passwd", SWK_EINVAL, "no socket"},
    };
    struct f f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_error err = {0};
        int rc = f.t->dial(f.t->ctx, cases[i].address, SWK_SECOND, on_dialed,
                           NULL, &err);

        assert_int_equal(rc, cases[i].code);
        assert_non_null(strstr(err.text, cases[i].text));
    }
    tear_down(&f);
}

static void dial_reports_refusal_and_unknown_hosts(void **state)
{
    static const struct {
        const char *address; /* NULL: a port that was just closed */
        int code;
        const char *text;
    } cases[] = {
        {NULL, SWK_EUNAVAILABLE, "connection refused"},
        {"tcp://no-such-host.invalid:1", SWK_ENOTFOUND, "no such host"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct f f;
        struct end a;

        set_up(&f);
        listen_tcp(&f);
        f.t->listener_close(f.t->ctx, f.listener);
        f.listener = NULL;
        end_init(&f, &a);
        assert_int_equal(
            f.t->dial(f.t->ctx, cases[i].address ? cases[i].address : f.address,
                      5 * SWK_SECOND, on_dialed, &a, NULL),
            0);
        wait_dialed(&a);
        assert_null(a.stream);
        assert_int_equal(a.code, cases[i].code);
        assert_non_null(strstr(a.text, cases[i].text));
        end_fini(&a);
        tear_down(&f);
    }
}

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

static void a_crowd_connects_at_once_and_leaves_no_descriptor(void **state)
{
    static struct end ends[CROWD];
    struct f f;
    unsigned before;

    (void)state;
    set_up(&f);
    listen_tcp(&f);
    before = open_descriptors();
    for (size_t i = 0; i < CROWD; i++) {
        end_init(&f, &ends[i]);
        assert_int_equal(f.t->dial(f.t->ctx, f.address, 10 * SWK_SECOND,
                                   on_dialed, &ends[i], NULL),
                         0);
    }
    for (size_t i = 0; i < CROWD; i++) {
        wait_dialed(&ends[i]);
        assert_non_null(ends[i].stream);
    }
    wait_for(&f.accepted_count, CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        end_fini(&ends[i]);
        f.t->free(f.t->ctx, f.accepted[i]);
    }
    /* nng closes descriptors in a thread of its own, a little later. */
    for (int i = 0; i < 500 && open_descriptors() > before; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_true(open_descriptors() <= before);
    tear_down(&f);
}

static void accepting_goes_on_after_descriptors_ran_out(void **state)
{
    struct f f;
    struct end a;
    struct rlimit before;
    struct rlimit tight;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un sun = {.sun_family = AF_UNIX};

    (void)state;
    set_up(&f);
    listen_local(&f);
    end_init(&f, &a);
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", f.dir);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = 3; /* no new descriptor fits */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    pthread_mutex_lock(&lock);
    assert_int_equal(f.accepted_count, 0);
    pthread_mutex_unlock(&lock);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    wait_for(&f.accepted_count, 1);
    end_start(&a, f.accepted[0]);
    assert_int_equal(write(fd, "hi", 2), 2);
    wait_bytes(&a, 2);
    close(fd);
    end_fini(&a);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_both_ways_over_tcp_and_local_sockets),
        cmocka_unit_test(a_long_send_arrives_whole),
        cmocka_unit_test(a_paused_stream_holds_bytes_back),
        cmocka_unit_test(the_end_of_the_peer_is_told_once),
        cmocka_unit_test(closing_tells_the_failure_in_every_state),
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(
            a_local_socket_is_private_and_taken_over_only_when_dead),
        cmocka_unit_test(what_is_no_socket_is_left_alone),
        cmocka_unit_test(dial_says_what_is_wrong),
        cmocka_unit_test(dial_reports_refusal_and_unknown_hosts),
        cmocka_unit_test(a_crowd_connects_at_once_and_leaves_no_descriptor),
        cmocka_unit_test(accepting_goes_on_after_descriptors_ran_out),
    };

    return cmocka_run_group_tests_name("nng_transport", tests, NULL, NULL);
}
