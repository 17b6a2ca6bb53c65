/* SPDX-License-Identifier: Apache-2.0 */

/* Reading a manager's log, and what follows from it. */

#include "node/storage/offline_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <swarmkit/file_storage.h>
#include <swarmkit/raft.h>
#include <swarmkit/storage_inspector.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/options.h"
#include "core/membership/membership.h"
#include "core/store/store.h"
#include "node/storage/log_keys.h"
#include "node/identity/state_dir.h"
#include "raft.pb-c.h"
#include "swarmkit/state.pb-c.h"
#include "wire/message.h"

enum {
    FORMAT = 1, /* of a swarmkit.v1.State */
};

int swki_offline_config_read(struct swk_offline_config *out_config,
                             const struct swk_offline_config *config,
                             struct swk_error *err)
{
    int rc = config == NULL
                 ? swki_fail(err, SWK_EINVAL, "offline: NULL argument")
                 : swki_options_read(out_config, sizeof(*out_config), config,
                                     "swk_offline_config", err);

    if (rc != 0) {
        return rc;
    }
    if (out_config->state_dir == NULL || out_config->clock == NULL ||
        out_config->entropy == NULL ||
        strlen(out_config->state_dir) + 64 > SWKI_OFFLINE_PATH_SIZE) {
        return swki_fail(err, SWK_EINVAL,
                         "offline: a required port or the state directory is "
                         "missing, or its name is too long");
    }
    if ((out_config->flags & ~(uint64_t)SWK_OFFLINE_LOCK) != 0) {
        return swki_fail(err, SWK_EINVAL, "offline: unknown flag");
    }
    return SWK_OK;
}

/* -- Reading -------------------------------------------------------------- */

static int take_identity(void *ctx, const uint8_t *data, size_t len,
                         struct swk_error *err)
{
    struct swk_offline *o = ctx;
    ProtobufCMessage *message;
    const Swkpb__RaftMember *own;
    int rc = swki_message_unpack(&swkpb__raft_member__descriptor, data, len,
                                 &o->arena, &message, err);

    if (rc != 0) {
        return rc;
    }
    own = (const Swkpb__RaftMember *)message;
    o->identity = swki_arena_memdup(&o->arena, data, len);
    o->identity_len = len;
    o->raft_id = own->raft_id;
    o->node_id = own->node_id;
    return o->identity != NULL ? SWK_OK : swki_fail_nomem(err);
}

static int take_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                         const uint8_t *data, size_t len, struct swk_error *err)
{
    struct swk_offline *o = ctx;

    if (swki_snapshot_meta_copy(o->config.alloc, meta, &o->meta) != 0) {
        return swki_fail_nomem(err);
    }
    o->snapshot = swki_arena_memdup(&o->arena, data, len);
    o->snapshot_len = len;
    return o->snapshot != NULL ? SWK_OK : swki_fail_nomem(err);
}

static int take_state(void *ctx, const struct swk_hard_state *state,
                      struct swk_error *err)
{
    struct swk_offline *o = ctx;

    (void)err;
    o->state = *state;
    o->has_state = true;
    return SWK_OK;
}

static int take_entry(void *ctx, const struct swk_log_entry *entry,
                      struct swk_error *err)
{
    struct swk_offline *o = ctx;
    struct swk_log_entry copy = *entry;

    if (entry->index != o->meta.is.index + o->entries_count + 1) {
        return swki_fail(err, SWK_ECORRUPT,
                         "the log has a gap before entry %" PRIu64,
                         entry->index);
    }
    if (o->entries_count == o->entries_size) {
        size_t size = o->entries_size > 0 ? 2 * o->entries_size : 256;
        struct swk_log_entry *entries =
            swki_realloc(o->config.alloc, o->entries, size, sizeof(*entries));

        if (entries == NULL) {
            return swki_fail_nomem(err);
        }
        o->entries = entries;
        o->entries_size = size;
    }
    if (entry->data_len > 0) {
        copy.data = swki_arena_memdup(&o->arena, entry->data, entry->data_len);
        if (copy.data == NULL) {
            return swki_fail_nomem(err);
        }
    }
    o->entries[o->entries_count++] = copy;
    return SWK_OK;
}

static int take_lost(void *ctx, uint64_t acknowledged, struct swk_error *err)
{
    struct swk_offline *o = ctx;

    (void)err;
    o->lost = acknowledged;
    return SWK_OK;
}

/* Nothing is written. */
static void ignore_done(void *ctx, uint64_t ticket, int code,
                        const struct swk_error *err)
{
    (void)ctx;
    (void)ticket;
    (void)code;
    (void)err;
}

/* The keys of the log, from the key file. */
static int read_keys(struct swk_offline *o, struct swk_error *err)
{
    char dir[SWKI_OFFLINE_PATH_SIZE + 16];
    int rc;

    if (o->config.unlock_key != NULL) {
        swki_credentials_offer(&o->credentials, o->config.unlock_key);
    }
    snprintf(dir, sizeof(dir), "%s/certificates", o->state_dir);
    rc =
        swki_credentials_load_key(&o->credentials, dir, o->config.entropy, err);
    if (rc == SWK_EDENIED) {
        rc = swki_fail(err, rc, "%s is locked: %s", o->state_dir,
                       o->config.unlock_key == NULL
                           ? "the swarm's unlock key is needed"
                           : "the unlock key given is not the one that was in "
                             "force when the manager stopped");
    }
    return rc;
}

static int find_dir(struct swk_offline *o, struct swk_error *err)
{
    char path[SWKI_OFFLINE_PATH_SIZE + 16];
    struct stat st;

    snprintf(path, sizeof(path), "%s/raft", o->state_dir);
    if (stat(path, &st) != 0) {
        return swki_fail(err, errno == EACCES ? SWK_EDENIED : SWK_ENOTFOUND,
                         "no state of a manager: %s: %s", path,
                         strerror(errno));
    }
    return (o->config.flags & SWK_OFFLINE_LOCK) != 0
               ? swki_state_dir_lock(o->state_dir, &o->lock, err)
               : SWK_OK;
}

/* The log and its keys, of which one may be on its way to the other. Nothing
 * in the directory is to change. */
static void choose_log(const struct swk_offline *o, char *path,
                       struct swk_file_storage_config *config)
{
    snprintf(path, SWKI_OFFLINE_PATH_SIZE + 16, "%s/raft", o->state_dir);
    config->dir = path;
    config->alloc = o->config.alloc;
    config->logger = o->config.logger;
    config->done = ignore_done;
    config->flags = SWK_FILE_STORAGE_READ_ONLY;
    swki_log_keys_choose(&o->credentials.keys, config);
}

static int read_log(struct swk_offline *o, struct swk_error *err)
{
    const struct swk_storage_replay replay = {
        .size = sizeof(replay),
        .ctx = o,
        .identity = take_identity,
        .snapshot = take_snapshot,
        .hard_state = take_state,
        .entry = take_entry,
        .lost = take_lost,
    };
    struct swk_file_storage_config config = {.size = sizeof(config)};
    char path[SWKI_OFFLINE_PATH_SIZE + 16];
    struct swk_storage storage;
    int rc;

    choose_log(o, path, &config);
    rc = swk_file_storage_open(&config, &storage, err);
    if (rc != 0) {
        return rc;
    }
    rc = storage.load(storage.ctx, &replay, err);
    storage.close(storage.ctx);
    if (rc == 0 && o->identity == NULL) {
        rc = swki_fail(err, SWK_ENOTFOUND, "%s: the log is empty", path);
    }
    return rc;
}

/* -- Replaying ------------------------------------------------------------ */

static uint64_t last_index(const struct swk_offline *o)
{
    return o->meta.is.index + o->entries_count;
}

/* The list of members; as of an entry. */
static int replay_members(const struct swk_offline *o, uint64_t index,
                          struct swki_membership **out_membership,
                          struct swk_error *err)
{
    const struct swki_membership_config config = {
        .alloc = o->config.alloc,
        .raft_id = o->raft_id,
    };
    struct swki_membership_outcome outcome;
    struct swki_membership *membership;
    int rc = swki_membership_new(&config, &membership, err);

    if (rc != 0) {
        return rc;
    }
    if (o->meta.is.index > 0) {
        rc = swki_membership_restore(membership, o->snapshot, o->snapshot_len,
                                     &o->meta.is.conf_state, &outcome, err);
    }
    for (size_t i = 0;
         rc == 0 && i < o->entries_count && o->entries[i].index <= index; i++) {
        if (o->entries[i].type != SWK_RAFT_ENTRY_NORMAL) {
            rc = swki_membership_apply(membership, &o->entries[i], &outcome,
                                       err);
        }
    }
    if (rc != 0) {
        swki_membership_free(membership);
        return rc;
    }
    *out_membership = membership;
    return SWK_OK;
}

static bool votes_alone(const struct swki_membership *membership,
                        uint64_t raft_id)
{
    const struct swki_member *self = swki_membership_find(membership, raft_id);

    for (size_t i = 0; i < swki_membership_count(membership); i++) {
        const struct swki_member *member = swki_membership_at(membership, i);

        if (member != self && !member->learner) {
            return false;
        }
    }
    return self != NULL && !self->learner;
}

/* What a sole voter has on its disk is committed, whatever it says of it. */
static int find_committed(struct swk_offline *o, struct swk_error *err)
{
    struct swki_membership *membership;
    uint64_t committed = o->state.commit;
    int rc;

    if (committed < o->meta.is.index) {
        committed = o->meta.is.index;
    }
    if (committed > last_index(o)) {
        committed = last_index(o);
    }
    rc = replay_members(o, committed, &membership, err);
    if (rc != 0) {
        return rc;
    }
    o->committed =
        votes_alone(membership, o->raft_id) ? last_index(o) : committed;
    swki_membership_free(membership);
    return SWK_OK;
}

static int replay_store(const struct swk_offline *o, uint64_t index,
                        struct swki_store *store, struct swk_error *err)
{
    int rc = SWK_OK;

    if (o->meta.is.index > 0) {
        rc = swki_store_restore(store, o->meta.is.index, o->snapshot,
                                o->snapshot_len, err);
    }
    for (size_t i = 0;
         rc == 0 && i < o->entries_count && o->entries[i].index <= index; i++) {
        const struct swk_log_entry *entry = &o->entries[i];

        if (entry->type != SWK_RAFT_ENTRY_NORMAL || entry->data_len == 0) {
            swki_store_apply_nothing(store, entry->index);
        } else {
            rc = swki_store_apply(store, entry->index, entry->data,
                                  entry->data_len, err);
        }
    }
    return rc == 0 || rc == SWK_ENOMEM
               ? rc
               : swki_fail(err, SWK_ECORRUPT,
                           "the objects do not fit together: what is on the "
                           "disk is not what was written");
}

static uint64_t term_at(const struct swk_offline *o, uint64_t index)
{
    return index == o->meta.is.index
               ? o->meta.is.term
               : o->entries[index - o->meta.is.index - 1].term;
}

/* The fields of a state that are no snapshot's come first, the rest is as in
 * one. */
static int write_state(const struct swk_offline *o, uint64_t index,
                       const struct swki_membership *membership,
                       const struct swki_store *store, struct swki_buf *out,
                       struct swk_error *err)
{
    Swkpb__Rpc__State head = SWKPB__RPC__STATE__INIT;
    int rc;

    head.format = FORMAT;
    head.index = index;
    head.term = term_at(o, index);
    head.node_id = (char *)o->node_id;
    rc = swki_message_pack(&head.base, out, err);
    if (rc == 0) {
        rc = swki_membership_save(membership, out, err);
    }
    return rc != 0 ? rc : swki_view_save(swki_store_committed(store), out, err);
}

int swk_offline_state(const swk_offline *o, uint64_t index, uint8_t **out_data,
                      size_t *out_len, struct swk_error *err)
{
    const struct swki_store_config config = {.logger = o->config.logger};
    struct swki_membership *membership = NULL;
    struct swki_store *store = NULL;
    struct swki_buf out;
    int rc;

    if (index < o->meta.is.index || index > last_index(o)) {
        return swki_fail(err, SWK_EINVAL,
                         "the log has entries %" PRIu64 " to %" PRIu64,
                         o->meta.is.index, last_index(o));
    }
    swki_buf_init(&out, NULL, SIZE_MAX); /* released without the handle */
    rc = swki_store_new(&config, &store, err);
    if (rc == 0) {
        rc = replay_members(o, index, &membership, err);
    }
    if (rc == 0) {
        rc = replay_store(o, index, store, err);
    }
    if (rc == 0) {
        rc = write_state(o, index, membership, store, &out, err);
    }
    swki_membership_free(membership);
    swki_store_free(store);
    if (rc != 0) {
        swki_buf_fini(&out);
        return rc;
    }
    *out_data = out.data;
    *out_len = out.len;
    return SWK_OK;
}

/* -- The handle ----------------------------------------------------------- */

/* One that has read nothing yet; its directory is there. */
static int make_offline(const struct swk_offline_config *config,
                        struct swk_offline **out_offline, struct swk_error *err)
{
    struct swk_offline_config copy;
    struct swk_offline *o;
    int rc = swki_offline_config_read(&copy, config, err);

    if (rc != 0) {
        return rc;
    }
    o = swki_calloc(copy.alloc, 1, sizeof(*o));
    if (o == NULL) {
        return swki_fail_nomem(err);
    }
    o->config = copy;
    o->lock = -1;
    swki_arena_init(&o->arena, copy.alloc, SIZE_MAX);
    swki_credentials_init(&o->credentials, copy.alloc);
    o->state_dir = swki_arena_strdup(&o->arena, copy.state_dir);
    o->config.state_dir = o->state_dir;
    rc = o->state_dir == NULL ? swki_fail_nomem(err) : find_dir(o, err);
    if (rc != 0) {
        swk_offline_close(o);
        return rc;
    }
    *out_offline = o;
    return SWK_OK;
}

int swk_offline_open(const struct swk_offline_config *config,
                     swk_offline **out_offline, struct swk_error *err)
{
    struct swk_offline *o;
    int rc;

    if (out_offline == NULL) {
        return swki_fail(err, SWK_EINVAL, "offline: NULL argument");
    }
    rc = make_offline(config, &o, err);
    if (rc != 0) {
        return rc;
    }
    rc = read_keys(o, err);
    if (rc == 0) {
        rc = read_log(o, err);
    }
    if (rc == 0) {
        rc = find_committed(o, err);
    }
    if (rc != 0) {
        swk_offline_close(o);
        return rc;
    }
    o->config.unlock_key = NULL; /* the caller's */
    *out_offline = o;
    return SWK_OK;
}

int swk_offline_inspect(const struct swk_offline_config *config,
                        const struct swk_storage_inspector *inspector,
                        struct swk_error *out_keys, struct swk_error *err)
{
    struct swk_file_storage_config log = {.size = sizeof(log)};
    char path[SWKI_OFFLINE_PATH_SIZE + 16];
    struct swk_error why = {0};
    struct swk_offline *o;
    int rc;

    if (inspector == NULL) {
        return swki_fail(err, SWK_EINVAL, "offline: NULL argument");
    }
    rc = make_offline(config, &o, err);
    if (rc != 0) {
        return rc;
    }
    if (read_keys(o, &why) != 0) {
        swki_data_keys_wipe(&o->credentials.keys);
    }
    choose_log(o, path, &log);
    log.flags = 0;
    rc = swk_file_storage_inspect(&log, inspector, err);
    swk_offline_close(o);
    if (rc == 0 && out_keys != NULL) {
        *out_keys = why;
    }
    return rc;
}

void swk_offline_close(swk_offline *o)
{
    if (o == NULL) {
        return;
    }
    swki_state_dir_unlock(o->lock);
    swki_snapshot_meta_fini(o->config.alloc, &o->meta);
    swki_free(o->config.alloc, o->entries);
    swki_credentials_fini(&o->credentials);
    swki_arena_fini(&o->arena);
    swki_free(o->config.alloc, o);
}

void swk_offline_info(const swk_offline *o, struct swk_offline_info *out_info)
{
    struct swk_offline_info info = {
        .size = out_info->size,
        .raft_id = o->raft_id,
        .state = o->state,
        .snapshot_index = o->meta.is.index,
        .snapshot_term = o->meta.is.term,
        .first_index = o->entries_count > 0 ? o->meta.is.index + 1 : 0,
        .last_index = last_index(o),
        .committed_index = o->committed,
        .lost_index = o->lost,
    };

    snprintf(info.node_id, sizeof(info.node_id), "%s", o->node_id);
    memcpy(out_info, &info,
           out_info->size < sizeof(info) ? out_info->size : sizeof(info));
}

int swk_offline_entry(const swk_offline *o, uint64_t index,
                      struct swk_log_entry *out_entry)
{
    if (index <= o->meta.is.index || index > last_index(o)) {
        return SWK_ENOTFOUND;
    }
    *out_entry = o->entries[index - o->meta.is.index - 1];
    return SWK_OK;
}

int swk_offline_snapshot(const swk_offline *o,
                         struct swk_snapshot_meta *out_meta,
                         const uint8_t **out_data, size_t *out_len)
{
    if (o->meta.is.index == 0) {
        return SWK_ENOTFOUND;
    }
    *out_meta = o->meta.is;
    *out_data = o->snapshot;
    *out_len = o->snapshot_len;
    return SWK_OK;
}
