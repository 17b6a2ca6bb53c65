/* SPDX-License-Identifier: Apache-2.0 */

/* The command that adds nodes, and its many options. Those that begin with
 * "x-" are this project's own. */

#include <string.h>

#include "interaction.h"

enum {
    ELECTION_TICKS = 3,
    HEARTBEAT_TICKS = 1,
};

static const char bad_arguments[] = "the arguments are wrong";

struct options {
    struct swki_machine_config config;
    struct swk_snapshot_meta snapshot;
    bool bootstraps; /* any of voters, learners, index is given */
    uint64_t voters[SWK_RAFT_MEMBERS_MAX];
    uint64_t learners[SWK_RAFT_MEMBERS_MAX];
};

static void set_defaults(struct options *o)
{
    *o = (struct options){
        .config =
            {
                .flags = SWKI_MACHINE_FORWARD_PROPOSALS,
                .election_ticks = ELECTION_TICKS,
                .heartbeat_ticks = HEARTBEAT_TICKS,
                .message_size_max = UINT64_MAX,
                .message_entries_max = UINT32_MAX,
                .inflight_messages_max = INT32_MAX,
                .apply_size_max = UINT64_MAX,
                .entry_size_max = UINT32_MAX,
                .pending_reads_max = UINT32_MAX,
            },
    };
}

static bool read_ids(const struct argument *a, uint64_t *ids, size_t *count)
{
    for (size_t i = 0; i < a->values_count; i++) {
        if (*count == SWK_RAFT_MEMBERS_MAX ||
            !parse_number(a->values[i], &ids[(*count)++])) {
            return false;
        }
    }
    return true;
}

static const struct {
    const char *key;
    enum swki_machine_flag flag;
} flags[] = {
    {"async-storage-writes", SWKI_MACHINE_ASYNC},
    {"prevote", SWKI_MACHINE_PRE_VOTE},
    {"checkquorum", SWKI_MACHINE_CHECK_QUORUM_ON},
    {"step-down-on-removal", SWKI_MACHINE_STEP_DOWN_ON_REMOVAL},
    {"disable-conf-change-validation", SWKI_MACHINE_NO_CONF_CHANGE_VALIDATION},
    {"x-forward-proposals", SWKI_MACHINE_FORWARD_PROPOSALS},
    {"x-coalesce", SWKI_MACHINE_COALESCE},
    {"x-name-successor", SWKI_MACHINE_NAME_SUCCESSOR},
};

/* False if the key is no flag. */
static bool read_flag(struct options *o, const char *key, const char *value,
                      const char **out_wrong)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        bool on;

        if (strcmp(key, flags[i].key) != 0) {
            continue;
        }
        if (!parse_flag(value, &on)) {
            *out_wrong = bad_arguments;
        } else if (on) {
            o->config.flags |= (uint32_t)flags[i].flag;
        } else {
            o->config.flags &= ~(uint32_t)flags[i].flag;
        }
        return true;
    }
    return false;
}

static bool read_limit(struct options *o, const char *key, const char *value)
{
    const struct {
        const char *key;
        uint64_t *wide; /* one of the two */
        uint32_t *narrow;
    } limits[] = {
        {"index", &o->snapshot.index, NULL},
        {"inflight", NULL, &o->config.inflight_messages_max},
        {"max-committed-size-per-ready", &o->config.apply_size_max, NULL},
        {"x-inflight-bytes", &o->config.inflight_size_max, NULL},
        {"x-message-size", &o->config.message_size_max, NULL},
        {"x-message-entries", NULL, &o->config.message_entries_max},
        {"x-uncommitted-size", &o->config.uncommitted_size_max, NULL},
        {"x-entry-size", &o->config.entry_size_max, NULL},
        {"x-pending-reads", NULL, &o->config.pending_reads_max},
        {"x-lease-margin", NULL, &o->config.lease_margin_ticks},
        {"x-snapshot-stall", NULL, &o->config.snapshot_stall_ticks},
        {"x-promote-gap", NULL, &o->config.promote_gap},
        {"x-promote-rounds", NULL, &o->config.promote_rounds},
        {"x-election-tick", NULL, &o->config.election_ticks},
    };
    uint64_t number;

    if (!parse_number(value, &number)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (strcmp(key, limits[i].key) != 0) {
            continue;
        }
        if (limits[i].wide != NULL) {
            *limits[i].wide = number;
        } else {
            *limits[i].narrow =
                number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
        }
        o->bootstraps = o->bootstraps || strcmp(key, "index") == 0;
        return true;
    }
    return false;
}

static const char *read_read_mode(struct options *o, const char *value)
{
    if (strcmp(value, "lease-based") == 0) {
        o->config.flags |= SWKI_MACHINE_LEASE_READS;
        return NULL;
    }
    return strcmp(value, "safe") == 0 ? NULL : bad_arguments;
}

static const char *read_option(struct options *o, const struct argument *a)
{
    const char *wrong = NULL;
    bool read = false;

    if (strcmp(a->key, "voters") == 0 || strcmp(a->key, "learners") == 0) {
        struct swk_conf_state *state = &o->snapshot.conf_state;

        o->bootstraps = true;
        read = a->key[0] == 'v'
                   ? read_ids(a, o->voters, &state->voters_count)
                   : read_ids(a, o->learners, &state->learners_count);
        return read ? NULL : bad_arguments;
    }
    for (size_t i = 0; i < a->values_count && wrong == NULL; i++) {
        const char *value = a->values[i];

        if (strcmp(a->key, "read-only") == 0) {
            wrong = read_read_mode(o, value);
        } else if (strcmp(a->key, "content") == 0) {
            continue; /* of the snapshot, which is never shown */
        } else if (!read_flag(o, a->key, value, &wrong) &&
                   !read_limit(o, a->key, value)) {
            wrong = bad_arguments;
        }
    }
    return wrong;
}

const char *cluster_add_nodes(struct cluster *c, const struct directive *d)
{
    struct options o;
    const char *wrong = NULL;
    uint64_t count;

    set_defaults(&o);
    if (d->arguments_count == 0 ||
        !parse_number(d->arguments[0].key, &count)) {
        return bad_arguments;
    }
    for (size_t i = 1; i < d->arguments_count && wrong == NULL; i++) {
        wrong = read_option(&o, &d->arguments[i]);
    }
    if (wrong == NULL && o.bootstraps && o.snapshot.index <= 1) {
        wrong = "index must be specified as > 1 due to bootstrap";
    }
    o.snapshot.term = o.bootstraps ? 1 : 0;
    o.snapshot.conf_state.voters = o.voters;
    o.snapshot.conf_state.learners = o.learners;
    for (uint64_t i = 0; i < count && wrong == NULL; i++) {
        wrong = cluster_add(c, &o.config, &o.snapshot);
    }
    return wrong;
}
