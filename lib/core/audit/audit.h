/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The audit log: who changed, or tried to change, what, and with which outcome.
 *
 * The machine is told of calls, of the store's transactions and of the
 * manager's own turns, and makes a record of each, chained to the one before
 * (line.h). The records wait here as text until their owner has written them;
 * doc/audit.md lists their fields.
 *
 *   - A call that may change something gets a record when it ends; one that was
 *     refused gets one even if it only reads. Heartbeats get none.
 *   - A change of an object gets a record once its fate is known, with the
 *     number of the call that caused it; one that the policy refuses gets one
 *     at once.
 *
 * Of objects there is the ID, the name and the version, never the content;
 * texts are the library's own words about an error. So no secret gets in.
 *
 * Strangers and workers must not be able to push records out of a log of
 * limited size: of their calls that fail, those above a number in a second are
 * counted, and one record tells how many there were.
 */

#ifndef SWKI_CORE_AUDIT_AUDIT_H
#define SWKI_CORE_AUDIT_AUDIT_H

#include "core/audit/line.h"
#include "core/store/store.h"
#include "wire/methods.h"
#include "wire/service.h"

enum swki_audit_level {
    SWKI_AUDIT_ALL,   /* calls, and every change */
    SWKI_AUDIT_CALLS, /* calls, and what the policy refused */
};

enum {
    SWKI_AUDIT_PENDING_MAX = 8 << 20, /* bytes that wait to be written */
    SWKI_AUDIT_REFUSALS_MAX = 100,    /* records of refused calls a second */
};

struct swki_audit_config {
    const struct swk_alloc *alloc;
    enum swki_audit_level level;
    const char *node_id;         /* whose log it is; *borrowed* */
    const char *swarm_id;        /* likewise */
    struct swki_audit_link last; /* where the log goes on */
    uint64_t recorded_index;     /* of the store: changes up to it are there */
    size_t pending_max;          /* 0 for the default, likewise below */
    uint32_t refusals_max;
};

struct swki_audit;

/* How the log was left by whoever wrote it before. */
enum swki_audit_before {
    SWKI_AUDIT_BEFORE_NONE, /* there was nothing */
    SWKI_AUDIT_BEFORE_STOPPED,
    SWKI_AUDIT_BEFORE_CRASHED,   /* without a word */
    SWKI_AUDIT_BEFORE_TRUNCATED, /* signed records are missing */
    SWKI_AUDIT_BEFORE_ALTERED,   /* or are others now */
    SWKI_AUDIT_BEFORE_UNSIGNED,  /* no checkpoint of this node tells */
};

/* A start of the manager. */
struct swki_audit_start {
    const char *release; /* of the library */
    enum swki_audit_before before;
    uint64_t torn; /* bytes of an unfinished record, cut off */
};

int swki_audit_new(const struct swki_audit_config *config,
                   struct swki_audit **out_audit, struct swk_error *err);
void swki_audit_free(struct swki_audit *audit);

/* Comes first: records the start, and numbers calls from it on. */
void swki_audit_start(struct swki_audit *audit, swk_wall wall,
                      const struct swki_audit_start *start);

/* -- Calls ---------------------------------------------------------------- */

/* A call was permitted, and is to be carried out; until it ends the machine
 * remembers who made it. Of a method that gets no record nothing is kept; a
 * stream gets one at once, too. */
void swki_audit_call_begins(struct swki_audit *audit, swk_wall wall,
                            uint64_t call_id, const struct swki_method *method,
                            const struct swki_caller *caller);

/* What a call that has begun asks for: finds the object that it is about. */
void swki_audit_call_request(struct swki_audit *audit, uint64_t call_id,
                             const ProtobufCMessage *request);

/* The number of a call that has begun, by which changes name it; 0 for one
 * that gets no record. */
uint64_t swki_audit_call_cause(const struct swki_audit *audit,
                               uint64_t call_id);

/* A call is over. Nothing is done for one that did not begin. */
void swki_audit_call_ends(struct swki_audit *audit, swk_wall wall,
                          uint64_t call_id, enum swki_status status,
                          const char *text);

/* A call was refused before it began. */
void swki_audit_call_refused(struct swki_audit *audit, swk_wall wall,
                             const char *path, const struct swki_caller *caller,
                             enum swki_status status, const char *text);

/* -- Changes -------------------------------------------------------------- */

/* What happens to a change: the functions of struct swki_store_observer, whose
 * ctx is the machine. The time is that of the last swki_audit_set_time(). */
struct swki_store_observer swki_audit_observer(struct swki_audit *audit);
void swki_audit_set_time(struct swki_audit *audit, swk_wall wall);

/* -- The manager ---------------------------------------------------------- */

void swki_audit_leads(struct swki_audit *audit, swk_wall wall, uint64_t term);
void swki_audit_leads_no_more(struct swki_audit *audit, swk_wall wall);

/* The whole state came from the leader, as of an index. */
void swki_audit_restored(struct swki_audit *audit, swk_wall wall,
                         uint64_t index);

/* A new file begins; the first of those that are kept. */
void swki_audit_file(struct swki_audit *audit, swk_wall wall, uint64_t file,
                     uint64_t oldest);

/* The manager stops in order, with calls that are open still: the last record.
 */
void swki_audit_stop(struct swki_audit *audit, swk_wall wall);

/* -- Writing -------------------------------------------------------------- */

/* Lines that wait, whole ones; borrowed until the next call. */
const struct swki_buf *swki_audit_pending(const struct swki_audit *audit);

/* The first len bytes of them are written. */
void swki_audit_written(struct swki_audit *audit, size_t len);

/* The last record made, written or not. */
const struct swki_audit_link *swki_audit_head(const struct swki_audit *audit);

/* Records that there was no room for, and that no record has told of yet. */
uint64_t swki_audit_lost(const struct swki_audit *audit);

#endif
