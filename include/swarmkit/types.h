/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * The words every other header uses: visibility, time, bytes, identifiers.
 */

#ifndef SWARMKIT_TYPES_H
#define SWARMKIT_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define SWK_BEGIN_DECLS extern "C" {
#define SWK_END_DECLS }
#else
#define SWK_BEGIN_DECLS
#define SWK_END_DECLS
#endif

#if defined(__GNUC__)
#define SWK_API __attribute__((visibility("default")))
#define SWK_MUST_CHECK __attribute__((warn_unused_result))
#define SWK_PRINTF(format_index, first_index)                                  \
    __attribute__((format(printf, format_index, first_index)))
#else
#define SWK_API
#define SWK_MUST_CHECK
#define SWK_PRINTF(format_index, first_index)
#endif

SWK_BEGIN_DECLS

/** Monotonic time in nanoseconds; the origin is the clock's own business. */
typedef uint64_t swk_time;

/** Calendar time: nanoseconds since 1970-01-01T00:00:00 UTC. */
typedef int64_t swk_wall;

/** A deadline that never comes. */
#define SWK_NEVER UINT64_MAX

#define SWK_MICROSECOND UINT64_C(1000)
#define SWK_MILLISECOND UINT64_C(1000000)
#define SWK_SECOND UINT64_C(1000000000)
#define SWK_MINUTE (60 * SWK_SECOND)
#define SWK_HOUR (60 * SWK_MINUTE)

enum {
    /** Characters of a generated identifier, without the NUL. */
    SWK_ID_LEN = 25,
    /** Longest identifier that is accepted from elsewhere, without the NUL. */
    SWK_ID_LEN_MAX = 64,
};

/** Bytes of the caller's; data may be NULL when len is 0. */
struct swk_bytes {
    const void *data;
    size_t len;
};

/** What a node may be in its swarm. */
enum swk_node_role {
    SWK_NODE_WORKER = 1,
    SWK_NODE_MANAGER = 2,
};

SWK_END_DECLS

#endif
