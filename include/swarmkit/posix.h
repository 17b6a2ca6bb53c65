/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * The ports that a POSIX system answers by itself: clock and entropy.
 */

#ifndef SWARMKIT_POSIX_H
#define SWARMKIT_POSIX_H

#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>

SWK_BEGIN_DECLS

/**
 * Gives the system's clocks: CLOCK_MONOTONIC and CLOCK_REALTIME.
 *
 * @return A static port; never NULL; needs no release.
 * @threads any
 * @since   0.1
 */
SWK_API const struct swk_clock *swk_posix_clock(void);

/**
 * Gives the kernel's random generator, through getrandom().
 *
 * fill() waits until the kernel has gathered enough entropy after a boot, then
 * never again. It answers SWK_EIO if the kernel refuses.
 *
 * @return A static port; never NULL; needs no release.
 * @threads any
 * @since   0.1
 */
SWK_API const struct swk_entropy *swk_posix_entropy(void);

SWK_END_DECLS

#endif
