/* SPDX-License-Identifier: Apache-2.0 */

/* Which root signs: that of the cluster object, once it has proved fit to. */

#include "core/ca/server_impl.h"

#include "base/log.h"
#include "core/ca/rotation.h"

const Swkpb__RootCA *swki_ca_root_of(const struct swki_object *cluster)
{
    return cluster != NULL ? swki_cluster(cluster)->root_ca : NULL;
}

static bool is_material(const struct swki_object *known,
                        const struct swki_object *cluster)
{
    const Swkpb__RootCA *root = swki_ca_root_of(known);

    return root != NULL && swki_ca_same_signer(root, swki_ca_root_of(cluster));
}

static void replace(const struct swki_object **place,
                    const struct swki_object *object)
{
    swki_object_unref(*place);
    *place = object != NULL ? swki_object_ref(object) : NULL;
}

static const Swkpb__CAConfig *config_of(const struct swki_object *cluster)
{
    const Swkpb__ClusterSpec *spec = swki_cluster(cluster)->spec;

    return spec != NULL ? spec->ca_config : NULL;
}

/* Without memory for that nobody signs, until all is read again: the swarm's
 * own key must not stand in for an external CA. */
static void find_external(struct swki_ca_server *server)
{
    struct swk_error err;

    if (server->material == NULL) {
        return;
    }
    if (swki_ca_external_find(&server->external, config_of(server->cluster),
                              &server->authority, &err) != 0) {
        swki_log(server->logger, SWK_LOG_ERROR, "ca",
                 "nothing is signed for the moment: %s", err.text);
        server->stale = true;
    }
}

/* Whether those who are asked to sign change with the cluster's object. */
static bool changes_signers(const struct swki_ca_server *server,
                            const struct swki_object *cluster)
{
    return server->cluster != NULL &&
           (!is_material(server->cluster, cluster) ||
            !swki_rotation_same_external_cas(config_of(server->cluster),
                                             config_of(cluster)));
}

void swki_ca_server_see_cluster(struct swki_ca_server *server,
                                const struct swki_object *cluster)
{
    bool others =
        swki_ca_root_of(cluster) != NULL && changes_signers(server, cluster);

    replace(&server->cluster, cluster);
    if (swki_ca_root_of(cluster) == NULL) {
        return;
    }
    if (is_material(server->material, cluster)) {
        replace(&server->candidate, NULL);
    } else if (!is_material(server->candidate, cluster)) {
        replace(&server->candidate, cluster);
        server->candidate_at = 0;
    }
    server->signing.retry_at = 0; /* what failed may be mended */
    if (others) {
        swki_ca_signing_anew(&server->signing);
    }
    find_external(server);
}

/* The root before goes on to sign, if there is one. */
static void note_unfit(struct swki_ca_server *server, swk_time now,
                       swk_wall wall, const char *why)
{
    if (server->candidate_at == 0) {
        swki_log(server->logger, SWK_LOG_ERROR, "ca",
                 "the swarm's CA cannot sign: %s", why);
    }
    server->candidate_at = now + SWKI_CA_RETRY_INTERVAL;
    if (server->material == NULL) {
        swki_ca_reason_note(&server->signing.reason, now, wall, why);
        server->tell_at = now; /* who came since then, too */
    }
}

void swki_ca_server_try_candidate(struct swki_ca_server *server, swk_time now,
                                  swk_wall wall)
{
    const struct swki_object *candidate = server->candidate;
    struct swki_ca_authority authority;
    struct swk_error err;

    if (candidate == NULL || now < server->candidate_at) {
        return;
    }
    authority = swki_ca_authority_of(swki_ca_root_of(candidate));
    if (swki_ca_authority_check(&authority, wall, &server->entropy, &err) !=
        0) {
        note_unfit(server, now, wall, err.text);
        return;
    }
    replace(&server->material, candidate);
    replace(&server->candidate, NULL);
    server->authority = authority;
    swki_ca_signing_anew(&server->signing); /* another one was asked before */
    find_external(server);
}

void swki_ca_server_forget_material(struct swki_ca_server *server)
{
    replace(&server->candidate, NULL);
    replace(&server->material, NULL);
    replace(&server->cluster, NULL);
    swki_ca_external_fini(&server->external);
    swki_ca_external_init(&server->external, server->alloc);
}
