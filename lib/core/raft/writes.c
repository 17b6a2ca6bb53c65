/* SPDX-License-Identifier: Apache-2.0 */

/* What waits for the storage (R-MSG-2, R-RDY-5 to R-RDY-7), and the messages
 * that wait no more. */

#include <assert.h>

#include "base/alloc.h"
#include "core/raft/member.h"

enum {
    /* Writes that one Ready may need: for a snapshot, for the rest, and one
     * that is done already. */
    WRITES_PER_READY = 3,
    /* Kinds of responses that a member sends to itself: its vote and pre-vote,
     * its acknowledgement, and that of the storage. */
    OWN_KINDS = 4,
    OUT_FIRST = 8,
};

void swki_raft_writes_init(struct swk_raft *raft)
{
    swki_raft_ring_init(&raft->writes, raft->config.alloc,
                        sizeof(struct swki_raft_write));
    swki_raft_ring_init(&raft->responses, raft->config.alloc,
                        sizeof(struct swk_raft_message));
}

void swki_raft_writes_fini(struct swk_raft *raft)
{
    swki_raft_ring_fini(&raft->writes);
    swki_raft_ring_fini(&raft->responses);
    swki_free(raft->config.alloc, raft->out);
}

bool swki_raft_writes_reserve(struct swk_raft *raft)
{
    return swki_raft_ring_reserve(&raft->writes, WRITES_PER_READY) &&
           swki_raft_ring_reserve(&raft->responses, OWN_KINDS);
}

struct swki_raft_write *swki_raft_write_add(struct swk_raft *raft,
                                            enum swki_raft_write_kind kind)
{
    struct swki_raft_write *write = swki_raft_ring_push(&raft->writes);

    *write = (struct swki_raft_write){
        .kind = kind,
        .ticket = ++raft->last_ticket,
        .ticks = raft->ticks,
    };
    return write;
}

/* -- Messages to others ---------------------------------------------------- */

static void forget_given(struct swk_raft *raft)
{
    if (raft->out_given) {
        raft->out_count = 0;
        raft->out_given = false;
    }
}

bool swki_raft_out_reserve(struct swk_raft *raft, size_t more)
{
    size_t size = raft->out_size > 0 ? raft->out_size : OUT_FIRST;
    struct swk_raft_message *out;

    forget_given(raft);
    if (more <= raft->out_size - raft->out_count) {
        return true;
    }
    while (size - raft->out_count < more) {
        if (size > SIZE_MAX / 2) {
            return false;
        }
        size *= 2;
    }
    out = swki_realloc(raft->config.alloc, raft->out, size, sizeof(out[0]));
    if (out == NULL) {
        return false;
    }
    raft->out = out;
    raft->out_size = size;
    return true;
}

void swki_raft_out_push(struct swk_raft *raft,
                        const struct swk_raft_message *message)
{
    forget_given(raft);
    assert(raft->out_count < raft->out_size);
    raft->out[raft->out_count++] = *message;
}

/* -- Holding --------------------------------------------------------------- */

/* Of each kind of response to itself a member needs the newest: what an older
 * one says is either contained in it or out of date. So there are no more of
 * them in a Ready than kinds. */
static bool is_superseded(const struct swk_raft *raft,
                          const struct swk_raft_message *responses,
                          size_t count, size_t place)
{
    if (responses[place].to != raft->config.id) {
        return false;
    }
    for (size_t i = place + 1; i < count; i++) {
        if (responses[i].to == raft->config.id &&
            responses[i].type == responses[place].type) {
            return true;
        }
    }
    return false;
}

/* Room for it now, and where it goes later. Those to others leave room for the
 * ones to this member, which must not fail. */
static bool reserve_for_other(struct swk_raft *raft)
{
    return swki_raft_ring_reserve(&raft->responses, OWN_KINDS + 1) &&
           swki_raft_out_reserve(raft, raft->responses.count + 1);
}

static struct swki_raft_write *newest_write(struct swk_raft *raft)
{
    if (raft->writes.count > 0) {
        return swki_raft_ring_at(&raft->writes, raft->writes.count - 1);
    }
    struct swki_raft_write *done = swki_raft_ring_push(&raft->writes);

    *done = (struct swki_raft_write){
        .ticket = raft->persisted,
        .ticks = raft->ticks,
    };
    return done;
}

/* Without memory they are lost, as they might be on the way. */
static void send_response(struct swk_raft *raft,
                          const struct swk_raft_message *response)
{
    if (swki_raft_out_reserve(raft, 1)) {
        swki_raft_out_push(raft, response);
    }
}

void swki_raft_writes_hold(struct swk_raft *raft,
                           const struct swk_raft_message *responses,
                           size_t responses_count,
                           const struct swk_snapshot_meta *install)
{
    bool all_durable = raft->writes.count == 0;

    for (size_t i = 0; i < responses_count; i++) {
        bool own = responses[i].to == raft->config.id;
        struct swki_raft_write *write;
        struct swk_raft_message *held;

        if (all_durable && !own) {
            send_response(raft, &responses[i]);
            continue;
        }
        if (is_superseded(raft, responses, responses_count, i) ||
            (!own && !reserve_for_other(raft))) {
            continue;
        }
        held = swki_raft_ring_push(&raft->responses);
        *held = responses[i];
        held->snapshot = NULL; /* write knows its place */
        write = newest_write(raft);
        write->responses_count++;
        if (install != NULL) {
            write->install_index = install->index;
            write->install_term = install->term;
        }
    }
}

/* -- Releasing ------------------------------------------------------------- */

/* False for no memory. A failure of the machine is noticed by its callers. */
static bool step_own(struct swk_raft *raft, const struct swki_raft_write *write,
                     const struct swk_raft_message *response)
{
    const struct swk_snapshot_meta place = {
        .index = write->install_index,
        .term = write->install_term,
    };
    struct swk_raft_message message = *response;

    if (message.type == SWKI_MACHINE_STORAGE_APPEND_RESP &&
        place.index != 0) {
        message.snapshot = &place;
    }
    return swki_machine_step_own(raft->machine, &message, NULL) != SWK_ENOMEM;
}

static void finish_write(struct swk_raft *raft,
                         const struct swki_raft_write *write)
{
    if (write->kind == SWKI_RAFT_WRITE_SNAPSHOT) {
        swki_raft_snapshot_saved(raft);
    } else if (write->install_index != 0) {
        swki_raft_snapshot_installed(raft, write->install_index);
    }
    if (write->kind == SWKI_RAFT_WRITE_APPEND) {
        swki_raft_storage_moves(raft);
    }
}

bool swki_raft_writes_process(struct swk_raft *raft)
{
    while (swki_raft_writes_due(raft)) {
        struct swki_raft_write *write = swki_raft_ring_at(&raft->writes, 0);

        while (write->responses_count > 0) {
            const struct swk_raft_message *response =
                swki_raft_ring_at(&raft->responses, 0);

            if (response->to != raft->config.id) {
                swki_raft_out_push(raft, response);
            } else if (!step_own(raft, write, response)) {
                return false;
            }
            swki_raft_ring_pop(&raft->responses);
            write->responses_count--;
        }
        finish_write(raft, write);
        swki_raft_ring_pop(&raft->writes);
    }
    return true;
}
