/* SPDX-License-Identifier: Apache-2.0 */

#include "core/signer/notary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

static const uint64_t day = 24 * SWK_HOUR;

/* -- Limits -----------------------------------------------------------------
 */

static struct swk_signer_rate rate_or(struct swk_signer_rate rate,
                                      uint32_t per_hour, uint32_t burst)
{
    return (struct swk_signer_rate){
        .per_hour = rate.per_hour != 0 ? rate.per_hour : per_hour,
        .burst = rate.burst != 0 ? rate.burst : burst,
    };
}

static void apply_defaults(struct swki_notary *notary)
{
    struct swk_signer_policy *policy = &notary->policy;

    policy->validity_max_ns =
        policy->validity_max_ns != 0 ? policy->validity_max_ns : 90 * day;
    policy->expired_grace_ns =
        policy->expired_grace_ns != 0 ? policy->expired_grace_ns : 30 * day;
    policy->skew_max_ns =
        policy->skew_max_ns != 0 ? policy->skew_max_ns : 5 * SWK_MINUTE;
    policy->new_nodes = rate_or(policy->new_nodes, 7200, 2000);
    policy->renewals = rate_or(policy->renewals, 36000, 20000);
    policy->new_managers = rate_or(policy->new_managers, 20, 10);
    policy->nodes_max = policy->nodes_max != 0 ? policy->nodes_max : 100000;
    policy->roots = rate_or(policy->roots, 4, 6);
    notary->buckets[SWKI_NOTARY_NEW_NODES].rate = policy->new_nodes;
    notary->buckets[SWKI_NOTARY_RENEWALS].rate = policy->renewals;
    notary->buckets[SWKI_NOTARY_NEW_MANAGERS].rate = policy->new_managers;
    notary->buckets[SWKI_NOTARY_ROOTS].rate = policy->roots;
    notary->buckets[SWKI_NOTARY_REFUSALS].rate =
        (struct swk_signer_rate){.per_hour = 3600, .burst = 1000};
}

int swki_notary_init(struct swki_notary *notary,
                     const struct swk_signer_policy *policy,
                     const char *swarm_id, struct swki_authorities *authorities,
                     struct swk_error *err)
{
    const char *wanted = policy->swarm_id != NULL ? policy->swarm_id : swarm_id;

    if (strlen(wanted) > SWK_ID_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL, "the ID of the swarm is too long");
    }
    if (swarm_id[0] != '\0' && strcmp(swarm_id, wanted) != 0) {
        return swki_fail(err, SWK_EINVAL,
                         "this signer has signed for swarm %s, and cannot be "
                         "used for %s",
                         swarm_id, wanted);
    }
    if (policy->nodes_max > SWK_SIGNER_NODES_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "no more than %d nodes can be "
                         "remembered",
                         SWK_SIGNER_NODES_MAX);
    }
    memset(notary, 0, sizeof(*notary));
    notary->policy = *policy;
    notary->policy.swarm_id = NULL;
    notary->authorities = authorities;
    snprintf(notary->swarm_id, sizeof(notary->swarm_id), "%s", wanted);
    swkpb__rpc__signer_counters__init(&notary->counters);
    apply_defaults(notary);
    swki_register_init(&notary->nodes, authorities->alloc,
                       notary->policy.nodes_max,
                       notary->policy.expired_grace_ns);
    return SWK_OK;
}

void swki_notary_fini(struct swki_notary *notary)
{
    swki_register_fini(&notary->nodes);
}

/* -- Rates ------------------------------------------------------------------
 */

static swk_time interval_of(const struct swki_notary_bucket *bucket)
{
    return SWK_HOUR / bucket->rate.per_hour;
}

/* What one more takes from the burst fills up again in an interval. So the
 * moment when it is full says how much is left. */
static bool has_room(const struct swki_notary_bucket *bucket, swk_time now)
{
    swk_time all = interval_of(bucket) * bucket->rate.burst;

    return bucket->full_at <= now ||
           bucket->full_at - now + interval_of(bucket) <= all;
}

static void take(struct swki_notary_bucket *bucket, swk_time now)
{
    swk_time from = bucket->full_at > now ? bucket->full_at : now;

    bucket->full_at = from + interval_of(bucket);
}

static int check_rate(const struct swki_notary *notary,
                      enum swki_notary_rate which, swk_time now,
                      struct swk_error *err)
{
    static const char *const names[SWKI_NOTARY_RATES] = {
        [SWKI_NOTARY_NEW_NODES] = "new nodes",
        [SWKI_NOTARY_RENEWALS] = "renewals",
        [SWKI_NOTARY_NEW_MANAGERS] = "new managers",
        [SWKI_NOTARY_ROOTS] = "roots",
        [SWKI_NOTARY_REFUSALS] = "refusals",
    };
    const struct swki_notary_bucket *bucket = &notary->buckets[which];

    return has_room(bucket, now)
               ? SWK_OK
               : swki_fail(err, SWK_ELIMIT,
                           "more %s than the %" PRIu32 " an hour that are "
                           "allowed",
                           names[which], bucket->rate.per_hour);
}

/* -- Decisions --------------------------------------------------------------
 */

static int check_clock(const struct swki_notary *notary, swk_wall wall,
                       swk_wall theirs, struct swk_error *err)
{
    uint64_t skew = theirs > wall ? (uint64_t)theirs - (uint64_t)wall
                                  : (uint64_t)wall - (uint64_t)theirs;

    return skew <= notary->policy.skew_max_ns
               ? SWK_OK
               : swki_fail(err, SWK_EPRECONDITION,
                           "the manager's clock is %" PRIu64 " s off the "
                           "signer's",
                           skew / SWK_SECOND);
}

static int check_swarm(const struct swki_notary *notary, const char *swarm_id,
                       struct swk_error *err)
{
    if (swarm_id[0] == '\0' || strlen(swarm_id) > SWK_ID_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL, "no swarm is named");
    }
    if (notary->swarm_id[0] != '\0' &&
        strcmp(notary->swarm_id, swarm_id) != 0) {
        return swki_fail(err, SWK_EDENIED,
                         "this signer serves another swarm than %s", swarm_id);
    }
    return SWK_OK;
}

static int find_authority(const struct swki_notary *notary, swk_wall wall,
                          struct swki_pem certificate,
                          struct swki_authority **out_authority,
                          struct swk_error *err)
{
    struct swki_authority *found;
    int rc =
        swki_authorities_find(notary->authorities, certificate, &found, err);

    if (rc != 0) {
        return rc;
    }
    if (found == NULL || found->signer == NULL) {
        return swki_fail(err, SWK_EUNAVAILABLE,
                         "the key of the swarm's present root is not here; "
                         "bring it with \"swarm-signer import\"");
    }
    if (found->info.not_before > wall || found->info.not_after < wall) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "the certificate of authority %.16s is not valid now",
                         found->fingerprint);
    }
    *out_authority = found;
    return SWK_OK;
}

/* Whether the certificate shows that this node was admitted before. */
static int check_previous(const struct swki_notary *notary, swk_wall wall,
                          const struct swki_notary_request *request,
                          struct swki_identity *out_identity,
                          struct swk_error *err)
{
    struct swki_buf roots;
    struct swki_chain chain = {
        .certificates = swki_pem_first(request->previous),
        .now = wall,
        .flags = SWKI_CHAIN_ALLOW_EXPIRED,
    };
    struct swk_error why;
    int rc;

    swki_buf_init(&roots, notary->authorities->alloc, SIZE_MAX);
    if (!swki_authorities_bundle(notary->authorities, &roots)) {
        rc = swki_fail_nomem(&why);
    } else {
        chain.roots = swki_pem_of_buf(&roots);
        rc = swki_chain_verify(&chain, NULL, &why);
    }
    swki_buf_fini(&roots);
    if (rc == 0) {
        rc = swki_certificate_identity(chain.certificates, out_identity, &why);
    }
    if (rc == 0 || rc == SWK_ENOMEM) {
        return rc == 0 ? SWK_OK : swki_fail_nomem(err);
    }
    return swki_fail(err, SWK_EDENIED,
                     "what node %s shows of itself is of no use: %s%s",
                     request->node_id, why.text,
                     rc == SWK_EUNAUTHENTICATED
                         ? "; an earlier root is made known by \"swarm-signer "
                           "trust\""
                         : "");
}

/* Whether it is that of this node, and not too old. */
static int check_holder(const struct swki_notary *notary, swk_wall wall,
                        const struct swki_notary_request *request,
                        const struct swki_identity *holder,
                        struct swk_error *err)
{
    if (strcmp(holder->node_id, request->node_id) != 0 ||
        strcmp(holder->swarm_id, request->swarm_id) != 0) {
        return swki_fail(err, SWK_EDENIED,
                         "node %s shows the certificate of node %s of swarm %s",
                         request->node_id, holder->node_id, holder->swarm_id);
    }
    if (holder->not_after < wall && (uint64_t)(wall - holder->not_after) >
                                        notary->policy.expired_grace_ns) {
        return swki_fail(err, SWK_EDENIED,
                         "the certificate of node %s expired longer ago than "
                         "%" PRIu64 " h",
                         request->node_id,
                         notary->policy.expired_grace_ns / SWK_HOUR);
    }
    return SWK_OK;
}

static int check_role(const struct swki_notary *notary,
                      const struct swki_notary_request *request,
                      enum swki_role before, struct swk_error *err)
{
    uint32_t flags = notary->policy.flags;

    if (request->role != SWKI_ROLE_MANAGER) {
        return request->role == SWKI_ROLE_WORKER
                   ? SWK_OK
                   : swki_fail(err, SWK_EINVAL, "no role is named");
    }
    if ((flags & SWK_SIGNER_NO_MANAGERS) != 0) {
        return swki_fail(err, SWK_EDENIED,
                         "this signer signs for workers alone");
    }
    if (before == SWKI_ROLE_WORKER && (flags & SWK_SIGNER_NO_PROMOTIONS) != 0) {
        return swki_fail(err, SWK_EDENIED,
                         "this signer does not let workers become managers");
    }
    return SWK_OK;
}

static bool nothing_was_signed(const struct swki_notary *notary)
{
    bool used = swki_register_count(&notary->nodes) > 0;

    for (struct swki_link *link = notary->authorities->list.next;
         link != &notary->authorities->list; link = link->next) {
        used |= SWKI_CONTAINER(link, struct swki_authority, link)->used;
    }
    return !used;
}

/* The founder is a manager before there is anybody to ask. */
static int check_approval(const struct swki_notary *notary, swk_wall wall,
                          const struct swki_notary_request *request,
                          struct swki_notary_decision *decision,
                          struct swk_error *err)
{
    if ((notary->policy.flags & SWK_SIGNER_APPROVE_MANAGERS) == 0 ||
        request->role != SWKI_ROLE_MANAGER ||
        decision->previous_role == SWKI_ROLE_MANAGER ||
        nothing_was_signed(notary)) {
        return SWK_OK;
    }
    decision->approved =
        swki_approvals_has(&notary->approvals, request->node_id, wall);
    return decision->approved
               ? SWK_OK
               : swki_fail(err, SWK_EABORTED,
                           "node %s becomes a manager when an operator says "
                           "so: swarm-signer allow %s",
                           request->node_id, request->node_id);
}

/* What was signed may not have arrived: for the same key it is signed again. */
static int check_repeat(const struct swki_notary_request *request,
                        const struct swki_register_record *known,
                        struct swk_error *err)
{
    uint8_t digest[SWKI_SHA256_SIZE];
    struct swki_buf key;
    bool same = false;
    int rc;

    swki_buf_init(&key, NULL, SIZE_MAX);
    rc = swki_csr_public_key(request->csr, &key, err);
    if (rc == 0) {
        same = request->role == known->role &&
               swki_sha256(key.data, key.len, digest) &&
               memcmp(digest, known->key, sizeof(digest)) == 0;
    }
    swki_buf_fini(&key);
    return rc != 0 || same
               ? rc
               : swki_fail(err, SWK_EDENIED,
                           "node %s is not new, and has to be shown with the "
                           "certificate that it had",
                           request->node_id);
}

/* Who the node was. Of what is shown and what is known the later one counts:
 * several signers may serve one swarm, and an earlier certificate is no way
 * back to a role. */
static int find_previous(const struct swki_notary *notary, swk_wall wall,
                         const struct swki_notary_request *request,
                         enum swki_role *out_role, struct swk_error *err)
{
    struct swki_register_record known;
    struct swki_identity holder;
    bool is_known =
        swki_register_get(&notary->nodes, request->node_id, wall, &known);
    int rc = SWK_OK;

    if (request->previous.len == 0) {
        *out_role = is_known ? known.role : SWKI_ROLE_NONE;
        return is_known ? check_repeat(request, &known, err) : SWK_OK;
    }
    rc = check_previous(notary, wall, request, &holder, err);
    if (rc == 0) {
        rc = check_holder(notary, wall, request, &holder, err);
    }
    if (rc == 0) {
        *out_role = is_known && known.not_before >= holder.not_before
                        ? known.role
                        : (enum swki_role)holder.role;
    }
    return rc;
}

static int check_node(struct swki_notary *notary, swk_wall wall,
                      const struct swki_notary_request *request,
                      struct swki_notary_decision *decision,
                      struct swk_error *err)
{
    int rc = find_authority(notary, wall, request->authority,
                            &decision->authority, err);

    if (rc == 0 && request->node_id[0] == '\0') {
        rc = swki_fail(err, SWK_EINVAL, "no node is named");
    }
    if (rc == 0 && !swki_register_fits(request->node_id)) {
        rc = swki_fail(err, SWK_EINVAL, "the ID of the node is no ID");
    }
    if (rc == 0 && (request->validity_ns < SWK_MINUTE ||
                    request->validity_ns > notary->policy.validity_max_ns)) {
        rc = swki_fail(err, SWK_EDENIED,
                       "a validity of %" PRIu64 " h was asked for, and %" PRIu64
                       " h are the most",
                       request->validity_ns / SWK_HOUR,
                       notary->policy.validity_max_ns / SWK_HOUR);
    }
    if (rc == 0) {
        rc =
            find_previous(notary, wall, request, &decision->previous_role, err);
    }
    if (rc == 0) {
        rc = check_role(notary, request, decision->previous_role, err);
    }
    return rc != 0 ? rc : check_approval(notary, wall, request, decision, err);
}

static int decide_node(struct swki_notary *notary, swk_time now, swk_wall wall,
                       const struct swki_notary_request *request,
                       struct swki_notary_decision *decision,
                       struct swk_error *err)
{
    enum swki_notary_rate rate;
    bool manager;
    int rc = check_node(notary, wall, request, decision, err);

    if (rc != 0) {
        return rc;
    }
    rate = decision->previous_role == SWKI_ROLE_NONE ? SWKI_NOTARY_NEW_NODES
                                                     : SWKI_NOTARY_RENEWALS;
    manager = request->role == SWKI_ROLE_MANAGER &&
              decision->previous_role != SWKI_ROLE_MANAGER;
    rc = check_rate(notary, rate, now, err);
    if (rc == 0 && rate == SWKI_NOTARY_NEW_NODES &&
        !swki_register_has_room(&notary->nodes, wall)) {
        rc = swki_fail(err, SWK_ELIMIT,
                       "this signer remembers %" PRIu32 " nodes and takes in "
                       "no more (--nodes-max)",
                       notary->policy.nodes_max);
    }
    if (rc == 0 && manager) {
        rc = check_rate(notary, SWKI_NOTARY_NEW_MANAGERS, now, err);
    }
    if (rc != 0) {
        return rc;
    }
    take(&notary->buckets[rate], now);
    if (manager) {
        take(&notary->buckets[SWKI_NOTARY_NEW_MANAGERS], now);
    }
    return SWK_OK;
}

/* What was made and never used is given again: asking twice is no harm. */
static int decide_root(struct swki_notary *notary, swk_time now,
                       struct swki_notary_decision *decision,
                       struct swk_error *err)
{
    int rc;

    decision->authority = swki_authorities_unused(notary->authorities);
    if (decision->authority != NULL) {
        return SWK_OK;
    }
    if ((notary->policy.flags & SWK_SIGNER_NO_NEW_ROOTS) != 0) {
        return swki_fail(err, SWK_EDENIED,
                         "this signer makes no roots for managers; make one "
                         "with \"swarm-signer init\"");
    }
    if (notary->authorities->count >= SWK_AUTHORITIES_MAX) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "there are %d authorities already; remove those that "
                         "are out of use",
                         SWK_AUTHORITIES_MAX);
    }
    rc = check_rate(notary, SWKI_NOTARY_ROOTS, now, err);
    if (rc == 0) {
        take(&notary->buckets[SWKI_NOTARY_ROOTS], now);
    }
    return rc;
}

static int check_cross(struct swki_notary *notary, swk_wall wall,
                       const struct swki_notary_request *request,
                       struct swki_notary_decision *decision,
                       struct swk_error *err)
{
    int rc = find_authority(notary, wall, request->authority,
                            &decision->authority, err);

    if (rc == 0) {
        rc = swki_roots_check(swki_pem_first(request->root), wall, err);
    }
    if (rc == 0) {
        rc = swki_authorities_find(notary->authorities, request->root,
                                   &decision->subject, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (decision->subject == decision->authority) {
        return swki_fail(err, SWK_EINVAL, "a root is not signed under itself");
    }
    if ((decision->subject == NULL || decision->subject->signer == NULL) &&
        (notary->policy.flags & SWK_SIGNER_FOREIGN_ROOTS) == 0) {
        return swki_fail(err, SWK_EDENIED,
                         "this signer does not hold the key of the new root, "
                         "and signs no others");
    }
    return SWK_OK;
}

static int decide_cross(struct swki_notary *notary, swk_time now, swk_wall wall,
                        const struct swki_notary_request *request,
                        struct swki_notary_decision *decision,
                        struct swk_error *err)
{
    int rc = check_cross(notary, wall, request, decision, err);

    if (rc == 0) {
        rc = check_rate(notary, SWKI_NOTARY_ROOTS, now, err);
    }
    if (rc == 0) {
        take(&notary->buckets[SWKI_NOTARY_ROOTS], now);
    }
    return rc;
}

int swki_notary_decide(struct swki_notary *notary, swk_time now, swk_wall wall,
                       const struct swki_notary_request *request,
                       struct swki_notary_decision *out_decision,
                       struct swk_error *err)
{
    int rc = check_swarm(notary, request->swarm_id, err);

    *out_decision = (struct swki_notary_decision){0};
    if (rc == 0) {
        rc = check_clock(notary, wall, request->now, err);
    }
    if (rc != 0) {
        return rc;
    }
    switch (request->kind) {
    case SWKI_NOTARY_NODE:
        return decide_node(notary, now, wall, request, out_decision, err);
    case SWKI_NOTARY_ROOT:
        return decide_root(notary, now, out_decision, err);
    case SWKI_NOTARY_CROSS:
        return decide_cross(notary, now, wall, request, out_decision, err);
    case SWKI_NOTARY_CHECK:
        return find_authority(notary, wall, request->authority,
                              &out_decision->authority, err);
    }
    return swki_fail(err, SWK_EINVAL, "nothing to sign");
}

/* -- Afterwards -------------------------------------------------------------
 */

int swki_notary_record(const struct swki_notary_request *request,
                       struct swki_pem certificate,
                       struct swki_register_record *out_record,
                       struct swk_error *err)
{
    struct swki_certificate_info info;
    int rc = swki_certificate_info_init(&info, NULL, certificate, err);

    if (rc != 0) {
        return rc;
    }
    snprintf(out_record->node_id, sizeof(out_record->node_id), "%s",
             request->node_id);
    out_record->role = request->role;
    out_record->not_before = info.not_before;
    out_record->not_after = info.not_after;
    if (!swki_sha256(info.public_key.data, info.public_key.len,
                     out_record->key)) {
        rc = swki_fail(err, SWK_EINTERNAL, "no digest could be made");
    }
    swki_certificate_info_fini(&info);
    return rc;
}

static bool use(struct swki_authority *authority)
{
    bool fresh = authority != NULL && !authority->used;

    if (fresh) {
        authority->used = true;
    }
    return fresh;
}

static void count(struct swki_notary *notary,
                  const struct swki_notary_request *request,
                  const struct swki_notary_decision *decision)
{
    switch (request->kind) {
    case SWKI_NOTARY_NODE:
        if (decision->previous_role == SWKI_ROLE_NONE) {
            notary->counters.new_nodes++;
        } else {
            notary->counters.renewals++;
        }
        break;
    case SWKI_NOTARY_ROOT:
        notary->counters.roots++;
        break;
    case SWKI_NOTARY_CROSS:
        notary->counters.cross_signed++;
        break;
    case SWKI_NOTARY_CHECK:
        break;
    }
}

bool swki_notary_signed(struct swki_notary *notary,
                        const struct swki_notary_request *request,
                        const struct swki_notary_decision *decision)
{
    bool fresh = false;

    count(notary, request, decision);
    if (request->kind == SWKI_NOTARY_ROOT ||
        request->kind == SWKI_NOTARY_CHECK) {
        return false;
    }
    if (notary->swarm_id[0] == '\0') {
        snprintf(notary->swarm_id, sizeof(notary->swarm_id), "%s",
                 request->swarm_id);
        fresh = true;
    }
    fresh = use(decision->authority) || fresh;
    return use(decision->subject) || fresh;
}

bool swki_notary_refused(struct swki_notary *notary, swk_time now, int code,
                         uint64_t *out_left_out)
{
    struct swki_notary_bucket *bucket = &notary->buckets[SWKI_NOTARY_REFUSALS];

    if (code == SWK_ENOMEM || code == SWK_EIO || code == SWK_EINTERNAL) {
        notary->counters.failed++;
    } else {
        notary->counters.refused++;
    }
    if (!has_room(bucket, now)) {
        notary->left_out++;
        return false;
    }
    take(bucket, now);
    *out_left_out = notary->left_out;
    notary->left_out = 0;
    return true;
}

void swki_notary_removed(struct swki_notary *notary, const char *fingerprint,
                         swk_wall wall)
{
    struct swki_notary_removed *list = notary->removed;

    if (notary->removed_count == SWKI_NOTARY_REMOVED_MAX) {
        memmove(list, list + 1, (SWKI_NOTARY_REMOVED_MAX - 1) * sizeof(*list));
        notary->removed_count--;
    }
    list += notary->removed_count++;
    snprintf(list->fingerprint, sizeof(list->fingerprint), "%s", fingerprint);
    list->wall = wall;
}
