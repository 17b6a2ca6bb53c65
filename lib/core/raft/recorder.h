/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A member's flight recorder: its latest trace events, kept short, and told to
 * the logger when the member fails. Changes an operator would ask about are
 * logged at once.
 */

#ifndef SWKI_CORE_RAFT_RECORDER_H
#define SWKI_CORE_RAFT_RECORDER_H

#include <swarmkit/log.h>

#include "core/raft/machine.h"
#include "core/raft/ring.h"

struct swki_raft_recorder {
    const struct swk_logger *logger;
    struct swki_raft_ring events;
};

void swki_raft_recorder_init(struct swki_raft_recorder *recorder,
                             const struct swk_alloc *alloc,
                             const struct swk_logger *logger);
void swki_raft_recorder_fini(struct swki_raft_recorder *recorder);

/* The sink of a machine's trace; ctx is the recorder. If memory is short, fewer
 * events are kept. */
void swki_raft_recorder_trace(void *ctx,
                              const struct swki_machine_trace *event);

/* Tells the logger why the member failed, and what happened before. */
void swki_raft_recorder_dump(const struct swki_raft_recorder *recorder,
                             const struct swk_error *failure);

#endif
