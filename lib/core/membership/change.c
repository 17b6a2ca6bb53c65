/* SPDX-License-Identifier: Apache-2.0 */

/* Changes of membership as the log holds them. */

#include "base/error.h"
#include "core/membership/list.h"
#include "raftpb/raft.pb-c.h"
#include "wire/message.h"

#define UNREADABLE "membership: cannot unmarshal configuration change"

static int read_context(const ProtobufCBinaryData *context,
                        struct swki_arena *arena,
                        struct swki_member_change *change,
                        struct swk_error *err)
{
    ProtobufCMessage *message;
    int rc;

    if (context->len == 0) {
        return SWK_OK;
    }
    rc = swki_message_unpack(&swkpb__raft_member__descriptor, context->data,
                             context->len, arena, &message, err);
    if (rc == SWK_ENOMEM) {
        return rc;
    }
    change->member = (const Swkpb__RaftMember *)message;
    if (rc != 0 || !swki_member_message_valid(change->member)) {
        return swki_fail(err, SWK_EMALFORMED, UNREADABLE);
    }
    return SWK_OK;
}

static int read_one(const struct swk_log_entry *entry,
                    struct swki_arena *arena,
                    struct swki_member_change *change, struct swk_error *err)
{
    ProtobufCMessage *message;
    const Swkpb__Raft__ConfChange *v1;
    int rc = swki_message_unpack(&swkpb__raft__conf_change__descriptor, entry->data,
                                 entry->data_len, arena, &message, err);

    if (rc != 0) {
        return rc;
    }
    v1 = (const Swkpb__Raft__ConfChange *)message;
    change->parts_count = 1;
    change->parts[0].type = (int32_t)v1->type;
    change->parts[0].id = v1->node_id;
    return read_context(&v1->context, arena, change, err);
}

static int read_many(const struct swk_log_entry *entry,
                     struct swki_arena *arena,
                     struct swki_member_change *change, struct swk_error *err)
{
    ProtobufCMessage *message;
    const Swkpb__Raft__ConfChangeV2 *v2;
    int rc = swki_message_unpack(&swkpb__raft__conf_change_v2__descriptor,
                                 entry->data, entry->data_len, arena, &message,
                                 err);

    if (rc != 0) {
        return rc;
    }
    v2 = (const Swkpb__Raft__ConfChangeV2 *)message;
    if (v2->n_changes > SWK_RAFT_CHANGES_MAX) {
        return swki_fail(err, SWK_EMALFORMED, UNREADABLE);
    }
    change->parts_count = v2->n_changes;
    for (size_t i = 0; i < v2->n_changes; i++) {
        change->parts[i].type = (int32_t)v2->changes[i]->type;
        change->parts[i].id = v2->changes[i]->node_id;
    }
    return read_context(&v2->context, arena, change, err);
}

int swki_member_change_read(const struct swk_log_entry *entry,
                            struct swki_arena *arena,
                            struct swki_member_change *out_change,
                            struct swk_error *err)
{
    int rc;

    *out_change = (struct swki_member_change){0};
    rc = entry->type == SWK_RAFT_ENTRY_CONF_CHANGE
             ? read_one(entry, arena, out_change, err)
             : read_many(entry, arena, out_change, err);
    if (rc == 0 || rc == SWK_ENOMEM) {
        return rc;
    }
    return swki_fail(err, SWK_EMALFORMED, UNREADABLE);
}
