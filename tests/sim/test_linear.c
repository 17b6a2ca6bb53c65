/* SPDX-License-Identifier: Apache-2.0 */

/* Histories that are known to be linearizable, or known not to be. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "sim/linear.h"

/*
 * A history in words: "a=w5" process a begins to write 5, "a." it is answered,
 * "a?" it never will be, "a!" it was refused; "a=r" a read, "a.5" answered 5;
 * "a=+2" adds; "a=c1:2" compares with 1 and sets 2.
 */
static void tell(struct linear *linear, int *handles, const char *word)
{
    int *handle = &handles[word[0] - 'a'];
    long a = 0;
    long b = 0;

    if (word[1] == '=' && word[2] == 'r') {
        *handle = linear_begin(linear, LINEAR_READ, 0, 0);
    } else if (sscanf(word + 1, "=w%ld", &a) == 1) {
        *handle = linear_begin(linear, LINEAR_WRITE, a, 0);
    } else if (sscanf(word + 1, "=c%ld:%ld", &a, &b) == 2) {
        *handle = linear_begin(linear, LINEAR_CAS, a, b);
    } else if (sscanf(word + 1, "=+%ld", &a) == 1) {
        *handle = linear_begin(linear, LINEAR_ADD, a, 0);
    } else if (word[1] == '?') {
        linear_orphan(linear, *handle);
    } else if (word[1] == '!') {
        linear_withdraw(linear, *handle);
    } else {
        (void)sscanf(word + 1, ".%ld", &a);
        linear_end(linear, *handle, a);
    }
}

static enum linear_verdict judge(const char *history, size_t states_max)
{
    struct linear linear;
    int handles[26] = {0};
    char text[512];
    char *next = NULL;

    linear_init(&linear, states_max);
    snprintf(text, sizeof(text), "%s", history);
    for (char *word = strtok_r(text, " ", &next); word != NULL;
         word = strtok_r(NULL, " ", &next)) {
        tell(&linear, handles, word);
    }

    enum linear_verdict verdict = linear_check(&linear);

    linear_fini(&linear);
    return verdict;
}

static void good_histories_are_accepted(void **state)
{
    static const char *const histories[] = {
        "",
        "a=w1 a. b=r b.1",
        "a=w1 b=r b.0 a.",
        "a=w1 b=r b.1 a.",
        "a=w1 b=w2 a. b. c=r c.1",
        "a=w1 b=w2 a. b. c=r c.2",
        "a=w1 a? b=r b.0 b=r b.1",
        "a=w1 a? b=w2 b. c=r c.1 c=r c.1",
        "a=+2 a.2 b=+3 b.5",
        "a=+2 b=+3 b.3 a.5",
        "a=+2 a? b=+3 b.5",
        "a=w1 a. a=c1:2 a.1 b=r b.2",
        "a=w1 a. a=c3:2 a.0 b=r b.1",
        "a=w1 a! b=r b.0",
        "a=w1 b=w2 c=r c.2 d=r d.1 a. b.",
        "a=r b=w1 b. a.0",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(histories) / sizeof(histories[0]); i++) {
        if (judge(histories[i], 10000) != LINEAR_GOOD) {
            fail_msg("not accepted: %s", histories[i]);
        }
    }
}

static void bad_histories_are_found(void **state)
{
    static const struct {
        const char *why;
        const char *history;
    } cases[] = {
        {"stale read", "a=w1 a. b=r b.0"},
        {"value out of thin air", "a=w1 a. b=r b.2"},
        {"reads that go back", "a=w1 b=r b.1 b=r b.0 a."},
        {"lost write", "a=w1 a. b=w2 b. c=r c.1"},
        {"added twice", "a=+2 a.2 b=r b.4"},
        {"an orphan added twice", "a=+2 a? b=r b.2 b=r b.4"},
        {"an orphan undone", "a=w1 a? b=r b.1 b=r b.0"},
        {"both compared well", "a=c0:1 b=c0:2 a.1 b.1"},
        {"none compared well", "a=c0:1 a.0"},
        {"a refused write is read", "a=w1 a! b=r b.1"},
        {"two readers disagree", "a=w1 b=w2 c=r c.1 d=r d.2 c=r c.1 a. b."},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (judge(cases[i].history, 10000) != LINEAR_BROKEN) {
            fail_msg("not found: %s", cases[i].why);
        }
    }
}

static void too_many_at_once_is_undecided(void **state)
{
    (void)state;
    assert_int_equal(judge("a=+1 b=+2 c=+4 d=+8 e=+16 f=+32 g=r g.63", 8),
                     LINEAR_UNDECIDED);
}

/* A register that is asked by several at once, one step after the other. */
static enum linear_verdict run_register(uint64_t seed, bool stale)
{
    enum { CALLERS = 5, STEPS = 4000 };
    struct linear linear;
    struct swki_rng rng;
    int handles[CALLERS];
    int stage[CALLERS] = {0}; /* idle, begun, took effect */
    int64_t amounts[CALLERS] = {0};
    int64_t results[CALLERS] = {0};
    int64_t value = 0;
    int64_t old = 0;

    linear_init(&linear, 100000);
    swki_rng_init(&rng, seed);
    for (int i = 0; i < STEPS; i++) {
        size_t c = (size_t)swki_rng_below(&rng, CALLERS);

        if (stage[c] == 0) {
            bool reads = swki_rng_below(&rng, 2) == 0;

            amounts[c] = reads ? 0 : 1 + (int64_t)swki_rng_below(&rng, 9);
            handles[c] = linear_begin(&linear, reads ? LINEAR_READ : LINEAR_ADD,
                                      amounts[c], 0);
        } else if (stage[c] == 1) {
            old = amounts[c] != 0 ? value : old;
            value += amounts[c];
            results[c] = value;
            if (stale && i > STEPS / 2 && amounts[c] == 0) {
                results[c] = old;
            }
        } else {
            linear_end(&linear, handles[c], results[c]);
        }
        stage[c] = (stage[c] + 1) % 3;
    }

    enum linear_verdict verdict = linear_check(&linear);

    linear_fini(&linear);
    return verdict;
}

static void a_register_is_linearizable(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        assert_int_equal(run_register(seed, false), LINEAR_GOOD);
    }
}

static void a_register_with_stale_reads_is_not(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        assert_int_equal(run_register(seed, true), LINEAR_BROKEN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_histories_are_accepted),
        cmocka_unit_test(bad_histories_are_found),
        cmocka_unit_test(too_many_at_once_is_undecided),
        cmocka_unit_test(a_register_is_linearizable),
        cmocka_unit_test(a_register_with_stale_reads_is_not),
    };

    return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}
