/* SPDX-License-Identifier: Apache-2.0 */

/* The beginning and the end of a member's life. */

#include "core/raft/member.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/options.h"
#include "core/raft/conf_change.h"

/* Section 3: the two largest are reserved. */
#define ID_MAX (UINT64_MAX - 2)

enum {
    FLAGS = SWK_RAFT_NO_PRE_VOTE | SWK_RAFT_NO_CHECK_QUORUM |
            SWK_RAFT_NO_STEP_DOWN_ON_REMOVAL | SWK_RAFT_LEASE_READS |
            SWK_RAFT_FORWARD_PROPOSALS | SWK_RAFT_NO_CONF_CHANGE_VALIDATION,
    TICKS_MAX = 1000000,
};

/* -- Configuration --------------------------------------------------------- */

static void set_default(uint64_t *field, uint64_t value)
{
    if (*field == 0) {
        *field = value;
    }
}

static void set_default32(uint32_t *field, uint32_t value)
{
    if (*field == 0) {
        *field = value;
    }
}

static void set_defaults(struct swk_raft_config *c)
{
    set_default32(&c->heartbeat_ticks, SWK_RAFT_HEARTBEAT_TICKS);
    set_default32(&c->election_ticks, SWK_RAFT_ELECTION_TICKS);
    set_default32(&c->lease_margin_ticks,
                  c->election_ticks >= 5 ? c->election_ticks / 5 : 1);
    set_default(&c->tick_ns, SWK_RAFT_TICK_MS * SWK_MILLISECOND);
    set_default32(&c->storage_stall_ticks, 2 * c->election_ticks);
    set_default32(&c->snapshot_stall_ticks, 10 * c->election_ticks);
    set_default(&c->entry_size_max, SWK_RAFT_ENTRY_SIZE_MAX);
    set_default(&c->message_size_max, SWK_RAFT_MESSAGE_SIZE_MAX);
    set_default32(&c->message_entries_max, SWK_RAFT_MESSAGE_ENTRIES_MAX);
    set_default32(&c->inflight_messages_max, SWK_RAFT_INFLIGHT_MESSAGES_MAX);
    set_default(&c->inflight_size_max, SWK_RAFT_INFLIGHT_SIZE_MAX);
    set_default(&c->uncommitted_size_max, SWK_RAFT_UNCOMMITTED_SIZE_MAX);
    set_default(&c->apply_size_max, SWK_RAFT_APPLY_SIZE_MAX);
    set_default32(&c->pending_reads_max, SWK_RAFT_PENDING_READS_MAX);
    set_default(&c->snapshot_interval, SWK_RAFT_SNAPSHOT_INTERVAL);
    set_default(&c->snapshot_log_size, SWK_RAFT_SNAPSHOT_LOG_SIZE);
    set_default(&c->entries_for_slow_followers,
                SWK_RAFT_ENTRIES_FOR_SLOW_FOLLOWERS);
    set_default32(&c->promote_gap, SWK_RAFT_PROMOTE_GAP);
    set_default32(&c->promote_rounds, SWK_RAFT_PROMOTE_ROUNDS);
}

/* What is wrong with a configuration, or NULL. */
static const char *find_fault(const struct swk_raft_config *c)
{
    if (c->id == 0 || c->id > ID_MAX) {
        return "id 0 or reserved";
    }
    if ((c->flags & ~(uint32_t)FLAGS) != 0 || c->reserved != 0) {
        return "unknown flags";
    }
    if (c->election_ticks <= c->heartbeat_ticks ||
        c->election_ticks > TICKS_MAX) {
        return "election_ticks must be above heartbeat_ticks, and below a "
               "million";
    }
    if (c->lease_margin_ticks >= c->election_ticks) {
        return "lease_margin_ticks must be below election_ticks";
    }
    if ((c->flags & SWK_RAFT_LEASE_READS) != 0 &&
        (c->flags & SWK_RAFT_NO_CHECK_QUORUM) != 0) {
        return "reads by lease need the check for a quorum";
    }
    if (c->tick_ns < SWK_MILLISECOND || c->tick_ns > SWK_HOUR) {
        return "tick_ns must be from 1 ms to 1 h";
    }
    if (c->inflight_size_max < c->message_size_max) {
        return "inflight_size_max must not be below message_size_max";
    }
    return NULL;
}

static int read_config(const struct swk_raft_config *config,
                       struct swk_raft_config *out_config,
                       struct swk_error *err)
{
    struct swk_raft_config c;
    const char *fault;
    int rc = swki_options_read(&c, sizeof(c), config, "swk_raft_config", err);

    if (rc != SWK_OK) {
        return rc;
    }
    set_defaults(&c);
    fault = find_fault(&c);
    if (fault != NULL) {
        return swki_fail(err, SWK_EINVAL, "raft: %s", fault);
    }
    *out_config = c;
    return SWK_OK;
}

static uint32_t machine_flags(uint32_t flags)
{
    static const struct {
        uint32_t public_flag;
        uint32_t machine_flag;
    } same[] = {
        {SWK_RAFT_LEASE_READS, SWKI_MACHINE_LEASE_READS},
        {SWK_RAFT_FORWARD_PROPOSALS, SWKI_MACHINE_FORWARD_PROPOSALS},
        {SWK_RAFT_NO_CONF_CHANGE_VALIDATION,
         SWKI_MACHINE_NO_CONF_CHANGE_VALIDATION},
    }, opposite[] = {
        {SWK_RAFT_NO_PRE_VOTE, SWKI_MACHINE_PRE_VOTE},
        {SWK_RAFT_NO_CHECK_QUORUM, SWKI_MACHINE_CHECK_QUORUM_ON},
        {SWK_RAFT_NO_STEP_DOWN_ON_REMOVAL, SWKI_MACHINE_STEP_DOWN_ON_REMOVAL},
    };
    uint32_t made = SWKI_MACHINE_ASYNC | SWKI_MACHINE_COALESCE |
                    SWKI_MACHINE_NAME_SUCCESSOR;

    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        made |= (flags & same[i].public_flag) != 0 ? same[i].machine_flag : 0;
    }
    for (size_t i = 0; i < sizeof(opposite) / sizeof(opposite[0]); i++) {
        made |= (flags & opposite[i].public_flag) == 0
                    ? opposite[i].machine_flag
                    : 0;
    }
    return made;
}

static int make_machine(struct swk_raft *raft, struct swk_error *err)
{
    const struct swk_raft_config *c = &raft->config;
    const struct swki_machine_config config = {
        .alloc = c->alloc,
        .id = c->id,
        .seed = c->seed,
        .flags = machine_flags(c->flags),
        .election_ticks = c->election_ticks,
        .heartbeat_ticks = c->heartbeat_ticks,
        .lease_margin_ticks = c->lease_margin_ticks,
        .snapshot_stall_ticks = c->snapshot_stall_ticks,
        .message_size_max = c->message_size_max,
        .message_entries_max = c->message_entries_max,
        .inflight_messages_max = c->inflight_messages_max,
        .inflight_size_max = c->inflight_size_max,
        .uncommitted_size_max = c->uncommitted_size_max,
        .apply_size_max = c->apply_size_max,
        .entry_size_max = c->entry_size_max,
        .pending_reads_max = c->pending_reads_max,
        .promote_gap = c->promote_gap,
        .promote_rounds = c->promote_rounds,
        .trace = swki_raft_recorder_trace,
        .trace_ctx = &raft->recorder,
    };

    return swki_machine_new(&config, &raft->machine, err);
}

/* -- Life ------------------------------------------------------------------ */

int swk_raft_new(const struct swk_raft_config *config, swk_raft **out_raft,
                 struct swk_error *err)
{
    struct swk_raft_config known;
    struct swk_raft *raft;
    int rc = swki_raft_need(out_raft, "raft", err);

    if (rc == SWK_OK) {
        rc = swki_raft_need(config, "config", err);
    }
    if (rc == SWK_OK) {
        rc = read_config(config, &known, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    raft = swki_calloc(known.alloc, 1, sizeof(*raft));
    if (raft == NULL) {
        return swki_fail_nomem(err);
    }
    raft->config = known;
    raft->role = SWK_RAFT_FOLLOWER;
    raft->actions.size = sizeof(raft->actions);
    swki_raft_recorder_init(&raft->recorder, known.alloc, known.logger);
    swki_raft_writes_init(raft);
    rc = make_machine(raft, err);
    if (rc != SWK_OK) {
        swk_raft_free(raft);
        return rc;
    }
    *out_raft = raft;
    return SWK_OK;
}

void swk_raft_free(swk_raft *raft)
{
    if (raft == NULL) {
        return;
    }
    swki_machine_free(raft->machine);
    swki_raft_writes_fini(raft);
    swki_raft_recorder_fini(&raft->recorder);
    swki_snapshot_copy_fini(raft->config.alloc, &raft->making);
    swki_free(raft->config.alloc, raft->scratch);
    swki_free(raft->config.alloc, raft);
}

/* -- Checks ---------------------------------------------------------------- */

int swki_raft_fail_null(const char *what, struct swk_error *err)
{
    return swki_fail(err, SWK_EINVAL, "raft: NULL %s", what);
}

int swki_raft_need_sound(const struct swk_raft *raft, struct swk_error *err)
{
    const struct swk_error *failure = swki_machine_failure(raft->machine);

    return failure == NULL ? SWK_OK
                           : swki_fail(err, SWK_EIO, "%s", failure->text);
}

int swki_raft_need_running(const struct swk_raft *raft, struct swk_error *err)
{
    int rc = swki_raft_need_sound(raft, err);

    if (rc == SWK_OK && !raft->started) {
        rc = swki_fail(err, SWK_EPRECONDITION, "raft: not started");
    }
    return rc;
}

static int need_restoring(const struct swk_raft *raft, struct swk_error *err)
{
    int rc = swki_raft_need_sound(raft, err);

    if (rc == SWK_OK && raft->started) {
        rc = swki_fail(err, SWK_EPRECONDITION, "raft: already started");
    }
    if (rc == SWK_OK && raft->bootstrapped) {
        rc = swki_fail(err, SWK_EPRECONDITION,
                       "raft: a new group has nothing to restore");
    }
    return rc;
}

static int check_restore(const struct swk_raft *raft, const void *given,
                         struct swk_error *err)
{
    int rc = swki_raft_need(raft, "raft", err);

    if (rc == SWK_OK) {
        rc = swki_raft_need(given, "argument", err);
    }
    return rc == SWK_OK ? need_restoring(raft, err) : rc;
}

/* -- Restoring ------------------------------------------------------------- */

int swk_raft_restore_snapshot(swk_raft *raft,
                              const struct swk_snapshot_meta *meta,
                              struct swk_error *err)
{
    int rc = check_restore(raft, meta, err);

    if (rc == SWK_OK) {
        rc = swki_machine_restore_snapshot(raft->machine, meta, err);
    }
    if (rc == SWK_OK) {
        raft->snapshot_index = meta->index;
    }
    return rc;
}

int swk_raft_restore_hard_state(swk_raft *raft,
                                const struct swk_hard_state *state,
                                struct swk_error *err)
{
    int rc = check_restore(raft, state, err);

    return rc == SWK_OK
               ? swki_machine_restore_hard_state(raft->machine, state, err)
               : rc;
}

int swk_raft_restore_entry(swk_raft *raft, const struct swk_log_entry *entry,
                           struct swk_error *err)
{
    int rc = check_restore(raft, entry, err);

    return rc == SWK_OK ? swki_machine_restore_entry(raft->machine, entry, err)
                        : rc;
}

int swk_raft_restore_lost(swk_raft *raft, uint64_t acknowledged,
                          struct swk_error *err)
{
    int rc = check_restore(raft, raft, err);

    return rc == SWK_OK
               ? swki_machine_restore_lost(raft->machine, acknowledged, err)
               : rc;
}

/* -- A new group ----------------------------------------------------------- */

static int check_founder(const struct swk_raft *raft,
                         const struct swk_raft_conf_change *member,
                         struct swk_error *err)
{
    if (member->size != sizeof(*member) || member->transition != 0 ||
        member->changes_count != 1 || member->changes == NULL ||
        member->changes[0].type != SWK_RAFT_ADD_VOTER ||
        member->changes[0].id == 0 || member->changes[0].id > ID_MAX ||
        (member->context == NULL && member->context_len > 0) ||
        member->context_len > raft->config.entry_size_max) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: a group begins with voters that are added, "
                         "one by one");
    }
    return SWK_OK;
}

static int check_founders(const struct swk_raft *raft,
                          const struct swk_raft_conf_change *members,
                          size_t members_count, struct swk_error *err)
{
    if (members_count == 0 || members_count > SWK_RAFT_VOTERS_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "raft: a group begins with 1 to %d members",
                         (int)SWK_RAFT_VOTERS_MAX);
    }
    for (size_t i = 0; i < members_count; i++) {
        int rc = check_founder(raft, &members[i], err);

        if (rc != SWK_OK) {
            return rc;
        }
        for (size_t j = 0; j < i; j++) {
            if (members[j].changes[0].id == members[i].changes[0].id) {
                return swki_fail(err, SWK_EINVAL, "raft: a member twice");
            }
        }
    }
    return SWK_OK;
}

/* The entries of the group's first members, their payloads in room. */
static void write_founders(const struct swk_raft_conf_change *members,
                           size_t members_count, struct swk_log_entry *entries,
                           uint8_t *room)
{
    for (size_t i = 0; i < members_count; i++) {
        size_t len = swki_conf_change_v1_size(&members[i]);

        swki_conf_change_v1_encode(&members[i], room);
        entries[i] = (struct swk_log_entry){
            .type = SWK_RAFT_ENTRY_CONF_CHANGE,
            .data = room,
            .data_len = len,
        };
        room += len;
    }
}

int swk_raft_bootstrap(swk_raft *raft,
                       const struct swk_raft_conf_change *members,
                       size_t members_count, struct swk_error *err)
{
    struct swk_log_entry entries[SWK_RAFT_VOTERS_MAX];
    size_t size = 0;
    uint8_t *room;
    int rc = check_restore(raft, members, err);

    if (rc == SWK_OK) {
        rc = check_founders(raft, members, members_count, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    for (size_t i = 0; i < members_count; i++) {
        size += swki_conf_change_v1_size(&members[i]);
    }
    room = swki_alloc(raft->config.alloc, size);
    if (room == NULL) {
        return swki_fail_nomem(err);
    }
    write_founders(members, members_count, entries, room);
    rc = swki_machine_bootstrap(raft->machine, entries, members_count, err);
    swki_free(raft->config.alloc, room);
    raft->bootstrapped = rc == SWK_OK;
    return rc;
}

/* -- Start ----------------------------------------------------------------- */

int swk_raft_start(swk_raft *raft, swk_time now, struct swk_error *err)
{
    struct swki_machine_status status;
    int rc = swki_raft_need(raft, "raft", err);

    if (rc == SWK_OK) {
        rc = swki_raft_need_sound(raft, err);
    }
    if (rc == SWK_OK && raft->started) {
        rc = swki_fail(err, SWK_EPRECONDITION, "raft: already started");
    }
    if (rc == SWK_OK) {
        rc = swki_machine_start(raft->machine, 0, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    swki_machine_status(raft->machine, &status);
    raft->state = status.hard_state;
    if (!raft->bootstrapped) {
        raft->stored = status.hard_state;
    }
    raft->applied = status.applied;
    raft->given = status.applied;
    raft->conf_given = status.applied;
    raft->conf_applied = status.applied;
    raft->now = now;
    raft->tick_due = now + raft->config.tick_ns;
    raft->started = true;
    swki_raft_consider_campaign(raft);
    return SWK_OK;
}

void swk_raft_storage_failed(swk_raft *raft, const struct swk_error *reason)
{
    if (raft == NULL) {
        return;
    }
    if (reason != NULL && reason->code < 0) {
        swki_machine_fail(raft->machine, reason->code, reason->text);
    } else {
        swki_machine_fail(raft->machine, SWK_EIO, "the storage failed");
    }
}
