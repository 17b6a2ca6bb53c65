/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The only survivor of a group becomes the whole of it (R-BOO-6).
 *
 * Who belongs to the group at the end of the log follows from the changes of
 * membership in it. A raft member that is told the log, all of it as committed,
 * works that out; it gets no clock and no peers, and what else it asks for is
 * not done.
 */

#include <string.h>

#include <swarmkit/raft.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/options.h"
#include "runtime/file/file_storage.h"

enum {
    CONTEXT_MAX = 4096,
    ENTRIES_MAX = SWK_RAFT_MEMBERS_MAX + 2, /* leave, own vote, removals */
    REPORTED_MAX = sizeof(((struct swk_force_single_report *)0)->members) /
                   sizeof(uint64_t),
};

/* raftpb.ConfChange and ConfChangeV2 on the wire. */
enum {
    V1_TYPE = 2 << 3,
    V1_NODE_ID = 3 << 3,
    V1_CONTEXT = 4 << 3 | 2,
    V2_CONTEXT = 3 << 3 | 2,
};

struct force {
    const struct swk_force_single *what;
    const char *dir;
    const struct swk_alloc *alloc;
    swk_raft *raft;
    struct swk_hard_state state;
    struct swk_force_single_report report;
    /* What is to be appended: payloads, one after the other. */
    struct swki_buf data;
    size_t ends[ENTRIES_MAX]; /* of the payloads */
    int32_t types[ENTRIES_MAX];
    size_t count;
    /* How the append ended; set on the storage's thread. */
    int code;
    struct swk_error failure;
};

/* -- Reading -------------------------------------------------------------- */

static int found_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                          const uint8_t *data, size_t data_len,
                          struct swk_error *err)
{
    struct force *f = ctx;

    (void)data;
    (void)data_len;
    f->report.snapshot_index = meta->index;
    f->report.last_index = meta->index;
    f->report.last_term = meta->term;
    return swk_raft_restore_snapshot(f->raft, meta, err);
}

static int found_state(void *ctx, const struct swk_hard_state *state,
                       struct swk_error *err)
{
    struct force *f = ctx;

    (void)err;
    f->state = *state;
    return SWK_OK;
}

/* Only what changes the members is needed of an entry. */
static int found_entry(void *ctx, const struct swk_log_entry *entry,
                       struct swk_error *err)
{
    struct force *f = ctx;
    struct swk_log_entry bare = *entry;

    if (bare.type == SWK_RAFT_ENTRY_NORMAL) {
        bare.data = NULL;
        bare.data_len = 0;
    }
    f->report.last_index = entry->index;
    f->report.last_term = entry->term;
    return swk_raft_restore_entry(f->raft, &bare, err);
}

static int found_loss(void *ctx, uint64_t acknowledged, struct swk_error *err)
{
    struct force *f = ctx;

    return swki_fail(err, SWK_EPRECONDITION,
                     "the log in %s lost entries that were acknowledged, up to "
                     "%llu: recover from another member, or from a backup of "
                     "the directory",
                     f->dir, (unsigned long long)acknowledged);
}

static int load(struct force *f, const struct swk_storage *storage,
                struct swk_error *err)
{
    const struct swk_storage_replay replay = {
        .size = sizeof(replay),
        .ctx = f,
        .snapshot = found_snapshot,
        .hard_state = found_state,
        .entry = found_entry,
        .lost = found_loss,
    };
    int rc = storage->load(storage->ctx, &replay, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (f->report.last_index == 0) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "the log in %s is empty: recover from a member that "
                         "has the group's data",
                         f->dir);
    }
    f->report.term = f->state.term;
    f->report.commit_index = f->state.commit > f->report.snapshot_index
                                 ? f->state.commit
                                 : f->report.snapshot_index;
    f->report.forced_index = f->report.last_index;
    f->report.generation = swk_file_storage_generation(storage);
    if (f->state.commit > f->report.last_index) {
        return swki_fail(err, SWK_ECORRUPT,
                         "the log in %s ends before entry %llu, which was "
                         "committed: recover from another member, or from a "
                         "backup of the directory",
                         f->dir, (unsigned long long)f->state.commit);
    }
    return SWK_OK;
}

/* -- The members ---------------------------------------------------------- */

static int apply(struct force *f, const struct swk_raft_actions *actions,
                 struct swk_error *err)
{
    int rc = SWK_OK;

    for (size_t i = 0; i < actions->committed_count && rc == SWK_OK; i++) {
        const struct swk_log_entry *entry = &actions->committed[i];

        if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
            rc = swk_raft_apply_conf_change(f->raft, entry, 0, err);
        }
    }
    if (rc == SWK_OK) {
        rc = swk_raft_applied(
            f->raft, actions->committed[actions->committed_count - 1].index,
            err);
    }
    return rc;
}

/* Brings the member to the end of the log. It says nothing of a lack of memory
 * but gives out fewer entries, or none. */
static int work_members_out(struct force *f, struct swk_error *err)
{
    struct swk_raft_status status = {.size = sizeof(status)};
    const struct swk_hard_state all = {
        .term = f->state.term > f->report.last_term ? f->state.term
                                                    : f->report.last_term,
        .commit = f->report.last_index,
    };
    const struct swk_raft_actions *actions;
    int rc = swk_raft_restore_hard_state(f->raft, &all, err);

    f->report.term = all.term;
    if (rc == SWK_OK) {
        rc = swk_raft_start(f->raft, 0, err);
    }
    while (rc == SWK_OK) {
        actions = swk_raft_take_actions(f->raft);
        if (actions->committed_count == 0) {
            break;
        }
        rc = apply(f, actions, err);
    }
    swk_raft_status(f->raft, &status);
    return rc != SWK_OK || status.applied == f->report.last_index
               ? rc
               : swki_fail_nomem(err);
}

static bool has(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

/* Adds the IDs but the own, in order, each once. */
static size_t add_others(const struct force *f, const uint64_t *ids,
                         size_t ids_count, uint64_t *others, size_t count)
{
    for (size_t i = 0; i < ids_count; i++) {
        size_t at = count;

        if (ids[i] == f->what->raft_id || has(others, count, ids[i])) {
            continue;
        }
        for (; at > 0 && others[at - 1] > ids[i]; at--) {
            others[at] = others[at - 1];
        }
        others[at] = ids[i];
        count++;
    }
    return count;
}

/* -- What is appended ----------------------------------------------------- */

static void put_number(struct swki_buf *out, uint64_t value)
{
    for (; value > 0x7f; value >>= 7) {
        swki_buf_append_byte(out, (uint8_t)(value | 0x80));
    }
    swki_buf_append_byte(out, (uint8_t)value);
}

static void end_entry(struct force *f, uint8_t context_key, int32_t type)
{
    const struct swk_force_single *what = f->what;

    if (what->context_len > 0) {
        swki_buf_append_byte(&f->data, context_key);
        put_number(&f->data, what->context_len);
        swki_buf_append(&f->data, what->context, what->context_len);
    }
    f->types[f->count] = type;
    f->ends[f->count++] = f->data.len;
}

static void add_change(struct force *f, enum swk_raft_change_type type,
                       uint64_t id)
{
    swki_buf_append_byte(&f->data, V1_TYPE);
    put_number(&f->data, type);
    swki_buf_append_byte(&f->data, V1_NODE_ID);
    put_number(&f->data, id);
    end_entry(f, V1_CONTEXT, SWK_RAFT_ENTRY_CONF_CHANGE);
}

/* Members of the group as of the last entry, once no half of it is left over:
 * an outgoing voter of a joint configuration goes with it. */
static int plan(struct force *f, struct swk_error *err)
{
    uint64_t others[SWK_RAFT_MEMBERS_MAX];
    uint64_t own = f->what->raft_id;
    struct swk_conf_state now;
    size_t count;

    swk_raft_conf_state(f->raft, &now);
    bool votes = has(now.voters, now.voters_count, own);
    bool learns = has(now.learners, now.learners_count, own) ||
                  has(now.learners_next, now.learners_next_count, own);
    if (!votes && !learns) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "member %llx is not in the group that the log in %s "
                         "tells of: recover from another member, or from a "
                         "backup of the directory",
                         (unsigned long long)own, f->dir);
    }
    count = add_others(f, now.voters, now.voters_count, others, 0);
    count = add_others(f, now.learners, now.learners_count, others, count);
    count = add_others(f, now.learners_next, now.learners_next_count, others,
                       count);
    if (now.voters_outgoing_count > 0) { /* no change at all leaves it */
        end_entry(f, V2_CONTEXT, SWK_RAFT_ENTRY_CONF_CHANGE_V2);
    }
    if (!votes) {
        add_change(f, SWK_RAFT_ADD_VOTER, own);
    }
    for (size_t i = 0; i < count; i++) {
        add_change(f, SWK_RAFT_REMOVE, others[i]);
    }
    f->report.members_count = count;
    memcpy(f->report.members, others,
           (count < REPORTED_MAX ? count : REPORTED_MAX) * sizeof(others[0]));
    f->report.forced_index = f->report.last_index + f->count;
    return f->data.failed ? swki_fail_nomem(err) : SWK_OK;
}

/* All in one: there is no log with some of the others removed. */
static int append(struct force *f, const struct swk_storage *storage,
                  struct swk_error *err)
{
    struct swk_log_entry entries[ENTRIES_MAX] = {0};
    const struct swk_hard_state state = {
        .term = f->report.term + 1,
        .vote = f->what->raft_id,
        .commit = f->report.forced_index,
    };
    size_t from = 0;

    for (size_t i = 0; i < f->count; i++) {
        entries[i].index = f->report.last_index + 1 + i;
        entries[i].term = state.term;
        entries[i].type = f->types[i];
        entries[i].data_len = f->ends[i] - from;
        entries[i].data = f->ends[i] > from ? f->data.data + from : NULL;
        from = f->ends[i];
    }
    swki_file_storage_set_generation(storage, f->what->generation != 0
                                                  ? f->what->generation
                                                  : f->report.generation + 1);
    return storage->append(storage->ctx, &state, entries, f->count, 1, err);
}

static void appended(void *ctx, uint64_t ticket, int code,
                     const struct swk_error *err)
{
    struct force *f = ctx;

    (void)ticket;
    f->code = code;
    if (code != 0) {
        f->failure = *err;
    }
}

static int force(struct force *f, const struct swk_storage *storage,
                 struct swk_error *err)
{
    const struct swk_raft_config raft = {
        .size = sizeof(raft),
        .id = f->what->raft_id,
        .alloc = f->alloc,
    };
    int rc = swk_raft_new(&raft, &f->raft, err);

    if (rc == SWK_OK) {
        rc = load(f, storage, err);
    }
    if (rc == SWK_OK) {
        rc = work_members_out(f, err);
    }
    if (rc == SWK_OK) {
        rc = plan(f, err);
    }
    if (rc == SWK_OK && f->count > 0 && f->what->dry_run == 0) {
        rc = append(f, storage, err);
    }
    swk_raft_free(f->raft);
    return rc;
}

static int check(const struct swk_file_storage_config *config,
                 const struct swk_force_single *what,
                 const struct swk_force_single_report *report,
                 struct swk_error *err)
{
    if (what->raft_id == 0 || what->reserved != 0 ||
        what->context_len > CONTEXT_MAX ||
        (what->context == NULL && what->context_len > 0) ||
        config->dir == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "force single: an option is missing or impossible");
    }
    return report->size >= sizeof(report->size)
               ? SWK_OK
               : swki_fail(err, SWK_EINVAL,
                           "swk_force_single_report: size is not set");
}

int swki_file_storage_force_single(const struct swk_file_storage_config *config,
                                   const struct swki_file_io *io,
                                   const struct swk_force_single *what,
                                   struct swk_force_single_report *out_report,
                                   struct swk_error *err)
{
    struct swk_file_storage_config known;
    struct swk_force_single task;
    struct force f = {.what = &task};
    struct swk_storage storage;
    int rc = swki_options_read(&known, sizeof(known), config,
                               "swk_file_storage_config", err);

    if (rc == SWK_OK) {
        rc = swki_options_read(&task, sizeof(task), what, "swk_force_single",
                               err);
    }
    if (rc == SWK_OK) {
        rc = check(&known, &task, out_report, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    known.done = appended;
    known.done_ctx = &f;
    if (task.dry_run != 0) {
        known.flags |= SWK_FILE_STORAGE_READ_ONLY;
    }
    f.dir = known.dir;
    f.alloc = known.alloc;
    swki_buf_init(&f.data, known.alloc, SIZE_MAX);
    rc = swki_file_storage_open(&known, io, &storage, err);
    if (rc != SWK_OK) {
        return rc;
    }
    rc = force(&f, &storage, err);
    storage.close(storage.ctx); /* what was appended is durable now, or not */
    swki_buf_fini(&f.data);
    if (rc == SWK_OK && f.code != 0) {
        rc = swki_fail(err, f.code, "%s", f.failure.text);
    }
    if (rc == SWK_OK) {
        f.report.size = out_report->size;
        memcpy(out_report, &f.report,
               f.report.size < sizeof(f.report) ? f.report.size
                                                : sizeof(f.report));
    }
    return rc;
}

int swk_file_storage_force_single(const struct swk_file_storage_config *config,
                                  const struct swk_force_single *what,
                                  struct swk_force_single_report *out_report,
                                  struct swk_error *err)
{
    if (config == NULL || what == NULL || out_report == NULL) {
        return swki_fail(err, SWK_EINVAL, "force single: NULL argument");
    }
    return swki_file_storage_force_single(config, &swki_file_io_posix, what,
                                          out_report, err);
}
