/* SPDX-License-Identifier: Apache-2.0 */

/* dump-snapshot and dump-object: the objects of the swarm. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <swarmkit/message.h>

#include "rafttool.h"
#include "snapshot.pb-c.h"
#include "swarmkit/state.pb-c.h"
#include "table.h"

static const char *const columns[] = {"TYPE", "ID", "NAME", "VERSION", NULL};

static void add_row(struct table *table, const struct object_list *list,
                    const ProtobufCMessage *object)
{
    char version[24];
    const char *texts[] = {list->kind, object_id(object), object_name(object),
                           version};

    snprintf(version, sizeof(version), "%" PRIu64, object_version(object));
    table_row(table, texts);
}

/* The state as a message; released by protobuf_c_message_free_unpacked(). */
static int unpack_state(uint8_t *data, size_t len,
                        const Swkpb__Rpc__State **out_state)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(
        &swkpb__rpc__state__descriptor, NULL, len, data);

    swk_message_data_free(data, len);
    if (message == NULL) {
        return tool_error(EXIT_FAILED, "out of memory");
    }
    *out_state = (const Swkpb__Rpc__State *)message;
    return EXIT_OK;
}

static void free_state(const Swkpb__Rpc__State *state)
{
    protobuf_c_message_free_unpacked((ProtobufCMessage *)state, NULL);
}

static const ProtobufCMessage *store_of(const Swkpb__Rpc__State *state)
{
    return state->store != NULL ? &state->store->base : NULL;
}

/* -- dump-snapshot -------------------------------------------------------- */

static void show_ids(const char *what, const uint64_t *ids, size_t count,
                     const char *format)
{
    printf("%-12s", what);
    for (size_t i = 0; i < count; i++) {
        printf(format, ids[i]);
    }
    puts(count > 0 ? "" : " none");
}

static void show_members(const Swkpb__ClusterSnapshot *membership)
{
    static const char *const titles[] = {"MEMBER", "NODE", "ADDRESS", NULL};
    struct table *table = table_new(titles);

    for (size_t i = 0; membership != NULL && i < membership->n_members; i++) {
        const Swkpb__RaftMember *member = membership->members[i];
        char id[24];
        const char *texts[] = {id, member->node_id, member->addr};

        snprintf(id, sizeof(id), "%" PRIx64, member->raft_id);
        table_row(table, texts);
    }
    table_end(table);
}

static void show_objects(const ProtobufCMessage *store)
{
    struct table *table = table_new(columns);
    struct object_list list;

    for (unsigned i = 0; object_list_at(store, i, &list); i++) {
        for (size_t n = 0; n < list.count; n++) {
            add_row(table, &list, list.objects[n]);
        }
    }
    table_end(table);
}

static int show_snapshot(const struct swk_offline *offline,
                         const struct swk_snapshot_meta *meta)
{
    const struct swk_conf_state *members = &meta->conf_state;
    const Swkpb__Rpc__State *state = NULL;
    struct swk_error err;
    uint8_t *data;
    size_t len;
    int code;

    if (swk_offline_state(offline, meta->index, &data, &len, &err) != 0) {
        return tool_fail(&err);
    }
    code = unpack_state(data, len, &state);
    if (code != EXIT_OK) {
        return code;
    }
    printf("snapshot     index %" PRIu64 ", term %" PRIu64 "\n", meta->index,
           meta->term);
    show_ids("voters", members->voters, members->voters_count, " %" PRIx64);
    show_ids("learners", members->learners, members->learners_count,
             " %" PRIx64);
    if (members->voters_outgoing_count > 0) {
        show_ids("outgoing", members->voters_outgoing,
                 members->voters_outgoing_count, " %" PRIx64);
    }
    if (state->membership != NULL) {
        show_ids("removed", state->membership->removed,
                 state->membership->n_removed, " %" PRIx64);
    }
    putchar('\n');
    show_members(state->membership);
    putchar('\n');
    show_objects(store_of(state));
    free_state(state);
    return EXIT_OK;
}

static void show_ids_json(const char *name, const uint64_t *ids, size_t count)
{
    printf(",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        printf("%s\"%" PRIu64 "\"", i > 0 ? "," : "", ids[i]);
    }
    putchar(']');
}

static int show_snapshot_json(const struct options *options,
                              const struct swk_snapshot_meta *meta,
                              const uint8_t *data, size_t len)
{
    const struct swk_conf_state *members = &meta->conf_state;
    int code;

    printf("{\"index\":\"%" PRIu64 "\",\"term\":\"%" PRIu64 "\"", meta->index,
           meta->term);
    show_ids_json("voters", members->voters, members->voters_count);
    show_ids_json("learners", members->learners, members->learners_count);
    show_ids_json("votersOutgoing", members->voters_outgoing,
                  members->voters_outgoing_count);
    fputs(",\"snapshot\":", stdout);
    code = print_message(options, "docker.swarmkit.v1.Snapshot", data, len,
                         SWK_JSON_INDENTED);
    puts(code == EXIT_OK ? "}" : "null}");
    return code;
}

int run_dump_snapshot(const struct options *options)
{
    struct swk_snapshot_meta meta;
    const uint8_t *data;
    swk_offline *offline;
    size_t len;
    int code = tool_open(options, 0, &offline);

    if (code != EXIT_OK) {
        return code;
    }
    if (swk_offline_snapshot(offline, &meta, &data, &len) != 0) {
        code = tool_error(EXIT_NOT_FOUND,
                          "there is no snapshot yet: the log holds everything");
    } else {
        code = options->json ? show_snapshot_json(options, &meta, data, len)
                             : show_snapshot(offline, &meta);
    }
    swk_offline_close(offline);
    return code;
}

/* -- dump-object ---------------------------------------------------------- */

static bool is_wanted(const struct options *options,
                      const ProtobufCMessage *object)
{
    return (options->id == NULL ||
            strcmp(options->id, object_id(object)) == 0) &&
           (options->name == NULL ||
            strcmp(options->name, object_name(object)) == 0);
}

static bool is_kind(const struct options *options,
                    const struct object_list *list)
{
    return strcmp(options->argument, "all") == 0 ||
           strcmp(options->argument, list->kind) == 0 ||
           strcmp(options->argument, list->field->name) == 0;
}

/* Shows those that are wanted and counts them. */
static int show_wanted(const struct options *options,
                       const ProtobufCMessage *store, size_t *out_count)
{
    struct table *table = options->json ? NULL : table_new(columns);
    struct object_list list;
    int code = EXIT_OK;

    *out_count = 0;
    for (unsigned i = 0; object_list_at(store, i, &list); i++) {
        for (size_t n = 0; is_kind(options, &list) && n < list.count; n++) {
            if (!is_wanted(options, list.objects[n])) {
                continue;
            }
            if (table != NULL) {
                add_row(table, &list, list.objects[n]);
            } else {
                fputs(*out_count > 0 ? ",\n" : "[\n", stdout);
                code = print_object(options, list.objects[n]);
            }
            (*out_count)++;
        }
    }
    if (table != NULL) {
        table_end(table);
    } else {
        puts(*out_count > 0 ? "\n]" : "[]");
    }
    return code;
}

static int dump_objects(const struct options *options,
                        const struct swk_offline *offline)
{
    const Swkpb__Rpc__State *state = NULL;
    uint8_t *data;
    size_t count;
    size_t len;
    int code = tool_state(options, offline, &data, &len);

    if (code == EXIT_OK) {
        code = unpack_state(data, len, &state);
    }
    if (code != EXIT_OK) {
        return code;
    }
    code = show_wanted(options, store_of(state), &count);
    free_state(state);
    if (code == EXIT_OK && count == 0 &&
        (options->id != NULL || options->name != NULL)) {
        code = tool_error(EXIT_NOT_FOUND, "there is no such %s",
                          strcmp(options->argument, "all") == 0
                              ? "object"
                              : options->argument);
    }
    return code;
}

int run_dump_object(const struct options *options)
{
    struct object_list list;
    swk_offline *offline;
    bool known = false;
    int code;

    for (unsigned i = 0; object_list_at(NULL, i, &list); i++) {
        known = known || is_kind(options, &list);
    }
    if (!known) {
        return tool_error(EXIT_USAGE,
                          "no type of object is called \"%s\": say \"all\", "
                          "or see \"swarm-rafttool dump-object --help\"",
                          options->argument);
    }
    code = tool_open(options, 0, &offline);
    if (code != EXIT_OK) {
        return code;
    }
    code = dump_objects(options, offline);
    swk_offline_close(offline);
    return code;
}
