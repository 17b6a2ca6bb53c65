/* SPDX-License-Identifier: Apache-2.0 */

#include "audit_flags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(struct swk_error *err, const char *flag, const char *takes,
                const char *text)
{
    err->code = SWK_EINVAL;
    snprintf(err->text, sizeof(err->text), "--%s takes %s, not \"%.40s\"", flag,
             takes, text);
    return err->code;
}

static int read_level(const char *text, int32_t *out, struct swk_error *err)
{
    static const char *const levels[] = {
        [SWK_MANAGER_AUDIT_ALL] = "all",
        [SWK_MANAGER_AUDIT_CALLS] = "calls",
        [SWK_MANAGER_AUDIT_OFF] = "off",
    };

    for (int i = 0; i <= SWK_MANAGER_AUDIT_OFF; i++) {
        if (text == NULL || strcmp(text, levels[i]) == 0) {
            *out = text == NULL ? SWK_MANAGER_AUDIT_ALL : i;
            return SWK_OK;
        }
    }
    return fail(err, "audit", "all, calls or off", text);
}

/* A number and its unit, which is that of bytes: K, M, G, each 1024 times the
 * one before; none if units are not taken. False for anything else. */
static bool read_number(const char *text, const char *units, uint64_t *out)
{
    unsigned long long value;
    const char *unit;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || text[0] == '-') {
        return false;
    }
    unit = *end != '\0' ? strchr(units, *end) : NULL;
    if (*end != '\0' && (unit == NULL || end[1] != '\0')) {
        return false;
    }
    for (; unit != NULL && unit >= units; unit--) {
        if (value > UINT64_MAX / 1024) {
            return false;
        }
        value *= 1024;
    }
    *out = value;
    return true;
}

int audit_flags_read(const struct daemon_options *options,
                     struct swk_manager_config *config, struct swk_error *err)
{
    const char *size = options->audit_size;
    const char *keep = options->audit_keep;
    int rc = read_level(options->audit, &config->audit, err);

    config->audit_required = options->audit_required != NULL;
    if (rc == 0 && size != NULL &&
        (!read_number(size, "KMG", &config->audit_file_size) ||
         config->audit_file_size < SWK_MANAGER_AUDIT_FILE_SIZE_MIN)) {
        rc = fail(err, "audit-size", "64K or more", size);
    }
    if (rc == 0 && keep != NULL &&
        (!read_number(keep, "", &config->audit_files_max) ||
         config->audit_files_max < SWK_MANAGER_AUDIT_FILES_MAX_MIN)) {
        rc = fail(err, "audit-keep", "a number from 2 on", keep);
    }
    if (rc == 0 && config->audit_required &&
        config->audit == SWK_MANAGER_AUDIT_OFF) {
        rc = fail(err, "audit", "all or calls if it is required", "off");
    }
    return rc;
}
