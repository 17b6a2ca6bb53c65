/* SPDX-License-Identifier: Apache-2.0 */

/* swarmctl cluster ..., join-token, unlock-key, and unlock. */

#include <stdio.h>
#include <string.h>

#include <swarmkit/unlock_key.h>

#include "ca.h"
#include "ca.pb-c.h"
#include "external_ca.h"
#include "flags.h"
#include "lists.h"
#include "swarmkit/node.pb-c.h"
#include "tokens.h"
#include "unlock_input.h"

static const struct flag no_flags[] = {{0}};
static const struct flag list_flags[] = {
    {.name = "quiet", .letter = 'q', .help = "print IDs only"}, {0}};
static const struct flag update_flags[] = {
    {.name = "taskhistory",
     .argument = "N",
     .help = "ended tasks kept for each slot; -1 for all"},
    {.name = "certexpiry",
     .argument = "DURATION",
     .help = "life of the nodes' certificates, at least 1h"},
    {.name = "expired-grace",
     .argument = "DURATION",
     .help = "how long past its end a certificate is renewed; 0s for never"},
    {.name = "external-ca",
     .argument = EXTERNAL_CA_ARGUMENT,
     .help = "who signs in the place of the swarm's key; none for nobody",
     .list = true},
    {.name = "heartbeatperiod",
     .argument = "DURATION",
     .help = "how often nodes report"},
    {.name = "snapshot-interval",
     .argument = "N",
     .help = "entries of the log between snapshots"},
    {.name = "log-entries-kept",
     .argument = "N",
     .help = "entries kept behind a snapshot, for slow managers"},
    {.name = "rotate-join-token",
     .argument = "ROLE",
     .help = "make a new token for worker or manager",
     .list = true},
    {.name = "autolock",
     .argument = "BOOL",
     .help = "true: managers need the unlock key when they start"},
    {0}};
static const struct flag token_flags[] = {
    {.name = "rotate", .help = "make a new token; the old one is void"},
    {.name = "quiet", .letter = 'q', .help = "print the token only"},
    {0}};

static const struct flag unlock_flags[] = {
    {.name = "rotate", .help = "make a new key; the old one is void"},
    {.name = "quiet", .letter = 'q', .help = "print the key only"},
    {0}};

static const struct flag unlocking_flags[] = {
    {.name = "unlock-key-file",
     .argument = "FILE",
     .otherwise = "-, the standard input",
     .help = "where the key is"},
    {0}};

static int the_cluster(struct ctl *ctl, Swkpb__Cluster **out_cluster)
{
    return find_cluster(ctl, "default", out_cluster);
}

static bool locks_managers(const Swkpb__ClusterSpec *spec)
{
    return spec != NULL && spec->encryption_config != NULL &&
           spec->encryption_config->auto_lock_managers;
}

static int run_list(struct ctl *ctl, const struct args *args)
{
    static const char *const columns[] = {"ID", "NAME", NULL};
    Swkpb__ListClustersRequest request = SWKPB__LIST_CLUSTERS_REQUEST__INIT;
    Swkpb__ListClustersResponse *reply;
    int rc = ctl_call(ctl, "ListClusters", &request.base,
                      &swkpb__list_clusters_response__descriptor, &reply);

    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &reply->base);
    }
    if (args_has(args, "quiet")) {
        for (size_t i = 0; i < reply->n_clusters; i++) {
            puts(reply->clusters[i]->id);
        }
        return EXIT_OK;
    }

    struct table *table = table_new(columns);
    for (size_t i = 0; i < reply->n_clusters; i++) {
        const Swkpb__Cluster *c = reply->clusters[i];
        const char *const row[] = {
            c->id,
            annotations_name(c->spec != NULL ? c->spec->annotations : NULL)};

        table_row(table, row);
    }
    table_end(table);
    return EXIT_OK;
}

static int run_inspect(struct ctl *ctl, const struct args *args)
{
    Swkpb__Cluster *c;
    int rc = args_count(args) > 0 ? find_cluster(ctl, args_at(args, 0), &c)
                                  : the_cluster(ctl, &c);

    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &c->base);
    }

    const Swkpb__ClusterSpec *spec = c->spec;
    print_field("ID", "%s", c->id);
    if (spec != NULL) {
        print_field("Name", "%s", annotations_name(spec->annotations));
    }
    if (spec != NULL && spec->orchestration != NULL) {
        print_field("Task history", "%lld",
                    (long long)
                        spec->orchestration->task_history_retention_limit);
    }
    if (spec != NULL && spec->raft != NULL) {
        print_field("Snapshot interval", "%llu entries",
                    (unsigned long long)spec->raft->snapshot_interval);
        print_field("Log entries kept", "%llu",
                    (unsigned long long)
                        spec->raft->log_entries_for_slow_followers);
    }
    if (spec != NULL && spec->dispatcher != NULL) {
        print_field("Heartbeat period", "%s",
                    duration_text(ctl, spec->dispatcher->heartbeat_period));
    }
    if (spec != NULL && spec->ca_config != NULL) {
        print_field("Certificate expiry", "%s",
                    duration_text(ctl, spec->ca_config->node_cert_expiry));
        print_field("Grace after expiry", "%s",
                    spec->ca_config->expired_grace != NULL
                        ? duration_text(ctl, spec->ca_config->expired_grace)
                        : "720h");
        for (size_t i = 0; i < spec->ca_config->n_external_cas; i++) {
            print_field("External CA", "%s",
                        spec->ca_config->external_cas[i]->url);
        }
    }
    if (spec != NULL) {
        print_field("Autolock", "%s", locks_managers(spec) ? "true" : "false");
    }
    if (c->root_ca != NULL && c->root_ca->join_tokens != NULL) {
        print_field("Root digest", "%s", c->root_ca->ca_cert_hash);
        print_field("Worker token", "%s", c->root_ca->join_tokens->worker);
        print_field("Manager token", "%s", c->root_ca->join_tokens->manager);
    }
    return EXIT_OK;
}

int update_cluster(struct ctl *ctl, Swkpb__Cluster *cluster,
                   Swkpb__KeyRotation *rotation, Swkpb__Cluster **out_cluster)
{
    Swkpb__UpdateClusterRequest request = SWKPB__UPDATE_CLUSTER_REQUEST__INIT;
    Swkpb__UpdateClusterResponse *reply;

    request.cluster_id = cluster->id;
    request.cluster_version =
        cluster->meta != NULL ? cluster->meta->version : NULL;
    request.spec = cluster->spec;
    request.rotation = rotation;
    int rc = ctl_call(ctl, "UpdateCluster", &request.base,
                      &swkpb__update_cluster_response__descriptor, &reply);
    if (rc == EXIT_OK) {
        *out_cluster = reply->cluster;
    }
    return rc;
}

static int read_roles(const struct args *args, Swkpb__KeyRotation *rotation)
{
    const char *const *roles;
    size_t count = args_list(args, "rotate-join-token", &roles);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(roles[i], "worker") == 0) {
            rotation->worker_join_token = true;
        } else if (strcmp(roles[i], "manager") == 0) {
            rotation->manager_join_token = true;
        } else {
            return ctl_usage("--rotate-join-token is worker or manager");
        }
    }
    return EXIT_OK;
}

/* An absent sub-message is made, so that its field can be set. */
static void *ensure(struct ctl *ctl, void *field,
                    const ProtobufCMessageDescriptor *type)
{
    void **message = field;

    if (*message == NULL) {
        *message = pool_message(&ctl->pool, type);
    }
    return *message;
}

static int read_duration(struct ctl *ctl, const struct args *args,
                         const char *flag, Swkpb__Duration **out_duration)
{
    int64_t ns;

    if (!parse_duration(args_text(args, flag), &ns)) {
        return ctl_usage("--%s takes a duration such as 1m30s", flag);
    }
    *out_duration = new_duration(ctl, ns);
    return EXIT_OK;
}

static int read_autolock(struct ctl *ctl, const struct args *args,
                         Swkpb__ClusterSpec *spec)
{
    static const char *const words[] = {"false", "true", NULL};
    int lock;

    if (!args_has(args, "autolock")) {
        return EXIT_OK;
    }
    if (!parse_word(args_text(args, "autolock"), words, &lock)) {
        return ctl_usage("--autolock is true or false");
    }
    ensure(ctl, &spec->encryption_config,
           &swkpb__encryption_config__descriptor);
    spec->encryption_config->auto_lock_managers = lock;
    return EXIT_OK;
}

/* When the managers cut their log. */
static int read_log_settings(struct ctl *ctl, const struct args *args,
                             Swkpb__ClusterSpec *spec)
{
    static const char flags[][18] = {"snapshot-interval", "log-entries-kept"};

    for (size_t i = 0; i < 2; i++) {
        int64_t number;

        if (!args_has(args, flags[i])) {
            continue;
        }
        if (!parse_integer(args_text(args, flags[i]), i == 0 ? 1 : 0,
                           UINT32_MAX, &number)) {
            return ctl_usage("--%s takes a number", flags[i]);
        }
        ensure(ctl, &spec->raft, &swkpb__raft_config__descriptor);
        if (i == 0) {
            spec->raft->snapshot_interval = (uint64_t)number;
        } else {
            spec->raft->log_entries_for_slow_followers = (uint64_t)number;
        }
    }
    return EXIT_OK;
}

static int read_settings(struct ctl *ctl, const struct args *args,
                         Swkpb__ClusterSpec *spec)
{
    int64_t number;
    int rc = EXIT_OK;

    if (args_has(args, "taskhistory")) {
        if (!parse_integer(args_text(args, "taskhistory"), -1, INT32_MAX,
                           &number)) {
            return ctl_usage("--taskhistory takes a number");
        }
        ensure(ctl, &spec->orchestration,
               &swkpb__orchestration_config__descriptor);
        spec->orchestration->task_history_retention_limit = number;
    }
    if (args_has(args, "certexpiry")) {
        ensure(ctl, &spec->ca_config, &swkpb__caconfig__descriptor);
        rc = read_duration(ctl, args, "certexpiry",
                           &spec->ca_config->node_cert_expiry);
    }
    if (rc == EXIT_OK && args_has(args, "expired-grace")) {
        ensure(ctl, &spec->ca_config, &swkpb__caconfig__descriptor);
        rc = read_duration(ctl, args, "expired-grace",
                           &spec->ca_config->expired_grace);
    }
    if (rc == EXIT_OK && args_has(args, "external-ca")) {
        ensure(ctl, &spec->ca_config, &swkpb__caconfig__descriptor);
        rc = ca_read_external(ctl, args, spec->ca_config);
    }
    if (rc == EXIT_OK && args_has(args, "heartbeatperiod")) {
        ensure(ctl, &spec->dispatcher, &swkpb__dispatcher_config__descriptor);
        rc = read_duration(ctl, args, "heartbeatperiod",
                           &spec->dispatcher->heartbeat_period);
    }
    if (rc == EXIT_OK) {
        rc = read_log_settings(ctl, args, spec);
    }
    return rc == EXIT_OK ? read_autolock(ctl, args, spec) : rc;
}

static bool changes_something(const struct args *args)
{
    for (const struct flag *flag = update_flags; flag->name != NULL; flag++) {
        if (args_has(args, flag->name)) {
            return true;
        }
    }
    return false;
}

static int print_unlock_key(const struct ctl *ctl,
                            const ProtobufCBinaryData *bytes, bool quiet)
{
    char text[SWK_UNLOCK_KEY_TEXT_LEN + 1];
    struct swk_unlock_key key;

    if (bytes->len == 0) {
        return ctl_error(EXIT_FAILED,
                         "the managers are not locked: \"swarmctl cluster "
                         "update --autolock=true\" locks them");
    }
    if (bytes->len != sizeof(key.bytes)) {
        return ctl_error(EXIT_FAILED, "the unlock key is of a form that this "
                                      "program does not know");
    }
    memcpy(key.bytes, bytes->data, sizeof(key.bytes));
    swk_unlock_key_format(&key, text);
    if (ctl->json) {
        printf("{\"unlockKey\":\"%s\"}\n", text);
    } else if (quiet) {
        puts(text);
    } else {
        printf("To unlock a manager of this swarm once it was started again, "
               "run\n\n    swarmctl unlock\n\nand give it this key:\n\n"
               "    %s\n\n"
               "Keep it in a safe place: no manager can be started without "
               "it.\n",
               text);
    }
    explicit_bzero(text, sizeof(text));
    explicit_bzero(&key, sizeof(key));
    return EXIT_OK;
}

static int show_unlock_key(struct ctl *ctl, bool quiet)
{
    Swkpb__GetUnlockKeyRequest request = SWKPB__GET_UNLOCK_KEY_REQUEST__INIT;
    Swkpb__GetUnlockKeyResponse *reply;
    int rc = ctl_call(ctl, "CA/GetUnlockKey", &request.base,
                      &swkpb__get_unlock_key_response__descriptor, &reply);

    if (rc != EXIT_OK) {
        return rc;
    }
    rc = print_unlock_key(ctl, &reply->unlock_key, quiet);
    if (reply->unlock_key.len > 0) {
        explicit_bzero(reply->unlock_key.data, reply->unlock_key.len);
    }
    return rc;
}

/* For whoever has changed the key, and does not see it here. */
static void tell_of_key(const char *what)
{
    fprintf(stderr,
            "%s. Keep the key that \"swarmctl unlock-key\" shows: without it\n"
            "none of them can be started again.\n",
            what);
}

static int run_update(struct ctl *ctl, const struct args *args)
{
    Swkpb__KeyRotation rotation = SWKPB__KEY_ROTATION__INIT;
    Swkpb__Cluster *cluster;
    bool was_locked = false;

    if (!changes_something(args)) {
        return ctl_error(EXIT_FAILED, "no changes detected");
    }

    int rc = args_count(args) > 0
                 ? find_cluster(ctl, args_at(args, 0), &cluster)
                 : the_cluster(ctl, &cluster);
    if (rc == EXIT_OK) {
        was_locked = locks_managers(cluster->spec);
        rc = read_settings(ctl, args, cluster->spec);
    }
    if (rc == EXIT_OK) {
        rc = read_roles(args, &rotation);
    }
    if (rc == EXIT_OK) {
        rc = update_cluster(ctl, cluster, &rotation, &cluster);
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    bool locks = !was_locked && locks_managers(cluster->spec);
    if (ctl->json) {
        if (locks) {
            tell_of_key("Managers are locked now");
        }
        return ctl_print_json(ctl, &cluster->base);
    }
    puts(cluster->id);
    rc = locks ? show_unlock_key(ctl, false) : EXIT_OK;
    if (rc != EXIT_OK) {
        tell_of_key("Managers are locked now all the same");
    }
    return rc;
}

static int run_token(struct ctl *ctl, const struct args *args)
{
    const char *role = args_at(args, 0);
    bool worker = strcmp(role, "worker") == 0;
    Swkpb__KeyRotation rotation = SWKPB__KEY_ROTATION__INIT;
    Swkpb__Cluster *cluster;

    if (!worker && strcmp(role, "manager") != 0) {
        return ctl_usage("a join token is for a worker or a manager");
    }
    int rc = the_cluster(ctl, &cluster);
    if (rc == EXIT_OK && args_has(args, "rotate")) {
        rotation.worker_join_token = worker;
        rotation.manager_join_token = !worker;
        rc = update_cluster(ctl, cluster, &rotation, &cluster);
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    if (cluster->root_ca == NULL || cluster->root_ca->join_tokens == NULL) {
        return ctl_error(EXIT_FAILED, "the swarm has no join tokens yet");
    }

    const char *token = worker ? cluster->root_ca->join_tokens->worker
                               : cluster->root_ca->join_tokens->manager;
    if (ctl->json) {
        printf("{\"role\":\"%s\",\"joinToken\":\"%s\"}\n", role, token);
        return EXIT_OK;
    }
    if (!args_has(args, "quiet")) {
        printf("To add a %s to this swarm, start its node with\n\n"
               "    --join-token %s\n\nand --join-addr with the address of a "
               "manager.\n",
               role, token);
        return EXIT_OK;
    }
    puts(token);
    return EXIT_OK;
}

static int run_unlock_key(struct ctl *ctl, const struct args *args)
{
    Swkpb__KeyRotation rotation = SWKPB__KEY_ROTATION__INIT;
    Swkpb__Cluster *cluster;
    int rc = EXIT_OK;

    if (args_has(args, "rotate")) {
        rc = the_cluster(ctl, &cluster);
        if (rc == EXIT_OK && !locks_managers(cluster->spec)) {
            return ctl_error(EXIT_FAILED, "the managers are not locked: there "
                                          "is no key to rotate");
        }
        rotation.manager_unlock_key = true;
        if (rc == EXIT_OK) {
            rc = update_cluster(ctl, cluster, &rotation, &cluster);
        }
    }
    if (rc == EXIT_OK) {
        rc = show_unlock_key(ctl, args_has(args, "quiet"));
    }
    if (args_has(args, "rotate") &&
        (rc == EXIT_UNAVAILABLE || rc == EXIT_TIMEOUT)) {
        fputs("The swarm may have another key now: run \"swarmctl "
              "unlock-key\" once a manager answers.\n",
              stderr);
    }
    return rc;
}

static int run_unlock(struct ctl *ctl, const struct args *args)
{
    const char *path = args_text(args, "unlock-key-file");
    Swkpb__Rpc__UnlockRequest request = SWKPB__RPC__UNLOCK_REQUEST__INIT;
    Swkpb__Rpc__UnlockResponse *reply;
    struct swk_unlock_key key;
    struct swk_error err = {0};
    int rc = unlock_input_read(path != NULL ? path : "-", &key, &err);

    if (rc != 0) {
        return ctl_error(EXIT_FAILED, "%s", err.text);
    }
    request.unlock_key.data = key.bytes;
    request.unlock_key.len = sizeof(key.bytes);
    rc = ctl_call(ctl, "/swarmkit.v1.Node/Unlock", &request.base,
                  &swkpb__rpc__unlock_response__descriptor, &reply);
    explicit_bzero(&key, sizeof(key));
    return rc;
}

const struct command cluster_commands[] = {
    {"cluster", "ls", "list", "", "List the cluster.", "swarmctl cluster ls",
     {list_flags}, 0, 0, false, run_list},
    {"cluster", "inspect", NULL, "[CLUSTER]",
     "Show the settings and join tokens.", "swarmctl cluster inspect",
     {no_flags}, 0, 1, false, run_inspect},
    {"cluster", "update", NULL, "[CLUSTER]",
     "Change settings; what is not named stays.",
     "swarmctl cluster update --taskhistory 10", {update_flags}, 0, 1, false,
     run_update},
    {"cluster", "ca", NULL, "",
     "Show the root CA, and how far its rotation has come.",
     "swarmctl cluster ca", {no_flags}, 0, 0, false, run_ca_show},
    {"cluster", "ca rotate", NULL, "",
     "Go over to another root CA, while everything goes on.\n\n"
     "Every node renews its certificate in its turn; when the last one has, the "
     "new\nroot is the swarm's, and the join tokens are new. Until then all "
     "trust the old\none. Ctrl-C ends the waiting only.\n\n"
     "A worker that is left out keeps a certificate that nobody accepts any "
     "more:\nremove it with \"swarmctl node rm\", erase its state, and let it "
     "join anew. If it\nreturns before the end, it renews like all others. A "
     "manager cannot be left out.",
     "swarmctl cluster ca rotate --without-down", {ca_rotate_flags}, 0, 0,
     false, run_ca_rotate},
    {"cluster", "ca finish", NULL, "",
     "Follow a rotation, or let it end without some workers.\n\n"
     "What becomes of those that are left out says \"swarmctl cluster ca "
     "rotate\n--help\".",
     "swarmctl cluster ca finish --without worker7", {ca_finish_flags}, 0, 0,
     false, run_ca_finish},
    {"cluster", "ca abort", NULL, "",
     "Give a rotation up; the present root CA stays.\n\n"
     "Certificates that were renewed meanwhile are good until they end.",
     "swarmctl cluster ca abort", {no_flags}, 0, 0, false, run_ca_abort},
    {"cluster", "token", NULL, "worker|manager",
     "Show or renew the token for new nodes.",
     "swarmctl cluster token -q worker", {token_flags}, 1, 1, false,
     run_token},
    {"cluster", "token create", NULL, "",
     "Make another token: for a time, for some nodes, with labels.\n\n"
     "Without --ttl it does not end by time, without --uses it lets in any "
     "number of\nnodes. It is shown once and not stored. When the swarm "
     "changes its root\ncertificate, all tokens end: they name the old one.",
     "swarmctl cluster token create --ttl 10m --uses 1 --label zone=a",
     {token_create_flags}, 0, 0, false, run_token_create},
    {"cluster", "token ls", NULL, "", "List the tokens that were made so.",
     "swarmctl cluster token ls", {token_list_flags}, 0, 0, false,
     run_token_list},
    {"cluster", "token rm", "token remove", "TOKEN...",
     "Remove tokens; nodes that came by them stay.",
     "swarmctl cluster token rm 2gkzqmyn3qsbw0rkz9p5ao1mq", {no_flags}, 1, -1,
     false, run_token_remove},
    {"cluster", "unlock-key", NULL, "",
     "Show or renew the key that locked managers need to start.",
     "swarmctl cluster unlock-key -q", {unlock_flags}, 0, 0, false,
     run_unlock_key},
    {0},
};

static int run_version(struct ctl *ctl, const struct args *args)
{
    (void)args;
    printf(ctl->json ? "{\"version\":\"%s\"}\n" : "swarmctl %s\n",
           SWARMCTL_VERSION);
    return EXIT_OK;
}

const struct command other_commands[] = {
    {"", "join-token", NULL, "worker|manager",
     "Show or renew the token for new nodes.", "swarmctl join-token -q worker",
     {token_flags}, 1, 1, false, run_token},
    {"", "unlock-key", NULL, "",
     "Show or renew the key that locked managers need to start.",
     "swarmctl unlock-key -q", {unlock_flags}, 0, 0, false, run_unlock_key},
    {"", "unlock", NULL, "", "Unlock a locked manager that was started.",
     "swarmctl unlock --unlock-key-file /run/keys/swarm", {unlocking_flags}, 0,
     0, false, run_unlock},
    {"", "version", NULL, "", "Show the version of this program.",
     "swarmctl version", {no_flags}, 0, 0, false, run_version},
    {0},
};
