/* SPDX-License-Identifier: Apache-2.0 */

/* Configurations, kept and compared. */

#include "sim/sim.h"

#include <string.h>

static size_t copy_ids(uint64_t *to, const uint64_t *from, size_t count)
{
    if (count > CONF_IDS_MAX) {
        count = CONF_IDS_MAX;
    }
    if (count > 0) {
        memcpy(to, from, count * sizeof(to[0]));
    }
    return count;
}

void conf_copy(struct conf *conf, const struct swk_conf_state *state)
{
    conf->voters_count =
        copy_ids(conf->voters, state->voters, state->voters_count);
    conf->learners_count =
        copy_ids(conf->learners, state->learners, state->learners_count);
    conf->outgoing_count = copy_ids(conf->outgoing, state->voters_outgoing,
                                    state->voters_outgoing_count);
    conf->next_count =
        copy_ids(conf->next, state->learners_next, state->learners_next_count);
    conf->auto_leave = state->auto_leave;
}

void conf_view(const struct conf *conf, struct swk_conf_state *state)
{
    *state = (struct swk_conf_state){
        .voters = conf->voters,
        .voters_count = conf->voters_count,
        .learners = conf->learners,
        .learners_count = conf->learners_count,
        .voters_outgoing = conf->outgoing,
        .voters_outgoing_count = conf->outgoing_count,
        .learners_next = conf->next,
        .learners_next_count = conf->next_count,
        .auto_leave = conf->auto_leave,
    };
}

static bool same_ids(const uint64_t *a, size_t a_count, const uint64_t *b,
                     size_t b_count)
{
    return a_count == b_count &&
           (a_count == 0 || memcmp(a, b, a_count * sizeof(a[0])) == 0);
}

bool conf_same(const struct conf *a, const struct conf *b)
{
    return same_ids(a->voters, a->voters_count, b->voters, b->voters_count) &&
           same_ids(a->learners, a->learners_count, b->learners,
                    b->learners_count) &&
           same_ids(a->outgoing, a->outgoing_count, b->outgoing,
                    b->outgoing_count) &&
           same_ids(a->next, a->next_count, b->next, b->next_count) &&
           a->auto_leave == b->auto_leave;
}

static bool contains(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

bool conf_has_voter(const struct conf *conf, uint64_t id)
{
    return contains(conf->voters, conf->voters_count, id) ||
           contains(conf->outgoing, conf->outgoing_count, id);
}

bool conf_has(const struct conf *conf, uint64_t id)
{
    return conf_has_voter(conf, id) ||
           contains(conf->learners, conf->learners_count, id) ||
           contains(conf->next, conf->next_count, id);
}

static int print_ids(char *text, size_t size, const char *name,
                     const uint64_t *ids, size_t count)
{
    int len = snprintf(text, size, "%s", name);

    for (size_t i = 0; i < count && (size_t)len < size; i++) {
        len += snprintf(text + len, size - (size_t)len, " %llx",
                        (unsigned long long)ids[i]);
    }
    return (size_t)len < size ? len : (int)size;
}

void conf_print(const struct conf *c, char *text, size_t size)
{
    int len = print_ids(text, size, "voters", c->voters, c->voters_count);

    len += print_ids(text + len, size - (size_t)len, " outgoing", c->outgoing,
                     c->outgoing_count);
    len += print_ids(text + len, size - (size_t)len, " learners", c->learners,
                     c->learners_count);
    print_ids(text + len, size - (size_t)len, " next", c->next, c->next_count);
}
