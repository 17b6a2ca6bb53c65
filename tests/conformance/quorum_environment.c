/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files about quorums: each case names one or two majorities and what their
 * voters have or say, and asks what the whole has or decides. There is no
 * state.
 *
 * Beside the answer every case checks that other ways to it agree: what does
 * not is printed, and so makes the case fail.
 */

#include "environment.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/raft/quorum.h"

enum {
    VOTERS_MAX = 64,
};

static const char infinity[] = "\xe2\x88\x9e";

/* A voter, and what is known of it. */
struct voter {
    uint64_t id;
    bool known;
    uint64_t index; /* 0 if nothing is known */
    enum { SILENT, YES, NO } vote;
};

struct half {
    size_t voters[VOTERS_MAX]; /* places in struct question.voters */
    size_t count;
};

struct question {
    struct voter voters[VOTERS_MAX]; /* in the order in which they appear */
    size_t count;
    struct half a;
    struct half b;
    bool joint;
};

/* -- Reading --------------------------------------------------------------- */

static const char *read_half(struct question *q, const struct argument *a,
                             struct half *half)
{
    for (size_t i = 0; a != NULL && i < a->values_count; i++) {
        uint64_t id;
        size_t at = 0;

        if (!parse_number(a->values[i], &id)) {
            return "an ID is not a number";
        }
        while (at < q->count && q->voters[at].id != id) {
            at++;
        }
        if (at == VOTERS_MAX || half->count == VOTERS_MAX) {
            return "there are too many voters";
        }
        if (at == q->count) {
            q->voters[q->count++] = (struct voter){.id = id};
        }
        half->voters[half->count++] = at;
    }
    return NULL;
}

static const char *read_value(struct voter *voter, const char *command,
                              const char *value)
{
    if (strcmp(value, "_") == 0) {
        return NULL;
    }
    voter->known = true;
    if (strcmp(command, "committed") == 0) {
        return parse_number(value, &voter->index) ? NULL
                                                  : "an index is not a number";
    }
    if (strcmp(value, "y") != 0 && strcmp(value, "n") != 0) {
        return "a vote is neither y nor n";
    }
    voter->vote = *value == 'y' ? YES : NO;
    return NULL;
}

static const char *read_values(struct question *q, const struct directive *d)
{
    bool committed = strcmp(d->command, "committed") == 0;
    const struct argument *a =
        directive_find(d, committed ? "idx" : "votes");
    size_t count = a != NULL ? a->values_count : 0;

    if (count != q->count) {
        return "there must be a value for each voter";
    }
    for (size_t i = 0; i < count; i++) {
        const char *wrong = read_value(&q->voters[i], d->command, a->values[i]);

        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

static const char *read_question(struct question *q, const struct directive *d)
{
    const struct argument *second = directive_find(d, "cfgj");
    const char *wrong = read_half(q, directive_find(d, "cfg"), &q->a);

    q->joint = second != NULL;
    if (wrong == NULL && second != NULL &&
        (second->values_count != 1 || strcmp(second->values[0], "zero") != 0)) {
        wrong = read_half(q, second, &q->b);
    }
    return wrong != NULL ? wrong : read_values(q, d);
}

/* -- Votes ----------------------------------------------------------------- */

static enum swki_raft_verdict half_verdict(const struct question *q,
                                           const struct half *half)
{
    size_t yes = 0;
    size_t no = 0;

    for (size_t i = 0; i < half->count; i++) {
        yes += q->voters[half->voters[i]].vote == YES ? 1 : 0;
        no += q->voters[half->voters[i]].vote == NO ? 1 : 0;
    }
    return swki_raft_quorum_verdict(half->count, yes, no);
}

static const char *verdict_name(enum swki_raft_verdict verdict)
{
    switch (verdict) {
    case SWKI_RAFT_PENDING:
        return "VotePending";
    case SWKI_RAFT_LOST:
        return "VoteLost";
    case SWKI_RAFT_WON:
        return "VoteWon";
    }
    return "?";
}

static void print_vote(const struct question *q, struct swki_buf *out)
{
    enum swki_raft_verdict a = half_verdict(q, &q->a);

    if (q->joint) {
        enum swki_raft_verdict b = half_verdict(q, &q->b);
        enum swki_raft_verdict swapped = swki_raft_joint_verdict(b, a);

        a = swki_raft_joint_verdict(a, b);
        if (a != swapped) {
            (void)swki_buf_printf(out, "%s <-- via symmetry\n",
                                  verdict_name(swapped));
        }
    }
    (void)swki_buf_printf(out, "%s\n", verdict_name(a));
}

/* -- Commit indices -------------------------------------------------------- */

static uint64_t half_reached(const struct question *q, const struct half *half)
{
    uint64_t values[VOTERS_MAX];

    for (size_t i = 0; i < half->count; i++) {
        values[i] = q->voters[half->voters[i]].index;
    }
    return swki_raft_quorum_reached(values, half->count);
}

static uint64_t reached(const struct question *q)
{
    uint64_t a = half_reached(q, &q->a);

    return q->joint ? swki_raft_joint_reached(a, half_reached(q, &q->b)) : a;
}

/* How many voters are below one: by index, then by ID, but those with the same
 * index share the place of the first. */
static size_t rank(const struct question *q, const struct voter *voter)
{
    size_t below = 0;

    for (size_t i = 0; i < q->count; i++) {
        below += q->voters[i].index < voter->index ? 1 : 0;
    }
    return below;
}

static int compare_voters(const void *a, const void *b)
{
    const struct voter *x = a;
    const struct voter *y = b;

    return x->id < y->id ? -1 : x->id > y->id ? 1 : 0;
}

static void draw(const struct question *q, struct swki_buf *out)
{
    struct voter sorted[VOTERS_MAX];
    int width = (int)q->count;

    if (q->count == 0) {
        (void)swki_buf_append_text(out, "<empty majority quorum>");
        return;
    }
    memcpy(sorted, q->voters, q->count * sizeof(sorted[0]));
    qsort(sorted, q->count, sizeof(sorted[0]), compare_voters);
    (void)swki_buf_printf(out, "%*s    idx\n", width, "");
    for (size_t i = 0; i < q->count; i++) {
        size_t bar = sorted[i].known ? rank(q, &sorted[i]) : 0;

        for (size_t k = 0; k < bar; k++) {
            (void)swki_buf_append_byte(out, 'x');
        }
        (void)swki_buf_printf(out, "%c%*s", sorted[i].known ? '>' : '?',
                              width - (int)bar, "");
        (void)swki_buf_printf(out, " %5" PRIu64 "    (id=%" PRIx64 ")\n",
                              sorted[i].index, sorted[i].id);
    }
}

static void print_index(struct swki_buf *out, uint64_t index)
{
    if (index == SWKI_RAFT_UNLIMITED) {
        (void)swki_buf_append_text(out, infinity);
    } else {
        (void)swki_buf_printf(out, "%" PRIu64, index);
    }
}

static void check(struct swki_buf *out, uint64_t expected, uint64_t other,
                  const char *way)
{
    if (expected != other) {
        print_index(out, other);
        (void)swki_buf_printf(out, " <-- via %s\n", way);
    }
}

/* The slow and obvious way: the highest index that enough voters have. */
static uint64_t count_reached(const struct question *q, const struct half *half)
{
    uint64_t best = half->count == 0 ? SWKI_RAFT_UNLIMITED : 0;

    for (size_t i = 0; i < half->count; i++) {
        uint64_t index = q->voters[half->voters[i]].index;
        size_t have = 0;

        for (size_t k = 0; k < half->count; k++) {
            have += q->voters[half->voters[k]].index >= index ? 1 : 0;
        }
        if (have > half->count / 2 && index > best) {
            best = index;
        }
    }
    return best;
}

/* What a voter has below the result makes no difference to it. */
static void check_overlay(const struct question *q, struct swki_buf *out,
                          uint64_t index)
{
    for (size_t i = 0; i < q->count; i++) {
        struct question lower = *q;

        if (q->voters[i].index == 0 || q->voters[i].index >= index) {
            continue;
        }
        lower.voters[i].index--;
        check(out, index, reached(&lower), "a lower index below the result");
        lower.voters[i].index = 0;
        check(out, index, reached(&lower), "no index below the result");
    }
}

static void print_committed(const struct question *q, struct swki_buf *out)
{
    uint64_t index = reached(q);

    draw(q, out);
    if (q->joint) {
        check(out, index,
              swki_raft_joint_reached(half_reached(q, &q->b),
                                      half_reached(q, &q->a)),
              "symmetry");
        check(out, index,
              swki_raft_joint_reached(count_reached(q, &q->a),
                                      count_reached(q, &q->b)),
              "counting");
    } else {
        check(out, index, swki_raft_joint_reached(index, SWKI_RAFT_UNLIMITED),
              "an empty other half");
        check(out, index, swki_raft_joint_reached(index, index),
              "itself as the other half");
        check(out, index, count_reached(q, &q->a), "counting");
    }
    check_overlay(q, out, index);
    print_index(out, index);
    (void)swki_buf_append_byte(out, '\n');
}

/* -- The environment ------------------------------------------------------- */

static void run(void *ctx, const struct directive *d, struct swki_buf *out)
{
    struct question q = {.count = 0};
    const char *wrong = read_question(&q, d);

    (void)ctx;
    if (wrong != NULL) {
        (void)swki_buf_append_text(out, wrong);
    } else if (strcmp(d->command, "vote") == 0) {
        print_vote(&q, out);
    } else if (strcmp(d->command, "committed") == 0) {
        print_committed(&q, out);
    } else {
        (void)swki_buf_append_text(out, "unknown command");
    }
}

static void release(void *ctx)
{
    (void)ctx;
}

struct environment quorum_environment(struct faults *faults)
{
    (void)faults; /* arithmetic takes no memory */
    return (struct environment){.run = run, .free = release};
}
