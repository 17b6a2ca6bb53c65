/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A port: what time it is.
 */

#ifndef SWARMKIT_PORT_CLOCK_H
#define SWARMKIT_PORT_CLOCK_H

#include <swarmkit/types.h>

SWK_BEGIN_DECLS

struct swk_clock {
    size_t size; /**< sizeof(struct swk_clock). */
    void *ctx;   /**< Passed to each function. */
    /** Monotonic time; may be called on any thread; must not block. */
    swk_time (*now)(void *ctx);
    /** Calendar time; may be called on any thread; must not block. */
    swk_wall (*wall)(void *ctx);
};

SWK_END_DECLS

#endif
