/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The managers that this node knows: their addresses, and which of them to try
 * next. They are kept in <state>/managers, a line for each: the address and,
 * if it is known, the node ID.
 */

#ifndef SWKI_NODE_REMOTES_H
#define SWKI_NODE_REMOTES_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>

enum {
    SWKI_REMOTES_MAX = 64,
    SWKI_REMOTE_ADDRESS_SIZE = 300, /* "host:port" and a NUL */
};

struct swki_remote {
    char node_id[SWK_ID_LEN_MAX + 1]; /* "" if it is not known */
    char address[SWKI_REMOTE_ADDRESS_SIZE];
};

struct swki_remotes {
    struct swki_remote list[SWKI_REMOTES_MAX];
    size_t count;
    size_t next; /* to be tried */
};

/* Adds one if its address is new; SWK_EINVAL unless it is "host:port" and
 * the node ID has no blanks, SWK_ELIMIT beyond SWKI_REMOTES_MAX. */
int swki_remotes_add(struct swki_remotes *remotes, const char *node_id,
                     const char *address, struct swk_error *err);
void swki_remotes_clear(struct swki_remotes *remotes);

/* The next one in turn; NULL if there is none. */
const struct swki_remote *swki_remotes_pick(struct swki_remotes *remotes);
/* The one picked last is picked next, too. */
void swki_remotes_stay(struct swki_remotes *remotes);

/* SWK_ENOTFOUND if there is no file, SWK_ECORRUPT if it makes no sense. */
int swki_remotes_load(struct swki_remotes *remotes, const char *state_dir,
                      struct swk_error *err);
int swki_remotes_save(const struct swki_remotes *remotes, const char *state_dir,
                      struct swk_error *err);

#endif
