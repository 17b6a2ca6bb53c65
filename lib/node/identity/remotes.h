/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The managers that this node knows: their addresses, and which of them to try
 * next. They are kept in <state>/managers, a line for each: the address and,
 * if it is known, the node ID.
 *
 * One may say that this node is shut out. It is tried seldom then, and the
 * others as ever, for it need not be right: the node waits only if all say so.
 * Who was asked and is silent is tried as ever, too, for it may let the node
 * in; but nobody waits for what it would say.
 */

#ifndef SWKI_NODE_REMOTES_H
#define SWKI_NODE_REMOTES_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>

/* How long one that shuts the node out is not tried. */
#define SWKI_REMOTES_SHUT_OUT_PAUSE (5 * SWK_MINUTE)

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
    swk_time retry_at[SWKI_REMOTES_MAX]; /* of those that shut the node out;
                                            0: it does not */
    bool silent[SWKI_REMOTES_MAX];       /* did not say when asked */
};

/* How many managers say what, the node itself left out. */
struct swki_remotes_tally {
    size_t shut_out; /* that it is shut out */
    size_t silent;   /* nothing, though asked */
    size_t open;     /* neither: not asked, or they know of nothing */
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

/* The manager at this address says that the node is shut out; or nothing, when
 * asked; or neither any more. NULL stands for all. */
void swki_remotes_shut_out(struct swki_remotes *remotes, const char *address,
                           swk_time now);
void swki_remotes_silent(struct swki_remotes *remotes, const char *address);
void swki_remotes_let_in(struct swki_remotes *remotes, const char *address);

/* What they say by now of the node with this ID. */
struct swki_remotes_tally swki_remotes_tally(const struct swki_remotes *remotes,
                                             const char *node_id);
/* The one to be asked whether it shuts out the node with this ID: the next in
 * turn that is open, or else silent, or else any. Never the node itself; NULL
 * if there is no other. */
const struct swki_remote *swki_remotes_pick_other(struct swki_remotes *remotes,
                                                  const char *node_id);
/* The next one in turn that is not to be spared yet; NULL if there is none. */
const struct swki_remote *swki_remotes_pick_due(struct swki_remotes *remotes,
                                                swk_time now);
/* When there is one, if it is known; 0 for at once. */
swk_time swki_remotes_due(const struct swki_remotes *remotes);

/* SWK_ENOTFOUND if there is no file, SWK_ECORRUPT if it makes no sense. */
int swki_remotes_load(struct swki_remotes *remotes, const char *state_dir,
                      struct swk_error *err);
int swki_remotes_save(const struct swki_remotes *remotes, const char *state_dir,
                      struct swk_error *err);

/* Saves them if it can: for a full disk's sake a node does not stand still.
 * component is named in the log. */
void swki_remotes_remember(const struct swki_remotes *remotes,
                           const char *state_dir,
                           const struct swk_logger *logger,
                           const char *component);

#endif
