/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/expiry.h"

#include <stdio.h>

#include "base/log.h"
#include "core/ca/issuer.h"
#include "core/ca/joining.h"
#include "wire/time.h"

enum {
    NAMES_SIZE = SWKI_CA_EXPIRY_NAMED_MAX * (SWK_ID_LEN_MAX + 2),
    LEFT_PART = 5, /* of the validity: a node renews before this is left */
};

/* Nodes that did not renew in time. */
struct late {
    size_t count;
    size_t ended; /* of them, have no valid certificate any more */
    char names[NAMES_SIZE];
    size_t names_len;
};

void swki_ca_expiry_init(struct swki_ca_expiry *e,
                         const struct swk_logger *logger,
                         struct swki_store *store, swk_time now)
{
    e->logger = logger;
    e->store = store;
    e->due = now + SWKI_CA_EXPIRY_FIRST;
    e->joins_due = e->due;
}

swk_time swki_ca_expiry_deadline(const struct swki_ca_expiry *e)
{
    return e->due < e->joins_due ? e->due : e->joins_due;
}

static void add_name(struct late *late, const char *id)
{
    int len = 0;

    if (late->count <= SWKI_CA_EXPIRY_NAMED_MAX) {
        len = snprintf(late->names + late->names_len,
                       sizeof(late->names) - late->names_len, "%s%s",
                       late->names_len > 0 ? ", " : "", id);
    }
    if (len > 0 && (size_t)len < sizeof(late->names) - late->names_len) {
        late->names_len += (size_t)len;
    }
}

static void look_at_node(const Swkpb__Node *node, swk_wall wall,
                         swk_wall left_min, struct late *late)
{
    swk_wall not_after = node->certificate != NULL
                             ? swki_timestamp_get(node->certificate->not_after)
                             : 0;

    if (not_after == 0 || not_after - wall >= left_min) {
        return;
    }
    late->count++;
    late->ended += not_after < wall;
    add_name(late, node->id);
}

/* What the swarm grants now. */
static swk_time validity_of(const Swkpb__Cluster *cluster)
{
    const Swkpb__CAConfig *config =
        cluster->spec != NULL ? cluster->spec->ca_config : NULL;

    return swki_duration_get(config != NULL ? config->node_cert_expiry : NULL,
                             SWKI_CA_EXPIRY_DEFAULT);
}

/* Most of a validity passes before a node renews; what the swarm grants now is
 * close enough to what it granted then. */
static void look_at_nodes(const struct swki_ca_expiry *e,
                          const Swkpb__Cluster *cluster, swk_wall wall)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    swk_time validity = validity_of(cluster);
    const struct swki_object *node;
    struct swki_cursor cursor;
    struct late late = {0};

    if (swki_view_find(swki_store_committed(e->store), SWKI_KIND_NODE, &all,
                       &cursor, NULL) != 0) {
        return;
    }
    while ((node = swki_cursor_next(&cursor)) != NULL) {
        look_at_node(swki_node(node), wall, (swk_wall)(validity / LEFT_PART),
                     &late);
    }
    swki_cursor_close(&cursor);
    if (late.count > 0) {
        swki_log(e->logger, SWK_LOG_WARN, "ca",
                 "nodes that are late to renew their certificates: %s%s (%zu, "
                 "of which ended: %zu)",
                 late.names,
                 late.count > SWKI_CA_EXPIRY_NAMED_MAX ? ", ..." : "",
                 late.count, late.ended);
    }
}

static bool read_end(struct swki_pem certificate, swk_wall *out_end)
{
    struct swki_certificate_info info;

    if (swki_certificate_info_init(&info, NULL, certificate, NULL) != 0) {
        return false;
    }
    *out_end = info.not_after;
    swki_certificate_info_fini(&info);
    return true;
}

static void tell_root(const struct swki_ca_expiry *e, swk_wall left)
{
    const long long days =
        (long long)((left < 0 ? -left : left) / (24 * (swk_wall)SWK_HOUR));

    swki_log(e->logger, left < 0 ? SWK_LOG_ERROR : SWK_LOG_WARN, "ca",
             "the swarm's root certificate %s %lld days%s: when it has, "
             "no node trusts another; rotate it (swarmctl cluster ca "
             "rotate)",
             left < 0 ? "ended" : "ends in", days, left < 0 ? " ago" : "");
}

/* No certificate outlives the one that signs it: the root, or while that is
 * being replaced, the certificate that leads from the next one to it. */
static void look_at_signer(const struct swki_ca_expiry *e,
                           const Swkpb__Cluster *cluster, swk_wall wall)
{
    const struct swki_ca_authority authority =
        swki_ca_authority_of(cluster->root_ca);
    swk_time validity = validity_of(cluster);
    swk_wall left;

    if (!read_end(authority.certificate, &left)) {
        return;
    }
    left -= wall;
    if (left > 0 && (swk_time)left < validity) {
        swki_log(e->logger, SWK_LOG_WARN, "ca",
                 "the nodes' new certificates are valid for %lld days, and not "
                 "the %llu that are configured: the CA certificate that signs "
                 "them ends then; rotate it (swarmctl cluster ca rotate)",
                 (long long)(left / (24 * (swk_wall)SWK_HOUR)),
                 (unsigned long long)(validity / (24 * SWK_HOUR)));
    }
}

static void look_at_root(const struct swki_ca_expiry *e,
                         const Swkpb__Cluster *cluster, swk_wall wall)
{
    const struct swki_pem roots = {cluster->root_ca->ca_cert.data,
                                   cluster->root_ca->ca_cert.len};
    swk_wall end;

    if (read_end(roots, &end) && end - wall < (swk_wall)SWKI_CA_EXPIRY_ROOT) {
        tell_root(e, end - wall);
    }
}

void swki_ca_expiry_step(struct swki_ca_expiry *e, swk_time now, swk_wall wall)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *cluster;
    struct swki_cursor cursor;

    if (now >= e->joins_due) {
        bool more = swki_ca_end_joins(e->store, e->logger, wall) > 0;

        e->joins_due = now + (more ? SWK_SECOND : SWKI_CA_EXPIRY_PERIOD);
    }
    if (now < e->due) {
        return;
    }
    e->due = now + SWKI_CA_EXPIRY_PERIOD;
    if (swki_view_find(swki_store_committed(e->store), SWKI_KIND_CLUSTER, &all,
                       &cursor, NULL) != 0) {
        return;
    }
    cluster = swki_cursor_next(&cursor);
    swki_cursor_close(&cursor);
    if (cluster != NULL && swki_cluster(cluster)->root_ca != NULL) {
        look_at_nodes(e, swki_cluster(cluster), wall);
        look_at_root(e, swki_cluster(cluster), wall);
        look_at_signer(e, swki_cluster(cluster), wall);
    }
}
