/* SPDX-License-Identifier: Apache-2.0 */

/*
 * swk_manager: a node that manages the swarm while its certificate says so, and
 * that runs tasks at any time; with its thread.
 */

#include <swarmkit/manager.h>
#include <swarmkit/node.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "base/roles.h"
#include "node/agent/agent_runner.h"
#include "node/agent/agreement.h"
#include "node/identity/fips.h"
#include "node/identity/founding.h"
#include "node/identity/join.h"
#include "node/identity/out_of_time.h"
#include "node/host/managing.h"
#include "node/storage/recovering.h"
#include "node/identity/renewal.h"
#include "node/identity/state_dir.h"
#include "node/host/unlocking.h"

/* A leader that stops waits so long for another one to lead. */
#define HAND_OVER_TIMEOUT (2 * SWK_SECOND)
#define HAND_OVER_POLL (10 * SWK_MILLISECOND)

struct swk_manager {
    struct swk_manager_config config;
    struct swki_credentials credentials;
    struct swki_founding founding;
    struct swki_remotes remotes;
    uint64_t seed;
    int lock_fd; /* of the state directory; -1: not locked */
    struct swki_loop *loop;
    struct swki_loop_member member;
    struct swki_unlocking *unlocking; /* NULL unless it waits for its key */
    struct swki_managing *managing;   /* NULL while the node is a worker */
    struct swki_agent_runner *runner;
    struct swki_renewal *renewal;
    bool demoted;      /* before its certificate says so */
    bool waits;        /* to manage, until its ended certificate is renewed */
    swk_time leave_at; /* to stop at last, once stopping; SWK_NEVER */
    atomic_int port;
    atomic_bool stopping;
    pthread_t thread;
    bool started;
    pthread_mutex_t failure_lock; /* of the following */
    bool failed;
    struct swk_error failure;
};

static struct swki_asker asker_of(struct swk_manager *m)
{
    return (struct swki_asker){
        .alloc = m->config.alloc,
        .logger = m->config.logger,
        .clock = m->config.clock,
        .entropy = m->config.entropy,
        .transport = m->config.transport,
        .loop = m->loop,
        .credentials = &m->credentials,
        .remotes = &m->remotes,
    };
}

static void note_failure(struct swk_manager *m, const struct swk_error *why)
{
    pthread_mutex_lock(&m->failure_lock);
    m->failed = true;
    m->failure = *why;
    if (why->code == SWK_ECORRUPT) {
        swki_error_prefix(&m->failure, "%s", m->config.state_dir);
    }
    pthread_mutex_unlock(&m->failure_lock);
    swki_loop_stop(m->loop);
}

/* -- The role ------------------------------------------------------------- */

/* Who read the disk before has the node's key. */
static void locked(void *ctx)
{
    struct swk_manager *m = ctx;

    swki_renewal_request(m->renewal);
}

static int start_managing(struct swk_manager *m, struct swk_error *err)
{
    const struct swki_managing_config config = {
        .asker = asker_of(m),
        .credentials = &m->credentials,
        .state_dir = m->config.state_dir,
        .listen_address = m->config.listen_address,
        .advertise_address = m->config.advertise_address,
        .control_path = m->config.control_path,
        .founding = &m->founding,
        .signer = m->config.signer,
        .signer_name = m->config.signer_name,
        .secrets = m->config.secret_provider,
        .audit = m->config.audit,
        .audit_required = m->config.audit_required != 0,
        .audit_file_size = m->config.audit_file_size,
        .audit_files_max = m->config.audit_files_max,
        .seed = m->seed++,
        .heartbeat_ticks = m->config.heartbeat_ticks,
        .election_ticks = m->config.election_ticks,
        .tick_ns = m->config.tick_ns,
        .ctx = m,
        .locked = locked,
    };
    int rc = swki_managing_new(&config, &m->managing, err);

    if (rc == 0) {
        atomic_store(&m->port, swki_managing_port(m->managing));
    }
    return rc;
}

/* What a worker does not need, and must not keep: the log first, so that none
 * is ever without its keys. A key of a manager's certificate stays locked until
 * a worker's has taken its place. */
static int forget_managing(struct swk_manager *m, struct swk_error *err)
{
    const struct swki_data_keys *keys = &m->credentials.keys;
    struct swki_data_keys next;
    int rc = swki_managing_clear(m->config.state_dir, err);

    if (rc == 0) {
        rc = m->credentials.identity.role == SWKI_ROLE_MANAGER
                 ? swki_data_keys_forget(keys, &next)
                 : swki_data_keys_clear(keys, &next);
    }
    if (rc == 1) {
        rc = swki_state_dir_change_keys(m->config.state_dir, &m->credentials,
                                        &next, m->config.entropy, err);
        swki_data_keys_wipe(&next);
    }
    return rc;
}

static void log_forgotten(struct swk_manager *m, int rc,
                          const struct swk_error *err)
{
    if (rc != 0) {
        swki_log(m->config.logger, SWK_LOG_ERROR, "node",
                 "what the manager kept is not removed: %s", err->text);
    }
}

static void stop_managing(struct swk_manager *m)
{
    struct swk_error err;

    swki_managing_free(m->managing);
    m->managing = NULL;
    atomic_store(&m->port, 0);
    swki_log(m->config.logger, SWK_LOG_INFO, "node",
             "is a worker now: the log is removed");
    log_forgotten(m, forget_managing(m, &err), &err);
}

/* What the swarm says of this node. */
static void news(void *ctx, const Swkpb__SessionMessage *message)
{
    struct swk_manager *m = ctx;
    const Swkpb__Node *node = message->node;

    swki_renewal_news(m->renewal, message);
    if (node != NULL && node->spec != NULL &&
        node->spec->desired_role == SWKPB__NODE_ROLE__MANAGER) {
        m->demoted = false; /* or promoted again meanwhile */
    }
    swki_loop_wake(m->loop);
}

static void refused(void *ctx)
{
    struct swk_manager *m = ctx;

    swki_renewal_refused(m->renewal);
}

static void removed(void *ctx, const struct swk_error *why)
{
    note_failure(ctx, why);
}

/* The node has another certificate, or trusts other roots. */
static void changed(void *ctx, swk_time now)
{
    struct swk_manager *m = ctx;
    struct swk_error err;

    (void)now;
    m->waits = m->waits && swki_renewal_expired(m->renewal);
    if (m->managing == NULL) {
        if (!m->waits &&
            (m->demoted || m->credentials.identity.role != SWKI_ROLE_MANAGER)) {
            log_forgotten(m, forget_managing(m, &err), &err);
        }
    } else if (swki_managing_renewed(m->managing, &err) != 0) {
        swki_log(m->config.logger, SWK_LOG_ERROR, "node",
                 "connections go on with the old certificate: %s", err.text);
    }
    if (m->runner != NULL) {
        swki_agent_runner_renewed(m->runner);
    }
    swki_loop_wake(m->loop);
}

static void certificate_refused(void *ctx, const struct swk_error *why)
{
    struct swk_manager *m = ctx;

    if (m->runner != NULL) {
        swki_agent_runner_refused(m->runner, why);
    }
}

/* The node does what its certificate says. */
static void follow_role(struct swk_manager *m)
{
    bool is_manager = m->credentials.identity.role == SWKI_ROLE_MANAGER;
    struct swk_error err;

    if (m->managing != NULL &&
        (!is_manager || swki_managing_removed(m->managing))) {
        stop_managing(m);
        if (is_manager) { /* the certificate follows */
            swki_renewal_expect(m->renewal, SWKI_ROLE_WORKER);
            m->demoted = true;
        }
    }
    m->demoted = m->demoted && is_manager;
    if (m->managing == NULL && is_manager && !m->demoted && !m->waits &&
        start_managing(m, &err) != 0) {
        note_failure(m, &err);
    }
}

/* -- Turns ---------------------------------------------------------------- */

/* A leader lets another one lead before it goes. */
static swk_time stop(struct swk_manager *m, swk_time now)
{
    if (m->leave_at == SWK_NEVER) {
        bool hands_over = m->managing != NULL &&
                          swki_managing_leads(m->managing) &&
                          swki_managing_has_peers(m->managing);

        m->leave_at = hands_over ? now + HAND_OVER_TIMEOUT : now;
        if (hands_over) {
            swki_managing_hand_over(m->managing);
            swki_loop_wake(m->loop);
        }
    }
    if (now >= m->leave_at || m->managing == NULL ||
        !swki_managing_leads(m->managing)) {
        swki_loop_stop(m->loop);
        return SWK_NEVER;
    }
    return now + HAND_OVER_POLL < m->leave_at ? now + HAND_OVER_POLL
                                              : m->leave_at;
}

static swk_time turn(void *ctx, swk_time now)
{
    struct swk_manager *m = ctx;
    const struct swk_error *why;

    if (atomic_load(&m->stopping)) {
        return stop(m, now);
    }
    if (m->unlocking != NULL) {
        return SWK_NEVER;
    }
    follow_role(m);
    why = m->managing != NULL ? swki_managing_failure(m->managing) : NULL;
    if (why != NULL) {
        note_failure(m, why);
    }
    return SWK_NEVER;
}

/* -- Set-up --------------------------------------------------------------- */

static bool is_audit_config(const struct swk_manager_config *config)
{
    uint64_t size = config->audit_file_size;
    uint64_t count = config->audit_files_max;

    return config->audit >= SWK_MANAGER_AUDIT_ALL &&
           config->audit <= SWK_MANAGER_AUDIT_OFF &&
           (config->audit != SWK_MANAGER_AUDIT_OFF ||
            config->audit_required == 0) &&
           (size == 0 || size >= SWK_MANAGER_AUDIT_FILE_SIZE_MIN) &&
           (count == 0 || count >= SWK_MANAGER_AUDIT_FILES_MAX_MIN);
}

static int check_config(const struct swk_manager_config *config,
                        struct swk_error *err)
{
    if (config->state_dir == NULL || config->listen_address == NULL ||
        config->clock == NULL || config->entropy == NULL ||
        config->transport == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "manager: a required port, the state directory or "
                         "the listen address is missing");
    }
    if (config->join_token != NULL && config->join_address == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "a join token needs the address of a manager");
    }
    if (config->force_new_cluster != 0 && config->join_address != NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "to force a new cluster and to join one exclude each "
                         "other: leave the address to join out");
    }
    if (!is_audit_config(config)) {
        return swki_fail(err, SWK_EINVAL,
                         "a manager's audit log is nothing like that");
    }
    return swki_agreement_check(
        config->alloc,
        &(struct swki_agreement_texts){config->trusted_keys, config->policy},
        err);
}

/* The managers that are remembered are among those that are lost. */
static int force_new_cluster(struct swk_manager *m, struct swk_error *err)
{
    const struct swki_recovering_config config = {
        .alloc = m->config.alloc,
        .logger = m->config.logger,
        .clock = m->config.clock,
        .entropy = m->config.entropy,
        .state_dir = m->config.state_dir,
        .unlock_key = m->credentials.has_offer ? &m->credentials.offer : NULL,
    };

    return swki_recovering_force(&config, err);
}

static struct swki_join_config join_config_of(struct swk_manager *m)
{
    return (struct swki_join_config){
        .alloc = m->config.alloc,
        .logger = m->config.logger,
        .clock = m->config.clock,
        .entropy = m->config.entropy,
        .transport = m->config.transport,
        .token = m->config.join_token,
        .fips = m->config.fips != 0,
        .remotes = &m->remotes,
        .state_dir = m->config.state_dir,
    };
}

/* Gets a certificate by the token. */
static int join(struct swk_manager *m, struct swk_error *err)
{
    const struct swki_join_config config = join_config_of(m);
    int rc = swki_join(&config, &m->credentials, err);

    return rc != 0 ? rc
                   : swki_state_dir_save(m->config.state_dir, &m->credentials,
                                         err);
}

/* The identity on disk, or that of the founder of a new swarm. */
static int load_or_found(struct swk_manager *m, struct swk_error *err)
{
    const struct swk_manager_config *config = &m->config;
    int rc = swki_state_dir_load(config->state_dir, &m->credentials,
                                 config->clock, config->entropy, err);

    if (rc == SWK_ENOTFOUND && config->join_token != NULL) {
        return rc;
    }
    if (rc == SWK_ENOTFOUND && config->join_address != NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "this node is in no swarm yet: a join token is needed "
                         "beside the address of a manager");
    }
    if (rc == 0 && m->credentials.identity.role != SWKI_ROLE_MANAGER) {
        return SWK_OK;
    }
    return rc != 0 && rc != SWK_ENOTFOUND
               ? rc
               : swki_founding_identity(&m->founding, config->state_dir,
                                        &m->credentials, config->clock,
                                        config->entropy, err);
}

/* The identity on disk; or a new one, by the token, or as founder. */
static int identify(struct swk_manager *m, struct swk_error *err)
{
    const struct swki_join_config config = join_config_of(m);
    int rc;

    m->credentials.accept_expired = true; /* the renewal deals with it */
    rc = load_or_found(m, err);
    m->credentials.accept_expired = false;
    if (rc == SWK_ECLOCK && !swki_join_compare_clocks(&config, err)) {
        swki_out_of_time_advise(&m->credentials, m->config.state_dir,
                                m->config.clock->wall(m->config.clock->ctx),
                                m->config.logger);
    }
    if (rc == SWK_ENOTFOUND && m->config.join_token != NULL) {
        return join(m, err);
    }
    if (rc != 0) {
        return rc;
    }
    swki_join_not_needed(&config, &m->credentials);
    return swki_fips_check(m->credentials.identity.swarm_id,
                           m->config.fips != 0, err);
}

static int find_managers(struct swk_manager *m, struct swk_error *err)
{
    int rc;

    if (m->config.join_address != NULL) {
        return swki_remotes_add(&m->remotes, "", m->config.join_address, err);
    }
    rc = swki_remotes_load(&m->remotes, m->config.state_dir, err);
    return rc == SWK_ENOTFOUND ? SWK_OK : rc;
}

static int make_agent(struct swk_manager *m, struct swk_error *err)
{
    const struct swki_agent_runner_config config = {
        .alloc = m->config.alloc,
        .logger = m->config.logger,
        .clock = m->config.clock,
        .entropy = m->config.entropy,
        .transport = m->config.transport,
        .executor = m->config.executor,
        .loop = m->loop,
        .state_dir = m->config.state_dir,
        .hostname = m->config.hostname,
        .agreement = {m->config.trusted_keys, m->config.policy},
        .fips = m->config.fips != 0,
        .credentials = &m->credentials,
        .remotes = &m->remotes,
        .seed = m->seed + 1000,
        .ctx = m,
        .news = news,
        .refused = refused,
        .removed = removed,
    };

    return m->config.executor == NULL
               ? SWK_OK
               : swki_agent_runner_new(&config, &m->runner, err);
}

static bool knows_other_managers(const struct swk_manager *m)
{
    for (size_t i = 0; i < m->remotes.count; i++) {
        if (strcmp(m->remotes.list[i].node_id,
                   m->credentials.identity.node_id) != 0) {
            return true;
        }
    }
    return false;
}

/* Nobody talks to a manager whose certificate has ended: it gets another one
 * from the others first. One that has no others gets it from itself. */
static int start_by_role(struct swk_manager *m, struct swk_error *err)
{
    if (m->credentials.identity.role != SWKI_ROLE_MANAGER) {
        return forget_managing(m, err); /* a demotion was cut short */
    }
    m->waits = swki_renewal_expired(m->renewal) && knows_other_managers(m);
    if (!m->waits) {
        return start_managing(m, err);
    }
    swki_log(m->config.logger, SWK_LOG_WARN, "node",
             "this manager's certificate has ended: it manages nothing before "
             "another manager has renewed it; if those of all managers have "
             "ended, one of them must be started with --force-new-cluster");
    return SWK_OK;
}

static int make_parts(struct swk_manager *m, struct swk_error *err)
{
    struct swki_renewal_config renewal = {
        .asker = asker_of(m),
        .credentials = &m->credentials,
        .state_dir = m->config.state_dir,
        .kind = SWKI_RENEWAL_ANY_ROLE,
        .seed = m->seed + 2000,
        .ctx = m,
        .changed = changed,
        .refused = certificate_refused,
    };
    int rc;

    renewal.asker.local_path = m->config.control_path;
    rc = swki_renewal_new(&renewal, &m->renewal, err);

    if (rc == 0 && m->config.force_new_cluster != 0) {
        swki_renewal_request(m->renewal); /* the log is to know of it */
    }
    if (rc == 0) {
        rc = start_by_role(m, err);
    }
    if (rc == 0) {
        rc = make_agent(m, err);
    }
    if (rc == 0) {
        swki_loop_add(m->loop, &m->member);
    }
    return rc;
}

/* All that follows once its key file can be read, or there is none yet. */
static int begin(struct swk_manager *m, struct swk_error *err)
{
    int rc = m->config.force_new_cluster != 0 ? force_new_cluster(m, err)
                                              : find_managers(m, err);

    if (rc == 0) {
        rc = identify(m, err);
    }
    if (rc == 0) {
        swki_log(m->config.logger, SWK_LOG_INFO, "node", "node %s of swarm %s",
                 m->credentials.identity.node_id,
                 m->credentials.identity.swarm_id);
        rc = make_parts(m, err);
    }
    return rc;
}

/* -- The lock ------------------------------------------------------------- */

static int unlock(void *ctx, const struct swk_unlock_key *unlock_key,
                  struct swk_error *err)
{
    struct swk_manager *m = ctx;
    int rc;

    swki_credentials_offer(&m->credentials, unlock_key);
    m->credentials.accept_expired = true; /* this is about the key alone */
    rc = swki_state_dir_load(m->config.state_dir, &m->credentials,
                             m->config.clock, m->config.entropy, err);
    m->credentials.accept_expired = false;
    return rc;
}

static void unlocked(void *ctx)
{
    struct swk_manager *m = ctx;
    struct swk_error err;

    swki_unlocking_free(m->unlocking);
    m->unlocking = NULL;
    swki_loop_remove(m->loop, &m->member); /* it comes after its parts */
    swki_log(m->config.logger, SWK_LOG_INFO, "node", "is unlocked");
    if (begin(m, &err) != 0) {
        note_failure(m, &err);
    }
    swki_loop_wake(m->loop);
}

static int wait_for_key(struct swk_manager *m, const struct swk_error *why,
                        struct swk_error *err)
{
    const struct swki_unlocking_config config = {
        .alloc = m->config.alloc,
        .logger = m->config.logger,
        .clock = m->config.clock,
        .transport = m->config.transport,
        .loop = m->loop,
        .control_path = m->config.control_path,
        .ctx = m,
        .unlock = unlock,
        .unlocked = unlocked,
    };
    int rc;

    swki_log(m->config.logger, SWK_LOG_WARN, "node", "%s", why->text);
    swki_loop_add(m->loop, &m->member);
    rc = swki_unlocking_new(&config, &m->unlocking, err);
    if (rc == 0) {
        swki_log(m->config.logger, SWK_LOG_WARN, "node",
                 "waits for the key from \"swarmctl unlock\"; control socket "
                 "is %s",
                 m->config.control_path);
    }
    return rc;
}

static bool waits_for_key(const struct swk_manager *m)
{
    struct swk_node_identity identity;

    return m->config.wait_for_unlock != 0 && m->config.control_path != NULL &&
           !m->credentials.has_offer &&
           swk_node_identity_read(m->config.state_dir, &identity, NULL) == 0 &&
           identity.locked != 0;
}

/* -- Life ----------------------------------------------------------------- */

static int set_up(struct swk_manager *m, struct swk_error *err)
{
    int rc = swki_state_dir_create(m->config.state_dir, err);

    if (rc == 0) {
        rc = swki_state_dir_lock(m->config.state_dir, &m->lock_fd, err);
    }
    if (rc == 0 && m->config.entropy->fill(m->config.entropy->ctx, &m->seed,
                                           sizeof(m->seed)) != 0) {
        rc = swki_fail(err, SWK_EIO, "no entropy to start with");
    }
    if (rc == 0) {
        rc = swki_loop_new(m->config.alloc, m->config.clock, &m->loop, err);
    }
    if (rc == 0) {
        rc = begin(m, err);
    }
    if (rc == SWK_EDENIED && waits_for_key(m)) {
        const struct swk_error why = *err;

        rc = wait_for_key(m, &why, err);
    }
    return rc;
}

int swk_manager_new(const struct swk_manager_config *options,
                    swk_manager **out_manager, struct swk_error *err)
{
    struct swk_manager_config config;
    struct swk_error unused;
    struct swk_manager *m;
    int rc;

    err = err != NULL ? err : &unused;
    if (options == NULL || out_manager == NULL) {
        return swki_fail(err, SWK_EINVAL, "manager: NULL argument");
    }
    rc = swki_options_read(&config, sizeof(config), options,
                           "swk_manager_config", err);
    if (rc == 0) {
        rc = check_config(&config, err);
    }
    if (rc != 0) {
        return rc;
    }
    m = swki_calloc(config.alloc, 1, sizeof(*m));
    if (m == NULL) {
        return swki_fail_nomem(err);
    }
    m->config = config;
    m->leave_at = SWK_NEVER;
    m->lock_fd = -1;
    pthread_mutex_init(&m->failure_lock, NULL);
    swki_list_init(&m->member.link);
    m->member.ctx = m;
    m->member.turn = turn;
    m->config.unlock_key = NULL;
    swki_credentials_init(&m->credentials, config.alloc);
    if (config.unlock_key != NULL) {
        swki_credentials_offer(&m->credentials, config.unlock_key);
    }
    swki_founding_init(&m->founding, config.alloc);
    m->founding.signer = config.signer;
    m->founding.fips = config.fips != 0;
    m->founding.ca_config = config.ca_config;
    rc = set_up(m, err);
    if (rc != 0) {
        swk_manager_free(m);
        return rc;
    }
    *out_manager = m;
    return SWK_OK;
}

/* -- The thread ----------------------------------------------------------- */

static void *run(void *ctx)
{
    struct swk_manager *m = ctx;
    struct swk_error err;

    if (swki_loop_run(m->loop, &err) != 0) {
        note_failure(m, &err);
    }
    return NULL;
}

int swk_manager_start(swk_manager *m, struct swk_error *err)
{
    int error;

    if (m->started) {
        return swki_fail(err, SWK_EINVAL, "manager: already started");
    }
    error = pthread_create(&m->thread, NULL, run, m);
    if (error != 0) {
        return swki_fail(err, SWK_ENOMEM, "manager: no thread: %s",
                         strerror(error));
    }
    m->started = true;
    return SWK_OK;
}

void swk_manager_stop(swk_manager *m)
{
    if (m != NULL && m->started) {
        atomic_store(&m->stopping, true);
        swki_loop_wake(m->loop);
        pthread_join(m->thread, NULL);
        m->started = false;
    }
}

int swk_manager_port(const swk_manager *m)
{
    return atomic_load(&m->port);
}

const char *swk_manager_node_id(const swk_manager *m)
{
    return m->credentials.identity.node_id;
}

int swk_manager_failed(const swk_manager *m, struct swk_error *out_why)
{
    struct swk_manager *locked = (struct swk_manager *)m;
    bool failed;

    pthread_mutex_lock(&locked->failure_lock);
    failed = m->failed;
    if (failed) {
        *out_why = m->failure;
    }
    pthread_mutex_unlock(&locked->failure_lock);
    return failed ? 1 : 0;
}

/* In the reverse of the order of set_up(). */
void swk_manager_free(swk_manager *m)
{
    if (m == NULL) {
        return;
    }
    swk_manager_stop(m);
    swki_unlocking_free(m->unlocking);
    swki_agent_runner_free(m->runner);
    swki_managing_free(m->managing);
    swki_renewal_free(m->renewal);
    if (m->loop != NULL) {
        swki_loop_remove(m->loop, &m->member);
        swki_loop_free(m->loop);
    }
    swki_founding_fini(&m->founding);
    swki_credentials_fini(&m->credentials);
    swki_state_dir_unlock(m->lock_fd);
    pthread_mutex_destroy(&m->failure_lock);
    swki_free(m->config.alloc, m);
}
