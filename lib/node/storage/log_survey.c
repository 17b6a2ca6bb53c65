/* SPDX-License-Identifier: Apache-2.0 */

#include "node/storage/log_survey.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "core/store/codec.h"
#include "raft.pb-c.h"
#include "wire/message.h"

static int found_identity(void *ctx, const uint8_t *data, size_t len,
                          struct swk_error *err)
{
    struct swki_log_survey *survey = ctx;
    const Swkpb__RaftMember *own;
    ProtobufCMessage *message;
    struct swki_arena arena;
    int rc;

    swki_arena_init(&arena, survey->alloc, swki_message_memory_max(len));
    rc = swki_message_unpack(&swkpb__raft_member__descriptor, data, len, &arena,
                             &message, err);
    if (rc == 0) {
        own = (const Swkpb__RaftMember *)message;
        survey->raft_id = own->raft_id;
        if (strcmp(own->node_id, survey->node_id) != 0) {
            rc = swki_fail(err, SWK_ECORRUPT,
                           "the log is that of node %s, and this is node %s: "
                           "restore the directory it belongs to",
                           own->node_id, survey->node_id);
        }
    }
    swki_arena_fini(&arena);
    return rc;
}

static int found_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                          const uint8_t *data, size_t data_len,
                          struct swk_error *err)
{
    struct swki_membership_outcome outcome;
    struct swki_log_survey *survey = ctx;
    int rc = swki_membership_restore(survey->membership, data, data_len,
                                     &meta->conf_state, &outcome, err);

    survey->commit_index = meta->index;
    return rc != 0 ? rc
                   : swki_store_restore(survey->store, meta->index, data,
                                        data_len, err);
}

static int found_state(void *ctx, const struct swk_hard_state *state,
                       struct swk_error *err)
{
    struct swki_log_survey *survey = ctx;

    (void)err;
    if (state->commit > survey->commit_index) {
        survey->commit_index = state->commit;
    }
    return SWK_OK;
}

static void count_action(struct swki_log_survey *survey,
                         const Swkpb__StoreAction *action)
{
    enum swki_kind kind = swki_codec_action_kind(action);

    if (kind >= SWKI_KINDS_COUNT) {
        return;
    }
    struct swki_log_changes *changes = &survey->changes[kind];
    changes->created +=
        action->action == SWKPB__STORE_ACTION_KIND__STORE_ACTION_CREATE;
    changes->updated +=
        action->action == SWKPB__STORE_ACTION_KIND__STORE_ACTION_UPDATE;
    changes->removed +=
        action->action == SWKPB__STORE_ACTION_KIND__STORE_ACTION_REMOVE;
}

static int count_changes(struct swki_log_survey *survey,
                         const struct swk_log_entry *entry,
                         struct swk_error *err)
{
    const Swkpb__InternalRaftRequest *request;
    ProtobufCMessage *message;
    struct swki_arena arena;
    int rc;

    swki_arena_init(&arena, survey->alloc, SIZE_MAX);
    rc = swki_message_unpack(&swkpb__internal_raft_request__descriptor,
                             entry->data, entry->data_len, &arena, &message,
                             err);
    if (rc == 0) {
        request = (const Swkpb__InternalRaftRequest *)message;
        for (size_t i = 0; i < request->n_action; i++) {
            count_action(survey, request->action[i]);
        }
    }
    swki_arena_fini(&arena);
    return rc;
}

static int take_objects(struct swki_log_survey *survey,
                        const struct swk_log_entry *entry,
                        struct swk_error *err)
{
    int rc = SWK_OK;

    if (entry->index > survey->commit_index) {
        rc = count_changes(survey, entry, err);
    }
    return rc != 0 ? rc
                   : swki_store_apply(survey->store, entry->index, entry->data,
                                      entry->data_len, err);
}

static int found_entry(void *ctx, const struct swk_log_entry *entry,
                       struct swk_error *err)
{
    struct swki_membership_outcome outcome;
    struct swki_log_survey *survey = ctx;
    int rc = SWK_OK;

    if (entry->type == SWK_RAFT_ENTRY_NORMAL && entry->data_len > 0) {
        return take_objects(survey, entry, err);
    }
    if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
        rc = swki_membership_apply(survey->membership, entry, &outcome, err);
        survey->membership_changes += entry->index > survey->commit_index;
    }
    if (rc == 0) {
        swki_store_apply_nothing(survey->store, entry->index);
    }
    return rc;
}

static int found_loss(void *ctx, uint64_t acknowledged, struct swk_error *err)
{
    (void)ctx;
    return swki_fail(err, SWK_EPRECONDITION,
                     "the log lost entries that were acknowledged, up to %llu: "
                     "recover from another manager, or from a backup of the "
                     "state directory",
                     (unsigned long long)acknowledged);
}

/* The storage is only read from. */
static void done(void *ctx, uint64_t ticket, int code,
                 const struct swk_error *err)
{
    (void)ctx;
    (void)ticket;
    (void)code;
    (void)err;
}

static int load(struct swki_log_survey *survey,
                const struct swk_file_storage_config *config,
                struct swk_error *err)
{
    const struct swk_storage_replay replay = {
        .size = sizeof(replay),
        .ctx = survey,
        .identity = found_identity,
        .snapshot = found_snapshot,
        .hard_state = found_state,
        .entry = found_entry,
        .lost = found_loss,
    };
    struct swk_file_storage_config reading = *config;
    struct swk_storage storage;

    if (access(config->dir, F_OK) != 0 && errno == ENOENT) {
        return SWK_OK; /* as empty as can be */
    }
    reading.done = done;
    reading.flags |= SWK_FILE_STORAGE_READ_ONLY;
    int rc = swk_file_storage_open(&reading, &storage, err);
    if (rc == 0) {
        rc = storage.load(storage.ctx, &replay, err);
        storage.close(storage.ctx);
    }
    return rc;
}

int swki_log_survey_init(struct swki_log_survey *survey,
                         const struct swk_file_storage_config *config,
                         const char *node_id, struct swk_error *err)
{
    const struct swki_store_config store = {.alloc = config->alloc};
    const struct swki_membership_config membership = {.alloc = config->alloc};

    *survey =
        (struct swki_log_survey){.alloc = config->alloc, .node_id = node_id};
    int rc = swki_store_new(&store, &survey->store, err);
    if (rc == 0) {
        rc = swki_membership_new(&membership, &survey->membership, err);
    }
    if (rc == 0) {
        rc = load(survey, config, err);
    }
    if (rc == 0 && survey->raft_id == 0) {
        rc = swki_fail(err, SWK_EPRECONDITION,
                       "the log in %s is empty: recover from a manager that "
                       "has the swarm's data",
                       config->dir);
    }
    return rc;
}

void swki_log_survey_fini(struct swki_log_survey *survey)
{
    swki_membership_free(survey->membership);
    swki_store_free(survey->store);
}
