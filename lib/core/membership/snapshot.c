/* SPDX-License-Identifier: Apache-2.0 */

/* The list as a message: in snapshots, and as the context of changes. */

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/membership/list.h"
#include "core/store/codec.h"
#include "wire/message.h"

enum {
    MEMBERSHIP_FIELD = 2, /* of Snapshot */
    DELIMITED = 2,
};

Swkpb__RaftMember *swki_member_message(const struct swki_member *member,
                                       struct swki_arena *arena)
{
    Swkpb__RaftMember *message = swki_arena_alloc(arena, sizeof(*message));
    char **addresses = swki_arena_memdup(
        arena, member->addresses,
        member->addresses_count * sizeof(member->addresses[0]));

    if (message == NULL || addresses == NULL) {
        return NULL;
    }
    swkpb__raft_member__init(message);
    message->raft_id = member->raft_id;
    message->node_id = (char *)(uintptr_t)member->node_id;
    if (member->addresses_count > 0) {
        message->addr = addresses[0];
        message->more_addrs = addresses + 1;
        message->n_more_addrs = member->addresses_count - 1;
    }
    return message;
}

int swki_member_encode(const struct swki_member *member, struct swki_buf *out,
                       struct swk_error *err)
{
    struct swki_arena arena;
    Swkpb__RaftMember *message;
    int rc;

    swki_arena_init(&arena, out->alloc, SIZE_MAX);
    message = swki_member_message(member, &arena);
    rc = message != NULL ? swki_message_pack(&message->base, out, err)
                         : swki_fail_nomem(err);
    swki_arena_fini(&arena);
    return rc;
}

int swki_membership_encode_generation(uint64_t generation, struct swki_buf *out,
                                      struct swk_error *err)
{
    Swkpb__RaftMember message = SWKPB__RAFT_MEMBER__INIT;

    message.generation = generation;
    return swki_message_pack(&message.base, out, err);
}

/* -- Saving --------------------------------------------------------------- */

/* In the arena; NULL for no memory. */
static Swkpb__ClusterSnapshot *describe(const struct swki_membership *m,
                                        struct swki_arena *arena)
{
    Swkpb__ClusterSnapshot *snapshot =
        swki_arena_alloc(arena, sizeof(*snapshot));
    Swkpb__RaftMember **members =
        swki_arena_calloc(arena, m->list.count, sizeof(*members));

    if (snapshot == NULL || members == NULL) {
        return NULL;
    }
    swkpb__cluster_snapshot__init(snapshot);
    for (size_t i = 0; i < m->list.count; i++) {
        members[i] = swki_member_message(&m->list.members[i], arena);
        if (members[i] == NULL) {
            return NULL;
        }
    }
    snapshot->members = members;
    snapshot->n_members = m->list.count;
    snapshot->removed = m->removed.items;
    snapshot->n_removed = m->removed.count;
    snapshot->generation = m->generation;
    return snapshot;
}

int swki_membership_save(const struct swki_membership *m, struct swki_buf *out,
                         struct swk_error *err)
{
    size_t start = out->len;
    struct swki_arena arena;
    Swkpb__ClusterSnapshot *snapshot;
    int rc;

    swki_arena_init(&arena, m->alloc, SIZE_MAX);
    snapshot = describe(m, &arena);
    if (snapshot == NULL ||
        !swki_codec_add_varint(out, MEMBERSHIP_FIELD << 3 | DELIMITED) ||
        !swki_codec_add_varint(out,
                               swki_message_packed_size(&snapshot->base))) {
        rc = swki_fail_nomem(err);
    } else {
        rc = swki_message_pack(&snapshot->base, out, err);
    }
    if (rc != 0) {
        out->len = start;
    }
    swki_arena_fini(&arena);
    return rc;
}

/* -- Restoring ------------------------------------------------------------ */

/* What a snapshot makes of the list, before it takes its place. */
struct restored {
    struct swki_member_list list;
    struct swki_numbers removed;
    uint64_t generation;
};

/* The list in an encoded snapshot; NULL there if it holds none. */
static int unpack(const uint8_t *data, size_t len, struct swki_arena *arena,
                  const Swkpb__ClusterSnapshot **out_snapshot,
                  struct swk_error *err)
{
    struct swki_reader reader = {.data = data, .len = len};
    struct swki_field field;
    ProtobufCMessage *message = NULL;
    int rc;

    while ((rc = swki_reader_next(&reader, &field)) > 0) {
        if (field.number != MEMBERSHIP_FIELD || field.data == NULL) {
            continue;
        }
        arena->limit = arena->used + swki_message_memory_max(field.len);
        rc = swki_message_unpack(&swkpb__cluster_snapshot__descriptor,
                                 field.data, field.len, arena, &message, err);
        if (rc != 0) {
            break;
        }
    }
    if (rc != 0 && rc != SWK_ENOMEM) {
        return swki_fail(err, SWK_EMALFORMED,
                         "membership: the snapshot is malformed");
    }
    *out_snapshot = (const Swkpb__ClusterSnapshot *)message;
    return rc;
}

static int add_removed(struct swki_membership *m,
                       const Swkpb__ClusterSnapshot *snapshot,
                       struct restored *restored, struct swk_error *err)
{
    if (!swki_numbers_reserve(m->alloc, &restored->removed,
                              m->removed.count + snapshot->n_removed)) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; i < m->removed.count; i++) {
        swki_numbers_add(&restored->removed, m->removed.items[i]);
    }
    for (size_t i = 0; i < snapshot->n_removed; i++) {
        swki_numbers_add(&restored->removed, snapshot->removed[i]);
    }
    return SWK_OK;
}

static int add_member(struct swki_membership *m,
                      const Swkpb__RaftMember *message,
                      struct restored *restored, struct swk_error *err)
{
    const struct swki_member *old;
    struct swki_member member;
    int rc;

    if (!swki_member_message_valid(message) ||
        restored->list.count >= SWKI_MEMBERS_MAX) {
        return swki_fail(err, SWK_EMALFORMED,
                         "membership: the snapshot is malformed");
    }
    if (message->raft_id == 0 ||
        swki_numbers_has(&restored->removed, message->raft_id) ||
        swki_member_list_find(&restored->list, message->raft_id) != NULL) {
        return SWK_OK;
    }
    if (!swki_member_list_reserve(m->alloc, &restored->list, 1)) {
        return swki_fail_nomem(err);
    }
    rc = swki_member_make(m->alloc, message, &member, err);
    if (rc == 0) {
        old = swki_member_list_find(&m->list, member.raft_id);
        member.self = member.raft_id == m->self;
        member.leader = member.raft_id == m->leader;
        member.reachable = member.self || (old != NULL && old->reachable);
        swki_member_list_insert(&restored->list, &member);
    }
    return rc;
}

/* Those who take part, even if the list does not say where they are. */
static int add_numbers(struct swki_membership *m, const uint64_t *numbers,
                       size_t count, struct restored *restored,
                       struct swk_error *err)
{
    int rc = SWK_OK;

    for (size_t i = 0; i < count && rc == 0; i++) {
        Swkpb__RaftMember bare = SWKPB__RAFT_MEMBER__INIT;

        bare.raft_id = numbers[i];
        rc = add_member(m, &bare, restored, err);
    }
    return rc;
}

static int build(struct swki_membership *m,
                 const Swkpb__ClusterSnapshot *snapshot,
                 const struct swk_conf_state *state, struct restored *restored,
                 struct swk_error *err)
{
    int rc = add_removed(m, snapshot, restored, err);

    restored->generation = snapshot->generation;
    for (size_t i = 0; i < snapshot->n_members && rc == 0; i++) {
        rc = add_member(m, snapshot->members[i], restored, err);
    }
    if (rc == 0) {
        rc = add_numbers(m, state->voters, state->voters_count, restored, err);
    }
    if (rc == 0) {
        rc = add_numbers(m, state->learners, state->learners_count, restored,
                         err);
    }
    for (size_t i = 0; i < state->learners_count && rc == 0; i++) {
        struct swki_member *member =
            swki_member_list_find(&restored->list, state->learners[i]);

        if (member != NULL) {
            member->learner = true;
        }
    }
    return rc;
}

static void install(struct swki_membership *m, struct restored *restored,
                    struct swki_membership_outcome *outcome)
{
    bool was_member = swki_membership_find(m, m->self) != NULL;
    bool had_leader = swki_membership_find(m, m->leader) != NULL;

    swki_member_list_fini(m->alloc, &m->list);
    swki_free(m->alloc, m->removed.items);
    m->list = restored->list;
    m->removed = restored->removed;
    m->generation = restored->generation;
    m->tellers.count = 0;
    m->version++;
    outcome->changed = true;
    outcome->leader_removed =
        had_leader && swki_membership_find(m, m->leader) == NULL;
    if (!m->gone && swki_membership_is_removed(m, m->self)) {
        m->gone = true;
        outcome->self_removed = true;
        outcome->removed = was_member ? m->self : 0;
    }
    swki_log(m->logger, SWK_LOG_INFO, "membership",
             "%zu members came with a snapshot", m->list.count);
}

int swki_membership_restore(struct swki_membership *m, const uint8_t *data,
                            size_t len, const struct swk_conf_state *state,
                            struct swki_membership_outcome *out_outcome,
                            struct swk_error *err)
{
    static const Swkpb__ClusterSnapshot none = SWKPB__CLUSTER_SNAPSHOT__INIT;
    const Swkpb__ClusterSnapshot *snapshot = NULL;
    struct restored restored = {0};
    struct swki_arena arena;
    int rc;

    swki_arena_init(&arena, m->alloc, 0);
    rc = unpack(data, len, &arena, &snapshot, err);
    if (rc == 0) {
        rc = build(m, snapshot != NULL ? snapshot : &none, state, &restored,
                   err);
    }
    if (rc == 0) {
        *out_outcome = (struct swki_membership_outcome){0};
        install(m, &restored, out_outcome);
    } else {
        swki_member_list_fini(m->alloc, &restored.list);
        swki_free(m->alloc, restored.removed.items);
    }
    swki_arena_fini(&arena);
    return rc;
}
