/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The inside of a member, for its own files and its tests.
 *
 * A member is a machine (core/raft/machine.h, asynchronous mode) and what lies
 * between that and a driver: time becomes ticks, what waits for the storage
 * waits here for its ticket, and policies decide when a snapshot is due, when
 * to give up leadership, and what is said of it.
 */

#ifndef SWKI_CORE_RAFT_MEMBER_H
#define SWKI_CORE_RAFT_MEMBER_H

#include <stdbool.h>

#include <swarmkit/raft.h>

#include "core/raft/configuration.h"
#include "core/raft/machine.h"
#include "core/raft/recorder.h"
#include "core/raft/ring.h"
#include "core/raft/snapshot_meta.h"

enum swki_raft_write_kind {
    SWKI_RAFT_WRITE_APPEND,
    SWKI_RAFT_WRITE_SNAPSHOT, /* of this member's own state */
    SWKI_RAFT_WRITE_INSTALL,  /* of a received snapshot */
};

/* A write given to the storage and not confirmed. */
struct swki_raft_write {
    enum swki_raft_write_kind kind;
    uint64_t ticket;
    uint64_t ticks;         /* when it was given out */
    uint64_t install_index; /* of the received snapshot that the responses */
    uint64_t install_term;  /* tell of; 0: none */
    size_t responses_count; /* that wait for it */
};

struct swk_raft {
    struct swk_raft_config config; /* defaults filled in */
    struct swki_machine *machine;
    struct swki_raft_recorder recorder;
    bool started;
    bool bootstrapped;

    /* As the machine last said. */
    enum swk_raft_role role;
    uint64_t leader;
    struct swk_hard_state state;
    struct swk_hard_state stored; /* as last given out */

    swk_time now;      /* the latest that was told */
    swk_time tick_due; /* of the next one */
    uint64_t ticks;    /* so far */
    bool campaign_due; /* a sole voter need not wait for others */
    bool stalled;      /* R-DSK-4 */
    uint64_t resign_ticks; /* when to give leadership up once more */

    /* What waits for the storage. The responses of all writes are one queue,
     * in the order of the writes. */
    uint64_t last_ticket; /* given out */
    uint64_t persisted;   /* highest ticket confirmed */
    struct swki_raft_ring writes;
    struct swki_raft_ring responses;

    /* Messages that wait no more. */
    struct swk_raft_message *out;
    size_t out_count;
    size_t out_size; /* room */
    bool out_given;  /* by the last actions */

    uint64_t applied;
    uint64_t given;        /* to be applied */
    uint64_t conf_given;   /* newest change of membership among these */
    uint64_t conf_applied; /* newest one that was applied */

    /* Snapshots. */
    uint64_t snapshot_index; /* of the newest durable one */
    struct swki_snapshot_copy making; /* an own one; index 0: none */
    uint64_t making_ticket;  /* 0 until it is complete */
    uint64_t installing;     /* index of a received one, not durable; or 0 */
    uint64_t unapplied_size; /* bytes given out since the last one was begun */
    uint64_t wanted;    /* applied index when it was wanted; 0: is not */
    uint64_t abandoned; /* applied index when one was given up; else 0 */
    uint64_t abandoned_ticks; /* when that was */

    /* Leadership. */
    uint64_t own_term;       /* last led */
    uint64_t own_first;      /* index of its first entry */
    uint64_t announced_term; /* 0: is not announced as leader */
    bool failure_told;

    uint8_t *scratch; /* for payloads on their way into the log */
    size_t scratch_size;
    struct swk_raft_actions actions;
};

/* -- member.c -------------------------------------------------------------- */

/* 0; SWK_EPRECONDITION before the start; SWK_EIO after a failure. */
int swki_raft_need_running(const struct swk_raft *raft, struct swk_error *err);

/* SWK_EIO with the reason, if it failed; else 0. */
int swki_raft_need_sound(const struct swk_raft *raft, struct swk_error *err);

/* SWK_EINVAL: what is NULL. */
int swki_raft_fail_null(const char *what, struct swk_error *err);

/* A pointer that must not be NULL. */
static inline int swki_raft_need(const void *pointer, const char *what,
                                 struct swk_error *err)
{
    return pointer != NULL ? SWK_OK : swki_raft_fail_null(what, err);
}

/* -- member_time.c --------------------------------------------------------- */

/* A sole voter is its own majority: it campaigns as soon as it can. To be
 * called whenever that may have come true. */
void swki_raft_consider_campaign(struct swk_raft *raft);

/* An append was confirmed: the disk does not hang. */
void swki_raft_storage_moves(struct swk_raft *raft);

/* -- writes.c -------------------------------------------------------------- */

void swki_raft_writes_init(struct swk_raft *raft);
void swki_raft_writes_fini(struct swk_raft *raft);

/* Makes room for what one Ready needs at least. False for no memory. */
bool swki_raft_writes_reserve(struct swk_raft *raft);

/* A new write, to which a ticket is given. There is room. */
struct swki_raft_write *swki_raft_write_add(struct swk_raft *raft,
                                            enum swki_raft_write_kind kind);

/* The responses wait for the newest write; or for nothing, if no write is
 * under way: then those to others go out with the next messages. There is room
 * for those to this member; others are dropped, as the network might drop them,
 * if memory is short. install: the received snapshot that they tell of, or
 * NULL. */
void swki_raft_writes_hold(struct swk_raft *raft,
                           const struct swk_raft_message *responses,
                           size_t responses_count,
                           const struct swk_snapshot_meta *install);

/* Whether the oldest write is confirmed, and not handled. */
static inline bool swki_raft_writes_due(const struct swk_raft *raft)
{
    const struct swki_raft_write *write;

    if (raft->writes.count == 0) {
        return false;
    }
    write = swki_raft_ring_at(&raft->writes, 0);
    return write->ticket <= raft->persisted;
}

/* Handles what waits no more. False if memory ran short: the rest is handled
 * by a later call. */
bool swki_raft_writes_process(struct swk_raft *raft);

/* Makes room for so many more messages to go out. */
bool swki_raft_out_reserve(struct swk_raft *raft, size_t more);
/* There is room. */
void swki_raft_out_push(struct swk_raft *raft,
                        const struct swk_raft_message *message);

/* -- snapshots.c ----------------------------------------------------------- */

/* Sets the index at which a snapshot is wanted, if one is due and what is
 * applied is all that was given out. */
void swki_raft_take_snapshot_wanted(struct swk_raft *raft);

/* A received snapshot was given to the storage. */
void swki_raft_snapshot_installing(struct swk_raft *raft, uint64_t index);

/* A received snapshot is durable and restored. */
void swki_raft_snapshot_installed(struct swk_raft *raft, uint64_t index);

/* The own snapshot that was being saved is durable. */
void swki_raft_snapshot_saved(struct swk_raft *raft);

#endif
