/* SPDX-License-Identifier: Apache-2.0 */

/* verify: is what is on the disk sound, and what to do if it is not. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <swarmkit/message.h>

#include "rafttool.h"
#include "table.h"

/* What was found so far. */
struct verify {
    struct table *table; /* NULL for JSON */
    size_t files;
    size_t torn;
    size_t damaged;
    size_t locked;
    size_t foreign; /* of another release */
    bool snapshot_damaged;
};

/* A line of the table. */
struct row {
    const char *file;
    const char *verdict;
    const char *sealed;
    uint64_t offset; /* of what the verdict is about */
    uint64_t first;  /* indexes; 0 for none */
    uint64_t last;
    uint64_t size;
};

static const char *const columns[] = {"FILE",    "VERDICT", "SEALED",
                                      "ENTRIES", "BYTES",   NULL};

static void add_row(struct verify *v, const struct row *row)
{
    char verdict[64];
    char entries[64] = "-";
    char size[24];
    const char *texts[] = {row->file, verdict, row->sealed, entries, size};

    snprintf(verdict, sizeof(verdict),
             row->offset > 0 ? "%s at %" PRIu64 : "%s", row->verdict,
             row->offset);
    snprintf(size, sizeof(size), "%" PRIu64, row->size);
    if (row->last > 0) {
        snprintf(entries, sizeof(entries),
                 row->first == row->last ? "%" PRIu64
                                         : "%" PRIu64 " to %" PRIu64,
                 row->first, row->last);
    }
    if (v->table != NULL) {
        table_row(v->table, texts);
    } else {
        printf("%s{\"file\":\"%s\",\"verdict\":\"%s\",\"offset\":\"%" PRIu64
               "\",\"sealed\":\"%s\",\"first\":\"%" PRIu64
               "\",\"last\":\"%" PRIu64 "\",\"size\":\"%" PRIu64 "\"}",
               v->files > 0 ? ",\n" : "\n", row->file, row->verdict,
               row->offset, row->sealed, row->first, row->last, row->size);
    }
    v->files++;
}

static const char *count_verdict(struct verify *v, int32_t verdict)
{
    switch ((enum swk_storage_verdict)verdict) {
    case SWK_STORAGE_GOOD:
        return "good";
    case SWK_STORAGE_TORN:
        v->torn++;
        return "torn";
    case SWK_STORAGE_LOCKED:
        v->locked++;
        return "locked";
    case SWK_STORAGE_OTHER_FORMAT:
        v->foreign++;
        return "other format";
    case SWK_STORAGE_DAMAGED:
        break;
    }
    v->damaged++;
    return "damaged";
}

static const char *seal_text(int32_t sealed, int32_t key)
{
    if (!sealed) {
        return "no";
    }
    switch ((enum swk_storage_key)key) {
    case SWK_STORAGE_KEY_NEWEST:
        return "yes";
    case SWK_STORAGE_KEY_OLD:
        return "by the old key";
    case SWK_STORAGE_KEY_NONE:
        break;
    }
    return "by another key";
}

static int found_segment(void *ctx, const struct swk_storage_segment *segment,
                         struct swk_error *err)
{
    struct verify *v = ctx;
    const struct row row = {
        .file = segment->name,
        .verdict = count_verdict(v, segment->verdict),
        .sealed = seal_text(segment->sealed, segment->key),
        .offset = segment->verdict != SWK_STORAGE_GOOD ? segment->offset : 0,
        .first = segment->first_index,
        .last = segment->last_index,
        .size = segment->file_size,
    };

    (void)err;
    add_row(v, &row);
    return 0;
}

static int found_snapshot(void *ctx,
                          const struct swk_storage_snapshot *snapshot,
                          struct swk_error *err)
{
    struct verify *v = ctx;
    const struct row row = {
        .file = snapshot->name,
        .verdict = count_verdict(v, snapshot->verdict),
        .sealed = seal_text(snapshot->sealed, snapshot->key),
        .first = snapshot->index,
        .last = snapshot->index,
        .size = snapshot->file_size,
    };

    (void)err;
    v->snapshot_damaged =
        v->snapshot_damaged || snapshot->verdict == SWK_STORAGE_DAMAGED;
    add_row(v, &row);
    return 0;
}

/* -- What it means -------------------------------------------------------- */

static const char join_anew[] =
    "If the swarm has a leader: remove this manager from it (swarmctl node "
    "demote, then node rm --force), and join it anew with an empty state "
    "directory. If it was alone: restore a backup of the directory.";

/* Reads everything as a manager does when it starts. */
static int try_all(const struct swk_offline_config *config,
                   struct swk_offline_info *out_info, struct swk_error *err)
{
    swk_offline *offline;
    uint8_t *data;
    size_t len;
    int rc = swk_offline_open(config, &offline, err);

    if (rc != 0) {
        return rc;
    }
    out_info->size = sizeof(*out_info);
    swk_offline_info(offline, out_info);
    rc = swk_offline_state(offline, out_info->last_index, &data, &len, err);
    if (rc == 0) {
        swk_message_data_free(data, len);
    }
    swk_offline_close(offline);
    return rc;
}

static void say(const char *text)
{
    print_plain(text);
    putchar('\n');
}

/* A paragraph of its own. */
static void explain(const char *text)
{
    putchar('\n');
    say(text);
}

/* What single files have, apart from whether the whole can be read. */
static void explain_files(const struct verify *v, const struct swk_error *keys)
{
    if (keys->code != 0) {
        printf("\nkeys: ");
        say(keys->text);
    }
    if (v->torn > 0) {
        explain("torn: the last write was cut short by a crash. Nothing of it "
                "was "
                "promised to anybody; the manager removes it when it starts.");
    }
    if (v->locked > 0 && keys->code == SWK_EDENIED) {
        explain("locked: nothing is known of these files without the key. Give "
                "the swarm's unlock key by --unlock-key-file FILE: the one "
                "that was in force when this manager stopped.");
    } else if (v->locked > 0) {
        explain(
            "locked: no key at hand opens the file. The key file belongs to "
            "another log, or was put back from a backup that is older or newer "
            "than the log: restore both from the same one.");
    }
    if (v->foreign > 0) {
        explain("other format: another release wrote the file, and reads it.");
    }
    if (v->snapshot_damaged) {
        explain("damaged snapshot: an older one and the log behind it are used "
                "instead, where there are such.");
    }
}

static void explain_whole(const struct verify *v, int rc,
                          const struct swk_offline_info *info,
                          const struct swk_error *err)
{
    putchar('\n');
    if (rc != 0) {
        printf("verdict: the manager cannot start. ");
        say(err->text);
        if (v->locked == 0 && rc != SWK_EDENIED) {
            say(join_anew);
        }
        return;
    }
    printf("member %" PRIx64 " of node ", info->raft_id);
    print_plain(info->node_id);
    printf(": term %" PRIu64 ", snapshot at %" PRIu64 ", last entry %" PRIu64
           ", committed up to %" PRIu64 "\n",
           info->state.term, info->snapshot_index, info->last_index,
           info->committed_index);
    if (info->lost_index > 0) {
        printf("verdict: entries up to %" PRIu64 " are lost. ",
               info->lost_index);
        say("Started among other managers, this one neither votes nor leads "
            "until the leader has sent them again: start it, and leave the "
            "others running. If it was alone, restore a backup; without one, "
            "export and import save what can be read.");
    } else if (v->damaged > 0) {
        say("verdict: what is damaged is not needed any more: a snapshot "
            "covers it, and the manager starts. Mind the disk: it lost data.");
    } else {
        say("verdict: sound");
    }
}

static int code_of(const struct verify *v, int rc,
                   const struct swk_offline_info *info)
{
    if (v->damaged > 0 || rc == SWK_ECORRUPT || rc == SWK_EMALFORMED ||
        (rc == 0 && info->lost_index > 0)) {
        return EXIT_DAMAGED;
    }
    if (v->locked > 0 || rc == SWK_EDENIED) {
        return EXIT_LOCKED;
    }
    return rc == 0 ? EXIT_OK : EXIT_FAILED;
}

static void show_whole_json(int rc, const struct swk_offline_info *info)
{
    printf("\n],\"readable\":%s,\"last\":\"%" PRIu64 "\",\"lost\":\"%" PRIu64
           "\"}\n",
           rc == 0 ? "true" : "false", info->last_index, info->lost_index);
}

static int verify(struct verify *v, const struct swk_offline_config *config)
{
    const struct swk_storage_inspector inspector = {
        .size = sizeof(inspector),
        .ctx = v,
        .segment = found_segment,
        .snapshot = found_snapshot,
    };
    struct swk_offline_info info = {0};
    struct swk_error keys;
    struct swk_error err;
    int rc;

    if (swk_offline_inspect(config, &inspector, &keys, &err) != 0) {
        return tool_fail(&err);
    }
    rc = try_all(config, &info, &err);
    if (v->table == NULL) {
        show_whole_json(rc, &info);
    } else {
        table_end(v->table);
        explain_files(v, &keys);
        explain_whole(v, rc, &info, &err);
    }
    return code_of(v, rc, &info);
}

int run_verify(const struct options *options)
{
    struct verify v = {0};
    struct swk_offline_config config;
    struct swk_unlock_key key;
    int code = tool_config(options, &key, &config);

    if (code != EXIT_OK) {
        return code;
    }
    if (options->json) {
        fputs("{\"files\":[", stdout);
    } else {
        v.table = table_new(columns);
    }
    code = verify(&v, &config);
    explicit_bzero(&key, sizeof(key));
    return code;
}
