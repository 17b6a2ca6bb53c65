/* SPDX-License-Identifier: Apache-2.0 */

/* A node's state directory: what is where in it. */

#ifndef SWKI_NODE_STATE_DIR_H
#define SWKI_NODE_STATE_DIR_H

#include "node/identity/credentials.h"

/* Makes the directory with mode 0700, and those above it, if it is missing;
 * SWK_EIO says why it cannot be used. */
int swki_state_dir_create(const char *state_dir, struct swk_error *err);

/* Keeps other processes out until the descriptor is closed, or the process
 * ends. SWK_EBUSY if another one has it. */
int swki_state_dir_lock(const char *state_dir, int *out_fd,
                        struct swk_error *err);
/* -1 is none. */
void swki_state_dir_unlock(int fd);

/* The credentials below <state>/certificates. */
int swki_state_dir_load(const char *state_dir,
                        struct swki_credentials *credentials,
                        const struct swk_clock *clock,
                        const struct swk_entropy *entropy,
                        struct swk_error *err);
int swki_state_dir_save(const char *state_dir,
                        const struct swki_credentials *credentials,
                        struct swk_error *err);
int swki_state_dir_renew(const char *state_dir,
                         struct swki_credentials *credentials,
                         const struct swki_credentials *fresh,
                         struct swk_error *err);
int swki_state_dir_keep_key(const char *state_dir,
                            const struct swki_credentials *fresh,
                            const struct swki_credentials *own,
                            const struct swki_buf *csr, struct swk_error *err);
int swki_state_dir_take_up_key(const char *state_dir,
                               struct swki_credentials *fresh,
                               const struct swki_credentials *own,
                               const struct swk_entropy *entropy,
                               struct swki_buf *out_csr, struct swk_error *err);
bool swki_state_dir_has_kept_key(const char *state_dir);
void swki_state_dir_forget_key(const char *state_dir);
int swki_state_dir_switch_roots(const char *state_dir,
                                struct swki_credentials *credentials,
                                struct swki_pem roots, swk_wall now,
                                struct swk_error *err);
int swki_state_dir_change_keys(const char *state_dir,
                               struct swki_credentials *credentials,
                               const struct swki_data_keys *next,
                               const struct swk_entropy *entropy,
                               struct swk_error *err);

#endif
