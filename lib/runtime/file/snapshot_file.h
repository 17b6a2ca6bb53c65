/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One snapshot as a file: written from its front to its end, read anywhere.
 * All numbers are little endian; all padding is zero.
 *
 * Header, 512 bytes
 *     0 magic "SWKSNAP\n"
 *     8 version (3)           9 flags (1: sealed, 2: complete)
 *    16 index                24 term
 *    32 length of the data; 0 until it is complete
 *    40 id: drawn for this file
 *    48 nonce salt
 *    56 length of the members             60 bytes of data in a chunk
 *   492 tag                  508 CRC of bytes 0 to 507, and of the members
 *   512 members (conf_state.h)
 *
 * Then the chunks. All but the last are full; the last may be empty.
 *     0 nonce salt             8 length of the data     12 flags (1: last)
 *    16 data, then its tag; without a key a CRC and 12 zeros
 *
 * Bound to a chunk are its first 16 bytes, the file's id and place, and its
 * number: one that was cut off, moved, or taken from another file is noticed.
 * Whoever writes draws a nonce salt; the header counts 0 until it is complete,
 * then 1, chunk n counts n + 2. One that goes on with a file draws another
 * salt, as the chunks after the last good one are written again.
 */

#ifndef SWKI_RUNTIME_FILE_SNAPSHOT_FILE_H
#define SWKI_RUNTIME_FILE_SNAPSHOT_FILE_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/log.h>

#include "runtime/file/format.h"
#include "runtime/file/io.h"
#include "runtime/file/seal.h"

enum {
    SWKI_SNAPSHOT_VERSION = 3,
    SWKI_SNAPSHOT_HEAD_SIZE = 512, /* the members follow */
    SWKI_SNAPSHOT_CHUNK_HEAD = 16,
    SWKI_SNAPSHOT_CHUNK_EXTRA = SWKI_SNAPSHOT_CHUNK_HEAD + SWKI_SEAL_TAG_SIZE,
    SWKI_SNAPSHOT_CHUNK_MIN = 256, /* bytes of data */
    SWKI_SNAPSHOT_CHUNK = 64 * 1024,
    SWKI_SNAPSHOT_CHUNK_MAX = 1024 * 1024,
    SWKI_SNAPSHOT_NAME_SIZE = 64,
};

#define SWKI_SNAPSHOT_NO_CHUNK UINT64_MAX

/* Where the files are, and their keys. Nothing of it changes. */
struct swki_snapshot_place {
    const struct swki_file_io *io;
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const char *dir_path;
    int dir;
    struct swki_keyring *ring; /* NULL: nothing is sealed */
    bool accept_unsealed;      /* although there is a key */
    uint32_t chunk_size;       /* of files that are made */
    /* Called when the disk is full; false if that changes nothing. May be
     * NULL. */
    bool (*make_room)(void *ctx);
    void *make_room_ctx;
};

/* One thread at a time. */
struct swki_snapshot_file {
    const struct swki_snapshot_place *at;
    char name[SWKI_SNAPSHOT_NAME_SIZE];
    int fd;
    struct swki_seal seal; /* number 0: it is not sealed */
    struct swki_place place;
    uint64_t id;
    uint64_t nonce_salt; /* of what is written */
    uint64_t length;     /* of the data; so far, if it is not complete */
    bool complete;
    uint32_t chunk_size;
    uint8_t *head; /* header and members */
    uint32_t members_len;
    uint8_t *chunk;  /* room for one, as it stands in the file */
    uint64_t cached; /* its number, if it was read; else NO_CHUNK */
    uint32_t fill;   /* data in it, if it is written */
};

/* Makes a file, instead of one that exists, and writes its header; members are
 * encoded. SWK_EIO and SWK_EDENIED by the system; SWK_ENOMEM. */
int swki_snapshot_file_create(const struct swki_snapshot_place *at,
                              const char *name, const struct swki_place *place,
                              const uint8_t *members, size_t members_len,
                              struct swki_snapshot_file *out_file,
                              struct swk_error *err);

/* Opens one and checks its header: place is that which it must have, or NULL.
 * SWK_ENOTFOUND; SWK_ECORRUPT; SWK_ENOTSUP for another version; SWK_EDENIED if
 * none of the keys opens it, or it is not sealed and must be; and as above. */
int swki_snapshot_file_open(const struct swki_snapshot_place *at,
                            const char *name, const struct swki_place *place,
                            struct swki_snapshot_file *out_file,
                            struct swk_error *err);
void swki_snapshot_file_close(struct swki_snapshot_file *file);

/* Makes ready to add to one that was opened and is not complete: it ends after
 * offset bytes of data, a multiple of its chunk's size. */
int swki_snapshot_file_resume(struct swki_snapshot_file *file, uint64_t offset,
                              struct swk_error *err);

/* Adds data; whole chunks are written. */
int swki_snapshot_file_add(struct swki_snapshot_file *file, const uint8_t *data,
                           size_t len, struct swk_error *err);

/* Makes what was written durable. */
int swki_snapshot_file_sync(struct swki_snapshot_file *file,
                            struct swk_error *err);

/* Writes what is left, and makes the file complete and durable. */
int swki_snapshot_file_complete(struct swki_snapshot_file *file,
                                struct swk_error *err);

/* Reads size bytes of the data from offset on, or up to its end. SWK_ECORRUPT
 * if it is not what was written. */
int swki_snapshot_file_read(struct swki_snapshot_file *file, uint64_t offset,
                            uint8_t *buf, size_t size, size_t *out_len,
                            struct swk_error *err);

/* Reads all of a complete one, and forgets what it reads. */
int swki_snapshot_file_verify(struct swki_snapshot_file *file,
                              struct swk_error *err);

/* How many bytes of data one that is not complete begins with that are good,
 * in whole chunks. */
uint64_t swki_snapshot_file_good(struct swki_snapshot_file *file);

#endif
