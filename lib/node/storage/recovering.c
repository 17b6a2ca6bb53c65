/* SPDX-License-Identifier: Apache-2.0 */

#include "node/storage/recovering.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <swarmkit/file_storage.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "core/ca/issuer.h"
#include "node/identity/credentials.h"
#include "node/identity/out_of_time.h"
#include "node/storage/log_keys.h"
#include "node/storage/log_survey.h"
#include "node/identity/state_dir.h"
#include "wire/message.h"

enum {
    PATH_SIZE = 4096,
};

static swk_wall wall_of(const struct swki_recovering_config *config)
{
    return config->clock->wall(config->clock->ctx);
}

/* -- The identity --------------------------------------------------------- */

static int identify(const struct swki_recovering_config *config,
                    struct swki_credentials *credentials, struct swk_error *err)
{
    credentials->accept_expired = true;
    int rc = swki_state_dir_load(config->state_dir, credentials, config->clock,
                                 config->entropy, err);

    if (rc == SWK_ECLOCK) {
        swki_out_of_time_advise(credentials, config->state_dir, wall_of(config),
                                config->logger);
    }
    if (rc == SWK_ENOTFOUND) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "nothing to recover in %s: this node is in no swarm",
                         config->state_dir);
    }
    if (rc == 0 && credentials->identity.role != SWKI_ROLE_MANAGER) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "nothing to recover in %s: this node is a worker",
                         config->state_dir);
    }
    return rc;
}

static int check_expired(const struct swki_credentials *credentials,
                         swk_wall now, bool *out_expired, struct swk_error *err)
{
    struct swki_certificate_info info;
    int rc =
        swki_certificate_info_init(&info, credentials->chain.alloc,
                                   swki_pem_of_buf(&credentials->chain), err);

    if (rc == 0) {
        *out_expired = info.not_after <= now;
        swki_certificate_info_fini(&info);
    }
    return rc;
}

/* -- The certificate ------------------------------------------------------ */

static const Swkpb__Cluster *cluster_of(const struct swki_log_survey *survey)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *object = NULL;
    struct swki_cursor cursor;

    if (swki_view_find(swki_store_committed(survey->store), SWKI_KIND_CLUSTER,
                       &all, &cursor, NULL) == 0) {
        object = swki_cursor_next(&cursor);
        swki_cursor_close(&cursor);
    }
    return object != NULL ? swki_cluster(object) : NULL;
}

static uint64_t expiry_of(const Swkpb__Cluster *cluster)
{
    int64_t ns = 0;

    if (cluster->spec == NULL || cluster->spec->ca_config == NULL ||
        swki_duration_read(cluster->spec->ca_config->node_cert_expiry, &ns,
                           NULL) != 0 ||
        ns < 0) {
        return 0; /* the issuer's default */
    }
    return (uint64_t)ns;
}

/* A new key, and a certificate for it by the swarm's own root. */
static int sign(const struct swki_recovering_config *config,
                const struct swki_credentials *credentials,
                const Swkpb__Cluster *cluster, struct swki_signer *signer,
                struct swki_credentials *fresh, struct swk_error *err)
{
    const struct swki_ca_grant grant = {
        .node_id = credentials->identity.node_id,
        .swarm_id = credentials->identity.swarm_id,
        .role = SWKPB__NODE_ROLE__MANAGER,
        .expiry_ns = expiry_of(cluster),
        .now = wall_of(config),
    };
    struct swki_buf csr;
    struct swki_buf chain;
    int rc;

    swki_buf_init(&csr, config->alloc, SWKI_CSR_LEN_MAX);
    swki_buf_init(&chain, config->alloc, SWKI_PEM_LEN_MAX);
    rc = swki_credentials_set_roots(fresh, credentials->roots.data,
                                    credentials->roots.len, grant.now, err);
    if (rc == 0) {
        rc = swki_credentials_new_key(fresh, config->entropy, &csr, err);
    }
    if (rc == 0) {
        rc = swki_ca_sign(signer, swki_pem_of_buf(&csr), &grant, &chain, err);
    }
    if (rc == 0) {
        rc = swki_credentials_set_chain(fresh, chain.data, chain.len, grant.now,
                                        config->entropy, err);
    }
    swki_buf_fini(&csr);
    swki_buf_fini(&chain);
    return rc;
}

static int cannot_renew(struct swk_error *err)
{
    swki_error_prefix(err, "this manager's certificate expired, and its log "
                           "does not hold what signs a new one");
    return err->code;
}

static int renew(const struct swki_recovering_config *config,
                 const struct swki_log_survey *survey,
                 struct swki_credentials *credentials, struct swk_error *err)
{
    const Swkpb__Cluster *cluster = cluster_of(survey);
    struct swki_signer *signer = NULL;
    struct swki_credentials fresh;
    int rc;

    if (cluster == NULL || cluster->root_ca == NULL) {
        swki_fail(err, SWK_EPRECONDITION, "there is no swarm in it");
        return cannot_renew(err);
    }
    rc = swki_ca_open_signer(config->alloc, cluster->root_ca, config->entropy,
                             &signer, err);
    if (rc != 0) {
        return cannot_renew(err);
    }
    if (config->dry_run) {
        swki_signer_free(signer);
        return SWK_OK;
    }
    swki_credentials_init(&fresh, config->alloc);
    rc = sign(config, credentials, cluster, signer, &fresh, err);
    if (rc == 0) {
        rc = swki_state_dir_renew(config->state_dir, credentials, &fresh, err);
    }
    if (rc == 0) {
        swki_log(config->logger, SWK_LOG_INFO, "node",
                 "has a new certificate, for its old one expired");
    }
    swki_credentials_fini(&fresh);
    swki_signer_free(signer);
    return rc;
}

/* -- The report ----------------------------------------------------------- */

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text != NULL ? text : "");
}

static void describe_member(const struct swki_log_survey *survey,
                            uint64_t raft_id, struct swk_recovery_member *out)
{
    const struct swki_member *member =
        swki_membership_find(survey->membership, raft_id);
    const struct swki_object *node;
    char name[sizeof(out->hostname)];

    *out = (struct swk_recovery_member){.raft_id = raft_id};
    if (member == NULL) {
        return;
    }
    copy_text(out->node_id, sizeof(out->node_id), member->node_id);
    copy_text(out->address, sizeof(out->address), swki_member_address(member));
    node = swki_view_get(swki_store_committed(survey->store), SWKI_KIND_NODE,
                         member->node_id);
    if (node != NULL) {
        copy_text(out->hostname, sizeof(out->hostname),
                  swki_object_name(node, name, sizeof(name)));
    }
}

static void describe_objects(const struct swki_log_survey *survey,
                             struct swk_recovery_report *report)
{
    const struct swki_view *view = swki_store_committed(survey->store);

    report->kinds_count = SWKI_KINDS_COUNT;
    for (enum swki_kind kind = 0; kind < SWKI_KINDS_COUNT; kind++) {
        const struct swki_log_changes *changes = &survey->changes[kind];
        struct swk_recovery_objects *objects = &report->kinds[kind];

        *objects = (struct swk_recovery_objects){
            .count = swki_view_count(view, kind),
            .created = changes->created,
            .updated = changes->updated,
            .removed = changes->removed,
        };
        copy_text(objects->kind, sizeof(objects->kind), swki_kind_name(kind));
    }
}

static void describe(const struct swki_log_survey *survey,
                     const struct swki_identity *identity,
                     const struct swk_force_single_report *forced,
                     struct swk_recovery_report *report)
{
    copy_text(report->node_id, sizeof(report->node_id), identity->node_id);
    copy_text(report->swarm_id, sizeof(report->swarm_id), identity->swarm_id);
    report->raft_id = survey->raft_id;
    report->term = forced->term;
    report->snapshot_index = forced->snapshot_index;
    report->last_index = forced->last_index;
    report->last_term = forced->last_term;
    report->commit_index = forced->commit_index;
    report->forced_index = forced->forced_index;
    report->generation = swki_membership_generation(survey->membership);
    report->membership_changes = survey->membership_changes;
    report->members_count = forced->members_count;
    for (uint64_t i = 0;
         i < forced->members_count && i < SWK_RECOVERY_MEMBERS_MAX; i++) {
        describe_member(survey, forced->members[i], &report->members[i]);
    }
    describe_objects(survey, report);
}

/* -- The log -------------------------------------------------------------- */

static int force(const struct swki_recovering_config *config,
                 const struct swk_file_storage_config *storage,
                 const struct swki_log_survey *survey,
                 struct swk_force_single_report *out_report,
                 struct swk_error *err)
{
    struct swk_force_single what = {
        .size = sizeof(what),
        .raft_id = survey->raft_id,
        .generation = swki_membership_generation(survey->membership) + 1,
        .dry_run = config->dry_run,
    };
    struct swki_buf context;
    int rc;

    swki_buf_init(&context, config->alloc, SIZE_MAX);
    rc = swki_membership_encode_generation(what.generation, &context, err);
    if (rc == 0) {
        what.context = context.data;
        what.context_len = context.len;
        rc = swk_file_storage_force_single(storage, &what, out_report, err);
    }
    swki_buf_fini(&context);
    return rc;
}

static void log_outcome(const struct swki_recovering_config *config,
                        const struct swk_recovery_report *report)
{
    if (report->members_count == 0) {
        swki_log(config->logger, SWK_LOG_WARN, "node",
                 "a new cluster was to be forced, but this manager is the only "
                 "one already: nothing is removed");
        return;
    }
    swki_log(config->logger, SWK_LOG_WARN, "node",
             "forced a new cluster: the other managers, %" PRIu64 " in number, "
             "are removed for good, and must be wiped before they join again",
             report->members_count);
    if (report->last_index > report->commit_index) {
        swki_log(config->logger, SWK_LOG_WARN, "node",
                 "entries %" PRIu64 " to %" PRIu64 " were not known to be "
                 "committed; they are kept",
                 report->commit_index + 1, report->last_index);
    }
    for (uint64_t i = 0;
         i < report->members_count && i < SWK_RECOVERY_MEMBERS_MAX; i++) {
        const struct swk_recovery_member *member = &report->members[i];

        swki_log(config->logger, SWK_LOG_WARN, "node",
                 "removed member %" PRIx64 ", node %s (%s) at %s",
                 member->raft_id, member->node_id, member->hostname,
                 member->address);
    }
}

static int recover(const struct swki_recovering_config *config,
                   struct swki_credentials *credentials,
                   struct swk_recovery_report *out_report,
                   struct swk_error *err)
{
    char dir[PATH_SIZE];
    struct swk_file_storage_config storage = {
        .size = sizeof(storage),
        .dir = dir,
        .alloc = config->alloc,
        .logger = config->logger,
    };
    struct swk_force_single_report forced = {.size = sizeof(forced)};
    const struct swki_identity identity = credentials->identity;
    struct swki_log_survey survey;
    bool expired = false;
    int rc;

    if (strlen(config->state_dir) + sizeof("/raft") > sizeof(dir)) {
        return swki_fail(err, SWK_EINVAL,
                         "the state directory's name is too "
                         "long");
    }
    snprintf(dir, sizeof(dir), "%s/raft", config->state_dir);
    swki_log_keys_choose(&credentials->keys, &storage);
    rc = swki_log_survey_init(&survey, &storage, identity.node_id, err);
    if (rc == 0) {
        rc = check_expired(credentials, wall_of(config), &expired, err);
    }
    if (rc == 0 && expired) {
        rc = renew(config, &survey, credentials, err);
    }
    if (rc == 0) {
        rc = force(config, &storage, &survey, &forced, err);
    }
    if (rc == 0) {
        describe(&survey, &identity, &forced, out_report);
        out_report->certificate_expired = expired;
    }
    if (rc == 0 && !config->dry_run) {
        log_outcome(config, out_report);
    }
    swki_log_survey_fini(&survey);
    return rc;
}

/* -- All of it ------------------------------------------------------------ */

int swki_recovering_run(const struct swki_recovering_config *config,
                        struct swk_recovery_report *out_report,
                        struct swk_error *err)
{
    struct swki_credentials credentials;
    int rc;

    swki_credentials_init(&credentials, config->alloc);
    if (config->unlock_key != NULL) {
        swki_credentials_offer(&credentials, config->unlock_key);
    }
    rc = identify(config, &credentials, err);
    if (rc == 0) {
        rc = recover(config, &credentials, out_report, err);
    }
    swki_credentials_fini(&credentials);
    return rc;
}

int swki_recovering_force(const struct swki_recovering_config *config,
                          struct swk_error *err)
{
    struct swk_recovery_report *report =
        swki_calloc(config->alloc, 1, sizeof(*report));
    int rc = report != NULL ? swki_recovering_run(config, report, err)
                            : swki_fail_nomem(err);

    swki_free(config->alloc, report);
    return rc;
}

static int inspect(const struct swk_manager_config *config,
                   struct swk_recovery_report *report, struct swk_error *err)
{
    const struct swki_recovering_config recovering = {
        .alloc = config->alloc,
        .logger = config->logger,
        .clock = config->clock,
        .entropy = config->entropy,
        .state_dir = config->state_dir,
        .unlock_key = config->unlock_key,
        .dry_run = true,
    };

    return swki_recovering_run(&recovering, report, err);
}

int swk_recovery_inspect(const struct swk_manager_config *options,
                         struct swk_recovery_report *out_report,
                         struct swk_error *err)
{
    struct swk_manager_config config;
    struct swk_error unused;
    struct swk_recovery_report *report;
    int rc;

    err = err != NULL ? err : &unused;
    if (options == NULL || out_report == NULL ||
        out_report->size < sizeof(out_report->size)) {
        return swki_fail(err, SWK_EINVAL,
                         "recovery: an argument or the report's size is "
                         "missing");
    }
    rc = swki_options_read(&config, sizeof(config), options,
                           "swk_manager_config", err);
    if (rc != 0) {
        return rc;
    }
    if (config.state_dir == NULL || config.clock == NULL ||
        config.entropy == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "recovery: state directory, clock or entropy is "
                         "missing");
    }
    report = swki_calloc(config.alloc, 1, sizeof(*report));
    if (report == NULL) {
        return swki_fail_nomem(err);
    }
    rc = inspect(&config, report, err);
    if (rc == 0) {
        report->size = out_report->size;
        memcpy(out_report, report,
               report->size < sizeof(*report) ? report->size : sizeof(*report));
    }
    swki_free(config.alloc, report);
    return rc;
}
