/* SPDX-License-Identifier: Apache-2.0 */

/* swarm-agent: a worker, and nothing of a manager. */

#include <malloc.h>

#include <swarmkit/nng_transport.h>
#include <swarmkit/process_executor.h>
#include <swarmkit/node.h>
#include <swarmkit/posix.h>

#include "daemon.h"

static const char summary[] =
    "Runs tasks of a swarm on this machine, as a worker.\n"
    "\n"
    "The first start joins a swarm by a token; later ones need neither token "
    "nor\naddress. Tasks go on running while the agent is stopped.\n"
    "\n"
    "Example:\n"
    "  swarm-agent --state-dir /var/lib/swarm-agent \\\n"
    "      --join-addr 192.0.2.1:4242 --join-token SWMTKN-1-...\n"
    "\n"
    "Exit status: 0 when stopped, 1 failed, 2 wrong usage, 4 the node was "
    "removed from\nthe swarm.";

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
        rc = daemon_run_worker(options, logger, transport, &executor, err);
    }
    swk_process_executor_free(&executor);
    return rc;
}

int main(int argc, char **argv)
{
    struct daemon_options options = {
        .state_dir = "/var/lib/swarm-agent",
        .log_level = SWK_LOG_INFO,
    };
    const struct daemon_flag flags[] = {
        {'d', "state-dir", "DIR",
         "keys and tasks; default /var/lib/swarm-agent", &options.state_dir},
        {0, "join-addr", "HOST:PORT", "a manager of the swarm",
         &options.join_address},
        {0, "join-token", "TOKEN", "what admits this node, once",
         &options.join_token},
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
         "of tasks' cgroups; one for each agent of a machine",
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

    if (status < 0 && options.check_policy != NULL) {
        status = daemon_check_policy("swarm-agent", &options);
    }
    if (status >= 0) {
        return status;
    }
    /* The agent's threads seldom allocate at once, and each arena of malloc's
     * keeps pages that the others do not get: all of them share one. */
    mallopt(M_ARENA_MAX, 1);
    daemon_block_signals();
    logger = daemon_logger(options.log_level);
    daemon_harden(&options, &logger);
    rc = swk_nng_transport_new(swk_posix_wiping_alloc(), &logger, &transport,
                               &err);
    if (rc == 0) {
        rc = run(&options, &logger, swk_nng_transport_port(transport), &err);
    }
    swk_nng_transport_free(transport);
    if (rc != 0) {
        daemon_complain("swarm-agent", &err);
        return rc == SWK_EREMOVED ? EXIT_REMOVED : EXIT_FAILED;
    }
    return EXIT_OK;
}
