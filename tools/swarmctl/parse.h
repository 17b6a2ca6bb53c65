/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What people type, as numbers: durations, sizes, processors, ports.
 *
 * All take a NUL-terminated text, answer false for anything but the form that
 * is stated, and write their outputs only on success.
 */

#ifndef SWARMCTL_PARSE_H
#define SWARMCTL_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "1m30s", "500ms", "1.5h", "0": numbers with ns, us, ms, s, m, h or d, in
 * nanoseconds; a leading '-' is accepted. */
bool parse_duration(const char *text, int64_t *out_ns);

/* "512m", "1.5g", "4096", "64MiB": bytes; k, m, g and t are powers of 1024. */
bool parse_size(const char *text, int64_t *out_bytes);

/* "0.5", "2": processors, in billionths. */
bool parse_cpus(const char *text, int64_t *out_nano);

/* Decimal digits. */
bool parse_unsigned(const char *text, uint64_t max, uint64_t *out_number);
bool parse_integer(const char *text, int64_t min, int64_t max,
                   int64_t *out_number);

/* "key=value" or "key": the length of the key, which is not empty, and the
 * value, "" if there is none. */
bool parse_pair(const char *text, size_t *out_key_len, const char **out_value);

/* A name for an environment variable, and perhaps "=value". */
bool parse_env(const char *text);

enum {
    PARSE_PORT_NAME_SIZE = 64,
};

struct parsed_port {
    char name[PARSE_PORT_NAME_SIZE];
    uint32_t target;
    uint32_t published; /* 0: the target's number */
    char protocol[8];   /* "tcp", "udp" or "sctp" */
};

/* "web:80", "web:80/tcp", "web:80/tcp:8080": name, target, protocol, published
 * port. */
bool parse_port(const char *text, struct parsed_port *out_port);

/* "key==value" or "key!=value"; the manager checks the details. */
bool parse_constraint(const char *text);

/* One of a list of words that ends with NULL: its index. */
bool parse_word(const char *text, const char *const *words, int *out_index);

#endif
