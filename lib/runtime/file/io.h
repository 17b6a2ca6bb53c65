/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The system calls of the log, as a table, so that tests can put a disk of
 * their own in their place.
 *
 * Functions return 0 or more, or a negative errno. Names are those of files in
 * an opened directory.
 */

#ifndef SWKI_RUNTIME_FILE_IO_H
#define SWKI_RUNTIME_FILE_IO_H

#include <stddef.h>
#include <stdint.h>

#include <swarmkit/error.h>

struct swki_file_io {
    void *ctx;
    /* Makes a directory for its owner alone, and its entry durable; one that
     * exists is no error. */
    int (*make_dir)(void *ctx, const char *path);
    int (*open_dir)(void *ctx, const char *path);
    /* Opens for reading and writing. */
    int (*open)(void *ctx, int dir, const char *name);
    int (*open_to_read)(void *ctx, int dir, const char *name);
    /* Makes an empty file, instead of one that exists. */
    int (*create)(void *ctx, int dir, const char *name);
    void (*close)(void *ctx, int fd);
    int64_t (*size)(void *ctx, int fd);
    int64_t (*read)(void *ctx, int fd, void *buf, size_t len, uint64_t offset);
    int64_t (*write)(void *ctx, int fd, const void *data, size_t len,
                     uint64_t offset);
    /* Takes space up to size, reading as zeros where nothing was written. */
    int (*preallocate)(void *ctx, int fd, uint64_t size);
    int (*truncate)(void *ctx, int fd, uint64_t size);
    /* Data, and what is needed to read it back. */
    int (*sync)(void *ctx, int fd);
    int (*sync_dir)(void *ctx, int dir);
    int (*rename)(void *ctx, int dir, const char *from, const char *to);
    int (*remove)(void *ctx, int dir, const char *name);
    /* Calls found() for each name; stops when it returns a negative errno. */
    int (*list)(void *ctx, int dir,
                int (*found)(void *found_ctx, const char *name),
                void *found_ctx);
    /* -EAGAIN if another has the file locked. */
    int (*lock)(void *ctx, int fd);
    /* A number that nobody can guess, and that never comes again. */
    uint64_t (*salt)(void *ctx);
};

/* The real ones. */
extern const struct swki_file_io swki_file_io_posix;

/* Writes all, whatever the pieces; 0 or a negative errno. */
int swki_io_write_all(const struct swki_file_io *io, int fd, const void *data,
                      size_t len, uint64_t offset);

/* Reads until len or the end; the count, or a negative errno. */
int64_t swki_io_read_all(const struct swki_file_io *io, int fd, void *buf,
                         size_t len, uint64_t offset);

/* Describes a negative errno: SWK_EIO, or SWK_EDENIED for lacking permission.
 * what is such as "write to"; dir and name tell the file. */
int swki_io_fail(struct swk_error *err, int error, const char *what,
                 const char *dir, const char *name);

#endif
