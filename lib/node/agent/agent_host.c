/* SPDX-License-Identifier: Apache-2.0 */

/* swk_agent: a worker with its thread. */

#include <swarmkit/agent.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "node/agent/agent_runner.h"
#include "node/agent/agreement.h"
#include "node/identity/fips.h"
#include "node/identity/join.h"
#include "node/identity/out_of_time.h"
#include "node/identity/renewal.h"
#include "node/identity/state_dir.h"

struct swk_agent {
    struct swk_agent_config config;
    struct swki_credentials credentials;
    struct swki_remotes remotes;
    int lock_fd; /* of the state directory; -1: not locked */
    struct swki_loop *loop;
    struct swki_renewal *renewal;
    struct swki_agent_runner *runner;
    pthread_t thread;
    bool started;
    atomic_bool failed; /* set after failure was written, for good */
    struct swk_error failure;
};

static int check_config(const struct swk_agent_config *config,
                        struct swk_error *err)
{
    if (config->state_dir == NULL || config->clock == NULL ||
        config->entropy == NULL || config->transport == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "agent: a required port or the "
                         "state directory is missing");
    }
    if (config->executor == NULL) {
        return swki_fail(err, SWK_EINVAL, "agent: executor required");
    }
    return swki_agreement_check(
        config->alloc,
        &(struct swki_agreement_texts){config->trusted_keys, config->policy},
        err);
}

/* The identity on disk, or a new one by the token. */
static int identify(struct swk_agent *agent, struct swk_error *err)
{
    const struct swk_agent_config *config = &agent->config;
    const struct swki_join_config join = {
        .alloc = config->alloc,
        .logger = config->logger,
        .clock = config->clock,
        .entropy = config->entropy,
        .transport = config->transport,
        .token = config->join_token,
        .fips = config->fips != 0,
        .remotes = &agent->remotes,
        .state_dir = config->state_dir,
    };
    int rc;

    agent->credentials.accept_expired = true; /* the renewal deals with it */
    rc = swki_state_dir_load(config->state_dir, &agent->credentials,
                             config->clock, config->entropy, err);
    agent->credentials.accept_expired = false;
    if (rc == SWK_ECLOCK && !swki_join_compare_clocks(&join, err)) {
        swki_out_of_time_advise(&agent->credentials, config->state_dir,
                                config->clock->wall(config->clock->ctx),
                                config->logger);
    }
    if (rc == 0) {
        swki_join_not_needed(&join, &agent->credentials);
        rc = swki_fips_check(agent->credentials.identity.swarm_id, join.fips,
                             err);
    }
    if (rc != SWK_ENOTFOUND) {
        return rc;
    }
    if (config->join_token == NULL || config->join_address == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "this node is in no swarm yet: give the address of a "
                         "manager and a join token");
    }
    rc = swki_join(&join, &agent->credentials, err);
    if (rc == 0 && agent->credentials.identity.role != SWKI_ROLE_WORKER) {
        rc = swki_fail(err, SWK_ENOTSUP,
                       "the token admits managers, and this is an agent alone: "
                       "use the token for workers");
    }
    return rc != 0 ? rc
                   : swki_state_dir_save(config->state_dir, &agent->credentials,
                                         err);
}

static int find_managers(struct swk_agent *agent, struct swk_error *err)
{
    const struct swk_agent_config *config = &agent->config;
    int rc;

    if (config->join_address != NULL) {
        return swki_remotes_add(&agent->remotes, "", config->join_address, err);
    }
    rc = swki_remotes_load(&agent->remotes, config->state_dir, err);
    if (rc == SWK_ENOTFOUND || (rc == 0 && agent->remotes.count == 0)) {
        rc = swki_fail(err, SWK_EINVAL,
                       "no manager is known: give the address of one");
    }
    return rc;
}

/* -- Parts ---------------------------------------------------------------- */

static void news(void *ctx, const Swkpb__SessionMessage *message)
{
    struct swk_agent *agent = ctx;

    swki_renewal_news(agent->renewal, message);
}

static void refused(void *ctx)
{
    struct swk_agent *agent = ctx;

    swki_renewal_refused(agent->renewal);
}

static void removed(void *ctx, const struct swk_error *why)
{
    struct swk_agent *agent = ctx;

    agent->failure = *why;
    atomic_store(&agent->failed, true);
    swki_loop_stop(agent->loop);
}

static void changed(void *ctx, swk_time now)
{
    struct swk_agent *agent = ctx;

    (void)now;
    swki_agent_runner_renewed(agent->runner);
}

static void certificate_refused(void *ctx, const struct swk_error *why)
{
    struct swk_agent *agent = ctx;

    swki_agent_runner_refused(agent->runner, why);
}

static int make_renewal(struct swk_agent *agent, uint64_t seed,
                        struct swk_error *err)
{
    const struct swk_agent_config *config = &agent->config;
    const struct swki_renewal_config renewal = {
        .asker =
            {
                .alloc = config->alloc,
                .logger = config->logger,
                .clock = config->clock,
                .entropy = config->entropy,
                .transport = config->transport,
                .loop = agent->loop,
                .credentials = &agent->credentials,
                .remotes = &agent->remotes,
            },
        .credentials = &agent->credentials,
        .state_dir = config->state_dir,
        .kind = SWKI_RENEWAL_WORKER_ONLY,
        .seed = seed,
        .ctx = agent,
        .changed = changed,
        .refused = certificate_refused,
    };

    return swki_renewal_new(&renewal, &agent->renewal, err);
}

static int make_parts(struct swk_agent *agent, struct swk_error *err)
{
    const struct swk_agent_config *config = &agent->config;
    struct swki_agent_runner_config runner = {
        .alloc = config->alloc,
        .logger = config->logger,
        .clock = config->clock,
        .entropy = config->entropy,
        .transport = config->transport,
        .executor = config->executor,
        .state_dir = config->state_dir,
        .hostname = config->hostname,
        .agreement = {config->trusted_keys, config->policy},
        .fips = config->fips != 0,
        .credentials = &agent->credentials,
        .remotes = &agent->remotes,
        .ctx = agent,
        .news = news,
        .refused = refused,
        .removed = removed,
    };
    int rc = config->entropy->fill(config->entropy->ctx, &runner.seed,
                                   sizeof(runner.seed));

    if (rc != 0) {
        return swki_fail(err, SWK_EIO, "no entropy to start with");
    }
    rc = swki_loop_new(config->alloc, config->clock, &agent->loop, err);
    if (rc == 0) {
        rc = make_renewal(agent, runner.seed + 1, err);
    }
    if (rc == 0) {
        runner.loop = agent->loop;
        rc = swki_agent_runner_new(&runner, &agent->runner, err);
    }
    return rc;
}

static int set_up(struct swk_agent *agent, struct swk_error *err)
{
    const struct swk_agent_config *config = &agent->config;
    int rc = swki_state_dir_create(config->state_dir, err);

    if (rc == 0) {
        rc = swki_state_dir_lock(config->state_dir, &agent->lock_fd, err);
    }
    if (rc == 0) {
        rc = find_managers(agent, err);
    }
    if (rc == 0) {
        rc = identify(agent, err);
    }
    if (rc == 0) {
        swki_log(config->logger, SWK_LOG_INFO, "agent", "node %s of swarm %s",
                 agent->credentials.identity.node_id,
                 agent->credentials.identity.swarm_id);
        swki_remotes_remember(&agent->remotes, config->state_dir,
                              config->logger, "agent");
    }
    return rc != 0 ? rc : make_parts(agent, err);
}

int swk_agent_new(const struct swk_agent_config *options, swk_agent **out_agent,
                  struct swk_error *err)
{
    struct swk_agent_config config;
    struct swk_error unused;
    struct swk_agent *agent;
    int rc;

    err = err != NULL ? err : &unused;
    if (options == NULL || out_agent == NULL) {
        return swki_fail(err, SWK_EINVAL, "agent: NULL argument");
    }
    rc = swki_options_read(&config, sizeof(config), options, "swk_agent_config",
                           err);
    if (rc == 0) {
        rc = check_config(&config, err);
    }
    if (rc != 0) {
        return rc;
    }
    agent = swki_calloc(config.alloc, 1, sizeof(*agent));
    if (agent == NULL) {
        return swki_fail_nomem(err);
    }
    agent->config = config;
    agent->lock_fd = -1;
    swki_credentials_init(&agent->credentials, config.alloc);
    rc = set_up(agent, err);
    if (rc != 0) {
        swk_agent_free(agent);
        return rc;
    }
    *out_agent = agent;
    return SWK_OK;
}

static void *run(void *ctx)
{
    struct swk_agent *agent = ctx;

    if (swki_loop_run(agent->loop, &agent->failure) != 0) {
        atomic_store(&agent->failed, true);
    }
    return NULL;
}

int swk_agent_failed(const swk_agent *agent, struct swk_error *out_why)
{
    if (!atomic_load(&agent->failed)) {
        return 0;
    }
    *out_why = agent->failure;
    return 1;
}

int swk_agent_start(swk_agent *agent, struct swk_error *err)
{
    int error;

    if (agent->started) {
        return swki_fail(err, SWK_EINVAL, "agent: already started");
    }
    error = pthread_create(&agent->thread, NULL, run, agent);
    if (error != 0) {
        return swki_fail(err, SWK_ENOMEM, "agent: no thread: %s",
                         strerror(error));
    }
    agent->started = true;
    return SWK_OK;
}

void swk_agent_stop(swk_agent *agent)
{
    if (agent != NULL && agent->started) {
        swki_loop_stop(agent->loop);
        pthread_join(agent->thread, NULL);
        agent->started = false;
    }
}

const char *swk_agent_node_id(const swk_agent *agent)
{
    return agent->credentials.identity.node_id;
}

void swk_agent_free(swk_agent *agent)
{
    if (agent == NULL) {
        return;
    }
    swk_agent_stop(agent);
    swki_agent_runner_free(agent->runner);
    swki_renewal_free(agent->renewal);
    if (agent->loop != NULL) {
        swki_loop_free(agent->loop);
    }
    swki_credentials_fini(&agent->credentials);
    swki_state_dir_unlock(agent->lock_fd);
    swki_free(agent->config.alloc, agent);
}
