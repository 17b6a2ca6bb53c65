/* SPDX-License-Identifier: Apache-2.0 */

/* Small files that are replaced whole or not at all: keys, identities. */

#ifndef SWKI_RUNTIME_FILE_ATOMIC_H
#define SWKI_RUNTIME_FILE_ATOMIC_H

#include <sys/types.h>

#include <swarmkit/error.h>

#include "base/buf.h"

/*
 * Makes the file name in the directory dir_path hold data, with the given
 * mode whatever the umask is. After a crash at any moment the file has either
 * its old content or the new one; on success the new one is on the disk.
 *
 * name has no '/'. A file ".NAME.tmp" may be left by a crash; the next call
 * replaces it. One caller at a time for one name.
 *
 * SWK_EINVAL for a bad name; SWK_EDENIED or SWK_EIO by the reason, in words.
 */
int swki_file_replace(const char *dir_path, const char *name, const void *data,
                      size_t len, mode_t mode, struct swk_error *err);

/*
 * Appends the whole content of a regular file to buf, at most limit bytes.
 *
 * SWK_ENOTFOUND if there is none; SWK_ELIMIT if it is larger; SWK_EINVAL if it
 * is no regular file; SWK_EDENIED, SWK_EIO, SWK_ENOMEM. On failure buf has its
 * old length.
 */
int swki_file_read(const char *path, size_t limit, struct swki_buf *buf,
                   struct swk_error *err);

#endif
