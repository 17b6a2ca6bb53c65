/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signer/signer_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/file/atomic.h"

enum {
    FILE_MODE = 0600,
};

struct swki_pem swki_signer_pem(struct swk_bytes bytes)
{
    return (struct swki_pem){bytes.data, bytes.len};
}

void swki_signer_wipe(struct swki_buf *buf)
{
    swki_wipe(buf->data, buf->size);
    swki_wipe_registers();
    swki_buf_fini(buf);
}

void swki_signer_path(const struct swk_signer_keys *keys, const char *name,
                      char out_path[PATH_MAX])
{
    snprintf(out_path, PATH_MAX, "%s/%s", keys->dir, name);
}

void swki_signer_name(const char *fingerprint,
                      struct swki_signer_name *out_name)
{
    snprintf(out_name->text, sizeof(out_name->text), "%s.pem", fingerprint);
}

int swki_signer_check_private(const char *path, mode_t type,
                              struct swk_error *err)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        return swki_fail(err,
                         errno == ENOENT   ? SWK_ENOTFOUND
                         : errno == EACCES ? SWK_EDENIED
                                           : SWK_EIO,
                         "cannot read %s: %s", path, strerror(errno));
    }
    if ((st.st_mode & S_IFMT) != type) {
        return swki_fail(err, SWK_EINVAL, "%s is not a %s", path,
                         type == S_IFDIR ? "directory" : "regular file");
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        return swki_fail(err, SWK_EDENIED, "%s belongs to another user", path);
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return swki_fail(err, SWK_EDENIED,
                         "%s is open to others (mode %04o): it holds keys of "
                         "the CA, and has to be its owner's alone (chmod go= "
                         "it)",
                         path, (unsigned)(st.st_mode & 07777));
    }
    return SWK_OK;
}

/* All the room at once: growing would leave copies of a key behind. */
int swki_signer_read_file(const struct swk_signer_keys *keys, const char *name,
                          struct swki_buf *out_text, struct swk_error *err)
{
    char path[PATH_MAX];
    int rc;

    swki_signer_path(keys, name, path);
    rc = swki_signer_check_private(path, S_IFREG, err);
    if (rc == 0 && swki_buf_reserve(out_text, SWKI_PEM_LEN_MAX) == NULL) {
        rc = swki_fail_nomem(err);
    }
    return rc != 0 ? rc : swki_file_read(path, SWKI_PEM_LEN_MAX, out_text, err);
}

int swki_signer_write_file(const struct swk_signer_keys *keys, const char *name,
                           const struct swki_buf *text, struct swk_error *err)
{
    return text->failed ? swki_fail_nomem(err)
                        : swki_file_replace(keys->dir, name, text->data,
                                            text->len, FILE_MODE, err);
}

int swki_signer_lock(const struct swk_signer_keys *keys, int *out_fd,
                     struct swk_error *err)
{
    int fd = open(keys->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        int error = errno;

        if (fd >= 0) {
            close(fd);
        }
        return swki_fail(err, SWK_EIO, "cannot lock %s: %s", keys->dir,
                         strerror(error));
    }
    *out_fd = fd;
    return SWK_OK;
}

struct swki_pem swki_signer_key_block(struct swki_pem text)
{
    static const char label[] = "PRIVATE KEY-----";
    static const char begin[] = "-----BEGIN ";
    const char *start = text.text;
    const char *stop = start + text.len;
    const char *first = memmem(start, text.len, label, sizeof(label) - 1);
    const char *last;

    if (first == NULL) {
        return (struct swki_pem){"", 0};
    }
    last = first + sizeof(label) - 1;
    last = memmem(last, (size_t)(stop - last), label, sizeof(label) - 1);
    while (first > start && (first == stop || *first != '\n')) {
        first--;
    }
    first += *first == '\n' ? 1 : 0;
    if (last == NULL || (size_t)(stop - first) < sizeof(begin) ||
        memcmp(first, begin, sizeof(begin) - 1) != 0) {
        return (struct swki_pem){"", 0};
    }
    last += sizeof(label) - 1;
    return (struct swki_pem){first, (size_t)(last - first)};
}

int swki_signer_open_key(const struct swk_signer_keys *keys,
                         struct swki_pem text, struct swki_pem password,
                         struct swki_buf *out_key, struct swk_error *err)
{
    struct swki_pem block = swki_signer_key_block(text);

    if (swki_buf_reserve(out_key, SWKI_PEM_LEN_MAX) == NULL) {
        return swki_fail_nomem(err);
    }
    if (block.len == 0) {
        return swki_fail(err, SWK_EMALFORMED, "there is no private key");
    }
    if (!swki_key_is_sealed(block)) {
        swki_buf_append(out_key, block.text, block.len);
        swki_buf_append_byte(out_key, '\n');
        return SWK_OK;
    }
    if (password.len == 0) {
        return swki_fail(err, SWK_EDENIED,
                         "the key is sealed, and there is no password for it");
    }
    return swki_key_unseal(block, password.text, password.len, &keys->entropy,
                           out_key, err);
}

int swki_signer_put_key(const struct swk_signer_keys *keys, struct swki_pem key,
                        struct swki_pem password, struct swki_buf *out_text,
                        struct swk_error *err)
{
    if (password.len > 0) {
        return swki_key_seal_slowly(key, password.text, password.len,
                                    &keys->entropy, out_text, err);
    }
    swki_buf_append(out_text, key.text, key.len);
    return SWK_OK;
}
