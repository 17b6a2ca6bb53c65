/* SPDX-License-Identifier: Apache-2.0 */

/* Values on their way to the shim: in memory of the kernel, which is gone with
 * the last who has it open. */

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/exec/executor.h"

enum {
    FD_FIRST = 16, /* above those the shim gets */
};

static bool write_all(int fd, const void *data, size_t len)
{
    const uint8_t *next = data;

    while (len > 0) {
        ssize_t n = write(fd, next, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        next += n;
        len -= (size_t)n;
    }
    return true;
}

static const struct swk_task_secret *
find_secret(const struct swk_task_secret *secrets, size_t count,
            const char *secret_id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(secrets[i].secret_id, secret_id) == 0) {
            return &secrets[i];
        }
    }
    return NULL;
}

static int write_secret(int fd, const struct swk_task_secret *secret,
                        const char *secret_id, struct swk_error *err)
{
    uint64_t len;

    if (secret == NULL) {
        return swki_fail(err, SWK_ENOTFOUND, "secret %.64s is not there",
                         secret_id);
    }
    if (secret->templated) {
        return swki_fail(err, SWK_ENOTSUP,
                         "secret %.64s: templates are not expanded by the "
                         "process executor",
                         secret_id);
    }
    len = htole64(secret->data.len);
    if (!write_all(fd, &len, sizeof(len)) ||
        !write_all(fd, secret->data.data, secret->data.len)) {
        return swki_fail(err, SWK_EUNAVAILABLE, "no memory for secrets");
    }
    return SWK_OK;
}

static int open_file(struct swk_error *err)
{
    int low = memfd_create("secrets", MFD_CLOEXEC);
    int fd = low >= 0 ? fcntl(low, F_DUPFD_CLOEXEC, FD_FIRST) : -1;

    if (fd < 0) {
        swki_fail(err, SWK_EUNAVAILABLE, "no file for secrets: %s",
                  strerror(errno));
    }
    if (low >= 0) {
        close(low);
    }
    return fd;
}

int swki_secret_file_make(const struct swki_plan *plan,
                          const struct swk_task_secret *secrets,
                          size_t secrets_count, int *out_fd,
                          struct swk_error *err)
{
    const char *secret_id = (const char *)plan->secret_ids.data;
    int fd = open_file(err);
    int rc = fd >= 0 ? SWK_OK : SWK_EUNAVAILABLE;

    for (size_t i = 0; rc == SWK_OK && i < plan->secrets_count; i++) {
        rc = write_secret(fd, find_secret(secrets, secrets_count, secret_id),
                          secret_id, err);
        secret_id += strlen(secret_id) + 1;
    }
    if (rc == SWK_OK && lseek(fd, 0, SEEK_SET) != 0) {
        rc = swki_fail(err, SWK_EIO, "file for secrets: %s", strerror(errno));
    }
    if (rc != SWK_OK) {
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    *out_fd = fd;
    return SWK_OK;
}
