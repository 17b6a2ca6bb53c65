/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * The ports that a POSIX system answers by itself: clock and entropy. And what
 * keeps secrets out of other hands: memory that is wiped when it is released,
 * and a process that leaves no image of itself.
 */

#ifndef SWARMKIT_POSIX_H
#define SWARMKIT_POSIX_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
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

/**
 * Gives malloc() with a difference: what is released, or moved to get larger,
 * is overwritten first. So what an object had of keys and secrets does not stay
 * in memory, or in somebody else's hands, after the object let it go.
 *
 * @return A static port; never NULL; needs no release.
 * @threads any
 * @since   0.1
 */
SWK_API const struct swk_alloc *swk_posix_wiping_alloc(void);

/**
 * Keeps the memory of this process out of files and debuggers, for as long as
 * it lives: it leaves no core dump, and only root can attach to it, whose
 * debugger leaves memory out of an image unless it is told otherwise. The
 * registers are in it, with the last that was copied through them.
 *
 * What it starts inherits the soft limit of 0 for core dumps and the filter of
 * what they hold; swarm-shim gives tasks back what is usual. For a process that
 * is not root's, the files in /proc that tell of it belong to root from then on.
 *
 * @param err  Receives the reason on failure; may be NULL.
 * @return 0; SWK_EIO if the system did not take one of the settings: the others
 *         hold all the same.
 * @threads any
 * @source  prctl(2), PR_SET_DUMPABLE; core(5), /proc/pid/coredump_filter
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_process_harden(struct swk_error *err);

SWK_END_DECLS

#endif
