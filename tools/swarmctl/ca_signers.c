/* SPDX-License-Identifier: Apache-2.0 */

/* Who signs for each root of the swarm, and why they do not. */

#include <stdio.h>
#include <string.h>

#include <swarmkit/certificate.h>

#include "ca.h"
#include "swarmkit/rotation.pb-c.h"

static bool read_root(const ProtobufCBinaryData *pem,
                      struct swk_certificate *out_certificate)
{
    *out_certificate =
        (struct swk_certificate){.size = sizeof(*out_certificate)};
    return swk_certificate_read(pem->data, pem->len, out_certificate, NULL) ==
           0;
}

bool ca_same_certificate(const ProtobufCBinaryData *a,
                         const ProtobufCBinaryData *b)
{
    struct swk_certificate x;
    struct swk_certificate y;

    return read_root(a, &x) && read_root(b, &y) &&
           memcmp(x.fingerprint, y.fingerprint, sizeof(x.fingerprint)) == 0;
}

static const Swkpb__CAConfig *config_of(const Swkpb__Cluster *cluster)
{
    static const Swkpb__CAConfig none = SWKPB__CACONFIG__INIT;

    return cluster->spec != NULL && cluster->spec->ca_config != NULL
               ? cluster->spec->ca_config
               : &none;
}

/* The root that an external CA signs for: that which it names, or the present
 * one. */
static const ProtobufCBinaryData *root_of(const Swkpb__Cluster *cluster,
                                          const Swkpb__ExternalCA *ca)
{
    return ca->ca_cert.len > 0 ? &ca->ca_cert : &cluster->root_ca->ca_cert;
}

static bool is_of_present(const Swkpb__Cluster *cluster,
                          const Swkpb__ExternalCA *ca)
{
    return ca_same_certificate(root_of(cluster, ca),
                               &cluster->root_ca->ca_cert);
}

static bool is_of_next(const Swkpb__Cluster *cluster,
                       const Swkpb__ExternalCA *ca)
{
    const Swkpb__RootRotation *rotation = cluster->root_ca->root_rotation;

    return rotation != NULL &&
           ca_same_certificate(root_of(cluster, ca), &rotation->ca_cert);
}

/* "sha256:..." of the root, or what is wrong with it. */
static const char *root_text(struct ctl *ctl, const ProtobufCBinaryData *root)
{
    struct swk_certificate certificate;
    char *text = pool_strdup(&ctl->pool, "sha256:");

    if (!read_root(root, &certificate)) {
        return "of no use";
    }
    for (size_t i = 0; i < SWK_CERTIFICATE_DIGEST_SIZE; i++) {
        text =
            pool_printf(&ctl->pool, "%s%02x", text, certificate.fingerprint[i]);
    }
    return text;
}

/* -- For people ----------------------------------------------------------- */

static void print_trouble(struct ctl *ctl, const char *title,
                          const Swkpb__Rpc__CaTrouble *trouble)
{
    print_field(title, "%s (since %s, %llu certificate%s)", trouble->why,
                trouble->since != NULL ? time_text(ctl, trouble->since) : "-",
                (unsigned long long)trouble->waiting,
                trouble->waiting == 1 ? " waits" : "s wait");
}

/* When nobody waits any more, nobody finds out whether it is over. Whether a
 * signer is back is known all the same: it is asked now and then. */
static const Swkpb__Rpc__CaTrouble *
trouble_of(const Swkpb__Rpc__CaKeeper *keeper)
{
    const Swkpb__Rpc__CaTrouble *trouble = keeper->not_signing;

    return trouble != NULL && trouble->waiting > 0 ? trouble : NULL;
}

/* in_force: what is wanted now is of this root. */
static void print_troubles(struct ctl *ctl, const Swkpb__Rpc__CaKeeper *keeper,
                           bool by_signer, bool in_force)
{
    const Swkpb__Rpc__CaTrouble *trouble = in_force ? trouble_of(keeper) : NULL;

    if (trouble != NULL) {
        print_trouble(ctl, "  Not signing", trouble);
    } else if (by_signer && keeper->failure[0] != '\0') {
        print_field("  Not signing", "%s", keeper->failure);
    }
    if (in_force && keeper->held_back != NULL) {
        print_trouble(ctl, "  Held back", keeper->held_back);
    }
    if (by_signer && keeper->signer[0] != '\0') {
        print_field("  Asked last", "%s",
                    keeper->asked_at != NULL ? time_text(ctl, keeper->asked_at)
                                             : "not yet");
    }
}

/* Where the key is, if no external CA signs. */
static void print_keeper(const Swkpb__Rpc__CaKeeper *keeper, bool in_log)
{
    if (in_log) {
        print_field("  Signed by", "the manager that leads: the key is in the "
                                   "swarm's log");
    } else if (keeper->signer[0] == '\0') {
        print_field("  Signed by",
                    "nobody: the manager that leads was started without "
                    "--signer");
    } else {
        print_field("  Signed by", "the signer of the manager that leads, %s",
                    keeper->signer);
    }
}

void ca_print_signers(struct ctl *ctl, const Swkpb__Cluster *cluster,
                      enum ca_root root)
{
    const Swkpb__Rpc__CaKeeper *keeper = cluster->root_ca->keeper;
    const Swkpb__CAConfig *config = config_of(cluster);
    bool rotates = cluster->root_ca->root_rotation != NULL;
    bool by_external = false;
    bool in_log;

    for (size_t i = 0; i < config->n_external_cas; i++) {
        const Swkpb__ExternalCA *ca = config->external_cas[i];

        if (root == CA_NEXT_ROOT ? is_of_next(cluster, ca)
                                 : is_of_present(cluster, ca)) {
            print_field("  Signed by", "external CA %s", ca->url);
            by_external = true;
        }
    }
    if (keeper == NULL) { /* of an earlier release */
        return;
    }
    in_log = root == CA_NEXT_ROOT ? keeper->next_in_log : keeper->in_log;
    if (!by_external) {
        print_keeper(keeper, in_log);
    }
    /* It is asked whether it signs for the present root. */
    print_troubles(ctl, keeper, root == CA_ROOT && !by_external && !in_log,
                   rotates == (root == CA_NEXT_ROOT));
}

void ca_print_other_signers(struct ctl *ctl, const Swkpb__Cluster *cluster)
{
    const Swkpb__CAConfig *config = config_of(cluster);

    for (size_t i = 0; i < config->n_external_cas; i++) {
        const Swkpb__ExternalCA *ca = config->external_cas[i];

        if (!is_of_present(cluster, ca) && !is_of_next(cluster, ca)) {
            print_field("Not asked",
                        "external CA %s, as it signs for another "
                        "root: %s",
                        ca->url, root_text(ctl, root_of(cluster, ca)));
        }
    }
}

/* -- JSON ----------------------------------------------------------------- */

static void json_external(struct ctl *ctl, const Swkpb__Cluster *cluster,
                          const Swkpb__ExternalCA *ca)
{
    bool rotates = cluster->root_ca->root_rotation != NULL;
    bool asked = rotates ? is_of_next(cluster, ca) : is_of_present(cluster, ca);

    printf("{\"url\":");
    print_json_text(ca->url);
    printf(",\"root\":");
    print_json_text(root_text(ctl, root_of(cluster, ca)));
    printf(",\"signs\":%s}", asked ? "true" : "false");
}

static void json_trouble(struct ctl *ctl, const char *name,
                         const Swkpb__Rpc__CaTrouble *trouble)
{
    printf(",\"%s\":", name);
    if (trouble == NULL) {
        printf("null");
        return;
    }
    printf("{\"why\":");
    print_json_text(trouble->why);
    printf(",\"since\":");
    print_json_text(trouble->since != NULL ? time_text(ctl, trouble->since)
                                           : "");
    printf(",\"waiting\":%llu}", (unsigned long long)trouble->waiting);
}

void ca_json_signers(struct ctl *ctl, const Swkpb__Cluster *cluster)
{
    const Swkpb__Rpc__CaKeeper *keeper = cluster->root_ca->keeper;
    const Swkpb__CAConfig *config = config_of(cluster);

    printf(",\"externalCas\":[");
    for (size_t i = 0; i < config->n_external_cas; i++) {
        printf("%s", i > 0 ? "," : "");
        print_json_text(config->external_cas[i]->url);
    }
    printf("],\"externalCaRoots\":[");
    for (size_t i = 0; i < config->n_external_cas; i++) {
        printf("%s", i > 0 ? "," : "");
        json_external(ctl, cluster, config->external_cas[i]);
    }
    putchar(']');
    if (keeper != NULL) {
        printf(",\"keyInLog\":%s,\"signer\":",
               keeper->in_log ? "true" : "false");
        print_json_text(keeper->signer);
        printf(",\"signerFailure\":");
        print_json_text(keeper->failure);
        printf(",\"signerAskedAt\":");
        print_json_text(
            keeper->asked_at != NULL ? time_text(ctl, keeper->asked_at) : "");
        json_trouble(ctl, "notSigning", keeper->not_signing);
        json_trouble(ctl, "heldBack", keeper->held_back);
    }
}
