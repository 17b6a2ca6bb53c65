/* SPDX-License-Identifier: Apache-2.0 */

/* swarmctl node ... */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "flags.h"
#include "lists.h"

static const struct flag no_flags[] = {{0}};
static const struct flag list_flags[] = {
    {.name = "quiet", .letter = 'q', .help = "print IDs only"}, {0}};
static const struct flag remove_flags[] = {
    {.name = "force",
     .letter = 'f',
     .help = "remove the node although it is ready"},
    {0}};
static const struct flag inspect_flags[] = {
    {.name = "all", .letter = 'a', .help = "show ended tasks too"}, {0}};
static const struct flag update_flags[] = {
    {.name = "label",
     .argument = "KEY=VALUE",
     .help = "replace all labels by these; \"\" for none",
     .list = true},
    {.name = "label-add",
     .argument = "KEY=VALUE",
     .help = "add or change a label",
     .list = true},
    {.name = "label-rm",
     .argument = "KEY",
     .help = "remove a label",
     .list = true},
    {.name = "availability",
     .argument = "WORD",
     .help = "active, pause or drain"},
    {0}};

/* A leader is reached, or there would be no answer. */
static const char *manager_text(const Swkpb__Node *node)
{
    const Swkpb__ManagerStatus *status = node->manager_status;

    if (status == NULL) {
        return "";
    }
    if (status->leader) {
        return "Leader";
    }
    switch ((int)status->reachability) {
    case SWKPB__RAFT_MEMBER_STATUS__REACHABILITY__REACHABLE:
        return "Reachable";
    case SWKPB__RAFT_MEMBER_STATUS__REACHABILITY__UNREACHABLE:
        return "Unreachable";
    default:
        return "Joining"; /* it has no vote yet */
    }
}

static const char *availability(const Swkpb__Node *node)
{
    return node->spec == NULL
               ? "-"
               : enum_text(&swkpb__node_spec__availability__descriptor,
                           (int)node->spec->availability);
}

static const char *membership(const Swkpb__Node *node)
{
    return node->spec == NULL
               ? "-"
               : enum_text(&swkpb__node_spec__membership__descriptor,
                           (int)node->spec->membership);
}

/* What is between a node that never was one and its first certificate. */
static const char *join_text(const Swkpb__Node *node)
{
    const Swkpb__Certificate *record = node->certificate;

    if (record == NULL || record->status == NULL ||
        record->certificate.len > 0 || node->description != NULL) {
        return NULL;
    }
    switch ((int)record->status->state) {
    case SWKPB__ISSUANCE_STATUS__STATE__PENDING:
        return "WAITING";
    case SWKPB__ISSUANCE_STATUS__STATE__FAILED:
        return "REFUSED";
    default:
        return NULL;
    }
}

static const char *status_text(const Swkpb__Node *node)
{
    const char *join = join_text(node);

    if (join != NULL) {
        return join;
    }
    return node->status == NULL
               ? "UNKNOWN"
               : enum_text(&swkpb__node_status__state__descriptor,
                           (int)node->status->state);
}

static const char *certificate_text(struct ctl *ctl, const Swkpb__Node *node)
{
    return expiry_text(ctl, node->certificate != NULL
                                ? node->certificate->not_after
                                : NULL);
}

static int run_list(struct ctl *ctl, const struct args *args)
{
    static const char *const columns[] = {
        "ID",           "NAME",           "STATUS",      "MEMBERSHIP",
        "AVAILABILITY", "MANAGER STATUS", "CERT EXPIRY", NULL};
    Swkpb__ListNodesRequest request = SWKPB__LIST_NODES_REQUEST__INIT;
    Swkpb__ListNodesResponse *reply;
    int rc = ctl_call(ctl, "ListNodes", &request.base,
                      &swkpb__list_nodes_response__descriptor, &reply);

    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &reply->base);
    }
    if (args_has(args, "quiet")) {
        for (size_t i = 0; i < reply->n_nodes; i++) {
            puts(reply->nodes[i]->id);
        }
        return EXIT_OK;
    }

    struct table *table = table_new(columns);
    for (size_t i = 0; i < reply->n_nodes; i++) {
        const Swkpb__Node *node = reply->nodes[i];
        const char *const row[] = {node->id,           node_name(node),
                                   status_text(node),  membership(node),
                                   availability(node), manager_text(node),
                                   certificate_text(ctl, node)};

        table_row(table, row);
    }
    table_end(table);
    return EXIT_OK;
}

static void print_resources(const Swkpb__Resources *resources)
{
    if (resources == NULL) {
        return;
    }
    print_field("CPUs", "%.3f", (double)resources->nano_cpus / 1e9);
    print_field("Memory", "%lld MiB",
                (long long)(resources->memory_bytes >> 20));
    for (size_t i = 0; i < resources->n_generic; i++) {
        const Swkpb__GenericResource *g = resources->generic[i];

        if (g->resource_case ==
            SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC) {
            print_field("Resource", "%s=%lld", g->discrete_resource_spec->kind,
                        (long long)g->discrete_resource_spec->value);
        } else if (g->resource_case ==
                   SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC) {
            print_field("Resource", "%s=%s", g->named_resource_spec->kind,
                        g->named_resource_spec->value);
        }
    }
}

/* A part of a policy, as its file calls it: "hostNamespaces". */
static const char *part_text(struct ctl *ctl, const char *field)
{
    char *text = pool_strdup(&ctl->pool, field);
    char *to = text;

    for (const char *from = field; *from != '\0'; from++) {
        bool begins = *from == '_' && from[1] != '\0';

        from += begins;
        *to++ = (char)(begins ? toupper((unsigned char)*from) : *from);
    }
    *to = '\0';
    return text;
}

/* What the node has rules for, and whose signatures it asks for. */
static void print_consent(struct ctl *ctl,
                          const Swkpb__Rpc__NodeConsent *consent)
{
    const ProtobufCMessageDescriptor *type = consent->base.descriptor;
    const Swkpb__Rpc__NodeConsent__Signers *signers = consent->signers;

    for (unsigned i = 0; i < type->n_fields; i++) {
        const char *member = (const char *)consent + type->fields[i].offset;

        if (*(void *const *)(const void *)member != NULL &&
            strcmp(type->fields[i].name, "signers") != 0) {
            print_field("Has a policy on", "%s",
                        part_text(ctl, type->fields[i].name));
        }
    }
    for (size_t i = 0; signers != NULL && i < signers->n_key_ids; i++) {
        const ProtobufCBinaryData *id = &signers->key_ids[i];

        printf("%-20s key ", "Runs what is signed");
        for (size_t j = 0; j < id->len; j++) {
            printf("%02x", id->data[j]);
        }
        putchar('\n');
    }
}

/* A node that has yet to get its certificate, or was refused one, and why. */
static void print_waiting(const Swkpb__Node *node)
{
    const Swkpb__IssuanceStatus *status =
        node->certificate != NULL ? node->certificate->status : NULL;
    const char *what = NULL;

    if (status != NULL &&
        status->state == SWKPB__ISSUANCE_STATUS__STATE__PENDING) {
        what = "waits to be signed";
    } else if (status != NULL &&
               status->state == SWKPB__ISSUANCE_STATUS__STATE__FAILED) {
        what = "was refused";
    }
    if (what != NULL) {
        print_field("New certificate", "%s%s%s", what,
                    status->err[0] != '\0' ? ": " : "", status->err);
    }
}

static void print_node(struct ctl *ctl, const Swkpb__Node *node)
{
    const Swkpb__NodeDescription *d = node->description;

    print_field("ID", "%s", node->id);
    print_field("Hostname", "%s", node_name(node));
    print_field("Status", "%s%s%s", status_text(node),
                node->status != NULL && node->status->message[0] ? ": " : "",
                node->status != NULL ? node->status->message : "");
    print_field("Role", "%s",
                enum_text(&swkpb__node_role__descriptor, (int)node->role));
    print_field("Availability", "%s", availability(node));
    print_field("Membership", "%s", membership(node));
    if (node->manager_status != NULL) {
        print_field("Manager address", "%s", node->manager_status->addr);
        print_field("Manager status", "%s", manager_text(node));
    }
    if (node->status != NULL) {
        print_field("Address", "%s", node->status->addr);
    }
    if (node->certificate != NULL && node->certificate->not_after != NULL) {
        print_field("Certificate", "until %s, %s",
                    time_text(ctl, node->certificate->not_after),
                    certificate_text(ctl, node));
    }
    print_waiting(node);
    for (size_t i = 0; node->spec != NULL && node->spec->annotations != NULL &&
                       i < node->spec->annotations->n_labels;
         i++) {
        print_field("Label", "%s=%s",
                    node->spec->annotations->labels[i]->key,
                    node->spec->annotations->labels[i]->value);
    }
    if (node->join_token[0] != '\0') {
        print_field("Join token", "%s", node->join_token);
    }
    if (d != NULL && d->platform != NULL) {
        print_field("Platform", "%s/%s", d->platform->os,
                    d->platform->architecture);
    }
    if (d != NULL && d->fips) {
        print_field("FIPS", "true");
    }
    if (d != NULL) {
        print_resources(d->resources);
    }
    if (d != NULL && d->consent != NULL) {
        print_consent(ctl, d->consent);
    }
}

static int run_inspect(struct ctl *ctl, const struct args *args)
{
    Swkpb__Node *node;
    int rc = find_node(ctl, args_at(args, 0), &node);

    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &node->base);
    }
    print_node(ctl, node);
    putchar('\n');
    return list_tasks(ctl, LIST_BY_NODE, node->id, args_has(args, "all"));
}

/* -- Changes -------------------------------------------------------------- */

static int update(struct ctl *ctl, Swkpb__Node *node)
{
    Swkpb__UpdateNodeRequest request = SWKPB__UPDATE_NODE_REQUEST__INIT;
    Swkpb__UpdateNodeResponse *reply;

    request.node_id = node->id;
    request.node_version = node->meta != NULL ? node->meta->version : NULL;
    request.spec = node->spec;
    int rc = ctl_call(ctl, "UpdateNode", &request.base,
                      &swkpb__update_node_response__descriptor, &reply);
    if (rc != EXIT_OK) {
        return rc;
    }
    if (ctl->json) {
        return ctl_print_json(ctl, &reply->node->base);
    }
    puts(node->id);
    return EXIT_OK;
}

static int find_with_spec(struct ctl *ctl, const char *text,
                          Swkpb__Node **out_node)
{
    int rc = find_node(ctl, text, out_node);

    if (rc == EXIT_OK && (*out_node)->spec == NULL) {
        (*out_node)->spec =
            pool_message(&ctl->pool, &swkpb__node_spec__descriptor);
    }
    return rc;
}

static int set_availability(struct ctl *ctl, const struct args *args,
                            Swkpb__NodeSpec__Availability wanted)
{
    int result = EXIT_OK;

    for (size_t i = 0; i < args_count(args); i++) {
        Swkpb__Node *node;
        int rc = find_with_spec(ctl, args_at(args, i), &node);

        if (rc == EXIT_OK && node->spec->availability == wanted) {
            rc = ctl_error(EXIT_FAILED,
                           "no changes detected: node %s is %s already",
                           args_at(args, i), availability(node));
        } else if (rc == EXIT_OK) {
            node->spec->availability = wanted;
            rc = update(ctl, node);
        }
        result = rc != EXIT_OK ? rc : result;
    }
    return result;
}

static int run_activate(struct ctl *ctl, const struct args *args)
{
    return set_availability(ctl, args, SWKPB__NODE_SPEC__AVAILABILITY__ACTIVE);
}

static int run_pause(struct ctl *ctl, const struct args *args)
{
    return set_availability(ctl, args, SWKPB__NODE_SPEC__AVAILABILITY__PAUSE);
}

static int run_drain(struct ctl *ctl, const struct args *args)
{
    return set_availability(ctl, args, SWKPB__NODE_SPEC__AVAILABILITY__DRAIN);
}

static int set_role(struct ctl *ctl, const struct args *args,
                    Swkpb__NodeRole role)
{
    int result = EXIT_OK;

    for (size_t i = 0; i < args_count(args); i++) {
        Swkpb__Node *node;
        int rc = find_with_spec(ctl, args_at(args, i), &node);

        if (rc == EXIT_OK && node->spec->desired_role == role) {
            rc = ctl_error(
                EXIT_FAILED, "no changes detected: node %s is a %s already",
                args_at(args, i),
                role == SWKPB__NODE_ROLE__MANAGER ? "manager" : "worker");
        } else if (rc == EXIT_OK) {
            node->spec->desired_role = role;
            rc = update(ctl, node);
        }
        result = rc != EXIT_OK ? rc : result;
    }
    return result;
}

static int run_promote(struct ctl *ctl, const struct args *args)
{
    return set_role(ctl, args, SWKPB__NODE_ROLE__MANAGER);
}

static int run_demote(struct ctl *ctl, const struct args *args)
{
    return set_role(ctl, args, SWKPB__NODE_ROLE__WORKER);
}

static int run_update(struct ctl *ctl, const struct args *args)
{
    static const char *const words[] = {"active", "pause", "drain", NULL};
    const char *word = args_text(args, "availability");
    Swkpb__Node *node;
    int index;
    bool changed = false;
    int rc = find_with_spec(ctl, args_at(args, 0), &node);

    if (rc == EXIT_OK) {
        rc = change_labels(ctl, args, &node->spec->annotations, &changed);
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    if (word != NULL) {
        if (!parse_word(word, words, &index)) {
            return ctl_usage("--availability is active, pause or drain");
        }
        changed = changed || (int)node->spec->availability != index;
        node->spec->availability = (Swkpb__NodeSpec__Availability)index;
    }
    return changed ? update(ctl, node)
                   : ctl_error(EXIT_FAILED, "no changes detected");
}

/* Managers know nothing of the flags here. */
static const char *removal_hint(struct ctl *ctl, const Swkpb__Node *node,
                                bool forced)
{
    if (node->manager_status != NULL) {
        return pool_printf(&ctl->pool, "\"swarmctl node demote %s\" does that",
                           node->id);
    }
    return forced ? NULL : "--force removes it nevertheless";
}

static int run_remove(struct ctl *ctl, const struct args *args)
{
    int result = EXIT_OK;

    for (size_t i = 0; i < args_count(args); i++) {
        Swkpb__RemoveNodeRequest request = SWKPB__REMOVE_NODE_REQUEST__INIT;
        Swkpb__RemoveNodeResponse *reply;
        Swkpb__Node *node;
        int rc = find_node(ctl, args_at(args, i), &node);

        if (rc == EXIT_OK) {
            request.node_id = node->id;
            request.force = args_has(args, "force");
            ctl->hint = removal_hint(ctl, node, request.force);
            ctl->hint_for = SWK_EPRECONDITION;
            rc = ctl_call(ctl, "RemoveNode", &request.base,
                          &swkpb__remove_node_response__descriptor, &reply);
        }
        if (rc == EXIT_OK) {
            print_removed(ctl, node->id, args_at(args, i));
        }
        result = rc != EXIT_OK ? rc : result;
    }
    return result;
}

const struct command node_commands[] = {
    {"node", "ls", "list", "", "List the nodes.", "swarmctl node ls",
     {list_flags}, 0, 0, false, run_list},
    {"node", "inspect", NULL, "NODE", "Show a node and its tasks.",
     "swarmctl node inspect worker1", {inspect_flags}, 1, 1, false,
     run_inspect},
    {"node", "activate", NULL, "NODE...", "Let nodes take tasks again.",
     "swarmctl node activate worker1", {no_flags}, 1, -1, false, run_activate},
    {"node", "pause", NULL, "NODE...",
     "Give nodes no new tasks; those there go on.",
     "swarmctl node pause worker1", {no_flags}, 1, -1, false, run_pause},
    {"node", "drain", NULL, "NODE...",
     "Move all tasks off nodes, and give them no new ones.",
     "swarmctl node drain worker1", {no_flags}, 1, -1, false, run_drain},
    {"node", "promote", NULL, "NODE...",
     "Make nodes managers, which decide together.",
     "swarmctl node promote worker1", {no_flags}, 1, -1, false, run_promote},
    {"node", "demote", NULL, "NODE...",
     "Make managers workers, as long as the others are enough.",
     "swarmctl node demote manager2", {no_flags}, 1, -1, false, run_demote},
    {"node", "update", NULL, "NODE", "Change labels and availability.",
     "swarmctl node update --label-add zone=a worker1", {update_flags}, 1, 1,
     false, run_update},
    {"node", "rm", "remove", "NODE...",
     "Remove nodes; their certificates are not honoured any more.",
     "swarmctl node rm worker1", {remove_flags}, 1, -1, false, run_remove},
    {0},
};
