/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A swarm in one process: a manager, its agents, the network between them, the
 * manager's disk and the workloads of every node, all in virtual time. The
 * same seed and the same calls give the same trace, byte for byte.
 *
 * The network carries bytes as TCP does: in order, and what a cut holds up
 * arrives once the cut is healed, if the connection is still there.
 *
 * What the manager commits is fed to a second store, whose changes are held
 * against the rules of the task model (sim_rules.c).
 */

#ifndef TESTS_LIB_SIM_SWARM_H
#define TESTS_LIB_SIM_SWARM_H

#include "base/map.h"
#include "base/rng.h"
#include "core/agent/agent.h"
#include "lib/sim_storage.h"
#include "node/identity/founding.h"
#include "node/manager/manager.h"

enum {
    SIM_NODES_MAX = 16,
    SIM_NAME_SIZE = 64,
};

#define SIM_SIGN_NS (2 * SWK_MILLISECOND)
#define SIM_CREATE_SERVICE "/docker.swarmkit.v1.Control/CreateService"
#define SIM_UPDATE_SERVICE "/docker.swarmkit.v1.Control/UpdateService"

enum sim_event_type {
    SIM_STORED,       /* disk to manager */
    SIM_SIGNED,       /* signer to manager */
    SIM_CONNECT,      /* node to manager, as the next three */
    SIM_CALL,
    SIM_CANCEL,
    SIM_CLOSED,
    SIM_CONNECTED,    /* manager to node, as the next three */
    SIM_MESSAGE,
    SIM_ENDED,
    SIM_DISCONNECTED,
    SIM_CONNECT_TIMEOUT,
    SIM_CLIENT_CALL,  /* the administrator to the manager */
    SIM_CLIENT_REPLY,
    SIM_OPERATION,    /* an operation of the executor has ended */
    SIM_EXIT,         /* a workload ends */
};

struct sim_node;
struct sim_workload;

struct sim_event {
    struct sim_event *next;
    swk_time at;
    enum sim_event_type type;
    struct sim_node *node;
    struct sim_workload *workload;
    uint64_t life; /* of what the event belongs to; stale if it differs */
    uint64_t call_id;
    const char *path;
    uint8_t *data;
    size_t len;
    int status;
    char text[SWK_ERROR_TEXT_SIZE];
    int32_t operation;
    struct swk_operation_result result;
};

/* What the arguments of a container ask of the simulated executor. */
struct sim_behaviour {
    bool refused;         /* "refuse": no controller */
    bool prepare_fails;   /* "prepare-fails" */
    bool start_fails;     /* "start-fails" */
    bool stubborn;        /* "stubborn": ends only when it is killed */
    swk_time prepare_ns;  /* "prepare=2s" */
    swk_time start_ns;    /* "start=2s" */
    swk_time exit_after;  /* "exit=1:2s"; SWK_NEVER */
    int exit_code;
};

struct sim_workload {
    char id[SWK_ID_LEN_MAX + 1];
    struct sim_node *node;
    struct sim_behaviour behaviour;
    bool prepared;
    bool running;
    bool exited;
    bool stopping; /* its end is on the way */
    bool removed;
    int exit_code;
    unsigned starts;
    uint64_t run;       /* stales SIM_EXIT */
    int32_t operation;  /* under way, or 0 */
    uint64_t operation_life; /* stales SIM_OPERATION */
};

struct sim_logger {
    struct swk_logger port;
    struct sim *sim;
    char name[SIM_NAME_SIZE];
};

struct sim_node {
    struct sim *sim;
    char name[SIM_NAME_SIZE];
    char id[SWK_ID_LEN_MAX + 1];
    struct sim_logger logger;
    struct swki_agent *agent; /* NULL while dead */
    uint64_t lives;
    uint64_t connection; /* 0: none; else the number of the newest */
    bool connected;
    uint64_t server_connection; /* the newest one at the manager; 0: none */
    bool cut_out; /* nothing leaves the node */
    bool cut_in;  /* nothing reaches it */
    struct sim_event *held; /* by a cut, in order */
    swk_time last_out; /* when the last of each way arrives: none overtakes */
    swk_time last_in;
    struct swki_map stored;    /* struct sim_stored by task ID */
    struct swki_map workloads; /* struct sim_workload by task ID */
    struct swki_map given; /* secrets and configs it has (sim_privilege.c) */
};

/* A call that the manager has not ended. */
struct sim_call {
    struct sim_call *next;
    uint64_t id; /* the manager's */
    struct sim_node *node; /* NULL: of the administrator */
    uint64_t connection;
    uint64_t call_id; /* the caller's */
    char path[64];
};

/* The administrator's last call. */
struct sim_client {
    bool waiting;
    uint64_t last_id;
    const char *path;
    uint8_t *request;
    size_t request_len;
    char request_id[32];
    bool lose_reply; /* the next reply is lost */
    int status;
    char text[SWK_ERROR_TEXT_SIZE];
    uint8_t *reply;
    size_t reply_len;
};

struct sim {
    swk_time now;
    struct swki_rng rng;     /* of the simulation */
    struct swki_rng entropy_rng;
    struct swk_clock clock;
    struct swk_entropy entropy;
    struct sim_event *events; /* by time, then as they were added */
    uint64_t steps;           /* at the present time */
    struct swki_buf trace;
    bool quiet;               /* nothing is traced but what rules find */
    bool trace_tasks;         /* each change of a task is traced */
    uint64_t network_ns;      /* one way */
    uint64_t disk_ns;
    uint64_t jitter_ns; /* the most that each takes longer, at random */
    swk_time last_write; /* when the last write is durable */

    struct swki_manager *manager; /* NULL while dead */
    uint64_t manager_lives;
    swk_time manager_deadline;
    struct sim_logger manager_logger;
    struct sim_storage storage;
    bool disk_held;
    struct sim_event *disk_events; /* while it is held */
    struct swki_credentials credentials;
    struct swki_founding founding;
    struct sim_call *calls;
    uint64_t last_call;
    uint64_t last_connection;

    struct sim_client client;
    struct sim_node *nodes[SIM_NODES_MAX];
    size_t nodes_count;

    struct swki_store *observer; /* what was committed */
    struct swki_watch *watch;
    struct swki_map names;   /* struct sim_label by ID */
    unsigned tasks_named;
    char broken[512]; /* the first rule that was broken, or "" */
};

/* -- Life (sim_swarm.c) --------------------------------------------------- */

/* A founded swarm whose manager is not started; NULL if that fails. */
struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *sim);

swk_wall sim_wall(const struct sim *sim);

/* Lets the time pass. */
void sim_advance(struct sim *sim, swk_time span);

/* Lets time pass until the administrator's call is answered, 30 s at most. */
bool sim_wait(struct sim *sim);

/* -- The manager ---------------------------------------------------------- */

void sim_start_manager(struct sim *sim);
/* Of what was not durable yet, `kept` writes are found again. */
void sim_kill_manager(struct sim *sim, size_t kept);
size_t sim_disk_pending(const struct sim *sim);
void sim_hold_disk(struct sim *sim);
void sim_release_disk(struct sim *sim);

/* -- Its signer (sim_signer.c) -------------------------------------------- */

/* Struct swki_manager_config: sign; ctx is the struct here. */
int sim_sign(void *ctx, uint64_t id, const struct swk_sign_request *request,
             struct swk_error *err);
void sim_signed(struct sim *sim, const struct sim_event *event);

/* -- Nodes (sim_node.c) --------------------------------------------------- */

struct sim_node *sim_node_by_name(struct sim *sim, const char *name);

/* A new node joins by the worker's token, and its agent starts. */
struct sim_node *sim_add_node(struct sim *sim, const char *name);
void sim_start_agent(struct sim_node *node);
/* The process ends; workloads go on. */
void sim_kill_agent(struct sim_node *node);
/* The power fails: nobody is told, and workloads are gone. */
void sim_kill_node(struct sim_node *node);
void sim_cut(struct sim_node *node, bool out, bool in);
void sim_heal(struct sim_node *node);
/* The connection breaks; both ends are told. */
void sim_break_connection(struct sim_node *node);
void sim_exit_workload(struct sim_workload *workload, int code);
struct sim_workload *sim_workload(struct sim_node *node, const char *task_id);
void sim_node_fini(struct sim_node *node);

/* What the loop hands over. */
void sim_node_event(struct sim_node *node, struct sim_event *event);
void sim_node_turn(struct sim_node *node);
swk_time sim_node_deadline(const struct sim_node *node);

/* -- The administrator (sim_client.c) ------------------------------------- */

/* Makes a call; one at a time. An empty request ID draws a new one. */
void sim_client_call(struct sim *sim, const char *path,
                     const ProtobufCMessage *request);
/* Makes the last call again with its request ID. */
void sim_client_retry(struct sim *sim);
void sim_client_reply(struct sim *sim, int status, const char *text,
                      const uint8_t *data, size_t len);
void sim_client_fini(struct sim *sim);

/* -- Events --------------------------------------------------------------- */

/* A zeroed event, not queued. */
struct sim_event *sim_event_new(enum sim_event_type type);
void sim_event_free(struct sim_event *event);
void sim_post(struct sim *sim, struct sim_event *event, swk_time delay);
/* Over the network, so that cuts count. */
void sim_send(struct sim *sim, struct sim_event *event);

/* -- Rules (sim_rules.c) -------------------------------------------------- */

bool sim_observer_start(struct sim *sim);
void sim_observer_stop(struct sim *sim);
/* Takes over what is durable, and holds every change against the rules. */
void sim_observe(struct sim *sim);
/* Holds what the manager sends a node against what its tasks need. */
void sim_check_sent(struct sim_node *node, const char *path,
                    const uint8_t *data, size_t len);
/* A secret or config that no task of the node needs any more, or NULL. */
const char *sim_holds_too_much(const struct sim_node *node);
void sim_forget_given(struct sim_node *node);
/* What the administrator was told is durable. */
void sim_check_reply(struct sim *sim);
/* Holds what the node has against the rules. */
void sim_check_node(struct sim_node *node);
void sim_broken(struct sim *sim, const char *format, ...) SWK_PRINTF(2, 3);
const struct swki_view *sim_view(const struct sim *sim);
/* Why the swarm is not as it should be at rest, or NULL. */
const char *sim_unsettled(struct sim *sim, char *buf, size_t size);

/* -- Traces --------------------------------------------------------------- */

void sim_name(struct sim *sim, const char *id, const char *name);
/* The name of an ID, or the ID. */
const char *sim_name_of(const struct sim *sim, const char *id);
void sim_trace(struct sim *sim, const char *who, const char *format, ...)
    SWK_PRINTF(3, 4);
void sim_names_fini(struct sim *sim);

#endif
