/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Writes of 256 bytes, by so many clients for so long.
 *
 * usage: load swarm SOCKET CLIENTS SECONDS PREFIX
 *        load etcd HOST:PORT CLIENTS SECONDS PREFIX
 *
 * Prints writes, seconds, and the median and the 99th percentile of their
 * microseconds. Exit status: 0; 1 if a write failed; 3 if it was built without
 * this kind of server.
 */

#include "load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <swarmkit/client.h>

#include "control.pb-c.h"

enum {
    CLIENTS_MAX = 1024,
    TIMES_MAX = 1 << 20, /* of one client */
};

/* -- The swarm ------------------------------------------------------------ */

static void *swarm_connect(const char *address)
{
    struct swk_client_config config = SWK_CLIENT_CONFIG_INIT;
    struct swk_error err = {0};
    swk_client *client = NULL;

    config.address = address;
    if (swk_client_open(&config, &client, &err) != 0) {
        fprintf(stderr, "load: %s: %s\n", address, err.text);
        return NULL;
    }
    return client;
}

static bool swarm_put(void *connection, const char *key, const uint8_t *value,
                      size_t len)
{
    Swkpb__CreateConfigRequest request = SWKPB__CREATE_CONFIG_REQUEST__INIT;
    Swkpb__ConfigSpec spec = SWKPB__CONFIG_SPEC__INIT;
    Swkpb__Annotations annotations = SWKPB__ANNOTATIONS__INIT;
    uint8_t buf[1024];
    uint8_t *answer = NULL;
    size_t answer_len = 0;
    struct swk_error err = {0};

    annotations.name = (char *)(uintptr_t)key;
    spec.annotations = &annotations;
    spec.data = (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)value};
    request.spec = &spec;
    size_t size = protobuf_c_message_pack(&request.base, buf);
    int rc =
        swk_client_call(connection, "/docker.swarmkit.v1.Control/CreateConfig",
                        buf, size, 10 * SWK_SECOND, &answer, &answer_len, &err);

    if (rc != 0) {
        fprintf(stderr, "load: %s\n", err.text);
        return false;
    }
    swk_client_release(connection, answer);
    return true;
}

static void swarm_disconnect(void *connection)
{
    swk_client_close(connection);
}

static const struct load_target load_swarm = {swarm_connect, swarm_put,
                                              swarm_disconnect};

/* -- Clients -------------------------------------------------------------- */

struct client {
    pthread_t thread;
    const struct load_target *target;
    void *connection;
    const char *prefix;
    int number;
    double until;    /* monotonic seconds */
    uint32_t *times; /* microseconds of each write */
    size_t count;
    bool failed;
};

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *run_client(void *ctx)
{
    struct client *client = ctx;
    uint8_t value[LOAD_VALUE_SIZE];
    char key[64];

    memset(value, 'v', sizeof(value));
    for (double start = seconds(); start < client->until;) {
        snprintf(key, sizeof(key), "%s.%d.%zu", client->prefix, client->number,
                 client->count);
        if (client->count == TIMES_MAX ||
            !client->target->put(client->connection, key, value,
                                 sizeof(value))) {
            client->failed = true;
            return NULL;
        }
        double end = seconds();

        client->times[client->count++] = (uint32_t)((end - start) * 1e6);
        start = end;
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static int report(struct client *clients, size_t count, double elapsed)
{
    size_t total = 0;
    size_t used = 0;
    bool failed = false;

    for (size_t i = 0; i < count; i++) {
        total += clients[i].count;
        failed = failed || clients[i].failed;
    }
    uint32_t *times = calloc(total + 1, sizeof(*times));

    if (failed || total == 0 || times == NULL) {
        free(times);
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(times + used, clients[i].times,
               clients[i].count * sizeof(*times));
        used += clients[i].count;
    }
    qsort(times, total, sizeof(*times), by_size);
    printf("%zu %.3f %u %u\n", total, elapsed, times[total / 2],
           times[total - 1 - total / 100]);
    free(times);
    return 0;
}

static int run(const struct load_target *target, char **argv)
{
    static struct client clients[CLIENTS_MAX];
    size_t count = strtoul(argv[1], NULL, 10);
    double length = strtod(argv[2], NULL);

    if (count == 0 || count > CLIENTS_MAX || length <= 0) {
        fprintf(stderr, "load: impossible number of clients, or time\n");
        return 2;
    }
    for (size_t i = 0; i < count; i++) {
        clients[i] =
            (struct client){.target = target,
                            .prefix = argv[3],
                            .number = (int)i,
                            .connection = target->connect(argv[0]),
                            .times = calloc(TIMES_MAX, sizeof(uint32_t))};
        if (clients[i].connection == NULL || clients[i].times == NULL) {
            return 1;
        }
    }
    double start = seconds();

    for (size_t i = 0; i < count; i++) {
        clients[i].until = start + length;
        if (pthread_create(&clients[i].thread, NULL, run_client, &clients[i]) !=
            0) {
            fprintf(stderr, "load: no thread for client %zu\n", i);
            return 1;
        }
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(clients[i].thread, NULL);
    }
    int rc = report(clients, count, seconds() - start);

    for (size_t i = 0; i < count; i++) {
        target->disconnect(clients[i].connection);
        free(clients[i].times);
    }
    return rc;
}

int main(int argc, char **argv)
{
    const struct load_target *target =
        argc == 6 && strcmp(argv[1], "swarm") == 0  ? &load_swarm
        : argc == 6 && strcmp(argv[1], "etcd") == 0 ? &load_etcd
                                                    : NULL;

    if (target == NULL) {
        fprintf(stderr,
                "usage: load swarm|etcd ADDRESS CLIENTS SECONDS PREFIX\n");
        return 2;
    }
    if (target->connect == NULL) {
        fprintf(stderr, "load: built without libnghttp2\n");
        return 3;
    }
    return run(target, argv + 2);
}
