/* SPDX-License-Identifier: Apache-2.0 */

/* What this machine is and allows, read once. Tests make their own. */

#ifndef SWKI_EXEC_MACHINE_H
#define SWKI_EXEC_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/exec/cgroups.h"
#include "runtime/exec/names.h"

enum {
    SWKI_HOSTNAME_SIZE = 256,
};

struct swki_machine {
    char hostname[SWKI_HOSTNAME_SIZE];
    char architecture[65]; /* as uname says */
    int64_t nano_cpus;
    int64_t memory_bytes;
    uint64_t capabilities; /* this process's effective ones */
    bool root;             /* effective user 0 */
    int oom_score_adj;     /* this process's */
    uint64_t rlimits_hard[SWKI_RLIMITS_COUNT]; /* by number; UINT64_MAX: none */
    struct swki_cgroups cgroups;
};

/* Reads all but the cgroups, which swki_machine_claim_cgroups() adds. */
void swki_machine_read(struct swki_machine *out_machine);

void swki_machine_claim_cgroups(struct swki_machine *machine,
                                const char *parent);

/* Whether this process has a capability, by name without "CAP_". */
bool swki_machine_can(const struct swki_machine *machine,
                      const char *capability);

#endif
