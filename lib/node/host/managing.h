/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a node runs for as long as it is a manager: the log's files, the
 * listeners, the connections to other managers, and the manager itself.
 *
 * A manager whose log is empty founds a swarm, if it brings the first objects
 * of one, or else asks the leader to add it; until then it answers nothing but
 * that it is alive.
 *
 * Threads: the loop's, except where it says otherwise.
 */

#ifndef SWKI_NODE_MANAGING_H
#define SWKI_NODE_MANAGING_H

#include <swarmkit/port/secret_provider.h>
#include <swarmkit/port/signer.h>

#include "node/identity/ask.h"
#include "node/identity/founding.h"
#include "node/manager/manager.h"

struct swki_managing_config {
    struct swki_asker asker; /* with the node's own credentials */
    struct swki_credentials *credentials; /* the asker's: their keys change */
    const char *state_dir;
    const char *listen_address;    /* "HOST:PORT" */
    const char *advertise_address; /* "HOST[:PORT]"; NULL: the one above */
    const char *control_path;      /* NULL for no control socket */
    struct swki_founding *founding; /* NULL: it is no founder */
    const struct swk_signer *signer; /* NULL: this process signs */
    const char *signer_name;         /* for people; may be NULL */
    const struct swk_secret_provider *secrets; /* NULL: no drivers */
    int32_t audit; /* enum swk_manager_audit */
    bool audit_required;
    uint64_t audit_file_size; /* 0 for the default, likewise below */
    uint64_t audit_files_max;
    uint64_t seed;
    uint32_t heartbeat_ticks; /* 0 for the default, likewise below */
    uint32_t election_ticks;
    swk_time tick_ns;
    void *ctx;
    /* The managers are locked from now on: the node's key, which lay on the
     * disk in clear, should be replaced. */
    void (*locked)(void *ctx);
};

struct swki_managing;

/* Opens everything, and reads the log, which may block. */
int swki_managing_new(const struct swki_managing_config *config,
                      struct swki_managing **out_managing,
                      struct swk_error *err);
/* Ends all calls and connections. On the loop's thread, or after it stopped. */
void swki_managing_free(struct swki_managing *managing);

/* The port on which nodes connect. */
int swki_managing_port(const struct swki_managing *managing);

/* The node has a new certificate: connections from now on use it. */
int swki_managing_renewed(struct swki_managing *managing,
                          struct swk_error *err);

/* Lets another manager lead, if there is one. It is done, or was not needed,
 * when swki_managing_leads() says no. */
void swki_managing_hand_over(struct swki_managing *managing);
bool swki_managing_leads(const struct swki_managing *managing);
/* Whether there are other managers. */
bool swki_managing_has_peers(const struct swki_managing *managing);

/* This manager is a member of the group no more: it is to be freed, and its
 * log cleared. */
bool swki_managing_removed(const struct swki_managing *managing);

/* Why it does nothing more, or NULL. */
const struct swk_error *
swki_managing_failure(const struct swki_managing *managing);

/* Deletes the log of a manager that was freed. */
int swki_managing_clear(const char *state_dir, struct swk_error *err);

#endif
