/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A clock port whose calendar is that of the system, shifted by as many seconds
 * as the file says that SWARM_CLOCK_FILE names; it may change at any time. The
 * programs under test are the real ones, built with this clock.
 */

#undef swk_posix_clock

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <swarmkit/posix.h>

const struct swk_clock *swk_shifted_clock(void);

static long long shift_seconds(void)
{
    const char *path = getenv("SWARM_CLOCK_FILE");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char text[32] = "";

    if (fd >= 0) {
        if (read(fd, text, sizeof(text) - 1) < 0) {
            text[0] = '\0';
        }
        close(fd);
    }
    return strtoll(text, NULL, 10);
}

static swk_time now(void *ctx)
{
    const struct swk_clock *clock = swk_posix_clock();

    (void)ctx;
    return clock->now(clock->ctx);
}

static swk_wall wall(void *ctx)
{
    const struct swk_clock *clock = swk_posix_clock();

    (void)ctx;
    return clock->wall(clock->ctx) + shift_seconds() * (swk_wall)SWK_SECOND;
}

const struct swk_clock *swk_shifted_clock(void)
{
    static const struct swk_clock clock = {
        .size = sizeof(clock),
        .now = now,
        .wall = wall,
    };

    return &clock;
}
