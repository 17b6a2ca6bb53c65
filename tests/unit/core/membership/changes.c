/* SPDX-License-Identifier: Apache-2.0 */

#include "changes.h"

#include <stdio.h>
#include <string.h>

#include "lib/cmocka_all.h"

#include "raft.pb-c.h"
#include "raftpb/raft.pb-c.h"
#include "wire/message.h"

static void pack(struct entry *entry, int32_t type,
                 const ProtobufCMessage *message)
{
    static uint64_t index;
    struct swki_buf buf;

    swki_buf_init(&buf, NULL, ENTRY_SIZE_MAX);
    assert_int_equal(swki_message_pack(message, &buf, NULL), 0);
    if (buf.len > 0) {
        memcpy(entry->data, buf.data, buf.len);
    }
    entry->log = (struct swk_log_entry){
        .index = ++index,
        .term = 1,
        .type = type,
        .data = buf.len > 0 ? entry->data : NULL,
        .data_len = buf.len,
    };
    swki_buf_fini(&buf);
}

static void pack_single(struct entry *entry, int32_t type, uint64_t raft_id,
                        const uint8_t *context, size_t context_len)
{
    Swkpb__Raft__ConfChange change = SWKPB__RAFT__CONF_CHANGE__INIT;

    change.has_type = 1;
    change.type = (Swkpb__Raft__ConfChangeType)type;
    change.has_node_id = 1;
    change.node_id = raft_id;
    change.has_context = context_len > 0;
    change.context.data = (uint8_t *)(uintptr_t)context;
    change.context.len = context_len;
    pack(entry, SWK_RAFT_ENTRY_CONF_CHANGE, &change.base);
}

void make_change(struct entry *entry, int32_t type, uint64_t raft_id,
                 const char *node, const char *address, const char *more)
{
    const char *addresses[2] = {address, more};
    const struct swki_member member = {
        .raft_id = raft_id,
        .node_id = node,
        .addresses = addresses,
        .addresses_count = more != NULL ? 2 : address != NULL,
    };
    struct swki_buf context;

    swki_buf_init(&context, NULL, SIZE_MAX);
    if (node != NULL) {
        assert_int_equal(swki_member_encode(&member, &context, NULL), 0);
    }
    pack_single(entry, type, raft_id, context.data, context.len);
    swki_buf_fini(&context);
}

void make_changes(struct entry *entry, const struct swk_raft_change *parts,
                  size_t parts_count)
{
    Swkpb__Raft__ConfChangeV2 change = SWKPB__RAFT__CONF_CHANGE_V2__INIT;
    Swkpb__Raft__ConfChangeSingle singles[SWK_RAFT_CHANGES_MAX];
    Swkpb__Raft__ConfChangeSingle *pointers[SWK_RAFT_CHANGES_MAX];

    for (size_t i = 0; i < parts_count; i++) {
        swkpb__raft__conf_change_single__init(&singles[i]);
        singles[i].has_type = 1;
        singles[i].type = (Swkpb__Raft__ConfChangeType)parts[i].type;
        singles[i].has_node_id = 1;
        singles[i].node_id = parts[i].id;
        pointers[i] = &singles[i];
    }
    change.changes = pointers;
    change.n_changes = parts_count;
    pack(entry, SWK_RAFT_ENTRY_CONF_CHANGE_V2, &change.base);
}

void encode_change(const struct swk_raft_conf_change *change,
                   struct entry *entry)
{
    assert_int_equal(change->changes_count, 1);
    pack_single(entry, change->changes[0].type, change->changes[0].id,
                change->context, change->context_len);
}

void put_member(struct swki_membership *membership, int32_t type,
                uint64_t raft_id, const char *node, const char *address)
{
    struct swki_membership_outcome outcome;
    struct entry entry;

    make_change(&entry, type, raft_id, node, address, NULL);
    assert_int_equal(
        swki_membership_apply(membership, &entry.log, &outcome, NULL), 0);
    if (outcome.reject) {
        fail_msg("%s", outcome.why.text);
    }
}

struct swki_membership *make_voters(uint64_t self, unsigned count)
{
    return make_voters_in(NULL, self, count);
}

struct swki_membership *make_voters_in(const struct swk_alloc *alloc,
                                       uint64_t self, unsigned count)
{
    const struct swki_membership_config config = {.alloc = alloc,
                                                  .raft_id = self};
    struct swki_membership *membership;
    char node[16];
    char address[32];

    assert_int_equal(swki_membership_new(&config, &membership, NULL), 0);
    for (unsigned i = 1; i <= count; i++) {
        snprintf(node, sizeof(node), "n%u", i);
        snprintf(address, sizeof(address), "10.0.0.%u:4242", i);
        put_member(membership, SWK_RAFT_ADD_VOTER, i, node, address);
    }
    return membership;
}
