/* SPDX-License-Identifier: Apache-2.0 */

/* Names of signals, capabilities and resource limits, as specs spell them. */

#ifndef SWKI_EXEC_NAMES_H
#define SWKI_EXEC_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SWKI_CAPABILITIES_COUNT = 41,
    SWKI_RLIMITS_COUNT = 16,
};

/* "TERM", "SIGTERM", "15", "SIGRTMIN+3"; 0 for what is no signal. */
int swki_signal_number(const char *text);

/* "NET_ADMIN", "CAP_NET_ADMIN", in any case; "ALL" for all. Adds to *mask;
 * false for an unknown name. */
bool swki_capability_add(const char *text, uint64_t *mask);

/* Without "CAP_"; "?" for numbers that have no name here. */
const char *swki_capability_name(int number);

/* What a workload keeps if nothing is said: what ordinary daemons need, and
 * nothing that reaches outside of their own processes and files. */
uint64_t swki_capabilities_default(void);

/* "nofile" and so on: RLIMIT_NOFILE; -1 for an unknown name. */
int swki_rlimit_number(const char *text);

#endif
