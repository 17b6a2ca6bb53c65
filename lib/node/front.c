/* SPDX-License-Identifier: Apache-2.0 */

#include "node/front.h"

#include "base/alloc.h"
#include "base/error.h"

enum {
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
    swki_rpc_call_set_ctx(call, (void *)(uintptr_t)slot->id);
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

static void request(void *ctx, struct swki_rpc_call *call, const uint8_t *data,
                    size_t len, swk_time now)
{
    struct swki_front *front = ctx;
    const struct swki_rpc_call_info *info = swki_rpc_call_info(call);
    const struct swki_caller caller = {
        .node_id = info->identified ? info->peer.node_id : "",
        .swarm_id = info->identified ? info->peer.swarm_id : "",
        .role = info->identified ? info->peer.role : SWKI_ROLE_NONE,
        .local = info->local,
        .address = info->address,
        .request_id = info->request_id,
    };
    struct swki_manager_call manager_call = {
        .path = info->path,
        .caller = &caller,
        .request = data,
        .request_len = len,
    };

    if (front->manager != NULL) {
        manager_call.id = open_call(front, call);
    }
    if (manager_call.id == 0) {
        swki_rpc_call_end(call, SWKI_STATUS_UNAVAILABLE,
                          front->manager == NULL ? "manager is starting"
                                                 : "too many calls are open");
        return;
    }
    swki_manager_call(front->manager, now, &manager_call);
    swki_loop_wake(front->loop);
}

static void closed(void *ctx, struct swki_rpc_call *call, swk_time now)
{
    struct swki_front *front = ctx;
    uint64_t id = (uint64_t)(uintptr_t)swki_rpc_call_ctx(call);
    struct slot *slot = find_slot(front, id);

    (void)now;
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
