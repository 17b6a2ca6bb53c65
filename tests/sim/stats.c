/* SPDX-License-Identifier: Apache-2.0 */

/* What happened in all runs: rules that hold where nothing happens mean
 * nothing. */

#include "sim/sim.h"

void stats_add(struct stats *sum, const struct stats *more)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)more;

    _Static_assert(sizeof(struct stats) % sizeof(uint64_t) == 0,
                   "counts alone");
    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
}

void stats_print(const struct stats *s, double cpu_seconds, FILE *out)
{
    double hours = (double)s->simulated_ns / (3600.0 * (double)SWK_SECOND);

#define N(field) (unsigned long long)s->field
    fprintf(out,
            "%llu runs, %.2f hours simulated, %.1f s of CPU, %.0f events/s\n",
            N(runs), hours, cpu_seconds, (double)s->events / cpu_seconds);
    fprintf(out,
            "elections %llu, committed %llu, changes of members %llu (joint "
            "%llu), messages %llu (dropped %llu)\n",
            N(elections), N(committed), N(conf_changes), N(joint), N(messages),
            N(dropped));
    fprintf(out,
            "snapshots saved %llu, sent %llu, installed %llu; restarts %llu, "
            "torn writes %llu, entries replaced %llu, recoveries %llu\n",
            N(snapshots_saved), N(snapshots_sent), N(snapshots_installed),
            N(restarts), N(torn), N(overwritten), N(recoveries));
    fprintf(out,
            "operations answered %llu (reads %llu, by lease %llu), repeated "
            "%llu, given up %llu, found linearizable %llu, keys undecided "
            "%llu\n",
            N(operations), N(reads), N(lease_reads), N(repeated), N(abandoned),
            N(checked), N(undecided));
    fprintf(out,
            "stores: proposals committed %llu, lost from sight %llu, conflicts "
            "%llu, slices of snapshots %llu, compared %llu\n",
            N(store_committed), N(store_unknown), N(conflicts), N(store_slices),
            N(store_compares));
    fprintf(out, "quiet phases %llu, members that came back in one %llu\n",
            N(quiet), N(returns));
    fprintf(out, "runs without a possible quorum at the end: %llu\nfaults:",
            N(quorum_unknown));
    for (int i = 0; i < FAULT_COUNT; i++) {
        fprintf(out, " %s %llu", fault_names[i],
                (unsigned long long)s->faults[i]);
    }
    fprintf(out, "\n");
#undef N
}
