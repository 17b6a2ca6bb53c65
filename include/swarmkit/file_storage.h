/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * The storage port over files: a write-ahead log and snapshots in a directory.
 *
 * One thread writes. What is appended while a sync runs goes out together in
 * the next one, so that many small appends share a sync. Every record carries
 * a checksum over its content, its place and what it follows.
 *
 * When read back, a last write that a crash cut short is removed: nobody was
 * told that it was durable. Damage anywhere else is an error that names the
 * file, never a shorter log. One thing cannot be told from a write cut short:
 * damage within the very last write of the log.
 *
 * After the first failed write or sync nothing is written any more, whatever
 * the reason was: the way on is to open the directory again.
 *
 * Data is stored as it is given; this release does not encrypt.
 */

#ifndef SWARMKIT_FILE_STORAGE_H
#define SWARMKIT_FILE_STORAGE_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/storage.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** Defaults and limits of struct swk_file_storage_config. */
enum {
    SWK_FILE_STORAGE_SEGMENT_SIZE = 16 * 1024 * 1024,
    SWK_FILE_STORAGE_SEGMENT_SIZE_MIN = 4096,
    SWK_FILE_STORAGE_SEGMENT_SIZE_MAX = 1024 * 1024 * 1024,
    SWK_FILE_STORAGE_PENDING_SIZE_MAX = 256 * 1024 * 1024,
    SWK_FILE_STORAGE_SNAPSHOTS_MAX = 2,
};

/** How to open a storage. Zero stands for the default of a field. */
struct swk_file_storage_config {
    size_t size; /**< sizeof(struct swk_file_storage_config). */
    /** The directory, *copied*; made with mode 0700 if there is none. Its
     *  parent must exist. */
    const char *dir;
    swk_storage_done_fn done; /**< Told of what is durable; not NULL. */
    void *done_ctx;           /**< Passed to done(). */
    /** *Borrowed until* close(); NULL for malloc(). Called on the threads of
     *  the caller and of the storage, maybe at once. */
    const struct swk_alloc *alloc;
    /** *Borrowed until* close(); may be NULL. Called on either thread. */
    const struct swk_logger *logger;
    uint64_t segment_size;     /**< Bytes of a file of the log; taken ahead. */
    uint64_t pending_size_max; /**< Bytes accepted and not yet written. */
    /** Snapshots kept. With one, a damaged snapshot means a lost log; with
     *  two, the log is kept from the older one on. */
    uint64_t snapshots_max;
};

/**
 * Opens a directory, and keeps others from opening it.
 *
 * The storage answers, beside what the port says:
 *
 * load: SWK_ECORRUPT for damage, with the file, the offset and what to do;
 * SWK_ENOTSUP for files of an earlier or later format; SWK_EIO or SWK_EDENIED when reading
 * fails; SWK_ENOMEM; SWK_EPRECONDITION when called again.
 *
 * append, begin_snapshot, finish_snapshot: after a failure its code and text, without accepting
 * anything; SWK_ELIMIT when too much is pending, or one append is over 1 GiB;
 * SWK_EPRECONDITION before load() succeeded; SWK_EINVAL for a ticket or a
 * snapshot that does not ascend; SWK_ENOMEM. Failures of writing are reported
 * once, by done() with the first ticket that is not durable.
 *
 * @param config       Borrowed for the call; not NULL.
 * @param out_storage  Receives the functions, and a ctx that is *given*:
 *                     release it with out_storage->close(); not NULL.
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_EBUSY if another has it open, with the number of its process;
 *         SWK_EDENIED if the directory cannot be written to; SWK_EIO;
 *         SWK_EINVAL for a missing or impossible option; SWK_ENOTSUP for a
 *         config of a newer library; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_file_storage_open(const struct swk_file_storage_config *config,
                      struct swk_storage *out_storage, struct swk_error *err);

SWK_END_DECLS

#endif
