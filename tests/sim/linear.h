/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Is a history of operations on one register linearizable?
 *
 * Operations are told as they begin and as they end. While none is under way
 * the history so far is checked and forgotten: what remains of it is the set of
 * states in which the register can be, each with the operations without an
 * answer that have taken effect in it. The check is the just-in-time search of
 * Wing and Gong with the memory of Lowe: it goes through the history in order,
 * and when an operation ends tries every order of those under way that lets it
 * have taken effect.
 */

#ifndef TESTS_SIM_LINEAR_H
#define TESTS_SIM_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LINEAR_OPEN_MAX = 64, /* operations at once, those without answer too */
};

enum linear_kind {
    LINEAR_READ,  /* result: the value */
    LINEAR_WRITE, /* of a; result: 0 */
    LINEAR_ADD,   /* of a; result: the new value */
    LINEAR_CAS,   /* from a to b; result: 1 if it was a, else 0 */
};

enum linear_verdict {
    LINEAR_GOOD,
    LINEAR_BROKEN,
    LINEAR_UNDECIDED, /* too much at once; from then on it checks nothing */
};

struct linear_state {
    int64_t value;
    uint64_t done; /* bit per slot: took effect, and was not answered yet */
};

struct linear_slot {
    enum linear_kind kind;
    int64_t a;
    int64_t b;
    int64_t result;
    bool used;     /* between its begin and its end in the history */
    bool answered; /* its result is known */
    bool orphan;   /* it will never be answered */
};

/* A step of the history that was not checked yet. */
struct linear_event {
    int slot;
    bool ends;
    struct linear_slot op; /* of the one that begins */
};

struct linear {
    enum linear_verdict verdict;
    uint64_t checked; /* operations */
    size_t states_max;
    struct linear_state *states;
    size_t states_count;
    size_t states_size;
    struct linear_state *seen; /* scratch: a hash set */
    uint8_t *seen_used;
    size_t seen_size;
    size_t seen_count;
    struct linear_state *work; /* scratch: a stack */
    size_t work_count;
    size_t work_size;
    struct linear_event *events;
    size_t events_count;
    size_t events_size;
    struct linear_slot slots[LINEAR_OPEN_MAX]; /* as the check sees them */
    size_t begin_of[LINEAR_OPEN_MAX]; /* event of each that is under way */
    bool open[LINEAR_OPEN_MAX];       /* as the caller sees them */
    bool waits[LINEAR_OPEN_MAX];      /* an answer may come */
    int waiting;
};

/* The register holds 0. */
void linear_init(struct linear *linear, size_t states_max);
void linear_fini(struct linear *linear);

/* An operation begins. Gives its handle, or -1 when undecided. */
int linear_begin(struct linear *linear, enum linear_kind kind, int64_t a,
                 int64_t b);

/* It was answered. */
void linear_end(struct linear *linear, int handle, int64_t result);

/* Its answer will never come: it may take effect at any time from its begin
 * on, or never. */
void linear_orphan(struct linear *linear, int handle);

/* It certainly has had no effect, and never will. */
void linear_withdraw(struct linear *linear, int handle);

/* Checks what was told, as if all under way were orphans. */
enum linear_verdict linear_check(struct linear *linear);

#endif
