/* SPDX-License-Identifier: Apache-2.0 */

/* A signer's state for people. */

#include "core/signer/notary.h"
#include "wire/message.h"

static Swkpb__Rpc__SignerAuthority *
describe_authority(const struct swki_authority *authority,
                   struct swki_arena *arena)
{
    Swkpb__Rpc__SignerAuthority *out = swki_arena_alloc(arena, sizeof(*out));

    if (out == NULL) {
        return NULL;
    }
    swkpb__rpc__signer_authority__init(out);
    out->fingerprint = swki_arena_strdup(arena, authority->fingerprint);
    out->not_before =
        swki_timestamp_from_wall(authority->info.not_before, arena);
    out->not_after = swki_timestamp_from_wall(authority->info.not_after, arena);
    out->used = authority->used;
    out->has_key = authority->signer != NULL;
    out->certificate.data = swki_arena_memdup(
        arena, authority->certificate.data, authority->certificate.len);
    out->certificate.len = authority->certificate.len;
    return out->fingerprint != NULL && out->not_before != NULL &&
                   out->not_after != NULL && out->certificate.data != NULL
               ? out
               : NULL;
}

static Swkpb__Rpc__SignerRate *describe_rate(struct swk_signer_rate rate,
                                             struct swki_arena *arena)
{
    Swkpb__Rpc__SignerRate *out = swki_arena_alloc(arena, sizeof(*out));

    if (out != NULL) {
        swkpb__rpc__signer_rate__init(out);
        out->per_hour = rate.per_hour;
        out->burst = rate.burst;
    }
    return out;
}

static Swkpb__Rpc__SignerPolicy *
describe_policy(const struct swk_signer_policy *policy,
                struct swki_arena *arena)
{
    Swkpb__Rpc__SignerPolicy *out = swki_arena_alloc(arena, sizeof(*out));

    if (out == NULL) {
        return NULL;
    }
    swkpb__rpc__signer_policy__init(out);
    out->managers = (policy->flags & SWK_SIGNER_NO_MANAGERS) == 0;
    out->promotions =
        out->managers && (policy->flags & SWK_SIGNER_NO_PROMOTIONS) == 0;
    out->new_roots = (policy->flags & SWK_SIGNER_NO_NEW_ROOTS) == 0;
    out->foreign_roots = (policy->flags & SWK_SIGNER_FOREIGN_ROOTS) != 0;
    out->longest_validity =
        swki_duration_from_ns((int64_t)policy->validity_max_ns, arena);
    out->expired_grace =
        swki_duration_from_ns((int64_t)policy->expired_grace_ns, arena);
    out->clock_skew =
        swki_duration_from_ns((int64_t)policy->skew_max_ns, arena);
    out->new_nodes = describe_rate(policy->new_nodes, arena);
    out->renewals = describe_rate(policy->renewals, arena);
    out->new_managers = describe_rate(policy->new_managers, arena);
    out->roots = describe_rate(policy->roots, arena);
    out->approve_managers = (policy->flags & SWK_SIGNER_APPROVE_MANAGERS) != 0;
    out->nodes_max = policy->nodes_max;
    return out;
}

static bool describe_allowed(const struct swki_approvals *approvals,
                             swk_wall wall,
                             Swkpb__Rpc__DescribeSignerResponse *out,
                             struct swki_arena *arena)
{
    out->allowed =
        swki_arena_calloc(arena, approvals->count + 1, sizeof(char *));
    for (size_t i = 0; out->allowed != NULL && i < approvals->count; i++) {
        char *id = swki_arena_strdup(arena, approvals->list[i].node_id);

        if (id == NULL) {
            return false;
        }
        if (approvals->list[i].until >= wall) {
            out->allowed[out->n_allowed++] = id;
        }
    }
    return out->allowed != NULL;
}

static bool describe_removed(const struct swki_notary *notary,
                             Swkpb__Rpc__DescribeSignerResponse *out,
                             struct swki_arena *arena)
{
    out->removed = swki_arena_calloc(arena, notary->removed_count + 1,
                                     sizeof(Swkpb__Rpc__SignerRemoved *));
    for (size_t i = 0; out->removed != NULL && i < notary->removed_count; i++) {
        Swkpb__Rpc__SignerRemoved *one = swki_arena_alloc(arena, sizeof(*one));

        if (one == NULL) {
            return false;
        }
        swkpb__rpc__signer_removed__init(one);
        one->fingerprint =
            swki_arena_strdup(arena, notary->removed[i].fingerprint);
        one->time = swki_timestamp_from_wall(notary->removed[i].wall, arena);
        if (one->fingerprint == NULL || one->time == NULL) {
            return false;
        }
        out->removed[out->n_removed++] = one;
    }
    return out->removed != NULL;
}

Swkpb__Rpc__DescribeSignerResponse *
swki_notary_describe(const struct swki_notary *notary, swk_wall wall,
                     struct swki_arena *arena)
{
    const struct swki_authorities *authorities = notary->authorities;
    Swkpb__Rpc__DescribeSignerResponse *out =
        swki_arena_alloc(arena, sizeof(*out));
    Swkpb__Rpc__SignerCounters *counters =
        swki_arena_memdup(arena, &notary->counters, sizeof(*counters));

    if (out == NULL || counters == NULL) {
        return NULL;
    }
    swkpb__rpc__describe_signer_response__init(out);
    out->swarm_id = swki_arena_strdup(arena, notary->swarm_id);
    out->counters = counters;
    out->policy = describe_policy(&notary->policy, arena);
    out->now = swki_timestamp_from_wall(wall, arena);
    out->nodes = swki_register_count(&notary->nodes);
    out->authorities = swki_arena_calloc(arena, authorities->count + 1,
                                         sizeof(Swkpb__Rpc__SignerAuthority *));
    if (out->swarm_id == NULL || out->policy == NULL || out->now == NULL ||
        out->authorities == NULL ||
        !describe_allowed(&notary->approvals, wall, out, arena) ||
        !describe_removed(notary, out, arena)) {
        return NULL;
    }
    for (struct swki_link *link = authorities->list.next;
         link != &authorities->list; link = link->next) {
        Swkpb__Rpc__SignerAuthority *one = describe_authority(
            SWKI_CONTAINER(link, struct swki_authority, link), arena);

        if (one == NULL) {
            return NULL;
        }
        out->authorities[out->n_authorities++] = one;
    }
    return out;
}
