/* SPDX-License-Identifier: Apache-2.0 */

/* Making log records. */

#ifndef SWKI_BASE_LOG_H
#define SWKI_BASE_LOG_H

#include <swarmkit/log.h>

/* Formats a record and hands it over; logger may be NULL. */
void swki_log(const struct swk_logger *logger, enum swk_log_level level,
              const char *module, const char *format, ...) SWK_PRINTF(4, 5);

#endif
