/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The lines of the audit log, and the chain that they make.
 *
 * A record is one line: a flat JSON object of texts and numbers without a space
 * between them. It begins with its number, time and type, and ends with the
 * hash of the record before and its own:
 *
 *     {"seq":7,"time":"2026-01-31T12:00:00.000000001Z","type":"call",...,
 *      "prev":"<64 hex digits>","hash":"<64 hex digits>"}
 *
 * The hash is the SHA-256 of SWKI_AUDIT_TAG, a NUL, and the line's bytes up to
 * the comma before "hash". Since the line holds the hash before, a record
 * stands for all that came earlier.
 */

#ifndef SWKI_CORE_AUDIT_LINE_H
#define SWKI_CORE_AUDIT_LINE_H

#include <stdbool.h>

#include <swarmkit/error.h>
#include <swarmkit/types.h>

#include "base/buf.h"
#include "crypto/digest.h"

#define SWKI_AUDIT_TAG "swarmkit audit record 1"

enum {
    SWKI_AUDIT_TEXT_MAX = 256,  /* bytes of a text; of a longer one the rest
                                   is left out */
    SWKI_AUDIT_FIELDS_MAX = 24, /* of a record */
    /* Bytes of a line, without its end: no text grows more than sixfold. */
    SWKI_AUDIT_LINE_MAX = 48 * 1024,
};

/* A place in the chain: a record, or 0 and zeros before the first. */
struct swki_audit_link {
    uint64_t seq;
    uint8_t hash[SWKI_SHA256_SIZE];
};

/* -- Writing -------------------------------------------------------------- */

/* A line while it is written: at the end of buf. */
struct swki_audit_line {
    struct swki_buf *buf;
    size_t start;
};

/* type is one of the log's own words. */
struct swki_audit_line swki_audit_line_begin(struct swki_buf *buf,
                                             const struct swki_audit_link *last,
                                             swk_wall wall, const char *type);

/* Adds a field, unless text is NULL or empty. What is not UTF-8 becomes '?'. */
void swki_audit_line_text(const struct swki_audit_line *line, const char *name,
                          const char *text);
void swki_audit_line_number(const struct swki_audit_line *line,
                            const char *name, uint64_t number);

/* Completes the line, with a line end, and moves *last to it. False for no
 * memory: then buf is as before the line, and *last too. */
bool swki_audit_line_end(const struct swki_audit_line *line,
                         struct swki_audit_link *last);

/* -- Reading -------------------------------------------------------------- */

/* A field of a flat JSON object; text still has its escapes. */
struct swki_audit_field {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
    bool is_text;
};

struct swki_audit_fields {
    struct swki_audit_field list[SWKI_AUDIT_FIELDS_MAX];
    size_t count;
};

/* Takes a flat object apart; the parts are borrowed from text. False for any
 * other text. */
bool swki_audit_fields_read(const char *text, size_t len,
                            struct swki_audit_fields *out_fields);

/* NULL if there is none. */
const struct swki_audit_field *
swki_audit_fields_find(const struct swki_audit_fields *fields,
                       const char *name);

/* The value; false, with nothing stored, for another kind of field, or for one
 * that is NULL. */
bool swki_audit_field_number(const struct swki_audit_field *field,
                             uint64_t *out_number);
bool swki_audit_field_hash(const struct swki_audit_field *field,
                           uint8_t out_hash[SWKI_SHA256_SIZE]);
bool swki_audit_field_is(const struct swki_audit_field *field,
                         const char *text);

/* Writes the text without its escapes, as much as there is room for, and a NUL;
 * "" for NULL. A number comes as its digits. */
void swki_audit_field_text(const struct swki_audit_field *field, char *buf,
                           size_t size);

/* A record that was read. */
struct swki_audit_record {
    struct swki_audit_link link;
    uint8_t prev[SWKI_SHA256_SIZE];
    swk_wall time;
    struct swki_audit_fields fields; /* all of them */
};

/* Reads a line, without its end; borrowed from it. False for what is no record,
 * or has another hash than it says. */
bool swki_audit_record_read(const char *line, size_t len,
                            struct swki_audit_record *out_record);

/* -- Values --------------------------------------------------------------- */

/* Reads lower-case digits, two for a byte, and nothing else. */
bool swki_audit_hex_read(const char *hex, size_t len, uint8_t *out_bytes);
bool swki_audit_hash_read(const char *hex, size_t len,
                          uint8_t out_hash[SWKI_SHA256_SIZE]);

enum {
    SWKI_AUDIT_TIME_SIZE = 40, /* bytes of a time as text, with the NUL */
};

/* RFC 3339 in UTC. */
void swki_audit_time_text(swk_wall wall, char out_text[SWKI_AUDIT_TIME_SIZE]);
bool swki_audit_time_read(const struct swki_audit_field *field,
                          swk_wall *out_wall);

#endif
