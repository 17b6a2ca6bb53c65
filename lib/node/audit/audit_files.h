/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The files of an audit log: audit-00000001.log and so on, ascending, and the
 * last checkpoint beside them.
 */

#ifndef SWKI_NODE_AUDIT_FILES_H
#define SWKI_NODE_AUDIT_FILES_H

#include "core/audit/audit.h"
#include "core/audit/checkpoint.h"
#include "node/audit/audit_signature.h"
#include "runtime/file/io.h"

#define SWKI_AUDIT_CHECKPOINT_NAME "checkpoint"

enum {
    SWKI_AUDIT_NAME_SIZE = 40, /* of a file, with the NUL */
};

/* A file with a higher number is none of the log's. */
#define SWKI_AUDIT_FILE_NUMBER_MAX UINT64_C(999999999999)

struct swki_audit_files {
    const struct swki_file_io *io;
    const char *path; /* of the directory, for messages; *borrowed* */
    int dir;
    uint64_t first; /* 0: there is none */
    uint64_t last;
};

/* Opens the directory and lists it; SWK_ENOTFOUND if there is none. */
int swki_audit_files_open(struct swki_audit_files *files,
                          const struct swki_file_io *io, const char *path,
                          struct swk_error *err);
void swki_audit_files_close(struct swki_audit_files *files);

/* The smallest number of a file that is there and is not below this one; 0 if
 * there is none. */
uint64_t swki_audit_files_next(const struct swki_audit_files *files,
                               uint64_t number);

/* Removes the files below that number, as far as they can be. */
void swki_audit_files_remove(const struct swki_audit_files *files,
                             uint64_t below);

void swki_audit_file_name(uint64_t number, char out_name[SWKI_AUDIT_NAME_SIZE]);

/* Reads the checkpoint's text; empty if there is none. */
int swki_audit_files_checkpoint(const struct swki_audit_files *files,
                                struct swki_buf *out_text,
                                struct swk_error *err);

/* Puts another one in its place, in one step. */
int swki_audit_files_replace_checkpoint(const struct swki_audit_files *files,
                                        const void *text, size_t len,
                                        struct swk_error *err);

/* Where a log that was read ends, and goes on. */
struct swki_audit_end {
    struct swki_audit_link last;
    enum swki_audit_before before;
    uint64_t torn;
    uint64_t recorded_index;
    bool has_checkpoint;
    uint64_t file;   /* that goes on, or is to be made if offset is 0 */
    uint64_t offset; /* where it ends */
    uint64_t oldest; /* file that is kept, as the newest says; 0: none does */
};

/* Finds the end, and cuts off an unfinished record. What is damaged stays as it
 * is: then the log goes on in another file. A checkpoint counts if the signer
 * has signed it. */
int swki_audit_files_find_end(struct swki_audit_files *files,
                              const struct swki_audit_signer *signer,
                              const struct swk_alloc *alloc,
                              struct swki_audit_end *out_end,
                              struct swk_error *err);

#endif
