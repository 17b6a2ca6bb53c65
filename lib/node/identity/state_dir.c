/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "node/identity/next_key.h"
#include "runtime/posix/lock_holder.h"

enum {
    PATH_SIZE = 4096,
};

static int make_directory(const char *path, mode_t mode)
{
    return mkdir(path, mode) == 0 || errno == EEXIST ? 0 : -1;
}

int swki_state_dir_create(const char *state_dir, struct swk_error *err)
{
    char path[PATH_SIZE];
    size_t len = strlen(state_dir);
    struct stat st;

    /* Room for the longest name below it. */
    if (len == 0 || len > PATH_SIZE - 256) {
        return swki_fail(err, SWK_EINVAL,
                         "state directory: the path is empty or too long");
    }
    memcpy(path, state_dir, len + 1);
    for (char *slash = strchr(path + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (make_directory(path, 0755) != 0) {
            return swki_fail(err, SWK_EIO,
                             "cannot create the state directory %s: %s: %s",
                             state_dir, path, strerror(errno));
        }
        *slash = '/';
    }
    if (make_directory(path, 0700) != 0) {
        return swki_fail(err, SWK_EIO,
                         "cannot create the state directory %s: %s", state_dir,
                         strerror(errno));
    }
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        return swki_fail(err, SWK_EIO,
                         "cannot use the state directory %s: it is no "
                         "directory",
                         state_dir);
    }
    if (access(path, R_OK | W_OK | X_OK) != 0) {
        return swki_fail(err, SWK_EIO,
                         "cannot write to the state directory %s: %s",
                         state_dir, strerror(errno));
    }
    return SWK_OK;
}

static int fail_in_use(int fd, const char *state_dir, struct swk_error *err)
{
    char holder[SWKI_LOCK_HOLDER_SIZE];

    swki_lock_holder(fd, holder);
    return swki_fail(err, SWK_EBUSY,
                     "%s has the state directory %.120s: stop it first, or "
                     "start with another one",
                     holder, state_dir);
}

int swki_state_dir_lock(const char *state_dir, int *out_fd,
                        struct swk_error *err)
{
    int fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc;

    if (fd < 0) {
        return swki_fail(err, SWK_EIO,
                         "cannot open the state directory %s: %s", state_dir,
                         strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *out_fd = fd;
        return SWK_OK;
    }
    rc = errno == EWOULDBLOCK
             ? fail_in_use(fd, state_dir, err)
             : swki_fail(err, SWK_EIO, "cannot lock the state directory %s: %s",
                         state_dir, strerror(errno));
    close(fd);
    return rc;
}

void swki_state_dir_unlock(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

static void certificates_path(char *buf, const char *state_dir)
{
    snprintf(buf, PATH_SIZE, "%s/certificates", state_dir);
}

int swki_state_dir_load(const char *state_dir,
                        struct swki_credentials *credentials,
                        const struct swk_clock *clock,
                        const struct swk_entropy *entropy,
                        struct swk_error *err)
{
    char path[PATH_SIZE];

    certificates_path(path, state_dir);
    return swki_credentials_load(credentials, path, clock->wall(clock->ctx),
                                 entropy, err);
}

int swki_state_dir_save(const char *state_dir,
                        const struct swki_credentials *credentials,
                        struct swk_error *err)
{
    char path[PATH_SIZE];

    certificates_path(path, state_dir);
    return swki_credentials_save(credentials, path, err);
}

int swki_state_dir_renew(const char *state_dir,
                         struct swki_credentials *credentials,
                         const struct swki_credentials *fresh,
                         struct swk_error *err)
{
    char path[PATH_SIZE];

    certificates_path(path, state_dir);
    return swki_credentials_renew(credentials, path, fresh, err);
}

int swki_state_dir_keep_key(const char *state_dir,
                            const struct swki_credentials *fresh,
                            const struct swki_credentials *own,
                            const struct swki_buf *csr, struct swk_error *err)
{
    char path[PATH_SIZE];

    certificates_path(path, state_dir);
    return swki_credentials_keep_key(fresh, path, own, csr, err);
}

int swki_state_dir_take_up_key(const char *state_dir,
                               struct swki_credentials *fresh,
                               const struct swki_credentials *own,
                               const struct swk_entropy *entropy,
                               struct swki_buf *out_csr, struct swk_error *err)
{
    char path[PATH_SIZE];

    certificates_path(path, state_dir);
    return swki_credentials_take_up_key(fresh, path, own, entropy, out_csr,
                                        err);
}

bool swki_state_dir_has_kept_key(const char *state_dir)
{
    char path[PATH_SIZE];

    certificates_path(path, state_dir);
    return swki_next_key_exists(path);
}

void swki_state_dir_forget_key(const char *state_dir)
{
    char path[PATH_SIZE];

    certificates_path(path, state_dir);
    swki_next_key_remove(path);
}

int swki_state_dir_change_keys(const char *state_dir,
                               struct swki_credentials *credentials,
                               const struct swki_data_keys *next,
                               const struct swk_entropy *entropy,
                               struct swk_error *err)
{
    char path[PATH_SIZE];

    certificates_path(path, state_dir);
    return swki_credentials_change_keys(credentials, path, next, entropy, err);
}

int swki_state_dir_switch_roots(const char *state_dir,
                                struct swki_credentials *credentials,
                                struct swki_pem roots, swk_wall now,
                                struct swk_error *err)
{
    char path[PATH_SIZE];

    certificates_path(path, state_dir);
    return swki_credentials_switch_roots(credentials, path, roots, now, err);
}
