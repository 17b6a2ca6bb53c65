/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/posix.h>

#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now = {0};

    /* Fails for clocks that do not exist only; these two always do. */
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * SWK_SECOND + (uint64_t)now.tv_nsec;
}

static swk_time monotonic(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_MONOTONIC);
}

static swk_wall realtime(void *ctx)
{
    (void)ctx;
    return (swk_wall)read_clock(CLOCK_REALTIME);
}

const struct swk_clock *swk_posix_clock(void)
{
    static const struct swk_clock posix_clock = {
        .size = sizeof(posix_clock),
        .now = monotonic,
        .wall = realtime,
    };

    return &posix_clock;
}
