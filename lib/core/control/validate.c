/* SPDX-License-Identifier: Apache-2.0 */

#include "core/control/validate.h"

#include <string.h>

#include "base/error.h"
#include "wire/message.h"

/* Not isalnum(), which follows the locale. */
static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

/* Letters and digits at both ends, these and the others inside. */
static bool is_name(const char *name, size_t len, const char *others)
{
    if (!is_alnum(name[0]) || !is_alnum(name[len - 1])) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(name[i]) && strchr(others, name[i]) == NULL) {
            return false;
        }
    }
    return true;
}

int swki_validate_name(const char *name, struct swk_error *err)
{
    size_t len = strlen(name);

    if (len == 0) {
        return swki_fail(err, SWK_EINVAL, "a name must be given");
    }
    if (len > SWKI_SERVICE_NAME_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL, "a name has at most %d characters",
                         SWKI_SERVICE_NAME_LEN_MAX);
    }
    if (!is_name(name, len, "-_")) {
        return swki_fail(err, SWK_EINVAL,
                         "a name consists of letters, digits, '-' and '_', "
                         "and begins and ends with a letter or digit");
    }
    return SWK_OK;
}

int swki_validate_payload_name(const char *what, const char *name,
                               struct swk_error *err)
{
    size_t len = strlen(name);

    if (len == 0) {
        return swki_fail(err, SWK_EINVAL, "a name must be given");
    }
    if (len > SWKI_PAYLOAD_NAME_LEN_MAX || !is_name(name, len, "-_.")) {
        return swki_fail(err, SWK_EINVAL,
                         "a %s's name has at most %d letters, digits, '-', "
                         "'_' and '.', and begins and ends with a letter or "
                         "digit",
                         what, SWKI_PAYLOAD_NAME_LEN_MAX);
    }
    return SWK_OK;
}

int swki_validate_duration(const Swkpb__Duration *duration, const char *what,
                           struct swk_error *err)
{
    int64_t ns;

    if (swki_duration_read(duration, &ns, NULL) != SWK_OK) {
        return swki_fail(err, SWK_EINVAL, "%s is not a valid duration", what);
    }
    if (ns < 0) {
        return swki_fail(err, SWK_EINVAL, "%s must not be negative", what);
    }
    return SWK_OK;
}

int swki_validate_duration_min(const Swkpb__Duration *duration, int64_t min_ns,
                               const char *what, struct swk_error *err)
{
    int rc = swki_validate_duration(duration, what, err);
    int64_t ns = 0;

    if (rc == SWK_OK) {
        rc = swki_duration_read(duration, &ns, err);
    }
    if (rc == SWK_OK && ns != 0 && ns < min_ns) {
        rc = swki_fail(err, SWK_EINVAL, "%s must be 0 or at least %lld ms",
                       what, (long long)(min_ns / 1000000));
    }
    return rc;
}

int swki_validate_enum(const ProtobufCEnumDescriptor *type, int value,
                       const char *what, struct swk_error *err)
{
    if (swki_enum_name(type, value) == NULL) {
        return swki_fail(err, SWK_EINVAL, "%s: unknown value %d", what, value);
    }
    return SWK_OK;
}
