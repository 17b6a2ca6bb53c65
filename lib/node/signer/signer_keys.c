/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signer/signer_keys.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/options.h"
#include "node/signer/signer_files.h"
#include "node/identity/state_dir.h"

enum {
    NAMES_MAX = 4 * SWK_AUTHORITIES_MAX,
    PASSWORD_LEN_MAX = 4096,
};

/* The first line of a file. */
static const char used_line[] = "Used: yes\n";
static const char unused_line[] = "Used: no\n";
static const char trusted_line[] = "Key: elsewhere\n";

/* -- Reading ----------------------------------------------------------------
 */

static bool begins_with(const struct swki_buf *text, const char *line)
{
    size_t len = strlen(line);

    return text->len >= len && memcmp(text->data, line, len) == 0;
}

static int add_from_text(struct swk_signer_keys *keys,
                         const struct swki_buf *text,
                         struct swki_authority **out_authority,
                         struct swk_error *err)
{
    bool certificate_only = (keys->flags & SWK_SIGNER_KEYS_NAMES_ONLY) != 0 ||
                            begins_with(text, trusted_line);
    struct swki_pem pem = swki_pem_of_buf(text);
    struct swki_buf key;
    int rc = SWK_OK;

    swki_buf_init(&key, keys->alloc, SWKI_PEM_LEN_MAX);
    if (!certificate_only) {
        rc = swki_signer_open_key(keys, pem, swki_pem_of_buf(&keys->password),
                                  &key, err);
    }
    if (rc == 0) {
        rc =
            swki_authorities_add(&keys->authorities, pem, swki_pem_of_buf(&key),
                                 &keys->entropy, out_authority, err);
    }
    if (rc == 0) {
        (*out_authority)->used = !begins_with(text, unused_line);
    }
    swki_signer_wipe(&key);
    return rc;
}

static int load(struct swk_signer_keys *keys,
                const struct swki_signer_name *name, struct swk_error *err)
{
    struct swki_authority *authority;
    struct swki_buf text;
    int rc;

    swki_buf_init(&text, keys->alloc, SWKI_PEM_LEN_MAX);
    rc = swki_signer_read_file(keys, name->text, &text, err);
    if (rc == 0) {
        rc = add_from_text(keys, &text, &authority, err);
        rc = rc == SWK_EINVAL || rc == SWK_EMALFORMED
                 ? swki_fail(err, SWK_ECORRUPT,
                             "it is damaged, or its key is not that of its "
                             "certificate")
                 : rc;
        if (rc != 0) {
            swki_error_prefix(err, "%s/%s", keys->dir, name->text);
        }
    }
    if (rc == 0 &&
        strncmp(authority->fingerprint, name->text, SWK_FINGERPRINT_LEN) != 0) {
        swki_authorities_remove(&keys->authorities, authority);
        rc = swki_fail(err, SWK_ECORRUPT,
                       "%s in %s holds the authority of another name",
                       name->text, keys->dir);
    }
    swki_signer_wipe(&text);
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
    return strcmp(((const struct swki_signer_name *)a)->text,
                  ((const struct swki_signer_name *)b)->text);
}

static int list_names(const struct swk_signer_keys *keys,
                      struct swki_signer_name names[NAMES_MAX],
                      size_t *out_count, struct swk_error *err)
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
            memcpy(names[count++].text, entry->d_name, sizeof(names[0].text));
        }
    }
    closedir(dir);
    qsort(names, count, sizeof(names[0]), compare_names);
    *out_count = count;
    return SWK_OK;
}

static struct swki_authority *held_as(const struct swk_signer_keys *keys,
                                      const struct swki_signer_name *name)
{
    struct swki_authority *found = NULL;
    char fingerprint[SWK_FINGERPRINT_LEN + 1] = "";

    memcpy(fingerprint, name->text, SWK_FINGERPRINT_LEN);
    return swki_authorities_named(&keys->authorities, fingerprint, &found,
                                  NULL) == 0
               ? found
               : NULL;
}

/* Those without a key are read anew: by now it may be there. */
static void drop_missing(struct swk_signer_keys *keys,
                         const struct swki_signer_name *names, size_t count)
{
    struct swki_link *next;

    for (struct swki_link *link = keys->authorities.list.next;
         link != &keys->authorities.list; link = next) {
        struct swki_authority *authority =
            SWKI_CONTAINER(link, struct swki_authority, link);
        struct swki_signer_name name;

        next = link->next;
        swki_signer_name(authority->fingerprint, &name);
        if (authority->signer == NULL ||
            bsearch(&name, names, count, sizeof(name), compare_names) == NULL) {
            swki_authorities_remove(&keys->authorities, authority);
        }
    }
}

/* The keys went with their directory. */
static void drop_all(struct swk_signer_keys *keys)
{
    const struct swki_signer_name none = {""};

    drop_missing(keys, &none, 0);
    keys->read_at_ns = 0;
}

int swki_signer_keys_reload(struct swk_signer_keys *keys, struct swk_error *err)
{
    struct swki_signer_name names[NAMES_MAX];
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

/* A directory that was changed a moment ago may be changed again within the
 * same tick of its clock. */
int swki_signer_keys_refresh(struct swk_signer_keys *keys,
                             struct swk_error *err)
{
    swk_wall now = keys->clock->wall(keys->clock->ctx);
    struct stat st;
    int64_t changed;
    int rc;

    if (stat(keys->dir, &st) != 0) {
        int error = errno;

        if (error == ENOENT) {
            drop_all(keys);
        }
        return swki_fail(err, SWK_EIO, "cannot read %s: %s", keys->dir,
                         strerror(error));
    }
    changed = st.st_mtim.tv_sec * (int64_t)SWK_SECOND + st.st_mtim.tv_nsec;
    if (changed == keys->read_at_ns) {
        return SWK_OK;
    }
    rc = swki_signer_keys_reload(keys, err);
    keys->read_at_ns =
        rc == 0 && now > changed + (swk_wall)SWK_SECOND ? changed : 0;
    return rc;
}

static int read_swarm_id(struct swk_signer_keys *keys, struct swk_error *err)
{
    struct swki_buf text;
    int rc;

    swki_buf_init(&text, keys->alloc, SWKI_PEM_LEN_MAX);
    rc = swki_signer_read_file(keys, "swarm", &text, err);
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
        rc = swki_signer_check_private(keys->dir, S_IFDIR, err);
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
    swki_signer_wipe(&keys->password);
    swki_free(keys->alloc, keys);
}

/* -- Writing ----------------------------------------------------------------
 */

static int write_authority(struct swk_signer_keys *keys,
                           const struct swki_authority *authority,
                           struct swki_pem key, struct swk_error *err)
{
    struct swki_signer_name name;
    struct swki_buf text;
    int rc = SWK_OK;

    swki_buf_init(&text, keys->alloc, SWKI_PEM_LEN_MAX);
    if (swki_buf_reserve(&text, SWKI_PEM_LEN_MAX) == NULL) {
        return swki_fail_nomem(err);
    }
    swki_buf_append_text(&text, key.len == 0      ? trusted_line
                                : authority->used ? used_line
                                                  : unused_line);
    swki_buf_append(&text, authority->certificate.data,
                    authority->certificate.len);
    if (key.len > 0) {
        rc = swki_signer_put_key(keys, key, swki_pem_of_buf(&keys->password),
                                 &text, err);
    }
    if (rc == 0) {
        swki_signer_name(authority->fingerprint, &name);
        rc = swki_signer_write_file(keys, name.text, &text, err);
    }
    swki_signer_wipe(&text);
    return rc;
}

static int keep_unlocked(struct swk_signer_keys *keys,
                         struct swki_pem certificate, struct swki_pem key,
                         bool used, struct swki_authority **out_authority,
                         struct swk_error *err)
{
    struct swki_authority *authority;
    int rc = swki_authorities_add(&keys->authorities, certificate, key,
                                  &keys->entropy, &authority, err);

    if (rc != 0) {
        return rc;
    }
    authority->used = used;
    rc = write_authority(keys, authority, key, err);
    if (rc != 0) {
        swki_authorities_remove(&keys->authorities, authority);
        return rc;
    }
    *out_authority = authority;
    return SWK_OK;
}

int swki_signer_keys_keep(struct swk_signer_keys *keys,
                          struct swki_pem certificate, struct swki_pem key,
                          bool used, struct swki_authority **out_authority,
                          struct swk_error *err)
{
    int fd = -1;
    int rc = swki_signer_lock(keys, &fd, err);

    if (rc == 0) {
        rc = keep_unlocked(keys, certificate, key, used, out_authority, err);
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
        rc = swki_signer_keys_keep(keys, swki_pem_of_buf(&certificate),
                                   swki_pem_of_buf(&key), false, out_authority,
                                   err);
    }
    swki_signer_wipe(&key);
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
    rc = swki_signer_read_file(keys, name, &before, err);
    if (rc == 0 && swki_buf_reserve(&after, SWKI_PEM_LEN_MAX) == NULL) {
        rc = swki_fail_nomem(err);
    }
    if (rc == 0 && begins_with(&before, unused_line)) {
        size_t skip = sizeof(unused_line) - 1;

        swki_buf_append_text(&after, used_line);
        swki_buf_append(&after, before.data + skip, before.len - skip);
        rc = swki_signer_write_file(keys, name, &after, err);
    }
    swki_signer_wipe(&after);
    swki_signer_wipe(&before);
    return rc;
}

int swki_signer_keys_mark_used(struct swk_signer_keys *keys,
                               const struct swki_authority *authority,
                               struct swk_error *err)
{
    struct swki_signer_name name;
    int fd = -1;
    int rc = swki_signer_lock(keys, &fd, err);

    if (rc == 0) {
        swki_signer_name(authority->fingerprint, &name);
        rc = write_used(keys, name.text, err);
        close(fd);
    }
    return rc;
}

int swki_signer_keys_bind(struct swk_signer_keys *keys, const char *swarm_id,
                          struct swk_error *err)
{
    char text[SWK_ID_LEN_MAX + 2];
    struct swki_buf buf;
    int rc;

    snprintf(text, sizeof(text), "%s\n", swarm_id);
    swki_buf_init(&buf, keys->alloc, sizeof(text));
    swki_buf_append_text(&buf, text);
    rc = swki_signer_write_file(keys, "swarm", &buf, err);
    swki_buf_fini(&buf);
    if (rc == 0) {
        snprintf(keys->swarm_id, sizeof(keys->swarm_id), "%s", swarm_id);
    }
    return rc;
}
