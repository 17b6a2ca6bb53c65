/* SPDX-License-Identifier: Apache-2.0 */

/* The inside of a manager, for its own files. */

#ifndef SWKI_NODE_MANAGER_IMPL_H
#define SWKI_NODE_MANAGER_IMPL_H

#include <swarmkit/raft.h>

#include "base/buf.h"
#include "core/membership/membership.h"
#include "node/manager/leader.h"
#include "node/manager/manager.h"
#include "node/manager/removed_nodes.h"

/* An answer that waits for its entry. */
struct swki_held_answer {
    struct swki_held_answer *next;
    struct swki_answer answer;
};

/* A snapshot of the own state on its way to the storage, piece by piece. */
struct swki_saving {
    bool active;
    struct swki_saver saver;
    struct swki_buf piece;  /* not taken by the storage yet */
    uint64_t index;         /* that it is of */
    swk_time retry_at;      /* the storage had no room before */
    uint64_t ticket;        /* of a complete one, until it is durable; or 0 */
};

/* A received snapshot that the storage makes durable. */
struct swki_installing {
    uint64_t ticket; /* 0: none */
    uint64_t index;
    uint64_t term;
};

struct swki_waiting_read;

/* Reads that wait for the quorum; by ascending number. */
struct swki_reads {
    struct swki_waiting_read *first;
    struct swki_waiting_read **last;
    uint64_t asked; /* questions to the quorum so far */
};

struct swki_manager {
    struct swki_manager_config config;
    uint64_t raft_id;      /* 0 while it is not known */
    swk_raft *raft;        /* NULL while there is no number */
    struct swki_store *store;
    struct swki_membership *membership;
    struct swki_leader *leader; /* NULL while not leading */
    struct swki_answers answers;
    struct swki_held_answer *held; /* by ascending index */
    struct swki_held_answer **held_last;
    struct swki_reads reads;
    struct swki_saving saving;
    struct swki_installing installing;
    struct swki_removed_nodes removed_nodes;
    uint64_t settings_version; /* of the cluster whose settings are in force */
    uint64_t known_leader;
    swk_time leader_deadline;
    swk_time now;
    bool stepped_snapshot; /* raft was told of a received one */
    bool blank;            /* the log said whose it is, and nothing else */
    bool removed;          /* this manager is a member no more */
    bool failed;
    struct swk_error failure;
    struct swk_error storage_failure; /* the first; code 0: none */
};

/* Stops for good; the first reason stays. */
void swki_manager_give_up(struct swki_manager *m, const struct swk_error *why);

/* -- Its beginning (manager_load.c) --------------------------------------- */

/* Makes the machines and gives them what the storage holds. */
int swki_manager_load(struct swki_manager *m, struct swk_error *err);

/* Founds a swarm in a log that says whose it is: as far as that, founding had
 * come before. */
int swki_manager_found_identified(struct swki_manager *m,
                                  struct swk_error *err);

/* Store and list of members become those of a snapshot at index. */
int swki_manager_restore_state(struct swki_manager *m,
                               const struct swk_conf_state *conf_state,
                               uint64_t index, const uint8_t *data, size_t len,
                               struct swk_error *err);

/* -- The log (manager_log.c) ---------------------------------------------- */

/* Carries out what raft asks for, once. False if there was nothing to do. */
bool swki_manager_run_raft(struct swki_manager *m);

/* Gives the storage the next piece of a snapshot that is being saved. Returns
 * when to go on. */
swk_time swki_manager_save(struct swki_manager *m);
void swki_manager_stop_saving(struct swki_manager *m);

/* -- Leadership (manager.c) ----------------------------------------------- */

void swki_manager_lead(struct swki_manager *m);
void swki_manager_step_down(struct swki_manager *m);

/* -- Calls (manager_calls.c) ---------------------------------------------- */

/* Hands a call that is permitted to the leader's machines. */
void swki_manager_dispatch(struct swki_manager *m,
                           const struct swki_method *method,
                           const struct swki_manager_call *call);
void swki_manager_end_call(struct swki_manager *m, uint64_t call_id,
                           enum swki_status status, const char *text);

/* Gives out the machines' answers, but for those whose entry is not committed
 * yet. */
void swki_manager_give_answers(struct swki_manager *m);
/* Gives out those whose entry is. */
void swki_manager_release_answers(struct swki_manager *m);
/* Ends those that wait: nobody knows what becomes of their entries. */
void swki_manager_fail_answers(struct swki_manager *m);
void swki_manager_drop_answers(struct swki_manager *m);

/* -- The audit log (manager_audit.c) -------------------------------------- */

/* All of these do nothing for a manager that has none. */

/* From now on changes of the store are recorded. */
void swki_manager_audit_open(struct swki_manager *m);
/* What was recorded goes to the kernel: before what it tells of leaves. */
void swki_manager_audit_write(struct swki_manager *m);
/* Records of changes have the time of a turn. */
void swki_manager_audit_turn(struct swki_manager *m);

/* Whether the call must be refused, as it could not be recorded. */
bool swki_manager_audit_blocks(struct swki_manager *m,
                               const struct swki_method *method);
/* A call is carried out; then, what it asks for, until it was served. */
void swki_manager_audit_begins(struct swki_manager *m,
                               const struct swki_method *method,
                               const struct swki_manager_call *call);
void swki_manager_audit_request(struct swki_manager *m, uint64_t call_id,
                                const ProtobufCMessage *request);
void swki_manager_audit_served(struct swki_manager *m);
/* The call's answer is about to leave. */
void swki_manager_audit_ends(struct swki_manager *m,
                             const struct swki_answer *answer);
void swki_manager_audit_cancelled(struct swki_manager *m, uint64_t call_id);

void swki_manager_audit_leads(struct swki_manager *m);
void swki_manager_audit_leads_no_more(struct swki_manager *m);
void swki_manager_audit_restored(struct swki_manager *m, uint64_t index);

/* -- Reads (manager_reads.c) ---------------------------------------------- */

/* Keeps a call until the quorum has confirmed this leader. False for no
 * memory. */
bool swki_manager_read_later(struct swki_manager *m,
                             const struct swki_method *method,
                             const struct swki_manager_call *call);
void swki_manager_cancel_read(struct swki_manager *m, uint64_t call_id);
/* Asks the quorum for those that came since it was asked last. */
void swki_manager_ask_reads(struct swki_manager *m);
/* The quorum has answered. */
void swki_manager_note_reads(struct swki_manager *m,
                             const struct swk_raft_read *answers, size_t count);
/* Serves those that may be. */
void swki_manager_serve_reads(struct swki_manager *m);
/* Ends all; NULL: without a word. */
void swki_manager_fail_reads(struct swki_manager *m, const char *why);

#endif
