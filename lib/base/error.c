/* SPDX-License-Identifier: Apache-2.0 */

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int swki_fail(struct swk_error *err, int code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;

        err->code = code;
        va_start(args, format);
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
    }
    return code;
}

int swki_fail_nomem(struct swk_error *err)
{
    return swki_fail(err, SWK_ENOMEM, "out of memory");
}

void swki_error_prefix(struct swk_error *err, const char *format, ...)
{
    char text[SWK_ERROR_TEXT_SIZE];
    va_list args;
    size_t len;

    if (err == NULL) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    len = strlen(text);
    snprintf(text + len, sizeof(text) - len, ": %s", err->text);
    memcpy(err->text, text, sizeof(err->text));
}

const char *swk_error_name(int code)
{
    switch ((enum swk_error_code)code) {
    case SWK_OK:
        return "success";
    case SWK_EINVAL:
        return "invalid argument";
    case SWK_ENOMEM:
        return "out of memory";
    case SWK_EMALFORMED:
        return "malformed data";
    case SWK_ENOTSUP:
        return "not supported";
    case SWK_ENOTFOUND:
        return "not found";
    case SWK_EEXIST:
        return "already exists";
    case SWK_ECONFLICT:
        return "changed meanwhile";
    case SWK_EDENIED:
        return "permission denied";
    case SWK_ENOTLEADER:
        return "not the leader";
    case SWK_EUNKNOWN:
        return "outcome unknown";
    case SWK_ELIMIT:
        return "limit exceeded";
    case SWK_EIO:
        return "input/output error";
    case SWK_ETIMEDOUT:
        return "deadline exceeded";
    case SWK_ECANCELED:
        return "canceled";
    case SWK_EUNAVAILABLE:
        return "unavailable";
    case SWK_EPRECONDITION:
        return "failed precondition";
    case SWK_ECORRUPT:
        return "data corrupted";
    case SWK_EBUSY:
        return "busy";
    case SWK_EINTERNAL:
        return "internal error";
    case SWK_EUNAUTHENTICATED:
        return "unauthenticated";
    case SWK_EABORTED:
        return "aborted";
    case SWK_ECLOCK:
        return "not valid at this time";
    case SWK_EREMOVED:
        return "removed from the swarm";
    }
    return "unknown error";
}
