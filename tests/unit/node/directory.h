/* SPDX-License-Identifier: Apache-2.0 */

/* A directory of a test's own, and the files in it. */

#ifndef TESTS_UNIT_NODE_DIRECTORY_H
#define TESTS_UNIT_NODE_DIRECTORY_H

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "runtime/file/atomic.h"

struct directory {
    char path[64];
};

static inline void directory_init(struct directory *dir)
{
    snprintf(dir->path, sizeof(dir->path), "/tmp/swk-node-XXXXXX");
    assert_non_null(mkdtemp(dir->path));
}

static inline void directory_fini(struct directory *dir)
{
    char command[96];

    snprintf(command, sizeof(command), "rm -r %s", dir->path);
    assert_int_equal(system(command), 0);
}

/* Below a folder of the directory, or in it with "." */
static inline void directory_put(const struct directory *dir,
                                 const char *folder, const char *name,
                                 const void *data, size_t len)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir->path, folder);
    mkdir(path, 0755);
    assert_int_equal(swki_file_replace(path, name, data, len, 0600, NULL), 0);
}

static inline bool directory_has(const struct directory *dir, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    return access(path, F_OK) == 0;
}

static inline unsigned directory_mode(const struct directory *dir,
                                      const char *name)
{
    char path[256];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

/* Copies a file to the same name of another directory, if it is there. */
static inline void directory_copy(const struct directory *from,
                                  const struct directory *to,
                                  const char *folder, const char *name)
{
    char path[256];
    struct swki_buf buf;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    snprintf(path, sizeof(path), "%s/%s/%s", from->path, folder, name);
    assert_int_equal(swki_file_read(path, 1 << 20, &buf, NULL), 0);
    directory_put(to, folder, name, buf.data, buf.len);
    swki_buf_fini(&buf);
}

#endif
