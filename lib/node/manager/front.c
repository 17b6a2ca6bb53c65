/* SPDX-License-Identifier: Apache-2.0 */

#include "node/manager/front.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/roles.h"
#include "wire/status.h"

enum {
    OWN_MARK = 1, /* in a call's context: a number, and no pointer */
    FIRST_SLOTS = 64,
    SLOT_BITS = 24, /* of a call's number; the rest says whose turn it is */
};

/* A call that is open, or a free place. */
struct slot {
    struct swki_rpc_call *call; /* NULL when free */
    uint64_t id;
    uint32_t next_free; /* index plus one; 0 for none */
};

struct swki_front {
    const struct swk_alloc *alloc;
    struct swki_loop *loop;
    struct swki_manager *manager;
    struct swki_peers *peers;     /* NULL: there are no others */
    struct swki_forward *forward; /* likewise */
    struct slot *slots;
    uint32_t slots_count;
    uint32_t first_free; /* index plus one; 0 for none */
    uint64_t turn;       /* makes numbers unique that share a slot */
};

int swki_front_new(const struct swk_alloc *alloc, struct swki_loop *loop,
                   struct swki_front **out_front, struct swk_error *err)
{
    struct swki_front *front = swki_calloc(alloc, 1, sizeof(*front));

    if (front == NULL) {
        return swki_fail_nomem(err);
    }
    front->alloc = alloc;
    front->loop = loop;
    *out_front = front;
    return SWK_OK;
}

void swki_front_free(struct swki_front *front)
{
    if (front != NULL) {
        swki_free(front->alloc, front->slots);
        swki_free(front->alloc, front);
    }
}

void swki_front_open(struct swki_front *front, struct swki_manager *manager)
{
    front->manager = manager;
}

void swki_front_set_peers(struct swki_front *front, struct swki_peers *peers)
{
    front->peers = peers;
}

void swki_front_set_forward(struct swki_front *front,
                            struct swki_forward *forward)
{
    front->forward = forward;
}

static bool is_forwarded(const struct swki_rpc_call_info *info)
{
    return !info->local && (info->forwarded_node_id[0] != '\0' ||
                            info->forwarded_address[0] != '\0');
}

/* -- Numbers of calls ----------------------------------------------------- */

static bool add_slots(struct swki_front *front)
{
    uint32_t count =
        front->slots_count > 0 ? front->slots_count * 2 : FIRST_SLOTS;
    struct slot *slots;

    if (count > SWKI_MANAGER_CALLS_MAX) {
        return false;
    }
    slots = swki_realloc(front->alloc, front->slots, count, sizeof(slots[0]));
    if (slots == NULL) {
        return false;
    }
    front->slots = slots;
    for (uint32_t i = count; i > front->slots_count; i--) {
        slots[i - 1] = (struct slot){.next_free = front->first_free};
        front->first_free = i;
    }
    front->slots_count = count;
    return true;
}

/* A number for the call; 0 when there are too many. */
static uint64_t open_call(struct swki_front *front, struct swki_rpc_call *call)
{
    struct slot *slot;
    uint32_t index;

    if (front->first_free == 0 && !add_slots(front)) {
        return 0;
    }
    index = front->first_free - 1;
    slot = &front->slots[index];
    front->first_free = slot->next_free;
    slot->call = call;
    slot->id = ++front->turn << SLOT_BITS | index;
    swki_rpc_call_set_ctx(call,
                          (void *)(uintptr_t)(slot->id << 1 | OWN_MARK));
    return slot->id;
}

static struct slot *find_slot(struct swki_front *front, uint64_t id)
{
    uint64_t index = id & ((1U << SLOT_BITS) - 1);

    if (id == 0 || index >= front->slots_count ||
        front->slots[index].id != id) {
        return NULL;
    }
    return &front->slots[index];
}

static void close_slot(struct swki_front *front, struct slot *slot)
{
    slot->call = NULL;
    slot->id = 0;
    slot->next_free = front->first_free;
    front->first_free = (uint32_t)(slot - front->slots) + 1;
}

/* -- The server's side ---------------------------------------------------- */

static unsigned role_of(const char *ou)
{
    if (strcmp(ou, SWKI_OU_MANAGER) == 0) {
        return SWKI_ROLE_MANAGER;
    }
    return strcmp(ou, SWKI_OU_WORKER) == 0 ? SWKI_ROLE_WORKER : SWKI_ROLE_NONE;
}

/* Who is at the other end of the connection. */
static struct swki_caller peer_of(const struct swki_rpc_call_info *info)
{
    return (struct swki_caller){
        .node_id = info->identified ? info->peer.node_id : "",
        .swarm_id = info->identified ? info->peer.swarm_id : "",
        .role = info->identified ? info->peer.role : SWKI_ROLE_NONE,
        .local = info->local,
        .address = info->address,
        .request_id = info->request_id,
        .forwarded_by = "",
        .uid = info->uid,
        .pid = info->pid,
    };
}

/* Whoever asked first: those who pass calls on were checked before. */
static struct swki_caller caller_of(const struct swki_rpc_call_info *info)
{
    if (!is_forwarded(info)) {
        return peer_of(info);
    }
    return (struct swki_caller){
        .node_id = info->forwarded_node_id,
        .swarm_id = info->forwarded_swarm_id,
        .role = role_of(info->forwarded_role),
        .address = info->forwarded_address,
        .request_id = info->request_id,
        .forwarded_by = info->peer.node_id,
        .uid = -1,
        .pid = -1,
    };
}

static void refuse(const struct swki_front *front, struct swki_rpc_call *call,
                   const struct swki_caller *caller,
                   const struct swk_error *why)
{
    enum swki_status status = swki_status_from_error(why->code);

    swki_manager_refused(front->manager, swki_rpc_call_info(call)->path, caller,
                         status, why->text);
    swki_rpc_call_end(call, (int)status, why->text);
}

/* Refuses a call that somebody passes on who may not speak for others. */
static bool check_forwarder(const struct swki_front *front,
                            struct swki_rpc_call *call)
{
    const struct swki_rpc_call_info *info = swki_rpc_call_info(call);
    const struct swki_caller peer = peer_of(info);
    struct swk_error err;

    if (!is_forwarded(info) ||
        swki_manager_admit_forwarder(front->manager, &peer, &err) == 0) {
        return true;
    }
    refuse(front, call, &peer, &err);
    return false;
}

void swki_front_serve(void *ctx, struct swki_rpc_call *call,
                      const uint8_t *data, size_t len, swk_time now)
{
    struct swki_front *front = ctx;
    const struct swki_rpc_call_info *info = swki_rpc_call_info(call);
    const struct swki_caller caller = caller_of(info);
    const struct swki_manager_call manager_call = {
        .id = open_call(front, call),
        .path = info->path,
        .caller = &caller,
        .request = data,
        .request_len = len,
    };

    if (manager_call.id == 0) {
        swki_rpc_call_end(call, SWKI_STATUS_UNAVAILABLE,
                          "too many calls are open");
        return;
    }
    swki_manager_call(front->manager, now, &manager_call);
    swki_loop_wake(front->loop);
}

static bool for_peers(const struct swki_front *front,
                      const struct swki_rpc_call *call)
{
    return front->peers != NULL &&
           swki_peers_serves(swki_rpc_call_info(call)->path);
}

/* Whether only the leader serves the call, and this manager is not it. */
static bool for_leader(const struct swki_front *front,
                       const struct swki_rpc_call_info *info)
{
    const struct swki_method *method =
        swki_method_by_path(info->path, strlen(info->path));

    return front->forward != NULL && method != NULL &&
           (info->local ? method->local : method->remote) ==
               SWKI_SERVED_LEADER &&
           !swki_manager_leads(front->manager);
}

/* One hop is enough: two managers that each take the other for the leader
 * would pass a call to and fro. */
static void forward(struct swki_front *front, struct swki_rpc_call *call,
                    const uint8_t *data, size_t len, swk_time now)
{
    const struct swki_rpc_call_info *info = swki_rpc_call_info(call);
    const struct swki_caller caller = caller_of(info);
    struct swk_error err;

    if (is_forwarded(info)) {
        swki_fail(&err, SWK_EUNAVAILABLE,
                  "more than one redirect to leader from: %s", info->address);
        swki_rpc_call_end(call, SWKI_STATUS_UNAVAILABLE, err.text);
    } else if (swki_manager_admit(front->manager, info->path, &caller, &err) !=
               0) { /* the leader checks it again */
        refuse(front, call, &caller, &err);
    } else {
        swki_forward_request(front->forward, call, data, len, now);
    }
}

static bool is_unlock(const struct swki_rpc_call_info *info)
{
    return info->local && strcmp(info->path, SWKI_PATH_NODE_UNLOCK) == 0;
}

static void request(void *ctx, struct swki_rpc_call *call, const uint8_t *data,
                    size_t len, swk_time now)
{
    struct swki_front *front = ctx;
    const struct swki_rpc_call_info *info = swki_rpc_call_info(call);

    if (for_peers(front, call)) {
        const struct swki_rpc_handler peers = swki_peers_handler(front->peers);

        peers.request(peers.ctx, call, data, len, now);
    } else if (front->manager == NULL) {
        swki_rpc_call_end(call, SWKI_STATUS_UNAVAILABLE, "manager is starting");
    } else if (is_unlock(info)) {
        swki_rpc_call_end(call, SWKI_STATUS_FAILED_PRECONDITION,
                          "this manager is not locked");
    } else if (!check_forwarder(front, call)) {
        return;
    } else if (for_leader(front, info)) {
        forward(front, call, data, len, now);
    } else {
        swki_front_serve(front, call, data, len, now);
    }
}

/* A call that the manager does not have: its context is the forwarder's. */
static bool is_passed_on(const struct swki_rpc_call *call)
{
    uintptr_t ctx = (uintptr_t)swki_rpc_call_ctx(call);

    return ctx != 0 && (ctx & OWN_MARK) == 0;
}

static void message(void *ctx, struct swki_rpc_call *call, const uint8_t *data,
                    size_t len, swk_time now)
{
    struct swki_front *front = ctx;

    if (for_peers(front, call)) {
        const struct swki_rpc_handler peers = swki_peers_handler(front->peers);

        peers.message(peers.ctx, call, data, len, now);
    } else if (is_passed_on(call)) {
        swki_forward_message(front->forward, call, data, len, now);
    } else {
        swki_rpc_call_end(call, SWKI_STATUS_UNIMPLEMENTED,
                          "more than one request in a call");
    }
}

static void finished(void *ctx, struct swki_rpc_call *call, swk_time now)
{
    struct swki_front *front = ctx;

    if (for_peers(front, call)) {
        const struct swki_rpc_handler peers = swki_peers_handler(front->peers);

        peers.finished(peers.ctx, call, now);
    } else if (is_passed_on(call)) {
        swki_forward_finished(front->forward, call, now);
    }
}

static void closed(void *ctx, struct swki_rpc_call *call, swk_time now)
{
    struct swki_front *front = ctx;
    uint64_t id = (uint64_t)(uintptr_t)swki_rpc_call_ctx(call) >> 1;
    struct slot *slot;

    if (for_peers(front, call)) {
        const struct swki_rpc_handler peers = swki_peers_handler(front->peers);

        peers.closed(peers.ctx, call, now);
        return;
    }
    if (is_passed_on(call)) {
        swki_forward_closed(front->forward, call, now);
        return;
    }
    slot = find_slot(front, id);
    if (slot != NULL) { /* else it was ended by an answer */
        close_slot(front, slot);
        swki_manager_cancel(front->manager, id);
    }
}

struct swki_rpc_handler swki_front_handler(struct swki_front *front)
{
    return (struct swki_rpc_handler){
        .ctx = front,
        .request = request,
        .message = message,
        .finished = finished,
        .closed = closed,
    };
}

/* -- The manager's side --------------------------------------------------- */

void swki_front_answer(void *ctx, const struct swki_answer *answer)
{
    struct swki_front *front = ctx;
    struct slot *slot = find_slot(front, answer->call_id);
    struct swki_rpc_call *call;

    if (slot == NULL) {
        return; /* the caller went away */
    }
    call = slot->call;
    if (answer->message != NULL) {
        swki_rpc_call_send(call, answer->message, answer->message_len);
    }
    if (answer->end) {
        close_slot(front, slot);
        swki_rpc_call_end(call, (int)answer->status, answer->text);
    }
}
