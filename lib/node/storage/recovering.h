/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The last manager of a swarm becomes its only one (R-BOO-6).
 *
 * A certificate that expired meanwhile is no obstacle: the log holds what signs
 * a new one. That is done first, so that it is refused before anything changes.
 */

#ifndef SWKI_NODE_RECOVERING_H
#define SWKI_NODE_RECOVERING_H

#include <stdbool.h>

#include <swarmkit/recovery.h>

struct swki_recovering_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_entropy *entropy;
    const char *state_dir;
    const struct swk_unlock_key *unlock_key; /* NULL for none */
    bool dry_run;
};

/*
 * Removes the other members in the log of a manager that does not run, and
 * renews its certificate if need be; in a dry run it only says so. The report,
 * which is large, is given with zeros. SWK_EPRECONDITION if this node is no
 * manager of a swarm, or cannot do without the others.
 */
int swki_recovering_run(const struct swki_recovering_config *config,
                        struct swk_recovery_report *out_report,
                        struct swk_error *err);

/* The same without a report but what is logged. */
int swki_recovering_force(const struct swki_recovering_config *config,
                          struct swk_error *err);

#endif
