/* SPDX-License-Identifier: Apache-2.0 */

/* Opening a storage over system calls of one's own, for tests. */

#ifndef SWKI_RUNTIME_FILE_FILE_STORAGE_H
#define SWKI_RUNTIME_FILE_FILE_STORAGE_H

#include <swarmkit/file_storage.h>
#include <swarmkit/storage_inspector.h>

#include "runtime/file/io.h"

/* io is borrowed until close(). */
int swki_file_storage_open(const struct swk_file_storage_config *config,
                           const struct swki_file_io *io,
                           struct swk_storage *out_storage,
                           struct swk_error *err);

/* As swk_file_storage_force_single(). */
int swki_file_storage_force_single(const struct swk_file_storage_config *config,
                                   const struct swki_file_io *io,
                                   const struct swk_force_single *what,
                                   struct swk_force_single_report *out_report,
                                   struct swk_error *err);

int swki_file_storage_inspect(const struct swk_file_storage_config *config,
                              const struct swki_file_io *io,
                              const struct swk_storage_inspector *inspector,
                              struct swk_error *err);

/* The next append begins a segment of that generation: a crash leaves both, or
 * neither. */
void swki_file_storage_set_generation(const struct swk_storage *storage,
                                      uint64_t generation);

#endif
