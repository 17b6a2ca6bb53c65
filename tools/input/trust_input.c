/* SPDX-License-Identifier: Apache-2.0 */

#include "trust_input.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <swarmkit/signed_spec.h>

enum {
    TEXT_SIZE = 64 * 1024, /* what the library reads of keys */
};

struct text {
    char *data;
    size_t len;
};

static int fail(struct swk_error *err, int code, const char *path,
                const char *why)
{
    err->code = code;
    snprintf(err->text, sizeof(err->text), "trusted keys: %.150s: %s", path,
             why);
    return code;
}

/* Nobody signed an empty spec; to find that out, the keys have to be read. */
static int check_keys(const char *keys, const char *path, struct swk_error *err)
{
    struct swk_spec_trust trust = SWK_SPEC_TRUST_INIT;
    char key_id[SWK_SIGNING_KEY_ID_LEN + 1];
    struct swk_error why;
    int rc;

    trust.public_keys = keys;
    rc = swk_spec_verify(&trust, "", 0, key_id, &why);
    return rc == SWK_OK || rc == SWK_EDENIED ? SWK_OK
                                             : fail(err, rc, path, why.text);
}

/* Behind what is there already, with a line's end in between. */
static int append_file(struct text *text, const char *path,
                       struct swk_error *err)
{
    FILE *file = fopen(path, "re");
    const size_t start = text->len;
    size_t room = TEXT_SIZE - 2 - text->len;
    size_t len;
    int error;

    if (file == NULL) {
        return fail(err, SWK_EIO, path, strerror(errno));
    }
    len = fread(text->data + text->len, 1, room, file);
    error = ferror(file) ? errno : 0;
    fclose(file);
    if (error != 0) {
        return fail(err, SWK_EIO, path, strerror(error));
    }
    if (len == room) {
        return fail(err, SWK_ELIMIT, path, "more than 64 KiB of keys");
    }
    text->len += len;
    text->data[text->len++] = '\n';
    text->data[text->len] = '\0';
    /* One that is empty is no harm, as long as another is not. */
    return strstr(text->data + start, "-----BEGIN") != NULL
               ? check_keys(text->data + start, path, err)
               : SWK_OK;
}

static int is_key_file(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return entry->d_name[0] != '.' && dot != NULL &&
           (strcmp(dot, ".pem") == 0 || strcmp(dot, ".pub") == 0);
}

static int append_directory(struct text *text, const char *path,
                            struct swk_error *err)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_key_file, alphasort);
    int rc = SWK_OK;

    if (count < 0) {
        return fail(err, SWK_EIO, path, strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        char file[PATH_MAX];

        if (rc == SWK_OK && snprintf(file, sizeof(file), "%s/%s", path,
                                     entries[i]->d_name) >= (int)sizeof(file)) {
            rc = fail(err, SWK_EIO, path, strerror(ENAMETOOLONG));
        }
        if (rc == SWK_OK) {
            rc = append_file(text, file, err);
        }
        free(entries[i]);
    }
    free(entries);
    return rc == SWK_OK && count == 0
               ? fail(err, SWK_ENOTFOUND, path, "no file *.pem or *.pub in it")
               : rc;
}

int trust_input_read(const char *path, char **out_text, struct swk_error *err)
{
    struct text text = {.data = malloc(TEXT_SIZE)};
    struct stat st;
    int rc;

    if (text.data == NULL) {
        return fail(err, SWK_ENOMEM, path, "out of memory");
    }
    text.data[0] = '\0';
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        rc = append_directory(&text, path, err);
    } else {
        rc = append_file(&text, path, err);
    }
    if (rc == SWK_OK) {
        rc = check_keys(text.data, path, err);
    }
    if (rc != SWK_OK) {
        free(text.data);
        return rc;
    }
    *out_text = text.data;
    return SWK_OK;
}
