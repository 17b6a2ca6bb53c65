/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The replicated object store: one truth, two views.
 *
 * `committed` is what a quorum has; `head` is that plus the leader's own
 * proposals still in flight. Components work on head; what leaves the manager
 * comes from committed. On followers the two are the same.
 *
 * A write transaction names its actor, works on head, and is refused whole or
 * proposed whole as one entry of the log. Nothing in here blocks: the entry's
 * fate arrives later as swki_store_apply() or swki_store_lose_leadership().
 *
 * Views are immutable and taken in O(1). A view may be read on any thread; all
 * else belongs to one thread.
 */

#ifndef SWKI_STORE_STORE_H
#define SWKI_STORE_STORE_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>

#include "base/buf.h"
#include "core/store/object.h"

/* Who writes. policy.c says what each may write. They are in entries of the log:
 * none changes its place, and new ones come last. */
enum swki_actor {
    SWKI_ACTOR_BOOTSTRAP,    /* the first objects of a new leader */
    SWKI_ACTOR_CONTROL,      /* the control API, on behalf of a user */
    SWKI_ACTOR_CA,
    SWKI_ACTOR_ALLOCATOR,
    SWKI_ACTOR_ORCHESTRATOR, /* all modes, with restarts and updates */
    SWKI_ACTOR_ENFORCER,     /* constraints and volumes */
    SWKI_ACTOR_REAPER,
    SWKI_ACTOR_SCHEDULER,
    SWKI_ACTOR_DISPATCHER,
    SWKI_ACTOR_ROLE_MANAGER,
    SWKI_ACTOR_KEY_MANAGER,
    SWKI_ACTOR_VOLUME_MANAGER,
    SWKI_ACTORS_COUNT,
};

const char *swki_actor_name(enum swki_actor actor);

/* How the store reaches the log. */
struct swki_proposer {
    void *ctx;
    /* The index the next proposal gets; 0 when this member does not lead. */
    uint64_t (*next_index)(void *ctx);
    /* Appends at next_index(); data is borrowed for the call. */
    int (*propose)(void *ctx, const uint8_t *data, size_t len,
                   struct swk_error *err);
};

enum {
    SWKI_STORE_ENTRY_SIZE_MAX = 1572864,  /* bytes of an encoded entry */
    SWKI_STORE_BATCH_SIZE = 1179648,      /* bytes at which a batch splits */
    SWKI_STORE_BATCH_CHANGES = 200,       /* changes at which it splits */
    SWKI_STORE_IN_FLIGHT_MAX = 4096,      /* proposals not committed yet */
};

struct swki_store_config {
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    struct swki_proposer proposer;
};

struct swki_store;

int swki_store_new(const struct swki_store_config *config,
                   struct swki_store **out_store, struct swk_error *err);
void swki_store_free(struct swki_store *store);

/* -- Views and lookups ---------------------------------------------------- */

struct swki_view;

/* Borrowed until the store's next change; take a reference to keep one. */
const struct swki_view *swki_store_head(const struct swki_store *store);
const struct swki_view *swki_store_committed(const struct swki_store *store);
const struct swki_view *swki_view_ref(const struct swki_view *view);
void swki_view_unref(const struct swki_view *view);

/* Index of the last entry in the view. */
uint64_t swki_view_index(const struct swki_view *view);

/* Objects are borrowed until the view is gone. NULL if there is none. */
const struct swki_object *swki_view_get(const struct swki_view *view,
                                        enum swki_kind kind, const char *id);
size_t swki_view_count(const struct swki_view *view, enum swki_kind kind);

enum swki_by {
    SWKI_BY_ALL,
    SWKI_BY_OR, /* union of sub-selectors, each object once */
    SWKI_BY_NAME,
    SWKI_BY_NAME_PREFIX,
    SWKI_BY_ID_PREFIX,
    SWKI_BY_CUSTOM,        /* text is the key, value the value */
    SWKI_BY_CUSTOM_PREFIX, /* text is the key, value a prefix */
    SWKI_BY_ROLE,          /* number: NodeRole */
    SWKI_BY_MEMBERSHIP,    /* number: NodeSpec.Membership */
    SWKI_BY_RUNTIME,
    SWKI_BY_NETWORK, /* referenced object's ID */
    SWKI_BY_SECRET,
    SWKI_BY_CONFIG,
    SWKI_BY_SERVICE_ID,
    SWKI_BY_NODE_ID,
    SWKI_BY_SLOT,          /* text is the service ID, number the slot */
    SWKI_BY_DESIRED_STATE, /* number: TaskState */
    SWKI_BY_TASK_STATE,    /* number: TaskState */
    SWKI_BY_VOLUME,        /* attached volume's ID */
    SWKI_BY_KIND,          /* of a resource */
    SWKI_BY_VOLUME_GROUP,
    SWKI_BY_DRIVER,
};

struct swki_selector {
    enum swki_by by;
    const char *text;
    const char *value;
    uint64_t number;
    const struct swki_selector *any; /* for SWKI_BY_OR */
    size_t any_count;
};

/* A walk over what a selector finds, on the caller's stack. Ascending key,
 * then ascending ID. */
struct swki_cursor {
    const struct swki_view *view;
    void *state[24]; /* the store's own */
};

/* SWK_EINVAL "invalid find argument type" if the selector is not one of the
 * table's. Close every cursor that was opened. */
int swki_view_find(const struct swki_view *view, enum swki_kind kind,
                   const struct swki_selector *selector,
                   struct swki_cursor *out_cursor, struct swk_error *err);
/* NULL at the end. */
const struct swki_object *swki_cursor_next(struct swki_cursor *cursor);
void swki_cursor_close(struct swki_cursor *cursor);

/* -- Transactions --------------------------------------------------------- */

struct swki_tx;

/* How a proposal ended. */
enum swki_fate {
    SWKI_FATE_COMMITTED,
    SWKI_FATE_UNKNOWN, /* leadership was lost; it may still be committed */
};

typedef void (*swki_tx_done_fn)(void *ctx, enum swki_fate fate, uint64_t index);

/* Opens a transaction; one may be open at a time. wall stamps created_at and
 * updated_at. NULL for no memory. */
struct swki_tx *swki_store_begin(struct swki_store *store,
                                 enum swki_actor actor, swk_wall wall);

/* What the transaction sees: head with its own writes. Borrowed until its
 * next write. */
const struct swki_view *swki_tx_view(const struct swki_tx *tx);

/*
 * Writes. The object is *taken*, on failure too, and sealed; its meta is set.
 * A create fails with SWK_EEXIST; an update with SWK_ECONFLICT "update out of
 * sequence" unless the version of the object is the stored one's (an edit of
 * what was read has it), with SWK_ENOTFOUND; both with SWK_EDENIED if the
 * actor may not make the change. After a failed write the transaction can only
 * be rolled back to a savepoint, or aborted.
 */
int swki_tx_create(struct swki_tx *tx, struct swki_object *object,
                   struct swk_error *err);
int swki_tx_update(struct swki_tx *tx, struct swki_object *object,
                   struct swk_error *err);
int swki_tx_delete(struct swki_tx *tx, enum swki_kind kind, const char *id,
                   struct swk_error *err);

/* Savepoints: undoes the writes made since, and clears a failure. */
size_t swki_tx_savepoint(const struct swki_tx *tx);
void swki_tx_rollback(struct swki_tx *tx, size_t savepoint);

/*
 * Names the request of a user that the transaction carries out, after the write
 * that does so, with which it is undone. Every manager remembers it once it is
 * committed. Texts are copied. SWK_EINVAL for texts that are too long.
 */
int swki_tx_set_request(struct swki_tx *tx, const char *key,
                        const char *object_id, struct swk_error *err);

/* Writes so far. */
size_t swki_tx_changes(const struct swki_tx *tx);

/*
 * Ends the transaction. With writes: proposes them, moves head, and calls done
 * (if not NULL) once when the fate is known; *out_index (may be NULL) is the
 * entry's index. Without writes: *out_index is 0, done is not called, and it
 * succeeds on any member. On failure nothing was changed: SWK_ENOTLEADER,
 * SWK_ELIMIT (too large, or too much in flight).
 */
int swki_tx_commit(struct swki_tx *tx, swki_tx_done_fn done, void *done_ctx,
                   uint64_t *out_index, struct swk_error *err);
void swki_tx_abort(struct swki_tx *tx);

/*
 * Batches: many independent steps, packed into transactions that split by
 * count and size, also before a step that does not fit any more. A step that
 * fails, or fits into no entry, is undone alone and its code returned; a commit
 * that fails sticks, and every later call returns it.
 */
struct swki_batch {
    struct swki_store *store;
    struct swki_tx *tx;
    enum swki_actor actor;
    swk_wall wall;
    int failed; /* the commit's code */
};

typedef int (*swki_step_fn)(void *ctx, struct swki_tx *tx,
                            struct swk_error *err);

void swki_batch_init(struct swki_batch *batch, struct swki_store *store,
                     enum swki_actor actor, swk_wall wall);
int swki_batch_step(struct swki_batch *batch, swki_step_fn step, void *ctx,
                    struct swk_error *err);
/* Commits what is left, or drops it if a commit failed. Always call it. */
int swki_batch_end(struct swki_batch *batch, struct swk_error *err);

/* -- Events --------------------------------------------------------------- */

enum swki_change {
    SWKI_CHANGE_CREATE,
    SWKI_CHANGE_UPDATE,
    SWKI_CHANGE_DELETE,
    SWKI_CHANGE_COMMIT, /* the end of a transaction */
    SWKI_CHANGE_RESET,  /* everything may have changed: list again */
};

struct swki_event {
    enum swki_change change;
    enum swki_kind kind;
    const struct swki_object *object; /* new one; the last for a delete */
    const struct swki_object *old;    /* before an update */
    uint64_t index;                   /* of the entry */
};

enum swki_feed {
    SWKI_FEED_HEAD,      /* every change as it is proposed (leader) */
    SWKI_FEED_COMMITTED, /* every change once it is committed */
};

struct swki_watch;

/* Events from now on. Over limit events behind, the watch is emptied and
 * yields one RESET; of what follows it, events up to the index of the view that
 * is listed then are known already. Kinds is a set of bits (1 << kind); COMMIT
 * comes always. */
struct swki_watch *swki_store_watch(struct swki_store *store,
                                    enum swki_feed feed, uint32_t kinds,
                                    size_t limit);
void swki_watch_free(struct swki_watch *watch);
bool swki_watch_pending(const struct swki_watch *watch);
/* NULL if nothing is left; borrowed until the next call. */
const struct swki_event *swki_watch_next(struct swki_watch *watch);

/* -- Requests that were carried out --------------------------------------- */

enum {
    SWKI_STORE_REQUESTS_MAX = 4096, /* the latest are remembered */
    SWKI_STORE_REQUEST_KEY_MAX = 255,
};

struct swki_done_request {
    uint64_t index; /* of the entry that carried it out */
    const char *key;
    const char *object_id;
};

/* What is known of a request; false if nothing is. It is committed. Borrowed
 * until the store's next change. */
bool swki_store_find_request(const struct swki_store *store, const char *key,
                             struct swki_done_request *out_request);

/* Appends them to a snapshot, as the field `requests` of an encoded
 * docker.swarmkit.v1.Snapshot: as of the committed view, when that is taken. */
int swki_store_save_requests(const struct swki_store *store,
                             struct swki_buf *out, struct swk_error *err);

/* -- The log's side ------------------------------------------------------- */

/* An entry was committed. On the leader it is its own oldest proposal. A
 * failure means that this copy diverges: stop and restore from a snapshot. */
int swki_store_apply(struct swki_store *store, uint64_t index,
                     const uint8_t *data, size_t len, struct swk_error *err);

/* Entries without a change of objects: moves the index. */
void swki_store_apply_nothing(struct swki_store *store, uint64_t index);

/* Drops head; every proposal in flight ends with SWKI_FATE_UNKNOWN. */
void swki_store_lose_leadership(struct swki_store *store);

/* -- Observation ---------------------------------------------------------- */

/* A change of one object, and what became of it. All is borrowed. */
struct swki_observed {
    enum swki_actor actor; /* SWKI_ACTORS_COUNT: the entry does not say */
    enum swki_change change; /* CREATE, UPDATE or DELETE */
    enum swki_fate fate;     /* of its transaction */
    uint64_t index;          /* of the entry */
    uint64_t cause;          /* see swki_store_set_cause() */
    const char *request;     /* the key of a user's request, or NULL */
    const struct swki_object *object; /* new one; the last for a delete */
    const struct swki_object *old;    /* before an update */
};

/* Told of every change, of this member or another, unlike a watch with who made
 * it; nothing may be written within. */
struct swki_store_observer {
    void *ctx;
    /* A change was committed, or its fate is unknown. In the order of the log;
     * the changes of one transaction come one after the other. */
    void (*ended)(void *ctx, const struct swki_observed *observed);
    /* The policy has refused a change; fate and index mean nothing. */
    void (*refused)(void *ctx, const struct swki_observed *observed,
                    const struct swk_error *why);
};

/* One at a time; NULL for none. *Copied*. */
void swki_store_observe(struct swki_store *store,
                        const struct swki_store_observer *observer);

/* What causes the transactions that are committed from now on: a number of the
 * observer's; 0 for nothing in particular. */
void swki_store_set_cause(struct swki_store *store, uint64_t cause);

/* Proposals not yet committed. */
size_t swki_store_in_flight(const struct swki_store *store);

/* Appends an encoded docker.swarmkit.v1.Snapshot of a view to out. */
int swki_view_save(const struct swki_view *view, struct swki_buf *out,
                   struct swk_error *err);

/* The same in pieces, so that a large view holds nobody up. What the pieces
 * hold together is a snapshot; other fields of it may be put before them. */
struct swki_saver {
    const struct swki_view *view; /* a reference */
    struct swki_cursor cursor;
    unsigned kind; /* in the order of snapshots; done at SWKI_KINDS_COUNT */
    bool open;     /* the cursor is */
};

void swki_saver_init(struct swki_saver *saver, const struct swki_view *view);
void swki_saver_fini(struct swki_saver *saver);

/* Appends some `size` bytes of further objects, or what is left; nothing after
 * swki_saver_done(). */
int swki_saver_next(struct swki_saver *saver, size_t size, struct swki_buf *out,
                    struct swk_error *err);
bool swki_saver_done(const struct swki_saver *saver);

/* Replaces everything by a snapshot taken at index. */
int swki_store_restore(struct swki_store *store, uint64_t index,
                       const uint8_t *data, size_t len, struct swk_error *err);

/* Changes refused by policy since the store was made. */
uint64_t swki_store_denials(const struct swki_store *store);

#endif
