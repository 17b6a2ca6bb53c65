/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * The audit log of a manager: reading it, and finding out whether it is what
 * was written.
 *
 * Each record is a line of JSON that holds the hash of the record before, and
 * now and then the manager signs how far it is. So a record that was altered,
 * removed, or put in another place is found, and so is an end that is missing.
 * Who may write the files can still put an earlier state of all of them back,
 * and who has the node's key as well can write all of it anew: against that,
 * keep a head (swk_audit_report) where they cannot reach.
 *
 * A log may be read while its manager writes it.
 */

#ifndef SWARMKIT_AUDIT_H
#define SWARMKIT_AUDIT_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

enum {
    SWK_AUDIT_HASH_LEN = 64,     /**< Characters of a hash, without the NUL. */
    SWK_AUDIT_FILE_LEN_MAX = 63, /**< Of a file's name. */
};

/** What is wrong with a log. */
enum swk_audit_finding {
    SWK_AUDIT_INTACT = 0,
    SWK_AUDIT_ALTERED = 1,   /**< A line is not what was written. */
    SWK_AUDIT_REMOVED = 2,   /**< Records are missing. */
    SWK_AUDIT_REORDERED = 3, /**< They are in another order. */
    SWK_AUDIT_TRUNCATED = 4, /**< The last ones are missing. */
    SWK_AUDIT_UNSIGNED = 5,  /**< Records that the manager should have signed
                                  long since are not, or there was nothing
                                  signed when it started. */
};

/** What is known of who signed a log. */
enum swk_audit_signature {
    SWK_AUDIT_NOT_SIGNED = 0,      /**< Nobody did. */
    SWK_AUDIT_SIGNER_UNKNOWN = 1,  /**< Who did is not known: there are no
                                        roots to tell. Anybody could have. */
    SWK_AUDIT_SIGNER_VERIFIED = 2, /**< The manager whose log it is. */
};

/** A record. *Borrowed for the call* that hands it over. */
struct swk_audit_record {
    size_t size;        /**< sizeof(struct swk_audit_record). */
    uint64_t seq;       /**< Its number; the first of a log is 1. */
    swk_wall time;      /**< When it was made. */
    const char *file;   /**< Name of the file that it is in. */
    uint64_t line;      /**< Its line there, from 1. */
    const char *json;   /**< The line, without its end. Printable ASCII and
                             UTF-8; needs no NUL. */
    size_t json_len;    /**< Bytes. */
    const void *fields; /**< For swk_audit_record_text(). */
};

/** How to read a log. Pointers are *borrowed for the call*. */
struct swk_audit_options {
    size_t size;     /**< sizeof(struct swk_audit_options). */
    const char *dir; /**< With the files; "audit" in a state directory. */
    /** Root certificates that vouch for the manager's, as PEM in a file. NULL:
     *  who signed stays unknown, and the log can be anybody's, whatever the
     *  finding is. */
    const char *roots_file;
    /** A head that is known from elsewhere; 0 for none. */
    uint64_t expect_seq;
    /** Its hash, SWK_AUDIT_HASH_LEN lower-case digits. */
    const char *expect_hash;
    const struct swk_alloc *alloc; /**< NULL for malloc(). */
    void *ctx;                     /**< Passed to both functions. */
    /** Takes each record that can be read, in the order of the files, also
     *  behind what is wrong. Ends the reading if it returns anything but 0,
     *  which must not be a code of <swarmkit/error.h>. May be NULL. */
    int (*record)(void *ctx, const struct swk_audit_record *record);
    /** Told now and then how many bytes of how many are read. May be NULL. */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    /** Node whose log it must be; NULL for any. */
    const char *node_id;
};

/** No options but the defaults. */
#define SWK_AUDIT_OPTIONS_INIT                                                 \
    {                                                                          \
        sizeof(struct swk_audit_options)                                       \
    }

/** What a log is like. */
struct swk_audit_report {
    size_t size;     /**< sizeof(struct swk_audit_report). */
    int32_t finding; /**< enum swk_audit_finding: the first one. */
    int32_t signature; /**< enum swk_audit_signature: of the checkpoint. */
    char file[SWK_AUDIT_FILE_LEN_MAX + 1]; /**< Where it is; may be "". */
    uint64_t line;      /**< The line there; 0 for none in particular. */
    uint64_t seq;       /**< Of the record there; 0 if it tells none. */
    char text[256];     /**< One line about it. */
    uint64_t records;   /**< Good ones, before the finding. */
    uint64_t first_seq; /**< Of them; 0 for none. Files before were removed
                             as the log has its limits. */
    uint64_t last_seq;  /**< The head: the last one, */
    char last_hash[SWK_AUDIT_HASH_LEN + 1]; /**< its hash, */
    swk_wall last_time;                     /**< and when it was made. */
    uint64_t unfinished; /**< Bytes behind it, of a record that is being
                              written, or was when the manager died. */
    uint64_t signed_seq; /**< Of the last checkpoint; 0 for none. */
    swk_wall signed_time;
    char signed_by[SWK_ID_LEN_MAX + 1]; /**< Node, as the signature says. */
    char node_id[SWK_ID_LEN_MAX + 1];   /**< Whose log it is, as it says. */
};

/**
 * Reads a log from its beginning to its end, and verifies it.
 *
 * @param options     What to read; not NULL.
 * @param out_report  Its size is set by the caller; receives the rest; not
 *                    NULL.
 * @param err         Receives the reason on failure; may be NULL.
 * @return 0 if all was read, whatever is wrong with it; what record() returned
 *         if not 0; SWK_ENOTFOUND if there is no log; SWK_EINVAL for options
 *         that make no sense; SWK_EMALFORMED for roots that are none;
 *         SWK_ENOTSUP for options of a newer library; SWK_EDENIED, SWK_EIO,
 *         SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_audit_verify(const struct swk_audit_options *options,
                 struct swk_audit_report *out_report, struct swk_error *err);

/**
 * Reads a field of a record.
 *
 * @param record  That was handed over; not NULL.
 * @param field   Its name, such as "actor"; not NULL.
 * @param buf     Receives the text, or the digits of a number, and a NUL; cut
 *                if it does not fit; "" if the record has no such field.
 * @param size    Bytes of room; not 0.
 * @return 1 if the record has the field, else 0.
 * @threads any
 * @since   0.1
 */
SWK_API int swk_audit_record_text(const struct swk_audit_record *record,
                                  const char *field, char *buf, size_t size);

/**
 * Lists the words that a field of records can have, for asking for one.
 *
 * @param field  "outcome" or "status"; "actor" for the words beside the IDs of
 *               nodes; not NULL.
 * @param index  From 0.
 * @return The word, static; NULL behind the last one, or for another field.
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_audit_word(const char *field, size_t index);

/**
 * Names a finding.
 *
 * @param finding  enum swk_audit_finding.
 * @return "intact", "altered", "removed", "reordered", "truncated" or
 *         "unsigned"; static.
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_audit_finding_name(int finding);

SWK_END_DECLS

#endif
