/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Whether the records of an audit log are those that were written: it is shown
 * one line after the other, and stops at the first that does not fit.
 *
 * What is missing and what is in another place look alike at first: the check
 * then reads on, for the record that should have come.
 */

#ifndef SWKI_CORE_AUDIT_CHECK_H
#define SWKI_CORE_AUDIT_CHECK_H

#include "core/audit/line.h"

enum swki_audit_finding {
    SWKI_AUDIT_INTACT,
    SWKI_AUDIT_ALTERED,   /* a line is not what was written */
    SWKI_AUDIT_REMOVED,   /* records are missing */
    SWKI_AUDIT_REORDERED, /* all are there, but not in this order */
    SWKI_AUDIT_TRUNCATED, /* the last ones are missing */
    SWKI_AUDIT_UNSIGNED,  /* no checkpoint vouches for the last ones */
};

struct swki_audit_check {
    bool begun; /* a record was seen */
    uint64_t first_seq;
    struct swki_audit_link last; /* the last good record */
    swk_wall last_time;
    uint64_t oldest_file; /* that the log has left, as it says */
    /* Whose log it is, as the last record says that does; or "". */
    char node_id[SWK_ID_LEN_MAX + 1];
    char swarm_id[SWK_ID_LEN_MAX + 1];
    enum swki_audit_finding finding;
    uint64_t bad_seq; /* of the line that does not fit, or 0 */
    bool ahead;       /* it came too early: what was between? */
    char text[200];   /* about the finding */
};

void swki_audit_check_init(struct swki_audit_check *check);

/*
 * Takes the next line, without its end, of the file of that number. A record
 * that fits is stored in out_record. The first finding stays; at any later line
 * the function says only whether reading on could still tell more.
 */
bool swki_audit_check_line(struct swki_audit_check *check, uint64_t file,
                           const char *line, size_t len,
                           struct swki_audit_record *out_record);

/* Whether a place known from elsewhere is that of the log; after its last line.
 * `seen` is the record of that number, or NULL if the log begins later. */
void swki_audit_check_known(struct swki_audit_check *check,
                            const struct swki_audit_link *known,
                            const struct swki_audit_link *seen,
                            const char *whence);

/* Notes what was found elsewhere than in a line, unless something was. */
void swki_audit_check_found(struct swki_audit_check *check,
                            enum swki_audit_finding finding, uint64_t seq,
                            const char *text);

/* "altered" and so on. */
const char *swki_audit_finding_name(enum swki_audit_finding finding);

#endif
