/* SPDX-License-Identifier: Apache-2.0 */

#include "core/audit/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void swki_audit_check_init(struct swki_audit_check *check)
{
    *check = (struct swki_audit_check){0};
}

const char *swki_audit_finding_name(enum swki_audit_finding finding)
{
    static const char *const names[] = {
        [SWKI_AUDIT_INTACT] = "intact",
        [SWKI_AUDIT_ALTERED] = "altered",
        [SWKI_AUDIT_REMOVED] = "removed",
        [SWKI_AUDIT_REORDERED] = "reordered",
        [SWKI_AUDIT_TRUNCATED] = "truncated",
        [SWKI_AUDIT_UNSIGNED] = "unsigned",
    };

    return names[finding];
}

static void find(struct swki_audit_check *check,
                 enum swki_audit_finding finding, uint64_t bad_seq,
                 const char *format, ...) SWK_PRINTF(4, 5);

static void find(struct swki_audit_check *check,
                 enum swki_audit_finding finding, uint64_t bad_seq,
                 const char *format, ...)
{
    va_list args;

    check->finding = finding;
    check->bad_seq = bad_seq;
    va_start(args, format);
    vsnprintf(check->text, sizeof(check->text), format, args);
    va_end(args);
}

/* A log that went on although it was damaged says so, and that stays a
 * finding. */
static void hear_start(struct swki_audit_check *check, uint64_t seq,
                       const struct swki_audit_field *before)
{
    static const char text[] =
        "when the manager started, the log was not what it had signed";

    if (swki_audit_field_is(before, "altered")) {
        find(check, SWKI_AUDIT_ALTERED, seq, "%s", text);
    } else if (swki_audit_field_is(before, "truncated")) {
        find(check, SWKI_AUDIT_TRUNCATED, seq, "%s", text);
    } else if (swki_audit_field_is(before, "unsigned")) {
        find(check, SWKI_AUDIT_UNSIGNED, seq,
             "when the manager started, the log had no checkpoint that it had "
             "signed");
    }
}

static void hear_owner(struct swki_audit_check *check,
                       const struct swki_audit_fields *fields)
{
    swki_audit_field_text(swki_audit_fields_find(fields, "node"),
                          check->node_id, sizeof(check->node_id));
    swki_audit_field_text(swki_audit_fields_find(fields, "swarm"),
                          check->swarm_id, sizeof(check->swarm_id));
}

/* What a record says of the log, and of the records before it. */
static void hear(struct swki_audit_check *check, uint64_t file,
                 const struct swki_audit_record *record)
{
    const struct swki_audit_fields *fields = &record->fields;
    const struct swki_audit_field *type =
        swki_audit_fields_find(fields, "type");
    uint64_t number;

    if (swki_audit_field_is(type, "file")) {
        if (swki_audit_field_number(swki_audit_fields_find(fields, "file"),
                                    &number) &&
            number != file) {
            find(check, SWKI_AUDIT_REORDERED, record->link.seq,
                 "this is file %" PRIu64 " under another name", number);
        }
        swki_audit_field_number(swki_audit_fields_find(fields, "oldest"),
                                &check->oldest_file);
        hear_owner(check, fields);
    } else if (swki_audit_field_is(type, "start")) {
        hear_owner(check, fields);
        hear_start(check, record->link.seq,
                   swki_audit_fields_find(fields, "before"));
    }
}

static void find_gap(struct swki_audit_check *check, uint64_t seq)
{
    uint64_t expected = check->last.seq + 1;

    if (seq > expected) {
        check->ahead = true;
        find(check, SWKI_AUDIT_REMOVED, seq,
             "record %" PRIu64 " was expected: %" PRIu64 " missing",
             expected, seq - expected);
    } else {
        find(check, SWKI_AUDIT_REORDERED, seq,
             "record %" PRIu64 " was expected: this one came before", expected);
    }
}

/* After a gap: the record that was missing there means another order. */
static bool read_on(struct swki_audit_check *check, const char *line,
                    size_t len)
{
    struct swki_audit_record record;

    if (!check->ahead) {
        return false;
    }
    if (swki_audit_record_read(line, len, &record) &&
        record.link.seq == check->last.seq + 1) {
        check->ahead = false;
        find(check, SWKI_AUDIT_REORDERED, check->bad_seq,
             "record %" PRIu64 " was expected: it comes later",
             check->last.seq + 1);
    }
    return check->ahead;
}

/* Old files are removed as a whole, and each begins with a record that says
 * so: another record is never the first one that is left. */
static bool begins(const struct swki_audit_record *record)
{
    return record->link.seq == 1 ||
           swki_audit_field_is(swki_audit_fields_find(&record->fields, "type"),
                               "file");
}

bool swki_audit_check_line(struct swki_audit_check *check, uint64_t file,
                           const char *line, size_t len,
                           struct swki_audit_record *out_record)
{
    static const uint8_t zeros[SWKI_SHA256_SIZE];

    if (check->finding != SWKI_AUDIT_INTACT) {
        return read_on(check, line, len);
    }
    if (!swki_audit_record_read(line, len, out_record)) {
        find(check, SWKI_AUDIT_ALTERED, 0,
             "this line is not what was written as record %" PRIu64,
             check->last.seq + 1);
        return false;
    }
    if (check->begun && out_record->link.seq != check->last.seq + 1) {
        find_gap(check, out_record->link.seq);
        return check->ahead;
    }
    if (check->begun
            ? memcmp(out_record->prev, check->last.hash, sizeof(zeros)) != 0
            : out_record->link.seq == 1 &&
                  memcmp(out_record->prev, zeros, sizeof(zeros)) != 0) {
        find(check, SWKI_AUDIT_ALTERED, out_record->link.seq,
             "this record does not follow the one before: one of the two was "
             "replaced");
        return false;
    }
    if (!check->begun && !begins(out_record)) {
        check->ahead = true;
        find(check, SWKI_AUDIT_REMOVED, out_record->link.seq,
             "no file begins with this record: those before it are missing");
        return true;
    }
    if (!check->begun) {
        check->begun = true;
        check->first_seq = out_record->link.seq;
    }
    check->last = out_record->link;
    check->last_time = out_record->time;
    hear(check, file, out_record);
    return check->finding == SWKI_AUDIT_INTACT;
}

void swki_audit_check_known(struct swki_audit_check *check,
                            const struct swki_audit_link *known,
                            const struct swki_audit_link *seen,
                            const char *whence)
{
    if (check->finding != SWKI_AUDIT_INTACT) {
        return;
    }
    if (known->seq > check->last.seq) {
        find(check, SWKI_AUDIT_TRUNCATED, known->seq,
             "%s knows record %" PRIu64 ", and the log ends at %" PRIu64,
             whence, known->seq, check->last.seq);
    } else if (seen != NULL &&
               memcmp(seen->hash, known->hash, sizeof(known->hash)) != 0) {
        find(check, SWKI_AUDIT_ALTERED, known->seq,
             "%s knows another record %" PRIu64 ": the log was written anew",
             whence, known->seq);
    }
}

void swki_audit_check_found(struct swki_audit_check *check,
                            enum swki_audit_finding finding, uint64_t seq,
                            const char *text)
{
    if (check->finding == SWKI_AUDIT_INTACT) {
        find(check, finding, seq, "%s", text);
    }
}
