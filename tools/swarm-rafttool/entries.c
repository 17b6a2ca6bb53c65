/* SPDX-License-Identifier: Apache-2.0 */

/* dump-wal: the entries of the log. */

#include <inttypes.h>
#include <stdio.h>

#include <swarmkit/message.h>
#include <swarmkit/raft.h>

#include "raft.pb-c.h"
#include "rafttool.h"

#define MEMBER_TYPE "docker.swarmkit.v1.RaftMember"
#define REQUEST_TYPE "docker.swarmkit.v1.InternalRaftRequest"

/* -- Changes of membership ------------------------------------------------ */

static const char *change_text(int32_t type)
{
    switch ((enum swk_raft_change_type)type) {
    case SWK_RAFT_ADD_VOTER:
        return "add voter";
    case SWK_RAFT_REMOVE:
        return "remove member";
    case SWK_RAFT_UPDATE:
        return "update member";
    case SWK_RAFT_ADD_LEARNER:
        return "add learner";
    }
    return "unknown change of member";
}

/* Who the member is, if the change says so. */
static void show_context(const struct swk_raft_conf_change *change)
{
    ProtobufCMessage *message;
    const Swkpb__RaftMember *member;

    message =
        change->context_len == 0
            ? NULL
            : protobuf_c_message_unpack(&swkpb__raft_member__descriptor, NULL,
                                        change->context_len, change->context);
    if (message == NULL) {
        return;
    }
    member = (const Swkpb__RaftMember *)message;
    fputs("    node ", stdout);
    print_plain(member->node_id);
    fputs(" at ", stdout);
    print_plain(member->addr);
    putchar('\n');
    protobuf_c_message_free_unpacked(message, NULL);
}

static int show_change(const struct swk_log_entry *entry)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change = {.size = sizeof(change)};
    struct swk_error err;

    if (swk_raft_read_conf_change(entry, changes, &change, &err) != 0) {
        printf("  unreadable\n");
        return EXIT_DAMAGED;
    }
    for (size_t i = 0; i < change.changes_count; i++) {
        printf("  %s %" PRIx64 "\n", change_text(changes[i].type),
               changes[i].id);
    }
    if (change.changes_count == 0) {
        printf("  leave the joint configuration\n");
    }
    show_context(&change);
    return EXIT_OK;
}

static int show_change_json(const struct options *options,
                            const struct swk_log_entry *entry)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change = {.size = sizeof(change)};
    struct swk_error err;

    if (swk_raft_read_conf_change(entry, changes, &change, &err) != 0) {
        fputs(",\"unreadable\":true", stdout);
        return EXIT_DAMAGED;
    }
    fputs(",\"changes\":[", stdout);
    for (size_t i = 0; i < change.changes_count; i++) {
        printf("%s{\"type\":\"%s\",\"raftId\":\"%" PRIu64 "\"}",
               i > 0 ? "," : "", change_text(changes[i].type), changes[i].id);
    }
    fputs("]", stdout);
    if (change.context_len == 0) {
        return EXIT_OK;
    }
    fputs(",\"member\":", stdout);
    return print_message(options, MEMBER_TYPE, change.context,
                         change.context_len, 0);
}

/* -- Changes of objects --------------------------------------------------- */

static const char *action_text(Swkpb__StoreActionKind kind)
{
    switch (kind) {
    case SWKPB__STORE_ACTION_KIND__STORE_ACTION_CREATE:
        return "create";
    case SWKPB__STORE_ACTION_KIND__STORE_ACTION_UPDATE:
        return "update";
    case SWKPB__STORE_ACTION_KIND__STORE_ACTION_REMOVE:
        return "remove";
    default:
        return "unknown action on";
    }
}

static void show_action(const Swkpb__StoreAction *action)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(action->base.descriptor,
                                                (unsigned)action->target_case);
    const ProtobufCMessage *object = &action->node->base; /* or any other */

    if (field == NULL || object == NULL) {
        printf("  %s an object of another release\n",
               action_text(action->action));
        return;
    }
    printf("  %s %s ", action_text(action->action), field->name);
    print_plain(object_id(object));
    if (object_name(object)[0] != '\0') {
        fputs(" \"", stdout);
        print_plain(object_name(object));
        putchar('"');
    }
    putchar('\n');
}

static int show_request(const struct swk_log_entry *entry)
{
    ProtobufCMessage *message =
        protobuf_c_message_unpack(&swkpb__internal_raft_request__descriptor,
                                  NULL, entry->data_len, entry->data);
    const Swkpb__InternalRaftRequest *request =
        (const Swkpb__InternalRaftRequest *)message;

    if (message == NULL) {
        printf("  unreadable\n");
        return EXIT_DAMAGED;
    }
    for (size_t i = 0; i < request->n_action; i++) {
        show_action(request->action[i]);
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return EXIT_OK;
}

/* -- Entries -------------------------------------------------------------- */

static const char *type_text(const struct swk_log_entry *entry)
{
    if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
        return "membership";
    }
    return entry->data_len > 0 ? "objects" : "empty";
}

static int show(const struct swk_log_entry *entry, bool committed)
{
    printf("entry %" PRIu64 "  term %" PRIu64 "  %s  %zu bytes%s\n",
           entry->index, entry->term, type_text(entry), entry->data_len,
           committed ? "" : "  maybe not committed");
    if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
        return show_change(entry);
    }
    return entry->data_len > 0 ? show_request(entry) : EXIT_OK;
}

static int show_json(const struct options *options,
                     const struct swk_log_entry *entry, bool committed)
{
    int code = EXIT_OK;

    printf("{\"index\":\"%" PRIu64 "\",\"term\":\"%" PRIu64
           "\",\"type\":\"%s\",\"committed\":%s",
           entry->index, entry->term, type_text(entry),
           committed ? "true" : "false");
    if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
        code = show_change_json(options, entry);
    } else if (entry->data_len > 0) {
        fputs(",\"request\":", stdout);
        code = print_message(options, REQUEST_TYPE, entry->data,
                             entry->data_len, 0);
        if (code != EXIT_OK) {
            fputs("null", stdout);
        }
    }
    putchar('}');
    return code;
}

/* Those from --start to --end that there are. */
static int show_range(const struct options *options,
                      const struct swk_offline *offline,
                      const struct swk_offline_info *info)
{
    uint64_t first =
        options->start > info->first_index ? options->start : info->first_index;
    uint64_t last = options->end != 0 && options->end < info->last_index
                        ? options->end
                        : info->last_index;
    int code = EXIT_OK;

    for (uint64_t index = first; first != 0 && index <= last; index++) {
        struct swk_log_entry entry;
        bool committed = index <= info->committed_index;
        int rc;

        if (swk_offline_entry(offline, index, &entry) != 0) {
            break;
        }
        if (options->json) {
            fputs(index > first ? ",\n" : "\n", stdout);
            rc = show_json(options, &entry, committed);
        } else {
            rc = show(&entry, committed);
        }
        code = rc != EXIT_OK ? rc : code;
    }
    return code;
}

int run_dump_wal(const struct options *options)
{
    struct swk_offline_info info = {.size = sizeof(info)};
    swk_offline *offline;
    int code = tool_open(options, 0, &offline);

    if (code != EXIT_OK) {
        return code;
    }
    swk_offline_info(offline, &info);
    if (options->start != 0 && options->start <= info.snapshot_index) {
        tool_note("entries up to %" PRIu64
                  " are in the snapshot, and not in the log any more",
                  info.snapshot_index);
    }
    if (options->json) {
        putchar('[');
    }
    code = show_range(options, offline, &info);
    if (options->json) {
        fputs("\n]\n", stdout);
    }
    swk_offline_close(offline);
    return code;
}
