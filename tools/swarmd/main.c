/* SPDX-License-Identifier: Apache-2.0 */

/* swarmd: a node that manages the swarm while it is a manager, and runs tasks. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <swarmkit/manager.h>
#include <swarmkit/nng_transport.h>
#include <swarmkit/node.h>
#include <swarmkit/posix.h>
#include <swarmkit/process_executor.h>
#include <swarmkit/secret_plugins.h>
#include <swarmkit/signer.h>

#include "audit_flags.h"
#include "daemon.h"
#include "external_ca.h"
#include "recovery.h"
#include "unlock_input.h"

enum {
    TICKS_MAX = 10000,
};

static const char summary[] =
    "Founds a swarm on this machine and manages it, or goes on with the one "
    "in\nits state directory. With --join-addr and --join-token it joins a "
    "swarm, as\na manager or as a worker as the token says; it can be promoted "
    "and demoted\nlater.\n"
    "\n"
    "When the other managers are lost for good, --force-new-cluster makes this "
    "one\nthe only one; look at what it would do with --dry-run first.\n"
    "\n"
    "Example:\n"
    "  swarmd --state-dir /var/lib/swarmd --listen-remote-api 0.0.0.0:4242\n"
    "  swarmctl cluster token manager   # what other managers join with\n"
    "\n"
    "A manager of a swarm that locks its managers needs the unlock key to "
    "start: the\none that was in force when it stopped. Without "
    "--unlock-key-file, or the credential\nunlock-key of systemd's, it waits "
    "for \"swarmctl unlock\".\n"
    "\n"
    "Exit status: 0 when stopped, 1 failed, 2 wrong usage, 3 the unlock key "
    "that was\ngiven is not the right one, 4 the node was removed from the "
    "swarm.";

static bool manager_stopped(void *ctx)
{
    struct swk_error why;

    return swk_manager_failed(ctx, &why) != 0;
}

static int read_number(const char *text, const char *flag, uint32_t *out,
                       struct swk_error *err)
{
    char *end;
    unsigned long value;

    if (text == NULL) {
        return SWK_OK;
    }
    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || text[0] == '-' ||
        value == 0 || value > TICKS_MAX) {
        err->code = SWK_EINVAL;
        snprintf(err->text, sizeof(err->text),
                 "--%s takes a number from 1 to %d, not \"%.40s\"", flag,
                 TICKS_MAX, text);
        return err->code;
    }
    *out = (uint32_t)value;
    return SWK_OK;
}

static int read_ticks(const struct daemon_options *options,
                      struct swk_manager_config *config, struct swk_error *err)
{
    int rc = read_number(options->heartbeat_tick, "heartbeat-tick",
                         &config->heartbeat_ticks, err);

    return rc != 0 ? rc
                   : read_number(options->election_tick, "election-tick",
                                 &config->election_ticks, err);
}

/* The flag's file, else what systemd was told to hand over. 1 if there is a
 * key. */
static int read_unlock_key(const struct daemon_options *options,
                           struct swk_unlock_key *out_key,
                           struct swk_error *err)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_MAX] = "";
    int rc;

    if (options->unlock_key_file != NULL) {
        snprintf(path, sizeof(path), "%s", options->unlock_key_file);
    } else if (credentials != NULL) {
        snprintf(path, sizeof(path), "%s/unlock-key", credentials);
        path[access(path, F_OK) == 0 ? strlen(path) : 0] = '\0';
    }
    if (path[0] == '\0') {
        return 0;
    }
    rc = unlock_input_read(path, out_key, err);
    return rc != 0 ? rc : 1;
}

static int make_manager(const struct daemon_options *options,
                        const struct swk_manager_config *config,
                        swk_manager **out_manager, struct swk_error *err)
{
    struct swk_manager_config with_key = *config;
    struct swk_unlock_key unlock_key = {0};
    int rc = read_unlock_key(options, &unlock_key, err);

    with_key.unlock_key = rc > 0 ? &unlock_key : NULL;
    with_key.wait_for_unlock = 1;
    if (rc >= 0) {
        rc = swk_manager_new(&with_key, out_manager, err);
    }
    explicit_bzero(&unlock_key, sizeof(unlock_key));
    return rc;
}

/* Plugins may come later: there is always somebody to ask for them. */
static int make_plugins(const struct daemon_options *options,
                        swk_secret_plugins **out_plugins, struct swk_error *err)
{
    struct swk_secret_plugins_config config = SWK_SECRET_PLUGINS_CONFIG_INIT;

    config.alloc = swk_posix_wiping_alloc();
    config.clock = swk_posix_clock();
    config.directory = options->plugin_dir;
    return swk_secret_plugins_new(&config, out_plugins, err);
}

/* Without --signer the manager signs by itself. */
static int make_signer(const struct daemon_options *options,
                       const struct swk_logger *logger,
                       swk_signer_client **out_client, struct swk_error *err)
{
    struct swk_signer_client_config config = SWK_SIGNER_CLIENT_CONFIG_INIT;

    if (options->signer == NULL) {
        return SWK_OK;
    }
    config.logger = logger;
    config.clock = swk_posix_clock();
    config.address = options->signer;
    return swk_signer_client_new(&config, out_client, err);
}

/* The external CAs of a swarm that is founded, as one message; free() it. */
static int read_external_cas(const struct daemon_options *options,
                             struct swk_bytes *out_bytes,
                             struct swk_error *err)
{
    Swkpb__ExternalCA *list[DAEMON_EXTERNAL_CAS_MAX];
    Swkpb__CAConfig config = SWKPB__CACONFIG__INIT;
    uint8_t *packed = NULL;
    int rc = SWK_OK;

    config.external_cas = list;
    while (rc == 0 && config.n_external_cas < options->external_cas_count) {
        rc = external_ca_read(options->external_cas[config.n_external_cas],
                              &list[config.n_external_cas], err);
        config.n_external_cas += rc == 0;
    }
    if (rc == 0 && config.n_external_cas > 0) {
        packed = malloc(protobuf_c_message_get_packed_size(&config.base));
        rc = packed != NULL ? SWK_OK : SWK_ENOMEM;
    }
    if (packed != NULL) {
        out_bytes->len = protobuf_c_message_pack(&config.base, packed);
        out_bytes->data = packed;
    }
    while (config.n_external_cas > 0) {
        external_ca_free(list[--config.n_external_cas]);
    }
    return rc;
}

/* -1 to go on, else the exit status: a flag that says nothing of use is wrong
 * usage, as every other. */
static int check_external_cas(const struct daemon_options *options)
{
    struct swk_bytes bytes = {0};
    struct swk_error err;
    int rc = read_external_cas(options, &bytes, &err);

    free((void *)bytes.data);
    if (rc == 0) {
        return -1;
    }
    daemon_complain("swarmd", &err);
    return rc == SWK_ENOMEM ? EXIT_FAILED : EXIT_USAGE;
}

/* What --force-new-cluster would do. */
static int look(const struct daemon_options *options,
                const struct swk_logger *logger, struct swk_error *err)
{
    struct swk_manager_config config = SWK_MANAGER_CONFIG_INIT;
    struct swk_unlock_key unlock_key = {0};
    int rc = read_unlock_key(options, &unlock_key, err);

    config.state_dir = options->state_dir;
    config.alloc = swk_posix_wiping_alloc();
    config.logger = logger;
    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.unlock_key = rc > 0 ? &unlock_key : NULL;
    if (rc >= 0) {
        rc = recovery_print(options, &config, err);
    }
    explicit_bzero(&unlock_key, sizeof(unlock_key));
    return rc;
}

static int run_node(const struct daemon_options *options,
                    const struct swk_logger *logger,
                    const struct swk_transport *transport,
                    const struct swk_executor *executor, struct swk_error *err)
{
    struct swk_manager_config config = SWK_MANAGER_CONFIG_INIT;
    struct daemon_start start = {0};
    struct daemon_agreement agreement;
    swk_signer_client *signer = NULL;
    swk_secret_plugins *plugins = NULL;
    swk_manager *manager = NULL;
    int rc = daemon_read_agreement(options, &agreement, err);

    if (rc == 0) {
        rc = read_external_cas(options, &config.ca_config, err);
    }

    config.trusted_keys = agreement.trusted_keys;
    config.policy = agreement.policy;
    config.state_dir = options->state_dir;
    config.alloc = swk_posix_wiping_alloc();
    config.listen_address = options->listen_remote;
    config.advertise_address = options->advertise_remote;
    config.control_path = options->listen_control;
    config.hostname = options->hostname;
    config.logger = logger;
    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.transport = transport;
    config.executor = executor;
    config.join_address = options->join_address;
    config.join_token = options->join_token;
    config.force_new_cluster = options->force_new_cluster != NULL;
    config.fips = options->fips != NULL;
    if (rc == 0) {
        rc = read_ticks(options, &config, err);
    }
    if (rc == 0) {
        rc = audit_flags_read(options, &config, err);
    }
    if (rc == 0) {
        rc = make_signer(options, logger, &signer, err);
    }
    if (rc == 0) {
        rc = make_plugins(options, &plugins, err);
    }
    if (rc == 0) {
        config.secret_provider = swk_secret_plugins_port(plugins);
        config.signer = signer == NULL ? NULL : swk_signer_client_port(signer);
        config.signer_name = options->signer;
        rc = daemon_starting(&start, err);
    }
    if (rc == 0) {
        rc = make_manager(options, &config, &manager, err);
    }
    if (rc == 0) {
        rc = swk_manager_start(manager, err);
    }
    daemon_started(&start);
    if (rc == 0) {
        daemon_wait(manager_stopped, manager);
        if (swk_manager_failed(manager, err)) {
            rc = err->code;
        }
    }
    swk_manager_free(manager);
    swk_signer_client_free(signer);
    swk_secret_plugins_free(plugins);
    free((void *)config.ca_config.data);
    daemon_drop_agreement(&agreement);
    return rc;
}

static int run(const struct daemon_options *options,
               const struct swk_logger *logger,
               const struct swk_transport *transport, struct swk_error *err)
{
    struct swk_executor executor = {0};
    int rc = swk_node_create_state_dir(options->state_dir, err);

    if (rc == 0) {
        rc = daemon_make_executor(options, logger, &executor, err);
    }
    if (rc == 0) {
        rc = run_node(options, logger, transport, &executor, err);
    }
    swk_process_executor_free(&executor);
    return rc;
}

static int status_of(int rc, const struct daemon_options *options)
{
    struct swk_node_identity identity;
    bool locked = rc == SWK_EDENIED &&
                  swk_node_identity_read(options->state_dir, &identity,
                                         NULL) == 0 &&
                  identity.locked != 0;

    if (rc == SWK_EREMOVED) {
        return EXIT_REMOVED;
    }
    return locked ? EXIT_LOCKED : EXIT_FAILED;
}

/* The transport outlives what runs over it. */
static int work(const struct daemon_options *options,
                const struct swk_logger *logger,
                swk_nng_transport **out_transport, struct swk_error *err)
{
    int rc;

    daemon_block_signals();
    rc = swk_nng_transport_new(swk_posix_wiping_alloc(), logger, out_transport,
                               err);
    return rc != 0 ? rc
                   : run(options, logger,
                         swk_nng_transport_port(*out_transport), err);
}

int main(int argc, char **argv)
{
    struct daemon_options options = {
        .state_dir = "/var/lib/swarmd",
        .listen_remote = "0.0.0.0:4242",
        .listen_control = "/var/run/swarmd.sock",
        .log_level = SWK_LOG_INFO,
    };
    const struct daemon_flag flags[] = {
        {'d', "state-dir", "DIR",
         "keys, log and tasks; default /var/lib/swarmd", &options.state_dir},
        {0, "listen-remote-api", "HOST:PORT",
         "where nodes connect; default 0.0.0.0:4242", &options.listen_remote},
        {0, "advertise-remote-api", "HOST[:PORT]",
         "told to nodes, several with commas; default the above",
         &options.advertise_remote},
        {0, "listen-control-api", "PATH",
         "control socket; default /var/run/swarmd.sock",
         &options.listen_control},
        {0, "join-addr", "HOST:PORT", "a manager of the swarm to join",
         &options.join_address},
        {0, "join-token", "TOKEN", "what admits this node, once",
         &options.join_token},
        {0, "unlock-key-file", "FILE",
         "the key of a locked manager; - for standard input",
         &options.unlock_key_file},
        {0, "signer", "unix:PATH",
         "swarm-signer, which keeps the key of the CA; default this process",
         &options.signer},
        {0, "plugin-dir", "DIR",
         "sockets of plugins that supply secrets; default /run/docker/plugins",
         &options.plugin_dir},
        {0, "external-ca", "FIELDS",
         "who signs for a swarm that is founded: protocol=cfssl,url=URL",
         options.external_cas, &options.external_cas_count},
        {0, "force-new-cluster", NULL,
         "the other managers are lost for good: remove them",
         &options.force_new_cluster},
        {0, "dry-run", NULL, "with the above: say what it would do, and end",
         &options.dry_run},
        {0, "format", "FORMAT", "of the above: text or json; default text",
         &options.format},
        {0, "audit", "LEVEL", "what is recorded: all, calls, off; default all",
         &options.audit},
        {0, "audit-required", NULL,
         "refuse changes while they cannot be recorded",
         &options.audit_required},
        {0, "audit-size", "SIZE", "of a file of the audit log; default 64M",
         &options.audit_size},
        {0, "audit-keep", "N",
         "files of the audit log that are kept; default 16",
         &options.audit_keep},
        {0, "heartbeat-tick", "N",
         "ticks of 100 ms between a leader's heartbeats; default 1",
         &options.heartbeat_tick},
        {0, "election-tick", "N",
         "ticks without a leader before an election; default 5",
         &options.election_tick},
        {0, "hostname", "NAME", "shown for this node; default the system's",
         &options.hostname},
        {0, "generic-node-resources", "LIST",
         "such as fpga=2,gpu=UUID1,gpu=UUID2", &options.generic_resources},
        {0, "trust", "FILE|DIR",
         "public keys: run only what their owners signed", &options.trust},
        {0, "policy", "FILE", "JSON: what this node lets run on it",
         &options.policy},
        {0, "check-policy", NULL, "say what the policy means, and end",
         &options.check_policy},
        {0, "fips", NULL,
         "this node is in FIPS mode; swarms that demand it admit no other",
         &options.fips},
        {0, "cgroup-parent", "NAME",
         "of tasks' cgroups; one for each node of a machine",
         &options.cgroup_parent},
        {0, "core-dumps", NULL,
         "let core dumps hold memory, and with it secrets",
         &options.core_dumps},
        {0, "shim", "PATH", "the program swarm-shim; default as installed",
         &options.shim_path},
        {'l', "log-level", "LEVEL", "debug, info, warn, error; default info",
         NULL},
        {'v', "version", NULL, "print the version", NULL},
        {'h', "help", NULL, "print this", NULL},
        {0},
    };
    swk_nng_transport *transport = NULL;
    struct swk_logger logger;
    struct swk_error err;
    int status = daemon_parse(argc, argv, summary, flags, &options);
    int rc;

    if (status < 0) {
        status = recovery_check_flags(&options);
    }
    if (status < 0) {
        status = check_external_cas(&options);
    }
    if (status < 0 && options.check_policy != NULL) {
        status = daemon_check_policy("swarmd", &options);
    }
    if (status >= 0) {
        return status;
    }
    logger = daemon_logger(options.log_level);
    daemon_harden(&options, &logger);
    if (options.dry_run != NULL) {
        rc = look(&options, &logger, &err);
    } else {
        rc = work(&options, &logger, &transport, &err);
    }
    swk_nng_transport_free(transport);
    if (rc != 0) {
        daemon_complain("swarmd", &err);
        return status_of(rc, &options);
    }
    return EXIT_OK;
}
