/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signer_keys.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/options.h"
#include "node/state_dir.h"
#include "runtime/file/atomic.h"

enum {
    FILE_MODE = 0600,
    NAME_SIZE = SWK_FINGERPRINT_LEN + 5, /* with ".pem" and a NUL */
    NAMES_MAX = 4 * SWK_AUTHORITIES_MAX,
    PASSWORD_LEN_MAX = 4096,
};

static const char used_line[] = "Used: yes\n";
static const char unused_line[] = "Used: no\n";

struct name {
    char text[NAME_SIZE];
};

/* -- Files ------------------------------------------------------------------
 */

static struct swki_pem pem_of_bytes(struct swk_bytes bytes)
{
    return (struct swki_pem){bytes.data, bytes.len};
}

static void wipe_buf(struct swki_buf *buf)
{
    swki_wipe(buf->data, buf->size);
    swki_buf_fini(buf);
}

static void file_path(const struct swk_signer_keys *keys, const char *name,
                      char out_path[PATH_MAX])
{
    snprintf(out_path, PATH_MAX, "%s/%s", keys->dir, name);
}

static void name_of(const char *fingerprint, struct name *out_name)
{
    snprintf(out_name->text, sizeof(out_name->text), "%s.pem", fingerprint);
}

/* What holds keys is its owner's alone. */
static int check_private(const char *path, mode_t type, struct swk_error *err)
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
static int read_file(const struct swk_signer_keys *keys, const char *name,
                     struct swki_buf *out_text, struct swk_error *err)
{
    char path[PATH_MAX];
    int rc;

    file_path(keys, name, path);
    rc = check_private(path, S_IFREG, err);
    if (rc == 0 && swki_buf_reserve(out_text, SWKI_PEM_LEN_MAX) == NULL) {
        rc = swki_fail_nomem(err);
    }
    return rc != 0 ? rc : swki_file_read(path, SWKI_PEM_LEN_MAX, out_text, err);
}

static int write_file(const struct swk_signer_keys *keys, const char *name,
                      const struct swki_buf *text, struct swk_error *err)
{
    return text->failed ? swki_fail_nomem(err)
                        : swki_file_replace(keys->dir, name, text->data,
                                            text->len, FILE_MODE, err);
}

/* Waits for others that write. */
static int lock_dir(const struct swk_signer_keys *keys, int *out_fd,
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

/* -- Keys -------------------------------------------------------------------
 */

/* The block of a private key in the text, which may hold more. */
static struct swki_pem key_block(struct swki_pem text)
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

/* The plain key of a text that holds it, sealed or not. */
static int open_key(const struct swk_signer_keys *keys, struct swki_pem text,
                    struct swki_pem password, struct swki_buf *out_key,
                    struct swk_error *err)
{
    struct swki_pem block = key_block(text);

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

static int put_key(const struct swk_signer_keys *keys, struct swki_pem key,
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

/* -- Reading ----------------------------------------------------------------
 */

static bool is_used(const struct swki_buf *text)
{
    return text->len >= sizeof(used_line) - 1 &&
           memcmp(text->data, used_line, sizeof(used_line) - 1) == 0;
}

static int add_from_text(struct swk_signer_keys *keys,
                         const struct swki_buf *text,
                         struct swki_authority **out_authority,
                         struct swk_error *err)
{
    bool names_only = (keys->flags & SWK_SIGNER_KEYS_NAMES_ONLY) != 0;
    struct swki_pem pem = swki_pem_of_buf(text);
    struct swki_buf key;
    int rc = SWK_OK;

    swki_buf_init(&key, keys->alloc, SWKI_PEM_LEN_MAX);
    if (!names_only) {
        rc = open_key(keys, pem, swki_pem_of_buf(&keys->password), &key, err);
    }
    if (rc == 0) {
        rc =
            swki_authorities_add(&keys->authorities, pem, swki_pem_of_buf(&key),
                                 &keys->entropy, out_authority, err);
    }
    if (rc == 0) {
        (*out_authority)->used = is_used(text);
    }
    wipe_buf(&key);
    return rc;
}

static int load(struct swk_signer_keys *keys, const struct name *name,
                struct swk_error *err)
{
    struct swki_authority *authority;
    struct swki_buf text;
    int rc;

    swki_buf_init(&text, keys->alloc, SWKI_PEM_LEN_MAX);
    rc = read_file(keys, name->text, &text, err);
    if (rc == 0) {
        rc = add_from_text(keys, &text, &authority, err);
        rc = rc == SWK_EINVAL || rc == SWK_EMALFORMED
                 ? swki_fail(err, SWK_ECORRUPT,
                             "it is damaged, or its key is not that of its "
                             "certificate")
                 : rc;
        if (rc != 0) {
            swki_error_prefix(err, "authority %.16s in %s", name->text,
                              keys->dir);
        }
    }
    if (rc == 0 &&
        strncmp(authority->fingerprint, name->text, SWK_FINGERPRINT_LEN) != 0) {
        swki_authorities_remove(&keys->authorities, authority);
        rc = swki_fail(err, SWK_ECORRUPT,
                       "%s in %s holds the authority of another name",
                       name->text, keys->dir);
    }
    wipe_buf(&text);
    return rc;
}

static bool is_name(const char *text)
{
    for (size_t i = 0; i < SWK_FINGERPRINT_LEN; i++) {
        if (!isxdigit((unsigned char)text[i])) {
            return false;
        }
    }
    return strcmp(text + SWK_FINGERPRINT_LEN, ".pem") == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text,
                  ((const struct name *)b)->text);
}

static int list_names(const struct swk_signer_keys *keys,
                      struct name names[NAMES_MAX], size_t *out_count,
                      struct swk_error *err)
{
    DIR *dir = opendir(keys->dir);
    struct dirent *entry;
    size_t count = 0;

    if (dir == NULL) {
        return swki_fail(err, SWK_EIO, "cannot read %s: %s", keys->dir,
                         strerror(errno));
    }
    while (count < NAMES_MAX && (entry = readdir(dir)) != NULL) {
        if (is_name(entry->d_name)) {
            memcpy(names[count++].text, entry->d_name, NAME_SIZE);
        }
    }
    closedir(dir);
    qsort(names, count, sizeof(names[0]), compare_names);
    *out_count = count;
    return SWK_OK;
}

static struct swki_authority *held_as(const struct swk_signer_keys *keys,
                                      const struct name *name)
{
    struct swki_authority *found = NULL;
    char fingerprint[SWK_FINGERPRINT_LEN + 1] = "";

    memcpy(fingerprint, name->text, SWK_FINGERPRINT_LEN);
    return swki_authorities_named(&keys->authorities, fingerprint, &found,
                                  NULL) == 0
               ? found
               : NULL;
}

static void drop_missing(struct swk_signer_keys *keys, const struct name *names,
                         size_t count)
{
    struct swki_link *next;

    for (struct swki_link *link = keys->authorities.list.next;
         link != &keys->authorities.list; link = next) {
        struct swki_authority *authority =
            SWKI_CONTAINER(link, struct swki_authority, link);
        struct name name;

        next = link->next;
        name_of(authority->fingerprint, &name);
        if (bsearch(&name, names, count, sizeof(name), compare_names) == NULL) {
            swki_authorities_remove(&keys->authorities, authority);
        }
    }
}

int swki_signer_keys_reload(struct swk_signer_keys *keys, struct swk_error *err)
{
    struct name names[NAMES_MAX];
    size_t count = 0;
    int rc = list_names(keys, names, &count, err);
    int failure = rc;

    if (rc == 0) {
        drop_missing(keys, names, count);
    }
    for (size_t i = 0; i < count; i++) {
        if (held_as(keys, &names[i]) == NULL) {
            rc = load(keys, &names[i], err);
            failure = rc != 0 ? rc : failure;
        }
    }
    return failure;
}

static int read_swarm_id(struct swk_signer_keys *keys, struct swk_error *err)
{
    struct swki_buf text;
    int rc;

    swki_buf_init(&text, keys->alloc, SWKI_PEM_LEN_MAX);
    rc = read_file(keys, "swarm", &text, err);
    if (rc == 0) {
        size_t len = strcspn((const char *)text.data, "\n");

        if (text.len == 0 || text.data[text.len - 1] != '\n' ||
            len >= sizeof(keys->swarm_id)) {
            rc = swki_fail(err, SWK_ECORRUPT, "%s/swarm is damaged", keys->dir);
        } else {
            memcpy(keys->swarm_id, text.data, len);
            keys->swarm_id[len] = '\0';
        }
    }
    swki_buf_fini(&text);
    return rc == SWK_ENOTFOUND ? SWK_OK : rc;
}

/* -- Life -------------------------------------------------------------------
 */

static int check_config(const struct swk_signer_keys_config *config,
                        struct swk_error *err)
{
    if (config->dir == NULL || config->clock == NULL ||
        config->entropy == NULL) {
        return swki_fail(err, SWK_EINVAL, "signer: NULL in the configuration");
    }
    if (strlen(config->dir) >= PATH_MAX / 2) {
        return swki_fail(err, SWK_EINVAL, "signer: the path is too long");
    }
    if (config->password.len > PASSWORD_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL, "signer: the password is too long");
    }
    return SWK_OK;
}

static int open_keys(struct swk_signer_keys *keys,
                     const struct swk_signer_keys_config *config,
                     struct swk_error *err)
{
    int rc = SWK_OK;

    if ((config->flags & SWK_SIGNER_KEYS_CREATE) != 0) {
        rc = swki_state_dir_create(config->dir, err);
    }
    if (rc == 0) {
        rc = check_private(keys->dir, S_IFDIR, err);
    }
    if (rc == 0 && config->password.len > 0 &&
        !swki_buf_append(&keys->password, config->password.data,
                         config->password.len)) {
        rc = swki_fail_nomem(err);
    }
    if (rc == 0) {
        rc = read_swarm_id(keys, err);
    }
    return rc != 0 ? rc : swki_signer_keys_reload(keys, err);
}

int swk_signer_keys_open(const struct swk_signer_keys_config *options,
                         swk_signer_keys **out_keys, struct swk_error *err)
{
    struct swk_signer_keys_config config;
    struct swk_signer_keys *keys;
    int rc;

    if (options == NULL || out_keys == NULL) {
        return swki_fail(err, SWK_EINVAL, "signer: NULL argument");
    }
    rc = swki_options_read(&config, sizeof(config), options,
                           "swk_signer_keys_config", err);
    if (rc == 0) {
        rc = check_config(&config, err);
    }
    if (rc != 0) {
        return rc;
    }
    keys = swki_calloc(config.alloc, 1, sizeof(*keys));
    if (keys == NULL) {
        return swki_fail_nomem(err);
    }
    keys->alloc = config.alloc;
    keys->clock = config.clock;
    keys->entropy = *config.entropy;
    keys->flags = config.flags;
    snprintf(keys->dir, sizeof(keys->dir), "%s", config.dir);
    swki_authorities_init(&keys->authorities, keys->alloc);
    swki_buf_init(&keys->password, keys->alloc, PASSWORD_LEN_MAX);
    rc = open_keys(keys, &config, err);
    if (rc != 0) {
        swk_signer_keys_free(keys);
        return rc;
    }
    *out_keys = keys;
    return SWK_OK;
}

void swk_signer_keys_free(swk_signer_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    swki_authorities_fini(&keys->authorities);
    wipe_buf(&keys->password);
    swki_free(keys->alloc, keys);
}

/* -- Writing ----------------------------------------------------------------
 */

/* Takes a pair in, and writes it to its file. */
static int keep(struct swk_signer_keys *keys, struct swki_pem certificate,
                struct swki_pem key, bool used,
                struct swki_authority **out_authority, struct swk_error *err)
{
    struct swki_authority *authority;
    struct swki_buf text;
    struct name name;
    int rc = swki_authorities_add(&keys->authorities, certificate, key,
                                  &keys->entropy, &authority, err);

    if (rc != 0) {
        return rc;
    }
    authority->used = used;
    swki_buf_init(&text, keys->alloc, SWKI_PEM_LEN_MAX);
    if (swki_buf_reserve(&text, SWKI_PEM_LEN_MAX) == NULL) {
        rc = swki_fail_nomem(err);
    }
    if (rc == 0) {
        swki_buf_append_text(&text, used ? used_line : unused_line);
        swki_buf_append(&text, authority->certificate.data,
                        authority->certificate.len);
        rc = put_key(keys, key, swki_pem_of_buf(&keys->password), &text, err);
    }
    if (rc == 0) {
        name_of(authority->fingerprint, &name);
        rc = write_file(keys, name.text, &text, err);
    }
    wipe_buf(&text);
    if (rc != 0) {
        swki_authorities_remove(&keys->authorities, authority);
        return rc;
    }
    *out_authority = authority;
    return SWK_OK;
}

static int keep_locked(struct swk_signer_keys *keys,
                       struct swki_pem certificate, struct swki_pem key,
                       bool used, struct swki_authority **out_authority,
                       struct swk_error *err)
{
    int fd = -1;
    int rc = lock_dir(keys, &fd, err);

    if (rc == 0) {
        rc = keep(keys, certificate, key, used, out_authority, err);
        close(fd);
    }
    return rc;
}

int swki_signer_keys_make(struct swk_signer_keys *keys,
                          struct swki_authority **out_authority,
                          struct swk_error *err)
{
    swk_wall now = keys->clock->wall(keys->clock->ctx);
    struct swki_buf certificate;
    struct swki_buf key;
    int rc = SWK_OK;

    swki_buf_init(&certificate, keys->alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&key, keys->alloc, SWKI_PEM_LEN_MAX);
    if (swki_buf_reserve(&key, SWKI_PEM_LEN_MAX) == NULL) {
        rc = swki_fail_nomem(err);
    }
    if (rc == 0) {
        rc = swki_key_generate(&keys->entropy, &key, err);
    }
    if (rc == 0) {
        rc = swki_root_create(swki_pem_of_buf(&key), now, &keys->entropy,
                              &certificate, err);
    }
    if (rc == 0) {
        rc = keep_locked(keys, swki_pem_of_buf(&certificate),
                         swki_pem_of_buf(&key), false, out_authority, err);
    }
    wipe_buf(&key);
    swki_buf_fini(&certificate);
    return rc;
}

static int write_used(struct swk_signer_keys *keys, const char *name,
                      struct swk_error *err)
{
    struct swki_buf before;
    struct swki_buf after;
    int rc;

    swki_buf_init(&before, keys->alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&after, keys->alloc, SWKI_PEM_LEN_MAX);
    rc = read_file(keys, name, &before, err);
    if (rc == 0 && swki_buf_reserve(&after, SWKI_PEM_LEN_MAX) == NULL) {
        rc = swki_fail_nomem(err);
    }
    if (rc == 0 && !is_used(&before)) {
        size_t skip = sizeof(unused_line) - 1;

        if (before.len < skip || memcmp(before.data, unused_line, skip) != 0) {
            skip = 0;
        }
        swki_buf_append_text(&after, used_line);
        swki_buf_append(&after, before.data + skip, before.len - skip);
        rc = write_file(keys, name, &after, err);
    }
    wipe_buf(&after);
    wipe_buf(&before);
    return rc;
}

int swki_signer_keys_mark_used(struct swk_signer_keys *keys,
                               const struct swki_authority *authority,
                               struct swk_error *err)
{
    struct name name;
    int fd = -1;
    int rc = lock_dir(keys, &fd, err);

    if (rc == 0) {
        name_of(authority->fingerprint, &name);
        rc = write_used(keys, name.text, err);
        close(fd);
    }
    return rc;
}

int swki_signer_keys_bind(struct swk_signer_keys *keys, const char *swarm_id,
                          struct swk_error *err)
{
    char text[SWK_ID_LEN_MAX + 2];
    int len = snprintf(text, sizeof(text), "%s\n", swarm_id);
    int rc = swki_file_replace(keys->dir, "swarm", text, (size_t)len, FILE_MODE,
                               err);

    if (rc == 0) {
        snprintf(keys->swarm_id, sizeof(keys->swarm_id), "%s", swarm_id);
    }
    return rc;
}

/* -- For tools --------------------------------------------------------------
 */

static bool is_sealed(const struct swk_signer_keys *keys,
                      const struct swki_authority *authority)
{
    struct swki_buf text;
    struct name name;
    bool sealed;

    name_of(authority->fingerprint, &name);
    swki_buf_init(&text, keys->alloc, SWKI_PEM_LEN_MAX);
    sealed = read_file(keys, name.text, &text, NULL) == 0 &&
             swki_key_is_sealed(swki_pem_of_buf(&text));
    wipe_buf(&text);
    return sealed;
}

static void tell(const struct swk_signer_keys *keys,
                 const struct swki_authority *authority,
                 struct swk_authority *out_authority)
{
    if (out_authority == NULL) {
        return;
    }
    *out_authority = (struct swk_authority){
        .not_before = authority->info.not_before,
        .not_after = authority->info.not_after,
        .used = authority->used,
        .sealed = is_sealed(keys, authority),
    };
    memcpy(out_authority->fingerprint, authority->fingerprint,
           sizeof(out_authority->fingerprint));
}

int swk_signer_keys_create(swk_signer_keys *keys,
                           struct swk_authority *out_authority,
                           struct swk_error *err)
{
    struct swki_authority *authority;
    int rc;

    if (keys == NULL) {
        return swki_fail(err, SWK_EINVAL, "signer: NULL argument");
    }
    rc = swki_signer_keys_make(keys, &authority, err);
    if (rc == 0) {
        tell(keys, authority, out_authority);
    }
    return rc;
}

static int find_same(const struct swk_signer_keys *keys, struct swki_pem pem,
                     struct swki_authority **out_authority,
                     struct swk_error *err)
{
    int rc = swki_roots_check(swki_pem_first(pem),
                              keys->clock->wall(keys->clock->ctx), err);

    return rc != 0 ? rc
                   : swki_authorities_find(&keys->authorities, pem,
                                           out_authority, err);
}

int swk_signer_keys_import(swk_signer_keys *keys, struct swk_bytes pem,
                           struct swk_bytes password, uint32_t flags,
                           struct swk_authority *out_authority,
                           struct swk_error *err)
{
    bool used = (flags & SWK_SIGNER_IMPORT_NEW) == 0;
    struct swki_authority *authority = NULL;
    struct swki_buf key;
    int rc;

    if (keys == NULL || pem.data == NULL || pem.len > SWKI_PEM_LEN_MAX ||
        (flags & ~(uint32_t)SWK_SIGNER_IMPORT_NEW) != 0) {
        return swki_fail(err, SWK_EINVAL, "signer: nothing to import");
    }
    rc = find_same(keys, pem_of_bytes(pem), &authority, err);
    if (rc == 0 && authority == NULL) {
        swki_buf_init(&key, keys->alloc, SWKI_PEM_LEN_MAX);
        rc = open_key(keys, pem_of_bytes(pem), pem_of_bytes(password), &key,
                      err);
        if (rc == 0) {
            rc = keep_locked(keys, pem_of_bytes(pem), swki_pem_of_buf(&key),
                             used, &authority, err);
        }
        wipe_buf(&key);
    }
    if (rc == 0) {
        tell(keys, authority, out_authority);
    }
    return rc;
}

static int export_to(struct swk_signer_keys *keys,
                     const struct swki_authority *authority,
                     struct swki_pem password, struct swki_buf *out_pem,
                     struct swk_error *err)
{
    struct swki_buf text;
    struct swki_buf key;
    struct name name;
    int rc;

    swki_buf_init(&text, keys->alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&key, keys->alloc, SWKI_PEM_LEN_MAX);
    name_of(authority->fingerprint, &name);
    rc = read_file(keys, name.text, &text, err);
    if (rc == 0) {
        rc = open_key(keys, swki_pem_of_buf(&text),
                      swki_pem_of_buf(&keys->password), &key, err);
    }
    if (rc == 0) {
        swki_buf_append(out_pem, authority->certificate.data,
                        authority->certificate.len);
        rc = put_key(keys, swki_pem_of_buf(&key), password, out_pem, err);
    }
    if (rc == 0 && !swki_buf_append_byte(out_pem, '\0')) {
        rc = swki_fail_nomem(err);
    }
    wipe_buf(&key);
    wipe_buf(&text);
    return rc;
}

int swk_signer_keys_export(swk_signer_keys *keys, const char *fingerprint,
                           struct swk_bytes password, char **out_pem,
                           size_t *out_len, struct swk_error *err)
{
    struct swki_authority *authority;
    struct swki_buf pem;
    int rc;

    if (keys == NULL || out_pem == NULL || out_len == NULL ||
        password.len == 0) {
        return swki_fail(err, SWK_EINVAL,
                         "signer: an authority leaves under a password only");
    }
    rc = swki_authorities_named(&keys->authorities, fingerprint, &authority,
                                err);
    if (rc != 0) {
        return rc;
    }
    swki_buf_init(&pem, keys->alloc, SWKI_PEM_LEN_MAX);
    rc = export_to(keys, authority, pem_of_bytes(password), &pem, err);
    if (rc != 0) {
        swki_buf_fini(&pem);
        return rc;
    }
    *out_pem = (char *)pem.data;
    *out_len = pem.len - 1;
    return SWK_OK;
}

void swk_signer_keys_release(swk_signer_keys *keys, char *pem)
{
    swki_free(keys->alloc, pem);
}

/* The bytes are overwritten first, for what that is worth on today's disks. */
static int erase(const char *path, struct swk_error *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    char zeros[512] = "";

    if (fd >= 0 && fstat(fd, &st) == 0) {
        for (off_t at = 0; at < st.st_size; at += (off_t)sizeof(zeros)) {
            if (pwrite(fd, zeros, sizeof(zeros), at) < 0) {
                break;
            }
        }
        fdatasync(fd);
    }
    if (fd >= 0) {
        close(fd);
    }
    return unlink(path) == 0 ? SWK_OK
                             : swki_fail(err, SWK_EIO, "cannot remove %s: %s",
                                         path, strerror(errno));
}

int swk_signer_keys_remove(swk_signer_keys *keys, const char *fingerprint,
                           struct swk_error *err)
{
    struct swki_authority *authority;
    char path[PATH_MAX];
    struct name name;
    int fd = -1;
    int rc;

    if (keys == NULL || fingerprint == NULL || fingerprint[0] == '\0') {
        return swki_fail(err, SWK_EINVAL, "signer: which authority?");
    }
    rc = swki_authorities_named(&keys->authorities, fingerprint, &authority,
                                err);
    if (rc == 0) {
        rc = lock_dir(keys, &fd, err);
    }
    if (rc != 0) {
        return rc;
    }
    name_of(authority->fingerprint, &name);
    file_path(keys, name.text, path);
    rc = erase(path, err);
    if (rc == 0 && fsync(fd) != 0) {
        rc = swki_fail(err, SWK_EIO, "cannot sync %s: %s", keys->dir,
                       strerror(errno));
    }
    close(fd);
    if (rc == 0) {
        swki_authorities_remove(&keys->authorities, authority);
    }
    return rc;
}

int swk_signer_keys_at(const swk_signer_keys *keys, uint32_t index,
                       struct swk_authority *out_authority)
{
    const struct swki_authorities *authorities = &keys->authorities;

    for (struct swki_link *link = authorities->list.next;
         link != &authorities->list; link = link->next) {
        if (index-- == 0) {
            tell(keys, SWKI_CONTAINER(link, struct swki_authority, link),
                 out_authority);
            return 1;
        }
    }
    return 0;
}

const char *swk_signer_keys_swarm_id(const swk_signer_keys *keys)
{
    return keys->swarm_id;
}
