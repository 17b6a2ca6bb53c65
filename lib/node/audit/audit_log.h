/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The audit log of a manager, in <state>/audit.
 *
 * Records are made by the machine (core/audit). They are written by the loop's
 * thread, with swki_audit_log_write() before an answer leaves, so that they are
 * with the kernel: a manager that dies loses none of what it has answered. A
 * thread of the log's own makes them durable, a tenth of a second later at the
 * latest; a loss of power can cost the records of that time.
 *
 * A write that fails is tried again; meanwhile records wait in memory, and when
 * there is no more room those that are lost are counted, and a record tells how
 * many. With `required`, the manager refuses changes as long as that lasts.
 */

#ifndef SWKI_NODE_AUDIT_LOG_H
#define SWKI_NODE_AUDIT_LOG_H

#include <stdbool.h>

#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>

#include "core/audit/audit.h"
#include "crypto/x509.h"
#include "runtime/file/io.h"

#define SWKI_AUDIT_LOG_SYNC (100 * SWK_MILLISECOND)
#define SWKI_AUDIT_LOG_CHECKPOINT (10 * SWK_SECOND)

enum {
    SWKI_AUDIT_LOG_FILE_SIZE = 64 << 20, /* bytes; then another one begins */
    SWKI_AUDIT_LOG_FILES_MAX = 16,       /* that are kept */
};

struct swki_audit_log_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const struct swk_clock *clock;
    const struct swk_entropy *entropy;
    const struct swki_file_io *io; /* NULL: the real one */
    const char *dir;               /* *copied* */
    const char *node_id;           /* *copied*, likewise below */
    const char *swarm_id;
    /* What checkpoints are signed with, and what vouches for those that are
     * found: *copied* and *borrowed for the call*. Without a key nothing is
     * signed, and without roots no checkpoint counts. */
    struct swki_pem key;
    struct swki_pem certificate;
    struct swki_pem roots;
    enum swki_audit_level level;
    bool required;
    uint64_t file_size; /* 0 for the defaults, likewise below */
    uint64_t files_max;
    swk_time sync_ns;
    swk_time checkpoint_ns;
};

struct swki_audit_log;

/* Opens the log where it was left, with a record of the start. May block. */
int swki_audit_log_open(const struct swki_audit_log_config *config,
                        struct swki_audit_log **out_log, struct swk_error *err);

/* Records the stop, and makes all durable. May block; NULL is nothing. */
void swki_audit_log_close(struct swki_audit_log *log);

/* The machine that is told of what happens. */
struct swki_audit *swki_audit_log_machine(struct swki_audit_log *log);

/* What checkpoints are signed with from now on; *copied*. */
int swki_audit_log_set_key(struct swki_audit_log *log, struct swki_pem key,
                           struct swki_pem certificate, struct swk_error *err);

/* Writes what the machine has recorded. */
void swki_audit_log_write(struct swki_audit_log *log);

/* Whether changes are to be refused: they could not be recorded. */
bool swki_audit_log_blocks(struct swki_audit_log *log);

#endif
