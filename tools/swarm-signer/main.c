/* SPDX-License-Identifier: Apache-2.0 */

/* swarm-signer: keeps the keys of a swarm's CA away from its managers. */

#include "signer.h"

#include <stdio.h>
#include <sys/stat.h>

#include <swarmkit/log.h>

static int work(const struct options *options, struct swk_error *err)
{
    switch (options->command) {
    case COMMAND_RUN:
        return serve(options, err);
    case COMMAND_CHECK_SANDBOX:
        return check_sandbox(options, err);
    case COMMAND_STATUS:
        return print_status(options, err);
    case COMMAND_INIT:
    case COMMAND_LIST:
    case COMMAND_EXPORT:
    case COMMAND_IMPORT:
    case COMMAND_TRUST:
    case COMMAND_ALLOW:
    case COMMAND_REMOVE:
        return work_on_keys(options, err);
    }
    return SWK_EINVAL;
}

int main(int argc, char **argv)
{
    struct options options = {
        .command = COMMAND_RUN,
        .state_dir = "/var/lib/swarm-signer",
        .socket_path = "/run/swarm-signer/signer.sock",
        .allow_ns = 24 * SWK_HOUR,
        .log_level = SWK_LOG_INFO,
        .policy = SWK_SIGNER_POLICY_INIT,
    };
    struct swk_error err = {0};
    int status = options_parse(argc, argv, &options);

    if (status >= 0) {
        return status;
    }
    umask(S_IRWXG | S_IRWXO);
    if (work(&options, &err) != 0) {
        fprintf(stderr, "swarm-signer: error: %s\n", err.text);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}
