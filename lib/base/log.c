/* SPDX-License-Identifier: Apache-2.0 */

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    MESSAGE_SIZE = 512,
};

void swki_log(const struct swk_logger *logger, enum swk_log_level level,
              const char *module, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;

    if (logger == NULL || (int)level < logger->level) {
        return;
    }
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);

    const struct swk_log_record record = {
        .level = (int32_t)level,
        .module = module,
        .message = message,
    };
    logger->log(logger->ctx, &record);
}

const char *swk_log_level_name(int level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    return level >= 0 && level < 4 ? names[level] : "unknown";
}
