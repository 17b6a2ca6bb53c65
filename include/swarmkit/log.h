/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * Log records. The library never prints: it hands records to the embedder.
 */

#ifndef SWARMKIT_LOG_H
#define SWARMKIT_LOG_H

#include <swarmkit/types.h>

SWK_BEGIN_DECLS

enum swk_log_level {
    SWK_LOG_DEBUG = 0,
    SWK_LOG_INFO = 1,
    SWK_LOG_WARN = 2,
    SWK_LOG_ERROR = 3,
};

/** A record; borrowed for the call of the logger. */
struct swk_log_record {
    int32_t level;      /**< enum swk_log_level. */
    const char *module; /**< "raft", "dispatcher", ...; static. */
    const char *message; /**< One line of UTF-8 without a secret. */
};

/** A port: where records go. */
struct swk_logger {
    size_t size; /**< sizeof(struct swk_logger). */
    void *ctx;   /**< Passed to log(). */
    /** Records below this level are not made. enum swk_log_level. */
    int32_t level;
    /**
     * Takes a record. Called on the loop thread of the object that logs, and
     * for transport records on the transport's threads; must not block and
     * must not call the library.
     */
    void (*log)(void *ctx, const struct swk_log_record *record);
};

/**
 * Names a level.
 *
 * @param level  enum swk_log_level.
 * @return "debug", "info", "warn" or "error"; static.
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_log_level_name(int level);

SWK_END_DECLS

#endif
