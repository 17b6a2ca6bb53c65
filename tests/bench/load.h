/* SPDX-License-Identifier: Apache-2.0 */

/* Load for a group of servers: many clients, each with a connection and one
 * write at a time. */

#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOAD_VALUE_SIZE = 256,
};

/* One kind of server. A connection is used by one thread. */
struct load_target {
    /* NULL if there is no connection. */
    void *(*connect)(const char *address);
    /* Writes a new key; false if it was not acknowledged. */
    bool (*put)(void *connection, const char *key, const uint8_t *value,
                size_t len);
    void (*disconnect)(void *connection);
};

/* An etcd server; the functions are NULL when built without libnghttp2. */
extern const struct load_target load_etcd;

#endif
