/* SPDX-License-Identifier: Apache-2.0 */

/* What the dispatcher's files share. */

#ifndef SWKI_DISPATCHER_INTERNAL_H
#define SWKI_DISPATCHER_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/timers.h"
#include "core/dispatcher/dispatcher.h"
#include "core/secretdriver/fetcher.h"

enum {
    /* Bytes of what is said of a value that does not come: a reason and two
     * names, and a NUL. */
    SWKI_DISPATCHER_REASON_SIZE = 512,
};

/* A task as it was last sent to a node. */
struct sent_task {
    char id[SWK_ID_LEN_MAX + 1];
    const struct swki_object *object; /* NULL: marked, but not sent yet */
    bool dirty;   /* may differ from what is committed */
    bool holding; /* counted as a user of its dependencies */
    bool earlier; /* there when the stream was opened: the node may run it */
    struct swki_link leases; /* of the values that drivers give it */
};

/* A secret or config that a node has, and how many of its tasks use it. */
struct dependency {
    /* Kind's letter, ':', ID; and '.', ID of the task that alone has it. */
    char key[2 * SWK_ID_LEN_MAX + 4];
    enum swki_kind kind;
    size_t users;
    bool sent; /* the node has it */
    bool leased; /* its users are leases: a driver gave the value */
    struct swki_fetch *fetch; /* with the value, until that is sent */
};

struct node;

/* A secret with a driver, and how its value is got for a node. */
struct driven {
    const struct swki_object *secret;
    size_t leases;
    struct lease *asking; /* the others wait for what its answer says */
    bool apart;           /* they do not: each asks for itself */
};

enum lease_state {
    LEASE_WAITING, /* another one's answer may do for this one too */
    LEASE_ASKING,
    LEASE_SETTLED, /* has a value, or does without */
};

/* A task's hold on the value of a secret with a driver. */
struct lease {
    struct swki_link link; /* in the task's list */
    struct node *node;
    struct driven *driven;
    char task_id[SWK_ID_LEN_MAX + 1];
    enum lease_state state;
    struct swki_fetch *fetch; /* ASKING */
    struct dependency *held;  /* SETTLED; NULL: does without */
    char *lack;               /* why it does; NULL: not known */
};

/* A stream of a node's, by the number of its call. */
struct stream {
    char key[17];     /* the number as text, in the map of open streams */
    uint64_t call_id; /* 0: not open */
    struct node *node;
};

/* Tags of a node's timers. */
enum {
    TIMER_NODE,
    TIMER_ASSIGNMENTS,
    TIMER_DESCRIPTION,
};

enum node_phase {
    NODE_WAITING, /* not registered with this dispatcher; the timer runs */
    NODE_READY,   /* has a session */
    NODE_DOWN,    /* missed its heartbeats; the timer leads to orphaning */
};

struct node {
    char id[SWK_ID_LEN_MAX + 1];
    struct swki_link due;   /* in the list of nodes with something to send */
    struct swki_link write; /* in the list of those with a status to write */
    enum node_phase phase;
    char session_id[SWK_ID_LEN + 1]; /* "" without session */
    struct swki_timer timer;         /* heartbeat, or orphaning */

    /* registration */
    swk_time registrations_since;
    unsigned registrations_count;

    /* what is still to be written */
    bool write_failed; /* to be tried again */
    int32_t state; /* Swkpb__NodeStatus__State */
    char message[128];
    char address[64];
    struct swki_arena description_arena;
    Swkpb__NodeDescription *description; /* NULL: unchanged */
    struct swki_timer description_timer; /* set: it waits until then */
    swk_time allowance_whole_at;         /* that of its descriptions */
    uint64_t registered_index; /* entry that made it READY; 0: not written */

    struct stream session;
    bool session_due; /* a session message is to be sent */
    bool has_keys;    /* the last one had the keys of networks */
    struct stream assignments;
    uint64_t assignments_sequence;
    bool assignments_complete; /* the next message is the first */
    bool assignments_due;
    swk_time assignments_sent; /* when the last message went out */
    struct swki_timer assignments_timer;
    struct swki_map tasks;        /* struct sent_task by ID */
    struct swki_map dependencies; /* struct dependency by key */
    struct swki_map driven;       /* struct driven by ID of the secret */
};

struct report {
    char task_id[SWK_ID_LEN_MAX + 1];
    struct swki_arena arena;
    Swkpb__TaskStatus *status;
    bool failed; /* its write is to be tried again */
};

struct swki_dispatcher {
    struct swki_dispatcher_config config;
    struct swki_store *store;
    struct swki_rng rng;
    struct swki_timers timers;
    struct swki_fetcher *fetcher;
    struct swki_watch *watch;
    struct swki_map nodes;   /* struct node by ID */
    struct swki_map streams; /* struct stream by key: those that are open */
    struct swki_map reports; /* struct report by task ID */
    struct swki_arena managers_arena;
    Swkpb__WeightedPeer **managers;
    size_t managers_count;
    swk_time period; /* between heartbeats */
    swk_time now;    /* of the call or step under way */
    bool running;
    bool writes_due;  /* something waits for flush_writes() */
    swk_time write_at; /* not before, after a write that failed */
    struct swki_link writes; /* nodes with a status to write */
    struct swki_link due;    /* nodes with something to send */
    bool streams_due;        /* the list of them is worth a walk */
};

/* dispatcher.c */
struct node *swki_dispatcher_add_node(struct swki_dispatcher *d,
                                      const char *id);
void swki_dispatcher_remove_node(struct swki_dispatcher *d, struct node *node);

/* Puts a node on the list of those with something to send. */
void swki_dispatcher_note_due(struct swki_dispatcher *d, struct node *node);
void swki_dispatcher_note_session(struct swki_dispatcher *d,
                                  struct node *node);
void swki_dispatcher_queue_status(struct swki_dispatcher *d, struct node *node,
                                  Swkpb__NodeStatus__State state,
                                  const char *message);

/* The same status; maybe with another description. */
void swki_dispatcher_queue_write(struct swki_dispatcher *d, struct node *node);

/* descriptions.c */
int swki_dispatcher_check_description(const Swkpb__NodeDescription *description,
                                      struct swk_error *err);
/* Takes a copy, to be written with the status, or later if there were many. */
int swki_dispatcher_set_description(struct swki_dispatcher *d,
                                    struct node *node,
                                    const Swkpb__NodeDescription *description);
bool swki_dispatcher_description_waits(const struct node *node);
/* It has waited long enough. */
void swki_dispatcher_expire_description(struct swki_dispatcher *d,
                                        struct node *node);

/* streams.c; a stream is opened when it is closed. False for no memory. */
bool swki_dispatcher_open_stream(struct swki_dispatcher *d,
                                 struct stream *stream, uint64_t call_id);
void swki_dispatcher_close_stream(struct swki_dispatcher *d,
                                  struct stream *stream);
/* Tells the caller and closes; nothing happens if it is not open. */
void swki_dispatcher_end_stream(struct swki_dispatcher *d,
                                struct stream *stream,
                                struct swki_answers *answers,
                                enum swki_status status, const char *text);
/* Both streams of a node, with what it was sent. */
void swki_dispatcher_end_streams(struct swki_dispatcher *d, struct node *node,
                                 struct swki_answers *answers,
                                 enum swki_status status, const char *text);
/* Whether two versions of the cluster tell nodes different things; of keys, only
 * those that have them. old may be NULL. */
bool swki_dispatcher_news(const Swkpb__Cluster *old, const Swkpb__Cluster *now);
bool swki_dispatcher_new_keys(const Swkpb__Cluster *old,
                              const Swkpb__Cluster *now);
void swki_dispatcher_send_streams(struct swki_dispatcher *d,
                                  struct swki_answers *answers);

/* assignments.c; false for no memory: the stream cannot go on. */
bool swki_dispatcher_mark_task(struct swki_dispatcher *d, struct node *node,
                               const char *task_id);
/* The next message is COMPLETE. */
bool swki_dispatcher_list_assignments(struct swki_dispatcher *d,
                                      struct node *node);
/* A stream that is open, or not; the latter forgets what was sent alone. */
void swki_dispatcher_end_assignments(struct swki_dispatcher *d,
                                     struct node *node,
                                     struct swki_answers *answers,
                                     enum swki_status status,
                                     const char *text);
void swki_dispatcher_send_assignments(struct swki_dispatcher *d,
                                      struct node *node,
                                      struct swki_answers *answers);
void swki_dispatcher_close_assignments(struct swki_dispatcher *d,
                                       struct node *node);

/* By its key; made if there is none. NULL for no memory. */
struct dependency *swki_dispatcher_need_dependency(struct swki_dispatcher *d,
                                                   struct node *node,
                                                   enum swki_kind kind,
                                                   const char *id);

/* leases.c */
/* The task asks for what it needs of drivers before it is sent; false for no
 * memory. Not for one that runs already: it has its values, and another call
 * could make new ones of them. */
bool swki_dispatcher_lease(struct swki_dispatcher *d, struct node *node,
                           struct sent_task *sent,
                           const struct swki_object *task);
/* Whether a value may still come. */
bool swki_dispatcher_leases_open(const struct sent_task *sent);
/* Gives up what has not come; or all. */
void swki_dispatcher_close_leases(struct swki_dispatcher *d,
                                  struct sent_task *sent);
void swki_dispatcher_release_leases(struct swki_dispatcher *d,
                                    struct sent_task *sent);
/* Whether that secret is no business of the node's ordinary dependencies. */
bool swki_dispatcher_is_driven(const struct swki_view *view, const char *id);
/* Why the task has to do without a value; "" if it need not. */
void swki_dispatcher_describe_lack(const struct sent_task *sent,
                                   char text[SWKI_DISPATCHER_REASON_SIZE]);
/* Hands the values that came to the leases they are for, and writes why tasks
 * wait. */
void swki_dispatcher_take_fetched(struct swki_dispatcher *d);

/* writes.c */
int swki_dispatcher_queue_report(struct swki_dispatcher *d,
                                 const char *task_id,
                                 const Swkpb__TaskStatus *status);
void swki_dispatcher_flush_writes(struct swki_dispatcher *d, swk_wall wall);
void swki_dispatcher_orphan(struct swki_dispatcher *d, struct node *node,
                            swk_wall wall);
void swki_dispatcher_free_reports(struct swki_dispatcher *d);

#endif
