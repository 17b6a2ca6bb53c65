/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The write-ahead log beside what the disk can do: appends of 256 bytes a
 * second with 1, 16 and 256 under way, sealed and not, and bare fdatasync a
 * second; and how long it takes to read a million entries back.
 *
 * Prints one line a figure: name, value, unit. The directory to use may be
 * given; it is made and removed.
 */

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/file_storage.h>

enum {
    DATA_LEN = 256,
    RUN_MS = 1000,
    FILE_SIZE = 16 * 1024 * 1024,
    ENTRIES = 1000 * 1000,
    ENTRIES_AT_ONCE = 1000,
};

static const uint8_t seal_key[SWK_FILE_STORAGE_KEY_SIZE] = {1};

struct bench {
    char dir[256];
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t durable;
    int failure;
};

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void done(void *ctx, uint64_t ticket, int code,
                 const struct swk_error *err)
{
    struct bench *b = ctx;

    if (code != 0) {
        fprintf(stderr, "bench_wal: %s\n", err->text);
    }
    pthread_mutex_lock(&b->mutex);
    b->durable = ticket;
    b->failure = code;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->mutex);
}

static int on_entry(void *ctx, const struct swk_log_entry *entry,
                    struct swk_error *err)
{
    (void)ctx;
    (void)entry;
    (void)err;
    return 0;
}

static int on_state(void *ctx, const struct swk_hard_state *state,
                    struct swk_error *err)
{
    (void)ctx;
    (void)state;
    (void)err;
    return 0;
}

/* Waits until fewer than limit appends are under way. */
static void wait_below(struct bench *b, uint64_t ticket, uint64_t limit)
{
    pthread_mutex_lock(&b->mutex);
    while (ticket - b->durable >= limit && b->failure == 0) {
        pthread_cond_wait(&b->changed, &b->mutex);
    }
    pthread_mutex_unlock(&b->mutex);
}

static double run_appends(struct bench *b, struct swk_storage *storage,
                          uint64_t in_flight)
{
    uint8_t data[DATA_LEN] = {1};
    uint64_t ticket = 0;
    double start = seconds();
    double end = start + RUN_MS / 1000.0;

    while (seconds() < end && b->failure == 0) {
        ticket++;
        const struct swk_log_entry entry = {
            .index = ticket, .term = 1, .data = data, .data_len = DATA_LEN};
        struct swk_error err;

        if (storage->append(storage->ctx, NULL, &entry, 1, ticket, &err) != 0) {
            fprintf(stderr, "bench_wal: %s\n", err.text);
            break;
        }
        wait_below(b, ticket, in_flight);
    }
    wait_below(b, ticket, 1);
    return (double)ticket / (seconds() - start);
}

static int open_storage(struct bench *b, const uint8_t *key,
                        struct swk_storage *out_storage)
{
    const struct swk_file_storage_config config = {
        .size = sizeof(config),
        .dir = b->dir,
        .done = done,
        .done_ctx = b,
        .key = key,
    };
    const struct swk_storage_replay replay = {
        .size = sizeof(replay), .hard_state = on_state, .entry = on_entry};
    struct swk_error err;

    b->durable = 0;
    if (swk_file_storage_open(&config, out_storage, &err) != 0 ||
        out_storage->load(out_storage->ctx, &replay, &err) != 0) {
        fprintf(stderr, "bench_wal: %s\n", err.text);
        return 1;
    }
    return 0;
}

static int remove_dir(const struct bench *b)
{
    char command[300];

    snprintf(command, sizeof(command), "rm -r '%s'", b->dir);
    return system(command) != 0;
}

static const char *kind(const uint8_t *key)
{
    return key != NULL ? "sealed_" : "";
}

static int bench_appends(struct bench *b, const uint8_t *key,
                         uint64_t in_flight)
{
    struct swk_storage storage;

    if (open_storage(b, key, &storage) != 0) {
        return 1;
    }
    double rate = run_appends(b, &storage, in_flight);
    storage.close(storage.ctx);
    if (remove_dir(b) != 0) {
        return 1;
    }
    printf("wal_%sappends_in_flight_%llu %.0f appends/s\n", kind(key),
           (unsigned long long)in_flight, rate);
    return b->failure != 0;
}

static void fill_log(struct bench *b, struct swk_storage *storage)
{
    static struct swk_log_entry entries[ENTRIES_AT_ONCE];
    uint8_t data[DATA_LEN] = {1};
    struct swk_error err;

    for (uint64_t ticket = 1; ticket <= ENTRIES / ENTRIES_AT_ONCE; ticket++) {
        for (uint64_t i = 0; i < ENTRIES_AT_ONCE; i++) {
            entries[i] = (struct swk_log_entry){
                .index = (ticket - 1) * ENTRIES_AT_ONCE + i + 1,
                .term = 1,
                .data = data,
                .data_len = DATA_LEN};
        }
        if (storage->append(storage->ctx, NULL, entries, ENTRIES_AT_ONCE,
                            ticket, &err) != 0) {
            fprintf(stderr, "bench_wal: %s\n", err.text);
            b->failure = 1;
            return;
        }
        wait_below(b, ticket, 64);
    }
}

static int bench_restart(struct bench *b, const uint8_t *key)
{
    struct swk_storage storage;

    if (open_storage(b, key, &storage) != 0) {
        return 1;
    }
    fill_log(b, &storage);
    storage.close(storage.ctx);
    double start = seconds();
    if (open_storage(b, key, &storage) != 0) {
        return 1;
    }
    printf("wal_%srestart_1m_entries %.2f s\n", kind(key), seconds() - start);
    storage.close(storage.ctx);
    return remove_dir(b) != 0 || b->failure != 0;
}

static int bench_fdatasync(const char *dir)
{
    char path[300];
    uint8_t data[DATA_LEN + 64] = {1};
    int count = 0;

    snprintf(path, sizeof(path), "%s.probe", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || fallocate(fd, 0, 0, FILE_SIZE) < 0 || fdatasync(fd) < 0) {
        perror("bench_wal");
        return 1;
    }
    double start = seconds();
    while (seconds() < start + RUN_MS / 1000.0) {
        off_t offset = (off_t)count * (off_t)sizeof(data) % (FILE_SIZE / 2);

        if (pwrite(fd, data, sizeof(data), offset) < 0 || fdatasync(fd) < 0) {
            perror("bench_wal");
            break;
        }
        count++;
    }
    printf("bare_fdatasync %.0f syncs/s\n",
           (double)count / (seconds() - start));
    close(fd);
    unlink(path);
    return 0;
}

int main(int argc, char **argv)
{
    static const uint64_t in_flight[] = {1, 16, 256};
    struct bench b = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                      .changed = PTHREAD_COND_INITIALIZER};
    int failed;

    if (argc > 1) {
        snprintf(b.dir, sizeof(b.dir), "%s", argv[1]);
    } else {
        snprintf(b.dir, sizeof(b.dir), "bench_wal.%ld", (long)getpid());
    }
    failed = bench_fdatasync(b.dir);
    for (size_t i = 0; i < 6 && !failed; i++) {
        failed =
            bench_appends(&b, i % 2 == 0 ? NULL : seal_key, in_flight[i / 2]);
    }
    failed = failed || bench_restart(&b, NULL) || bench_restart(&b, seal_key);
    return failed;
}
