/* SPDX-License-Identifier: Apache-2.0 */

#ifndef SWKI_RUNTIME_FILE_INSPECT_H
#define SWKI_RUNTIME_FILE_INSPECT_H

#include <swarmkit/storage_inspector.h>

#include "runtime/file/wal.h"

/* As swk_file_storage_inspect(), of a directory that was opened. */
int swki_wal_inspect(struct swki_wal *wal,
                     const struct swk_storage_inspector *inspector,
                     struct swk_error *err);

#endif
