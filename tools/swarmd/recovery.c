/* SPDX-License-Identifier: Apache-2.0 */

#include "recovery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/recovery.h>

static const char what_is_lost[] =
    "What only the others have is lost: entries after the last one here, of "
    "which\nclients may have been told that they are done. Of several "
    "survivors, take the one\nwith the highest term of its last entry; of "
    "those, the one with the highest last\nentry. The others must be wiped "
    "before they join again: never start them with\nwhat they have.\n";

int recovery_check_flags(const struct daemon_options *options)
{
    const char *fault = NULL;

    if (options->dry_run != NULL && options->force_new_cluster == NULL) {
        fault = "--dry-run goes with --force-new-cluster";
    } else if (options->format != NULL && options->dry_run == NULL) {
        fault = "--format goes with --dry-run";
    } else if (options->format != NULL &&
               strcmp(options->format, "text") != 0 &&
               strcmp(options->format, "json") != 0) {
        fault = "--format is text or json";
    } else if (options->force_new_cluster != NULL &&
               options->join_address != NULL) {
        fault = "--force-new-cluster and --join-addr exclude each other";
    }
    if (fault == NULL) {
        return -1;
    }
    fprintf(stderr, "swarmd: %s\nSee 'swarmd --help'.\n", fault);
    return EXIT_USAGE;
}

/* -- Text ----------------------------------------------------------------- */

/* Names are other nodes' words: nothing that a terminal would obey. A width of
 * 0 ends the line. */
static void print_name(const char *text, int width)
{
    int printed = 0;

    for (text = text[0] != '\0' ? text : "-"; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        putchar(c < ' ' || c == 0x7f ? '?' : c);
        printed++;
    }
    if (width == 0) {
        putchar('\n');
    } else {
        printf("%*s", printed < width ? width - printed : 1, "");
    }
}

static void print_log(const struct swk_recovery_report *r)
{
    printf("This manager is node %s of swarm %s, member %" PRIx64 ".\n\n",
           r->node_id, r->swarm_id, r->raft_id);
    printf("Term             %" PRIu64 "\n", r->term);
    printf("Last entry       %" PRIu64 ", of term %" PRIu64 "\n", r->last_index,
           r->last_term);
    printf("Committed up to  %" PRIu64 "\n", r->commit_index);
    if (r->snapshot_index > 0) {
        printf("Snapshot         at %" PRIu64 "\n", r->snapshot_index);
    } else {
        printf("Snapshot         none\n");
    }
    printf("Forced before    %" PRIu64 " time%s\n", r->generation,
           r->generation == 1 ? "" : "s");
    if (r->certificate_expired != 0) {
        printf("Certificate      expired; it would be renewed\n");
    }
}

static void print_members(const struct swk_recovery_report *r)
{
    if (r->members_count == 0) {
        printf("\nIt is the only manager already: nothing would be removed.\n");
        return;
    }
    printf("\nThese managers would be removed for good:\n  ");
    print_name("MEMBER", 18);
    print_name("NODE", 27);
    print_name("HOSTNAME", 20);
    print_name("ADDRESS", 0);
    for (uint64_t i = 0; i < r->members_count && i < SWK_RECOVERY_MEMBERS_MAX;
         i++) {
        const struct swk_recovery_member *member = &r->members[i];

        printf("  %-18" PRIx64, member->raft_id);
        print_name(member->node_id, 27);
        print_name(member->hostname, 20);
        print_name(member->address, 0);
    }
    if (r->members_count > SWK_RECOVERY_MEMBERS_MAX) {
        printf("  and %" PRIu64 " more\n",
               r->members_count - SWK_RECOVERY_MEMBERS_MAX);
    }
}

static void print_kept(const struct swk_recovery_report *r)
{
    if (r->last_index == r->commit_index) {
        printf("\nAll entries of this log are known to be committed.\n");
        return;
    }
    printf("\nEntries %" PRIu64 " to %" PRIu64
           " are not known to be committed. "
           "They would be kept, and do this:\n",
           r->commit_index + 1, r->last_index);
    for (uint64_t i = 0; i < r->kinds_count; i++) {
        const struct swk_recovery_objects *o = &r->kinds[i];

        if (o->created + o->updated + o->removed > 0) {
            printf("  %-10s %" PRIu64 " created, %" PRIu64 " updated, %" PRIu64
                   " removed\n",
                   o->kind, o->created, o->updated, o->removed);
        }
    }
    if (r->membership_changes > 0) {
        printf("  %-10s %" PRIu64 " changes of the managers' group\n", "member",
               r->membership_changes);
    }
}

static void print_objects(const struct swk_recovery_report *r)
{
    printf("\nObjects there would be:\n");
    for (uint64_t i = 0; i < r->kinds_count; i++) {
        if (r->kinds[i].count > 0) {
            printf("  %-10s %" PRIu64 "\n", r->kinds[i].kind,
                   r->kinds[i].count);
        }
    }
}

/* -- JSON ----------------------------------------------------------------- */

static void print_string(const char *key, const char *text, const char *after)
{
    printf("\"%s\":\"", key);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < ' ' || c == 0x7f || c == '"' || c == '\\') {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    printf("\"%s", after);
}

static void print_number(const char *key, uint64_t value, const char *after)
{
    printf("\"%s\":%" PRIu64 "%s", key, value, after);
}

static void print_member_json(const struct swk_recovery_member *member)
{
    printf("{\"raftId\":\"%" PRIx64 "\",", member->raft_id);
    print_string("nodeId", member->node_id, ",");
    print_string("hostname", member->hostname, ",");
    print_string("address", member->address, "}");
}

static void print_objects_json(const struct swk_recovery_objects *objects)
{
    printf("{");
    print_string("kind", objects->kind, ",");
    print_number("count", objects->count, ",");
    print_number("created", objects->created, ",");
    print_number("updated", objects->updated, ",");
    print_number("removed", objects->removed, "}");
}

static void print_json(const struct swk_recovery_report *r)
{
    printf("{");
    print_string("nodeId", r->node_id, ",");
    print_string("swarmId", r->swarm_id, ",");
    printf("\"raftId\":\"%" PRIx64 "\",", r->raft_id);
    print_number("term", r->term, ",");
    print_number("snapshotIndex", r->snapshot_index, ",");
    print_number("lastIndex", r->last_index, ",");
    print_number("lastTerm", r->last_term, ",");
    print_number("commitIndex", r->commit_index, ",");
    print_number("uncommittedCount", r->last_index - r->commit_index, ",");
    print_number("membershipChanges", r->membership_changes, ",");
    print_number("generation", r->generation, ",");
    printf("\"certificateExpired\":%s,",
           r->certificate_expired != 0 ? "true" : "false");
    print_number("removedCount", r->members_count, ",\"removed\":[");
    for (uint64_t i = 0; i < r->members_count && i < SWK_RECOVERY_MEMBERS_MAX;
         i++) {
        printf("%s", i > 0 ? "," : "");
        print_member_json(&r->members[i]);
    }
    printf("],\"objects\":[");
    for (uint64_t i = 0; i < r->kinds_count; i++) {
        printf("%s", i > 0 ? "," : "");
        print_objects_json(&r->kinds[i]);
    }
    printf("]}\n");
}

/* -- The whole ------------------------------------------------------------- */

static void print_report(const struct daemon_options *options,
                         const struct swk_recovery_report *report)
{
    if (options->format != NULL && strcmp(options->format, "json") == 0) {
        print_json(report);
        return;
    }
    print_log(report);
    print_members(report);
    print_kept(report);
    print_objects(report);
    if (report->members_count > 0) {
        printf("\n%s", what_is_lost);
    }
    printf("\nNothing was changed.\n");
}

int recovery_print(const struct daemon_options *options,
                   const struct swk_manager_config *config,
                   struct swk_error *err)
{
    struct swk_recovery_report *report = calloc(1, sizeof(*report));
    int rc;

    if (report == NULL) {
        err->code = SWK_ENOMEM;
        snprintf(err->text, sizeof(err->text), "out of memory");
        return err->code;
    }
    report->size = sizeof(*report);
    rc = swk_recovery_inspect(config, report, err);
    if (rc == 0) {
        print_report(options, report);
    }
    free(report);
    return rc;
}
