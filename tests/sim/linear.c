/* SPDX-License-Identifier: Apache-2.0 */

#include "sim/linear.h"

#include <stdlib.h>
#include <string.h>

static void *grow(void *array, size_t *size, size_t need, size_t item)
{
    if (need > *size) {
        *size = need + *size + 16;
        array = realloc(array, *size * item);
        if (array == NULL) {
            abort();
        }
    }
    return array;
}

void linear_init(struct linear *linear, size_t states_max)
{
    *linear = (struct linear){.states_max = states_max};
    linear->states =
        grow(NULL, &linear->states_size, 1, sizeof(linear->states[0]));
    linear->states[0] = (struct linear_state){0, 0};
    linear->states_count = 1;
}

void linear_fini(struct linear *linear)
{
    free(linear->states);
    free(linear->seen);
    free(linear->seen_used);
    free(linear->work);
    free(linear->events);
}

/* -- Sets of states ------------------------------------------------------- */

static size_t hash(struct linear_state state)
{
    uint64_t x = (uint64_t)state.value * UINT64_C(0x9e3779b97f4a7c15);

    x ^= state.done * UINT64_C(0xc2b2ae3d27d4eb4f);
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return (size_t)(x ^ (x >> 32));
}

static bool same(struct linear_state a, struct linear_state b)
{
    return a.value == b.value && a.done == b.done;
}

static void place(struct linear *linear, struct linear_state state)
{
    size_t at = hash(state) & (linear->seen_size - 1);

    while (linear->seen_used[at]) {
        at = (at + 1) & (linear->seen_size - 1);
    }
    linear->seen_used[at] = 1;
    linear->seen[at] = state;
}

static void enlarge_seen(struct linear *linear)
{
    size_t old_size = linear->seen_size;
    struct linear_state *old = linear->seen;
    uint8_t *old_used = linear->seen_used;

    linear->seen_size = old_size == 0 ? 64 : 2 * old_size;
    linear->seen = malloc(linear->seen_size * sizeof(linear->seen[0]));
    linear->seen_used = calloc(linear->seen_size, 1);
    if (linear->seen == NULL || linear->seen_used == NULL) {
        abort();
    }
    for (size_t i = 0; i < old_size; i++) {
        if (old_used[i]) {
            place(linear, old[i]);
        }
    }
    free(old);
    free(old_used);
}

static bool was_seen(const struct linear *linear, struct linear_state state)
{
    size_t at = hash(state) & (linear->seen_size - 1);

    while (linear->seen_used[at]) {
        if (same(linear->seen[at], state)) {
            return true;
        }
        at = (at + 1) & (linear->seen_size - 1);
    }
    return false;
}

/* A state that was not there yet is work to do. */
static void visit(struct linear *linear, struct linear_state state)
{
    if (2 * (linear->seen_count + 1) > linear->seen_size) {
        enlarge_seen(linear);
    }
    if (was_seen(linear, state)) {
        return;
    }
    place(linear, state);
    linear->seen_count++;
    linear->work = grow(linear->work, &linear->work_size,
                        linear->work_count + 1, sizeof(linear->work[0]));
    linear->work[linear->work_count++] = state;
}

static void forget_seen(struct linear *linear)
{
    if (linear->seen_size > 0) {
        memset(linear->seen_used, 0, linear->seen_size);
    }
    linear->seen_count = 0;
    linear->work_count = 0;
}

/* -- The search ----------------------------------------------------------- */

/* False if the operation cannot take effect here with its known result. */
static bool take_effect(const struct linear_slot *op, int64_t *value)
{
    int64_t result = 0;

    switch (op->kind) {
    case LINEAR_READ:
        result = *value;
        break;
    case LINEAR_WRITE:
        *value = op->a;
        break;
    case LINEAR_ADD:
        *value = (int64_t)((uint64_t)*value + (uint64_t)op->a);
        result = *value;
        break;
    case LINEAR_CAS:
        result = *value == op->a;
        *value = result != 0 ? op->b : *value;
        break;
    }
    return !op->answered || op->result == result;
}

static void expand(struct linear *linear, struct linear_state from)
{
    for (int i = 0; i < LINEAR_OPEN_MAX; i++) {
        const struct linear_slot *op = &linear->slots[i];
        struct linear_state to = {from.value, from.done | UINT64_C(1) << i};

        if (op->used && to.done != from.done && take_effect(op, &to.value)) {
            visit(linear, to);
        }
    }
}

static void keep_state(struct linear *linear, struct linear_state state)
{
    linear->states = grow(linear->states, &linear->states_size,
                          linear->states_count + 1, sizeof(linear->states[0]));
    linear->states[linear->states_count++] = state;
}

/* The operation of the slot has ended: it took effect before now. */
static void end_op(struct linear *linear, int slot)
{
    uint64_t bit = UINT64_C(1) << slot;

    forget_seen(linear);
    for (size_t i = 0; i < linear->states_count; i++) {
        visit(linear, linear->states[i]);
    }
    linear->states_count = 0;
    while (linear->work_count > 0) {
        struct linear_state state = linear->work[--linear->work_count];

        if ((state.done & bit) != 0) {
            state.done &= ~bit;
            keep_state(linear, state);
        } else if (linear->seen_count > linear->states_max) {
            linear->verdict = LINEAR_UNDECIDED;
            return;
        } else {
            expand(linear, state);
        }
    }
    linear->slots[slot].used = false;
    linear->checked++;
    if (linear->states_count == 0) {
        linear->verdict = LINEAR_BROKEN;
    }
}

/* An orphan that took effect in every state is a matter of the past. */
static void drop_finished_orphans(struct linear *linear)
{
    uint64_t everywhere = UINT64_MAX;

    for (size_t i = 0; i < linear->states_count; i++) {
        everywhere &= linear->states[i].done;
    }
    for (int i = 0; i < LINEAR_OPEN_MAX; i++) {
        uint64_t bit = UINT64_C(1) << i;

        if (!linear->slots[i].orphan || (everywhere & bit) == 0) {
            continue;
        }
        linear->slots[i] = (struct linear_slot){.used = false};
        linear->open[i] = false;
        for (size_t s = 0; s < linear->states_count; s++) {
            linear->states[s].done &= ~bit;
        }
    }
}

enum linear_verdict linear_check(struct linear *linear)
{
    for (size_t i = 0; i < linear->events_count; i++) {
        const struct linear_event *event = &linear->events[i];

        if (linear->verdict != LINEAR_GOOD) {
            break;
        }
        if (event->slot < 0) {
            continue; /* withdrawn */
        }
        if (event->ends) {
            end_op(linear, event->slot);
        } else {
            linear->slots[event->slot] = event->op;
            linear->slots[event->slot].used = true;
        }
    }
    linear->events_count = 0;
    if (linear->verdict == LINEAR_GOOD) {
        drop_finished_orphans(linear);
    }
    return linear->verdict;
}

/* -- The history ---------------------------------------------------------- */

static void add_event(struct linear *linear, struct linear_event event)
{
    linear->events = grow(linear->events, &linear->events_size,
                          linear->events_count + 1, sizeof(linear->events[0]));
    linear->events[linear->events_count++] = event;
}

static void stop_waiting(struct linear *linear, int handle)
{
    linear->waits[handle] = false;
    if (--linear->waiting == 0) {
        (void)linear_check(linear);
    }
}

int linear_begin(struct linear *linear, enum linear_kind kind, int64_t a,
                 int64_t b)
{
    int slot = 0;

    while (slot < LINEAR_OPEN_MAX && linear->open[slot]) {
        slot++;
    }
    if (slot == LINEAR_OPEN_MAX) {
        linear->verdict = LINEAR_UNDECIDED;
    }
    if (linear->verdict != LINEAR_GOOD) {
        return -1;
    }
    linear->open[slot] = true;
    linear->waits[slot] = true;
    linear->waiting++;
    linear->begin_of[slot] = linear->events_count;
    add_event(linear, (struct linear_event){
                          .slot = slot, .op = {.kind = kind, .a = a, .b = b}});
    return slot;
}

void linear_end(struct linear *linear, int handle, int64_t result)
{
    if (handle < 0 || linear->verdict != LINEAR_GOOD) {
        return;
    }
    struct linear_slot *op = &linear->events[linear->begin_of[handle]].op;

    op->answered = true;
    op->result = result;
    add_event(linear, (struct linear_event){.slot = handle, .ends = true});
    linear->open[handle] = false;
    stop_waiting(linear, handle);
}

void linear_withdraw(struct linear *linear, int handle)
{
    if (handle < 0 || linear->verdict != LINEAR_GOOD) {
        return;
    }
    linear->events[linear->begin_of[handle]].slot = -1;
    linear->open[handle] = false;
    stop_waiting(linear, handle);
}

void linear_orphan(struct linear *linear, int handle)
{
    if (handle < 0 || linear->verdict != LINEAR_GOOD) {
        return;
    }
    struct linear_event *begin = &linear->events[linear->begin_of[handle]];

    if (begin->op.kind == LINEAR_READ) {
        linear_withdraw(linear, handle);
        return;
    }
    begin->op.orphan = true;
    stop_waiting(linear, handle);
}
