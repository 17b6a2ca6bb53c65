/* SPDX-License-Identifier: Apache-2.0 */

#include "core/raft/configuration.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

enum {
    LISTS = 4,
};

/* The two largest IDs stand for the storage's threads. */
static const uint64_t id_max = UINT64_MAX - 2;

/* -- Lists ---------------------------------------------------------------- */

/* The place of an ID in a list, or where it would go. */
static size_t find_place(const struct swki_raft_ids *list, uint64_t id)
{
    size_t from = 0;
    size_t to = list->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (list->ids[middle] < id) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

bool swki_raft_ids_has(const struct swki_raft_ids *list, uint64_t id)
{
    size_t at = find_place(list, id);

    return at < list->count && list->ids[at] == id;
}

/* False if it was there already. The list has room. */
static bool ids_add(struct swki_raft_ids *list, uint64_t id)
{
    size_t at = find_place(list, id);

    if (at < list->count && list->ids[at] == id) {
        return false;
    }
    memmove(&list->ids[at + 1], &list->ids[at],
            (list->count - at) * sizeof(list->ids[0]));
    list->ids[at] = id;
    list->count++;
    return true;
}

static void ids_remove(struct swki_raft_ids *list, uint64_t id)
{
    size_t at = find_place(list, id);

    if (at >= list->count || list->ids[at] != id) {
        return;
    }
    list->count--;
    memmove(&list->ids[at], &list->ids[at + 1],
            (list->count - at) * sizeof(list->ids[0]));
}

static void ids_copy(struct swki_raft_ids *to, const struct swki_raft_ids *from)
{
    if (from->count > 0) {
        memcpy(to->ids, from->ids, from->count * sizeof(to->ids[0]));
    }
    to->count = from->count;
}

/* -- Members -------------------------------------------------------------- */

/* The place of a member, or where it would go. Every message asks for it: the
 * number of steps depends on the number of members alone. */
static size_t find_peer(const struct swki_raft_configuration *c, uint64_t id)
{
    size_t from = 0;

    for (size_t count = c->peers_count; count > 0;) {
        size_t half = (count + 1) / 2;

        from += c->peers[from + half - 1].id < id ? half : 0;
        count -= half;
    }
    return from;
}

struct swki_raft_progress *
swki_raft_configuration_find(const struct swki_raft_configuration *c,
                             uint64_t id)
{
    size_t at = find_peer(c, id);

    return at < c->peers_count && c->peers[at].id == id ? &c->peers[at] : NULL;
}

/* A new member among the peers, which have room; returns the known one if it
 * is there. */
static struct swki_raft_progress *add_peer(struct swki_raft_configuration *c,
                                           uint64_t id, uint64_t last)
{
    size_t at = find_peer(c, id);

    if (at < c->peers_count && c->peers[at].id == id) {
        return &c->peers[at];
    }
    memmove(&c->peers[at + 1], &c->peers[at],
            (c->peers_count - at) * sizeof(c->peers[0]));
    c->peers_count++;
    swki_raft_progress_init(&c->peers[at], id, last > 0 ? last : 1,
                            c->inflight_messages_max, c->inflight_size_max);
    return &c->peers[at];
}

/* The windows of the peers belong to the configuration before. */
static void drop_peer(struct swki_raft_configuration *c, uint64_t id)
{
    size_t at = find_peer(c, id);

    if (at >= c->peers_count || c->peers[at].id != id) {
        return;
    }
    c->peers_count--;
    memmove(&c->peers[at], &c->peers[at + 1],
            (c->peers_count - at) * sizeof(c->peers[0]));
}

/* -- Life ----------------------------------------------------------------- */

void swki_raft_configuration_init(struct swki_raft_configuration *c,
                                  const struct swk_alloc *alloc,
                                  uint32_t inflight_messages_max,
                                  uint64_t inflight_size_max)
{
    *c = (struct swki_raft_configuration){
        .alloc = alloc,
        .inflight_messages_max = inflight_messages_max,
        .inflight_size_max = inflight_size_max,
    };
}

/* Releases the lists, and makes the configuration empty. */
static void release(struct swki_raft_configuration *c)
{
    swki_free(c->alloc, c->ids_block);
    swki_free(c->alloc, c->peers);
    swki_raft_configuration_init(c, c->alloc, c->inflight_messages_max,
                                 c->inflight_size_max);
}

void swki_raft_configuration_fini(struct swki_raft_configuration *c)
{
    for (size_t i = 0; i < c->peers_count; i++) {
        swki_raft_progress_fini(&c->peers[i], c->alloc);
    }
    release(c);
}

/* An empty configuration with room for so many members, with the limits of
 * another. */
static bool make_room(const struct swki_raft_configuration *c, size_t room,
                      struct swki_raft_configuration *out)
{
    struct swki_raft_configuration made;

    swki_raft_configuration_init(&made, c->alloc, c->inflight_messages_max,
                                 c->inflight_size_max);
    made.ids_block = swki_calloc(c->alloc, room * LISTS, sizeof(uint64_t));
    made.peers = swki_calloc(c->alloc, room, sizeof(made.peers[0]));
    if (made.ids_block == NULL || made.peers == NULL) {
        release(&made);
        return false;
    }

    struct swki_raft_ids *lists[LISTS] = {&made.incoming, &made.outgoing,
                                          &made.learners, &made.learners_next};
    for (size_t i = 0; i < LISTS; i++) {
        lists[i]->ids = &made.ids_block[i * room];
    }
    *out = made;
    return true;
}

void swki_raft_configuration_replace(struct swki_raft_configuration *c,
                                     struct swki_raft_configuration *next)
{
    for (size_t i = 0; i < c->peers_count; i++) {
        struct swki_raft_progress *old = &c->peers[i];
        const struct swki_raft_progress *kept =
            swki_raft_configuration_find(next, old->id);

        if (kept == NULL || kept->window.ring != old->window.ring) {
            swki_raft_progress_fini(old, c->alloc);
        }
    }
    release(c);
    *c = *next;
    swki_raft_configuration_init(next, c->alloc, c->inflight_messages_max,
                                 c->inflight_size_max);
}

void swki_raft_configuration_discard(struct swki_raft_configuration *next)
{
    release(next);
}

bool swki_raft_configuration_joint(const struct swki_raft_configuration *c)
{
    return c->outgoing.count > 0;
}

bool swki_raft_configuration_is_voter(const struct swki_raft_configuration *c,
                                      uint64_t id)
{
    return swki_raft_ids_has(&c->incoming, id) ||
           swki_raft_ids_has(&c->outgoing, id);
}

/* -- Changes -------------------------------------------------------------- */

enum swki_raft_change_kind swki_raft_change_kind(int32_t transition,
                                                 size_t changes_count)
{
    if (transition == SWK_RAFT_TRANSITION_AUTO && changes_count == 0) {
        return SWKI_RAFT_CHANGE_LEAVE;
    }
    if (transition == SWK_RAFT_TRANSITION_JOINT_EXPLICIT) {
        return SWKI_RAFT_CHANGE_ENTER;
    }
    if (transition != SWK_RAFT_TRANSITION_AUTO || changes_count > 1) {
        return SWKI_RAFT_CHANGE_ENTER_AUTO;
    }
    return SWKI_RAFT_CHANGE_SIMPLE;
}

const char *swki_raft_change_text(enum swki_raft_change_result result)
{
    switch (result) {
    case SWKI_RAFT_CHANGE_OK:
        return "it applies";
    case SWKI_RAFT_CHANGE_NOT_JOINT:
        return "there is no joint configuration to leave";
    case SWKI_RAFT_CHANGE_ALREADY_JOINT:
        return "the joint configuration must be left first";
    case SWKI_RAFT_CHANGE_NO_VOTERS:
        return "a configuration without voters cannot become joint";
    case SWKI_RAFT_CHANGE_SIMPLE_IN_JOINT:
        return "a simple change does not apply to a joint configuration";
    case SWKI_RAFT_CHANGE_TOO_MANY:
        return "several voters change only by a joint configuration";
    case SWKI_RAFT_CHANGE_REMOVES_ALL:
        return "no voter would be left";
    case SWKI_RAFT_CHANGE_LIMIT:
        return "there would be too many members";
    case SWKI_RAFT_CHANGE_INVALID:
        return "no group can have such members";
    case SWKI_RAFT_CHANGE_NOMEM:
        return "no memory";
    }
    return "unknown";
}

static void add_voter(struct swki_raft_configuration *c, uint64_t id,
                      uint64_t last)
{
    struct swki_raft_progress *p = add_peer(c, id, last);

    p->learner = false;
    ids_remove(&c->learners, id);
    ids_remove(&c->learners_next, id);
    (void)ids_add(&c->incoming, id);
}

static void add_learner(struct swki_raft_configuration *c, uint64_t id,
                        uint64_t last)
{
    struct swki_raft_progress *p = add_peer(c, id, last);

    if (p->learner) {
        return;
    }
    ids_remove(&c->incoming, id);
    if (swki_raft_ids_has(&c->outgoing, id)) {
        /* It votes until the joint configuration is left. */
        (void)ids_add(&c->learners_next, id);
        return;
    }
    p->learner = true;
    (void)ids_add(&c->learners, id);
}

static void remove_member(struct swki_raft_configuration *c, uint64_t id)
{
    ids_remove(&c->incoming, id);
    ids_remove(&c->learners, id);
    ids_remove(&c->learners_next, id);
    if (!swki_raft_ids_has(&c->outgoing, id)) {
        drop_peer(c, id);
    }
}

static enum swki_raft_change_result
change_one(struct swki_raft_configuration *c,
           const struct swk_raft_change *change, uint64_t last)
{
    if (change->id == 0) {
        return SWKI_RAFT_CHANGE_OK; /* voided by the application */
    }
    if (change->id > id_max) {
        return SWKI_RAFT_CHANGE_INVALID;
    }
    switch (change->type) {
    case SWK_RAFT_ADD_VOTER:
        add_voter(c, change->id, last);
        return SWKI_RAFT_CHANGE_OK;
    case SWK_RAFT_ADD_LEARNER:
        add_learner(c, change->id, last);
        return SWKI_RAFT_CHANGE_OK;
    case SWK_RAFT_REMOVE:
        remove_member(c, change->id);
        return SWKI_RAFT_CHANGE_OK;
    case SWK_RAFT_UPDATE:
        return SWKI_RAFT_CHANGE_OK;
    default:
        return SWKI_RAFT_CHANGE_INVALID;
    }
}

/* R-CFG-4: on the incoming half, in order. */
static enum swki_raft_change_result
change_all(struct swki_raft_configuration *c,
           const struct swk_raft_change *changes, size_t changes_count,
           uint64_t last)
{
    for (size_t i = 0; i < changes_count; i++) {
        enum swki_raft_change_result result = change_one(c, &changes[i], last);

        if (result != SWKI_RAFT_CHANGE_OK) {
            return result;
        }
    }
    return c->incoming.count > 0 ? SWKI_RAFT_CHANGE_OK
                                 : SWKI_RAFT_CHANGE_REMOVES_ALL;
}

static size_t count_missing(const struct swki_raft_ids *from,
                            const struct swki_raft_ids *of)
{
    size_t count = 0;

    for (size_t i = 0; i < of->count; i++) {
        count += swki_raft_ids_has(from, of->ids[i]) ? 0 : 1;
    }
    return count;
}

/* R-CFG-7 */
static void leave(struct swki_raft_configuration *c)
{
    for (size_t i = 0; i < c->learners_next.count; i++) {
        uint64_t id = c->learners_next.ids[i];

        swki_raft_configuration_find(c, id)->learner = true;
        (void)ids_add(&c->learners, id);
    }
    c->learners_next.count = 0;

    for (size_t i = 0; i < c->outgoing.count; i++) {
        uint64_t id = c->outgoing.ids[i];

        if (!swki_raft_ids_has(&c->incoming, id) &&
            !swki_raft_ids_has(&c->learners, id)) {
            drop_peer(c, id);
        }
    }
    c->outgoing.count = 0;
    c->auto_leave = false;
}

/* What the configuration must be like for such a change (R-CFG-5 to 7). */
static enum swki_raft_change_result
may_begin(const struct swki_raft_configuration *c,
          enum swki_raft_change_kind kind)
{
    bool joint = swki_raft_configuration_joint(c);

    switch (kind) {
    case SWKI_RAFT_CHANGE_SIMPLE:
        return joint ? SWKI_RAFT_CHANGE_SIMPLE_IN_JOINT : SWKI_RAFT_CHANGE_OK;
    case SWKI_RAFT_CHANGE_LEAVE:
        return joint ? SWKI_RAFT_CHANGE_OK : SWKI_RAFT_CHANGE_NOT_JOINT;
    case SWKI_RAFT_CHANGE_ENTER:
    case SWKI_RAFT_CHANGE_ENTER_AUTO:
        if (joint) {
            return SWKI_RAFT_CHANGE_ALREADY_JOINT;
        }
        return c->incoming.count > 0 ? SWKI_RAFT_CHANGE_OK
                                     : SWKI_RAFT_CHANGE_NO_VOTERS;
    }
    return SWKI_RAFT_CHANGE_INVALID;
}

/* Changes a copy of the configuration c. */
static enum swki_raft_change_result
change_copy(const struct swki_raft_configuration *c,
            enum swki_raft_change_kind kind,
            const struct swk_raft_change *changes, size_t changes_count,
            uint64_t last, struct swki_raft_configuration *next)
{
    if (kind == SWKI_RAFT_CHANGE_LEAVE) {
        leave(next);
        return SWKI_RAFT_CHANGE_OK;
    }
    if (kind != SWKI_RAFT_CHANGE_SIMPLE) {
        ids_copy(&next->outgoing, &next->incoming);
        next->auto_leave = kind == SWKI_RAFT_CHANGE_ENTER_AUTO;
    }

    enum swki_raft_change_result result =
        change_all(next, changes, changes_count, last);
    if (result != SWKI_RAFT_CHANGE_OK) {
        return result;
    }
    if (kind == SWKI_RAFT_CHANGE_SIMPLE &&
        count_missing(&c->incoming, &next->incoming) +
                count_missing(&next->incoming, &c->incoming) >
            1) {
        return SWKI_RAFT_CHANGE_TOO_MANY;
    }
    return SWKI_RAFT_CHANGE_OK;
}

/* What every configuration must be like, whatever made it. */
static enum swki_raft_change_result
check_made(const struct swki_raft_configuration *made)
{
    if (made->peers_count > SWK_RAFT_MEMBERS_MAX ||
        made->incoming.count > SWK_RAFT_VOTERS_MAX ||
        made->outgoing.count > SWK_RAFT_VOTERS_MAX) {
        return SWKI_RAFT_CHANGE_LIMIT;
    }
    return swki_raft_configuration_check(made) == NULL
               ? SWKI_RAFT_CHANGE_OK
               : SWKI_RAFT_CHANGE_INVALID;
}

enum swki_raft_change_result swki_raft_configuration_prepare(
    const struct swki_raft_configuration *c, enum swki_raft_change_kind kind,
    const struct swk_raft_change *changes, size_t changes_count, uint64_t last,
    struct swki_raft_configuration *next)
{
    enum swki_raft_change_result result = may_begin(c, kind);

    if (result != SWKI_RAFT_CHANGE_OK) {
        return result;
    }
    if (changes_count > SWK_RAFT_CHANGES_MAX) {
        return SWKI_RAFT_CHANGE_LIMIT;
    }

    struct swki_raft_configuration made;
    if (!make_room(c, c->peers_count + changes_count, &made)) {
        return SWKI_RAFT_CHANGE_NOMEM;
    }
    ids_copy(&made.incoming, &c->incoming);
    ids_copy(&made.outgoing, &c->outgoing);
    ids_copy(&made.learners, &c->learners);
    ids_copy(&made.learners_next, &c->learners_next);
    made.auto_leave = c->auto_leave;
    if (c->peers_count > 0) {
        memcpy(made.peers, c->peers, c->peers_count * sizeof(made.peers[0]));
    }
    made.peers_count = c->peers_count;

    result = change_copy(c, kind, changes, changes_count, last, &made);
    if (result == SWKI_RAFT_CHANGE_OK) {
        result = check_made(&made);
    }
    if (result != SWKI_RAFT_CHANGE_OK) {
        swki_raft_configuration_discard(&made);
        return result;
    }
    *next = made;
    return SWKI_RAFT_CHANGE_OK;
}

/* -- Restoring ------------------------------------------------------------ */

/* A list of members, in any order. False for one that cannot be. */
static bool restore_list(struct swki_raft_configuration *made,
                         struct swki_raft_ids *list, const uint64_t *ids,
                         size_t count, uint64_t last)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == 0 || ids[i] > id_max || !ids_add(list, ids[i])) {
            return false;
        }
        (void)add_peer(made, ids[i], last);
    }
    return true;
}

static enum swki_raft_change_result
restore_lists(struct swki_raft_configuration *made,
              const struct swk_conf_state *state, uint64_t last)
{
    if (!restore_list(made, &made->incoming, state->voters,
                      state->voters_count, last) ||
        !restore_list(made, &made->outgoing, state->voters_outgoing,
                      state->voters_outgoing_count, last) ||
        !restore_list(made, &made->learners, state->learners,
                      state->learners_count, last) ||
        !restore_list(made, &made->learners_next, state->learners_next,
                      state->learners_next_count, last)) {
        return SWKI_RAFT_CHANGE_INVALID;
    }
    for (size_t i = 0; i < made->learners.count; i++) {
        swki_raft_configuration_find(made, made->learners.ids[i])->learner =
            true;
    }
    made->auto_leave = state->auto_leave != 0;
    if (made->incoming.count == 0 && made->peers_count > 0) {
        return SWKI_RAFT_CHANGE_REMOVES_ALL;
    }
    return check_made(made);
}

/* They are not part of what is restored. */
static void keep_priorities(struct swki_raft_configuration *made,
                            const struct swki_raft_configuration *c)
{
    for (size_t i = 0; i < made->peers_count; i++) {
        const struct swki_raft_progress *known =
            swki_raft_configuration_find(c, made->peers[i].id);

        made->peers[i].priority = known != NULL ? known->priority : 0;
    }
}

enum swki_raft_change_result swki_raft_configuration_prepare_restored(
    const struct swki_raft_configuration *c,
    const struct swk_conf_state *state, uint64_t last,
    struct swki_raft_configuration *next)
{
    size_t counts[LISTS] = {state->voters_count, state->voters_outgoing_count,
                            state->learners_count, state->learners_next_count};
    size_t room = 0;

    for (size_t i = 0; i < LISTS; i++) {
        if (counts[i] > SWK_RAFT_MEMBERS_MAX) {
            return SWKI_RAFT_CHANGE_LIMIT;
        }
        room += counts[i];
    }

    struct swki_raft_configuration made;
    if (!make_room(c, room, &made)) {
        return SWKI_RAFT_CHANGE_NOMEM;
    }
    enum swki_raft_change_result result = restore_lists(&made, state, last);
    keep_priorities(&made, c);
    if (result != SWKI_RAFT_CHANGE_OK) {
        swki_raft_configuration_discard(&made);
        return result;
    }
    *next = made;
    return SWKI_RAFT_CHANGE_OK;
}

/* -- What the members have and say ---------------------------------------- */

void swki_raft_configuration_state(const struct swki_raft_configuration *c,
                                   struct swk_conf_state *out)
{
    *out = (struct swk_conf_state){
        .voters = c->incoming.count > 0 ? c->incoming.ids : NULL,
        .voters_count = c->incoming.count,
        .learners = c->learners.count > 0 ? c->learners.ids : NULL,
        .learners_count = c->learners.count,
        .voters_outgoing = c->outgoing.count > 0 ? c->outgoing.ids : NULL,
        .voters_outgoing_count = c->outgoing.count,
        .learners_next =
            c->learners_next.count > 0 ? c->learners_next.ids : NULL,
        .learners_next_count = c->learners_next.count,
        .auto_leave = c->auto_leave ? 1 : 0,
    };
}

/* Both lists ascend, so the members of a half are found in one walk. */
static const struct swki_raft_progress *
walk_to(const struct swki_raft_configuration *c, uint64_t id, size_t *at)
{
    while (c->peers[*at].id < id) {
        (*at)++;
    }
    return &c->peers[*at];
}

static uint64_t get_match(const struct swki_raft_progress *p)
{
    return p->match;
}

static uint64_t get_read_position(const struct swki_raft_progress *p)
{
    return p->read_position;
}

static uint64_t
half_reached(const struct swki_raft_configuration *c,
             const struct swki_raft_ids *half,
             uint64_t (*get)(const struct swki_raft_progress *p))
{
    uint64_t values[SWK_RAFT_MEMBERS_MAX];
    size_t at = 0;

    for (size_t i = 0; i < half->count; i++) {
        values[i] = get(walk_to(c, half->ids[i], &at));
    }
    return swki_raft_quorum_reached(values, half->count);
}

uint64_t
swki_raft_configuration_matched(const struct swki_raft_configuration *c)
{
    return swki_raft_joint_reached(half_reached(c, &c->incoming, get_match),
                                   half_reached(c, &c->outgoing, get_match));
}

uint64_t
swki_raft_configuration_confirmed(const struct swki_raft_configuration *c)
{
    return swki_raft_joint_reached(
        half_reached(c, &c->incoming, get_read_position),
        half_reached(c, &c->outgoing, get_read_position));
}

static enum swki_raft_ballot get_ballot(const struct swki_raft_progress *p)
{
    return p->ballot;
}

static enum swki_raft_ballot get_activity(const struct swki_raft_progress *p)
{
    return p->active ? SWKI_RAFT_GRANTED : SWKI_RAFT_REFUSED;
}

static enum swki_raft_verdict
half_verdict(const struct swki_raft_configuration *c,
             const struct swki_raft_ids *half,
             enum swki_raft_ballot (*get)(const struct swki_raft_progress *p))
{
    size_t yes = 0;
    size_t no = 0;
    size_t at = 0;

    for (size_t i = 0; i < half->count; i++) {
        enum swki_raft_ballot ballot = get(walk_to(c, half->ids[i], &at));

        yes += ballot == SWKI_RAFT_GRANTED ? 1 : 0;
        no += ballot == SWKI_RAFT_REFUSED ? 1 : 0;
    }
    return swki_raft_quorum_verdict(half->count, yes, no);
}

enum swki_raft_verdict
swki_raft_configuration_ballots(const struct swki_raft_configuration *c,
                                size_t *out_granted, size_t *out_refused)
{
    size_t granted = 0;
    size_t refused = 0;

    for (size_t i = 0; i < c->peers_count; i++) {
        if (!c->peers[i].learner) {
            granted += c->peers[i].ballot == SWKI_RAFT_GRANTED ? 1 : 0;
            refused += c->peers[i].ballot == SWKI_RAFT_REFUSED ? 1 : 0;
        }
    }
    if (out_granted != NULL) {
        *out_granted = granted;
    }
    if (out_refused != NULL) {
        *out_refused = refused;
    }
    return swki_raft_joint_verdict(half_verdict(c, &c->incoming, get_ballot),
                                   half_verdict(c, &c->outgoing, get_ballot));
}

bool swki_raft_configuration_active(const struct swki_raft_configuration *c)
{
    return swki_raft_joint_verdict(
               half_verdict(c, &c->incoming, get_activity),
               half_verdict(c, &c->outgoing, get_activity)) == SWKI_RAFT_WON;
}

/* -- Invariants ----------------------------------------------------------- */

static const char *check_list(const struct swki_raft_configuration *c,
                              const struct swki_raft_ids *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0 && list->ids[i - 1] >= list->ids[i]) {
            return "a list of members is out of order";
        }
        if (swki_raft_configuration_find(c, list->ids[i]) == NULL) {
            return "a member has no progress";
        }
    }
    return NULL;
}

static const char *check_learners(const struct swki_raft_configuration *c)
{
    for (size_t i = 0; i < c->learners_next.count; i++) {
        uint64_t id = c->learners_next.ids[i];

        if (!swki_raft_ids_has(&c->outgoing, id) ||
            swki_raft_ids_has(&c->incoming, id)) {
            return "who is to become a learner is no outgoing voter";
        }
        if (swki_raft_configuration_find(c, id)->learner) {
            return "who is to become a learner is one";
        }
    }
    for (size_t i = 0; i < c->learners.count; i++) {
        uint64_t id = c->learners.ids[i];

        if (swki_raft_configuration_is_voter(c, id)) {
            return "a learner votes";
        }
        if (!swki_raft_configuration_find(c, id)->learner) {
            return "a learner is not marked as one";
        }
    }
    return NULL;
}

static const char *check_peers(const struct swki_raft_configuration *c)
{
    for (size_t i = 0; i < c->peers_count; i++) {
        uint64_t id = c->peers[i].id;

        if (i > 0 && c->peers[i - 1].id >= id) {
            return "the members are out of order";
        }
        if (!swki_raft_configuration_is_voter(c, id) &&
            !swki_raft_ids_has(&c->learners, id)) {
            return "progress is kept for one who is no member";
        }
    }
    return NULL;
}

const char *
swki_raft_configuration_check(const struct swki_raft_configuration *c)
{
    const struct swki_raft_ids *lists[LISTS] = {
        &c->incoming, &c->outgoing, &c->learners, &c->learners_next};
    const char *broken = NULL;

    for (size_t i = 0; i < LISTS && broken == NULL; i++) {
        broken = check_list(c, lists[i]);
    }
    if (broken == NULL) {
        broken = check_learners(c);
    }
    if (broken == NULL) {
        broken = check_peers(c);
    }
    if (broken == NULL && !swki_raft_configuration_joint(c) &&
        (c->learners_next.count > 0 || c->auto_leave)) {
        broken = "a configuration that is not joint has what only those have";
    }
    return broken;
}
