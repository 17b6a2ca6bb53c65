/* SPDX-License-Identifier: Apache-2.0 */

/* swarmd: a manager with its agent or, after joining by a token, a worker. */

#include <stdio.h>
#include <string.h>

#include <swarmkit/manager.h>
#include <swarmkit/nng_transport.h>
#include <swarmkit/node.h>
#include <swarmkit/posix.h>
#include <swarmkit/process_executor.h>

#include "daemon.h"

static const char summary[] =
    "Founds a swarm on this machine and manages it, or goes on with the one "
    "in\nits state directory. With --join-addr and --join-token it joins a "
    "swarm as\na worker instead.\n"
    "\n"
    "Example:\n"
    "  swarmd --state-dir /var/lib/swarmd --listen-remote-api 0.0.0.0:4242\n"
    "  swarmctl cluster token worker    # what others join with";

static bool manager_stopped(void *ctx)
{
    struct swk_error why;

    return swk_manager_failed(ctx, &why) != 0;
}

static int run_manager(const struct daemon_options *options,
                       const struct swk_logger *logger,
                       const struct swk_transport *transport,
                       const struct swk_executor *executor,
                       struct swk_error *err)
{
    struct swk_manager_config config = SWK_MANAGER_CONFIG_INIT;
    swk_manager *manager = NULL;
    int rc;

    config.state_dir = options->state_dir;
    config.listen_address = options->listen_remote;
    config.advertise_address = options->advertise_remote;
    config.control_path = options->listen_control;
    config.hostname = options->hostname;
    config.logger = logger;
    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.transport = transport;
    config.executor = executor;
    rc = swk_manager_new(&config, &manager, err);
    if (rc == 0) {
        rc = swk_manager_start(manager, err);
    }
    if (rc == 0) {
        daemon_wait(manager_stopped, manager);
        if (swk_manager_failed(manager, err)) {
            rc = err->code;
        }
    }
    swk_manager_free(manager);
    return rc;
}

/* A worker if the flags or the identity on disk say so. */
static bool is_worker(const struct daemon_options *options)
{
    struct swk_node_identity identity;

    if (swk_node_identity_read(options->state_dir, &identity, NULL) == 0) {
        return identity.role == SWK_NODE_WORKER;
    }
    return options->join_address != NULL;
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
    if (rc == 0 && is_worker(options)) {
        rc = daemon_run_worker(options, logger, transport, &executor, err);
    } else if (rc == 0) {
        rc = run_manager(options, logger, transport, &executor, err);
    }
    swk_process_executor_free(&executor);
    return rc;
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
        {'d', "state-dir", "DIR", "keys, log and tasks; default /var/lib/swarmd",
         &options.state_dir},
        {0, "listen-remote-api", "HOST:PORT",
         "where nodes connect; default 0.0.0.0:4242", &options.listen_remote},
        {0, "advertise-remote-api", "HOST[:PORT]",
         "address told to nodes; default the one above",
         &options.advertise_remote},
        {0, "listen-control-api", "PATH",
         "control socket; default /var/run/swarmd.sock",
         &options.listen_control},
        {0, "join-addr", "HOST:PORT", "join the swarm of this manager",
         &options.join_address},
        {0, "join-token", "TOKEN", "what admits this node, once",
         &options.join_token},
        {0, "hostname", "NAME", "shown for this node; default the system's",
         &options.hostname},
        {0, "generic-node-resources", "LIST",
         "such as fpga=2,gpu=UUID1,gpu=UUID2", &options.generic_resources},
        {0, "cgroup-parent", "NAME",
         "of tasks' cgroups; one for each node of a machine",
         &options.cgroup_parent},
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

    if (status >= 0) {
        return status;
    }
    daemon_block_signals();
    logger = daemon_logger(options.log_level);
    rc = swk_nng_transport_new(NULL, &logger, &transport, &err);
    if (rc == 0) {
        rc = run(&options, &logger, swk_nng_transport_port(transport), &err);
    }
    swk_nng_transport_free(transport);
    if (rc != 0) {
        daemon_complain("swarmd", &err);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}
