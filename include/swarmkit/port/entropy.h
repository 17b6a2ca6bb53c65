/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A port: random bytes that are fit for keys.
 */

#ifndef SWARMKIT_PORT_ENTROPY_H
#define SWARMKIT_PORT_ENTROPY_H

#include <swarmkit/types.h>

SWK_BEGIN_DECLS

struct swk_entropy {
    size_t size; /**< sizeof(struct swk_entropy). */
    void *ctx;   /**< Passed to fill(). */
    /**
     * Fills len bytes. Returns 0 or a negative enum swk_error_code; may be
     * called on any thread; must not block for long.
     */
    int (*fill)(void *ctx, void *out_data, size_t len);
};

SWK_END_DECLS

#endif
