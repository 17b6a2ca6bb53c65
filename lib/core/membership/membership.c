/* SPDX-License-Identifier: Apache-2.0 */

#include "core/membership/membership.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/membership/list.h"
#include "wire/message.h"

/* -- Numbers -------------------------------------------------------------- */

static size_t seek_number(const struct swki_numbers *numbers, uint64_t number)
{
    size_t low = 0;
    size_t high = numbers->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (numbers->items[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool swki_numbers_has(const struct swki_numbers *numbers, uint64_t number)
{
    size_t at = seek_number(numbers, number);

    return at < numbers->count && numbers->items[at] == number;
}

bool swki_numbers_reserve(const struct swk_alloc *alloc,
                          struct swki_numbers *numbers, size_t more)
{
    size_t size = numbers->count + more;
    uint64_t *items;

    if (size <= numbers->size) {
        return true;
    }
    items = swki_realloc(alloc, numbers->items, size, sizeof(*items));
    if (items == NULL) {
        return false;
    }
    numbers->items = items;
    numbers->size = size;
    return true;
}

void swki_numbers_add(struct swki_numbers *numbers, uint64_t number)
{
    size_t at = seek_number(numbers, number);

    if (at < numbers->count && numbers->items[at] == number) {
        return;
    }
    memmove(&numbers->items[at + 1], &numbers->items[at],
            (numbers->count - at) * sizeof(numbers->items[0]));
    numbers->items[at] = number;
    numbers->count++;
}

/* -- Members -------------------------------------------------------------- */

static bool fits(const char *text, size_t len_max)
{
    return strlen(text) <= len_max;
}

bool swki_member_message_valid(const Swkpb__RaftMember *message)
{
    if (!fits(message->node_id, SWK_ID_LEN_MAX) ||
        !fits(message->addr, SWKI_MEMBER_ADDRESS_LEN_MAX) ||
        message->n_more_addrs >= SWKI_MEMBER_ADDRESSES_MAX) {
        return false;
    }
    for (size_t i = 0; i < message->n_more_addrs; i++) {
        if (!fits(message->more_addrs[i], SWKI_MEMBER_ADDRESS_LEN_MAX)) {
            return false;
        }
    }
    return true;
}

static size_t texts_size(const Swkpb__RaftMember *message)
{
    size_t size = strlen(message->node_id) + 1 + strlen(message->addr) + 1;

    for (size_t i = 0; i < message->n_more_addrs; i++) {
        size += strlen(message->more_addrs[i]) + 1;
    }
    return size;
}

static const char *put_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    const char *copy = memcpy(*at, text, size);

    *at += size;
    return copy;
}

int swki_member_make(const struct swk_alloc *alloc,
                     const Swkpb__RaftMember *message,
                     struct swki_member *out_member, struct swk_error *err)
{
    size_t slots_size = (1 + message->n_more_addrs) * sizeof(const char *);
    const char **addresses =
        swki_alloc(alloc, slots_size + texts_size(message));
    size_t count = 0;
    char *at;

    if (addresses == NULL) {
        return swki_fail_nomem(err);
    }
    at = (char *)addresses + slots_size;
    *out_member = (struct swki_member){
        .raft_id = message->raft_id,
        .node_id = put_text(&at, message->node_id),
        .addresses = addresses,
    };
    if (message->addr[0] != '\0') {
        addresses[count++] = put_text(&at, message->addr);
    }
    for (size_t i = 0; i < message->n_more_addrs; i++) {
        addresses[count++] = put_text(&at, message->more_addrs[i]);
    }
    out_member->addresses_count = count;
    return SWK_OK;
}

void swki_member_drop(const struct swk_alloc *alloc, struct swki_member *member)
{
    swki_free(alloc, (void *)(uintptr_t)member->addresses);
    member->addresses = NULL;
}

const char *swki_member_address(const struct swki_member *member)
{
    return member->addresses_count > 0 ? member->addresses[0] : "";
}

size_t swki_member_list_seek(const struct swki_member_list *list,
                             uint64_t raft_id)
{
    size_t at = 0;

    while (at < list->count && list->members[at].raft_id < raft_id) {
        at++;
    }
    return at;
}

struct swki_member *swki_member_list_find(const struct swki_member_list *list,
                                          uint64_t raft_id)
{
    size_t at = swki_member_list_seek(list, raft_id);

    return at < list->count && list->members[at].raft_id == raft_id
               ? &list->members[at]
               : NULL;
}

bool swki_member_list_reserve(const struct swk_alloc *alloc,
                              struct swki_member_list *list, size_t more)
{
    size_t size = list->count + more;
    struct swki_member *members;

    if (size <= list->size) {
        return true;
    }
    members = swki_realloc(alloc, list->members, size, sizeof(*members));
    if (members == NULL) {
        return false;
    }
    list->members = members;
    list->size = size;
    return true;
}

void swki_member_list_insert(struct swki_member_list *list,
                             const struct swki_member *member)
{
    size_t at = swki_member_list_seek(list, member->raft_id);

    memmove(&list->members[at + 1], &list->members[at],
            (list->count - at) * sizeof(list->members[0]));
    list->members[at] = *member;
    list->count++;
}

void swki_member_list_remove(const struct swk_alloc *alloc,
                             struct swki_member_list *list, uint64_t raft_id)
{
    size_t at = swki_member_list_seek(list, raft_id);

    swki_member_drop(alloc, &list->members[at]);
    list->count--;
    memmove(&list->members[at], &list->members[at + 1],
            (list->count - at) * sizeof(list->members[0]));
}

void swki_member_list_fini(const struct swk_alloc *alloc,
                           struct swki_member_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        swki_member_drop(alloc, &list->members[i]);
    }
    swki_free(alloc, list->members);
    *list = (struct swki_member_list){0};
}

/* -- Life ----------------------------------------------------------------- */

int swki_membership_new(const struct swki_membership_config *config,
                        struct swki_membership **out_membership,
                        struct swk_error *err)
{
    struct swki_membership *m = swki_calloc(config->alloc, 1, sizeof(*m));

    if (m == NULL) {
        return swki_fail_nomem(err);
    }
    m->alloc = config->alloc;
    m->logger = config->logger;
    m->self = config->raft_id;
    *out_membership = m;
    return SWK_OK;
}

void swki_membership_free(struct swki_membership *m)
{
    if (m != NULL) {
        swki_member_list_fini(m->alloc, &m->list);
        swki_free(m->alloc, m->removed.items);
        swki_free(m->alloc, m->tellers.items);
        swki_free(m->alloc, m);
    }
}

/* -- Reading -------------------------------------------------------------- */

size_t swki_membership_count(const struct swki_membership *m)
{
    return m->list.count;
}

const struct swki_member *swki_membership_at(const struct swki_membership *m,
                                             size_t position)
{
    return &m->list.members[position];
}

const struct swki_member *swki_membership_find(const struct swki_membership *m,
                                               uint64_t raft_id)
{
    return swki_member_list_find(&m->list, raft_id);
}

const struct swki_member *
swki_membership_find_node(const struct swki_membership *m, const char *node_id)
{
    for (size_t i = 0; node_id[0] != '\0' && i < m->list.count; i++) {
        if (strcmp(m->list.members[i].node_id, node_id) == 0) {
            return &m->list.members[i];
        }
    }
    return NULL;
}

const struct swki_member *swki_membership_self(const struct swki_membership *m)
{
    return swki_membership_find(m, m->self);
}

size_t swki_membership_removed(const struct swki_membership *m,
                               const uint64_t **out_removed)
{
    *out_removed = m->removed.items;
    return m->removed.count;
}

bool swki_membership_is_removed(const struct swki_membership *m,
                                uint64_t raft_id)
{
    return swki_numbers_has(&m->removed, raft_id);
}

uint64_t swki_membership_generation(const struct swki_membership *m)
{
    return m->generation;
}

uint64_t swki_membership_version(const struct swki_membership *m)
{
    return m->version;
}

bool swki_membership_can_remove(const struct swki_membership *m,
                                uint64_t raft_id)
{
    const struct swki_member *leaving = swki_membership_find(m, raft_id);
    size_t left = 0;
    size_t reachable = 0;

    if (leaving == NULL || leaving->learner) {
        return leaving != NULL;
    }
    for (size_t i = 0; i < m->list.count; i++) {
        const struct swki_member *member = &m->list.members[i];

        if (member != leaving && !member->learner) {
            left++;
            reachable += member->reachable;
        }
    }
    return reachable >= left / 2 + 1;
}

/* -- What this manager knows on its own ----------------------------------- */

/* Marks that hold for one member each; the replicated part is untouched. */
static void mark(struct swki_membership *m, struct swki_member *member)
{
    member->self = member->raft_id == m->self;
    member->leader = member->raft_id == m->leader;
    member->reachable = member->reachable || member->self;
}

void swki_membership_set_self(struct swki_membership *m, uint64_t raft_id)
{
    m->self = raft_id;
    for (size_t i = 0; i < m->list.count; i++) {
        mark(m, &m->list.members[i]);
    }
}

void swki_membership_set_leader(struct swki_membership *m, uint64_t raft_id)
{
    m->leader = raft_id;
    for (size_t i = 0; i < m->list.count; i++) {
        mark(m, &m->list.members[i]);
    }
}

void swki_membership_set_reachable(struct swki_membership *m, uint64_t raft_id,
                                   bool reachable)
{
    struct swki_member *member = swki_member_list_find(&m->list, raft_id);

    if (member != NULL && !member->self) {
        member->reachable = reachable;
    }
}

bool swki_membership_told_removed(struct swki_membership *m,
                                  uint64_t by_raft_id)
{
    size_t others = 0;
    size_t tellers = 0;

    if (m->gone || swki_membership_find(m, by_raft_id) == NULL ||
        !swki_numbers_reserve(m->alloc, &m->tellers, 1)) {
        return false;
    }
    swki_numbers_add(&m->tellers, by_raft_id);
    for (size_t i = 0; i < m->list.count; i++) {
        const struct swki_member *member = &m->list.members[i];

        if (!member->self && !member->learner) {
            others++;
            tellers += swki_numbers_has(&m->tellers, member->raft_id);
        }
    }
    m->gone = tellers >= others / 2 + 1;
    return m->gone;
}

/* -- Applying changes ----------------------------------------------------- */

/* Whether one part of a change fits the list; each ID comes once. */
static int check_part(const struct swki_membership *m,
                      const struct swki_member_change *change,
                      const struct swk_raft_change *part, struct swk_error *err)
{
    const struct swki_member *known = swki_membership_find(m, part->id);
    const Swkpb__RaftMember *described =
        change->member != NULL && change->member->raft_id == part->id
            ? change->member
            : NULL;
    bool adds =
        part->type == SWK_RAFT_ADD_VOTER || part->type == SWK_RAFT_ADD_LEARNER;
    bool learner = part->type == SWK_RAFT_ADD_LEARNER;

    if (!adds && part->type != SWK_RAFT_REMOVE &&
        part->type != SWK_RAFT_UPDATE) {
        return swki_fail(err, SWK_EINVAL,
                         "membership: ConfChange type should be either "
                         "AddNode, RemoveNode or UpdateNode");
    }
    if (swki_membership_is_removed(m, part->id)) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "membership: node was removed during cluster "
                         "lifetime");
    }
    if (adds && known != NULL && known->learner == learner) {
        return swki_fail(err, SWK_EEXIST,
                         "membership: can't add node to cluster, node id is a "
                         "duplicate");
    }
    if (!adds && known == NULL) {
        return swki_fail(err, SWK_ENOTFOUND,
                         "membership: member not found in cluster list");
    }
    if ((adds && known == NULL && described == NULL) ||
        (part->type == SWK_RAFT_UPDATE && described == NULL)) {
        return swki_fail(err, SWK_EMALFORMED,
                         "membership: cannot unmarshal configuration change");
    }
    if (adds && known == NULL && m->list.count >= SWKI_MEMBERS_MAX) {
        return swki_fail(err, SWK_ELIMIT,
                         "membership: there are %d members already",
                         SWKI_MEMBERS_MAX);
    }
    return SWK_OK;
}

/* One node is one member. */
static int check_node(const struct swki_membership *m,
                      const struct swki_member_change *change,
                      struct swk_error *err)
{
    const struct swki_member *known =
        change->member != NULL
            ? swki_membership_find_node(m, change->member->node_id)
            : NULL;

    if (known == NULL || known->raft_id == change->member->raft_id) {
        return SWK_OK;
    }
    return swki_fail(err, SWK_EEXIST,
                     "membership: node %s is a member already, as %llx",
                     known->node_id, (unsigned long long)known->raft_id);
}

static int check_change(const struct swki_membership *m,
                        const struct swki_member_change *change,
                        struct swk_error *err)
{
    int rc = check_node(m, change, err);

    for (size_t i = 0; i < change->parts_count && rc == 0; i++) {
        rc = check_part(m, change, &change->parts[i], err);
        for (size_t j = 0; j < i && rc == 0; j++) {
            if (change->parts[j].id == change->parts[i].id) {
                rc = swki_fail(err, SWK_EMALFORMED,
                               "membership: a change names a member twice");
            }
        }
    }
    return rc;
}

static void remove_member(struct swki_membership *m, uint64_t raft_id,
                          struct swki_membership_outcome *outcome)
{
    swki_member_list_remove(m->alloc, &m->list, raft_id);
    swki_numbers_add(&m->removed, raft_id);
    outcome->removed = raft_id;
    outcome->leader_removed = outcome->leader_removed || raft_id == m->leader;
    if (raft_id == m->self && !m->gone) {
        m->gone = true;
        outcome->self_removed = true;
    }
    swki_log(m->logger, SWK_LOG_INFO, "membership", "%llx was removed",
             (unsigned long long)raft_id);
}

/* Puts the described member, which is taken, in the place of a known one. */
static void replace_member(struct swki_membership *m,
                           struct swki_member *known,
                           const struct swki_member *described)
{
    struct swki_member next = *described;

    next.learner = known->learner;
    next.reachable = known->reachable;
    swki_member_drop(m->alloc, known);
    *known = next;
    mark(m, known);
}

static void put_part(struct swki_membership *m,
                     const struct swk_raft_change *part,
                     struct swki_member *described,
                     struct swki_membership_outcome *outcome)
{
    struct swki_member *known = swki_member_list_find(&m->list, part->id);
    bool ours = described->addresses != NULL && described->raft_id == part->id;

    if (part->type == SWK_RAFT_REMOVE) {
        remove_member(m, part->id, outcome);
        return;
    }
    if (known == NULL) { /* check_part() saw to it that it is described */
        described->learner = part->type == SWK_RAFT_ADD_LEARNER;
        mark(m, described);
        swki_member_list_insert(&m->list, described);
        outcome->added = part->id;
    } else {
        if (ours) {
            replace_member(m, known, described);
        }
        if (part->type != SWK_RAFT_UPDATE) {
            known->learner = part->type == SWK_RAFT_ADD_LEARNER;
        }
        outcome->updated = part->id;
    }
    if (ours) {
        described->addresses = NULL; /* it is the list's now */
    }
    known = swki_member_list_find(&m->list, part->id);
    swki_log(m->logger, SWK_LOG_INFO, "membership", "%llx is a %s at %s",
             (unsigned long long)part->id, known->learner ? "learner" : "voter",
             swki_member_address(known));
}

static int put_change(struct swki_membership *m,
                      const struct swki_member_change *change,
                      struct swki_membership_outcome *outcome,
                      struct swk_error *err)
{
    struct swki_member described = {0};
    int rc;

    if (!swki_member_list_reserve(m->alloc, &m->list, 1) ||
        !swki_numbers_reserve(m->alloc, &m->removed, change->parts_count)) {
        return swki_fail_nomem(err);
    }
    if (change->member != NULL) {
        rc = swki_member_make(m->alloc, change->member, &described, err);
        if (rc != 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < change->parts_count; i++) {
        put_part(m, &change->parts[i], &described, outcome);
        outcome->changed = true;
    }
    swki_member_drop(m->alloc, &described);
    if (change->member != NULL && change->member->generation > m->generation) {
        m->generation = change->member->generation;
    }
    m->tellers.count = 0;
    m->version += outcome->changed;
    return SWK_OK;
}

int swki_membership_apply(struct swki_membership *m,
                          const struct swk_log_entry *entry,
                          struct swki_membership_outcome *out_outcome,
                          struct swk_error *err)
{
    struct swki_membership_outcome outcome = {0};
    struct swki_member_change change;
    struct swki_arena arena;
    int rc;

    swki_arena_init(&arena, m->alloc, /* for a change and its context */
                    2 * swki_message_memory_max(entry->data_len));
    rc = swki_member_change_read(entry, &arena, &change, &outcome.why);
    if (rc == 0) {
        rc = check_change(m, &change, &outcome.why);
    }
    if (rc == SWK_ENOMEM) {
        rc = swki_fail_nomem(err);
    } else if (rc != 0) {
        outcome.reject = true;
        swki_log(m->logger, SWK_LOG_WARN, "membership",
                 "a change is rejected: %s", outcome.why.text);
        rc = SWK_OK;
    } else {
        rc = put_change(m, &change, &outcome, err);
    }
    swki_arena_fini(&arena);
    if (rc == 0) {
        *out_outcome = outcome;
    }
    return rc;
}
