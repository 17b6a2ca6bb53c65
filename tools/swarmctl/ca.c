/* SPDX-License-Identifier: Apache-2.0 */

/* swarmctl cluster ca, ca rotate, ca finish, ca abort. */

#include "ca.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <swarmkit/certificate.h>

#include "external_ca.h"
#include "parse.h"
#include "payload.h"
#include "swarmkit/rotation.pb-c.h"

enum {
    HEX_SIZE = 2 * SWK_CERTIFICATE_DIGEST_SIZE + 1,
};

const struct flag ca_rotate_flags[] = {
    {.name = "cert",
     .argument = "FILE",
     .otherwise = "a new one that the swarm makes",
     .help = "the root certificate to go over to, PEM"},
    {.name = "key",
     .argument = "FILE",
     .help = "its key, PEM; without it an external CA must sign"},
    {.name = "external-ca",
     .argument = EXTERNAL_CA_ARGUMENT,
     .help = "who signs in the place of the swarm's key; none for nobody",
     .list = true},
    {.name = "without",
     .argument = "NODE",
     .help = "do not wait for this worker",
     .list = true},
    {.name = "without-down",
     .help = "do not wait for workers that are down once all others are done"},
    {.name = "replace",
     .help = "turn a rotation that is under way to this root"},
    {.name = "detach", .letter = 'd', .help = "do not wait for the nodes"},
    {.name = "quiet", .letter = 'q', .help = "show no progress"},
    {.name = "timeout",
     .argument = "DURATION",
     .otherwise = "0, for ever",
     .help = "how long to wait at most"},
    {0}};

const struct flag ca_finish_flags[] = {
    {.name = "without",
     .argument = "NODE",
     .help = "do not wait for this worker",
     .list = true},
    {.name = "without-down",
     .help = "do not wait for workers that are down once all others are done"},
    {.name = "detach", .letter = 'd', .help = "do not wait for the nodes"},
    {.name = "quiet", .letter = 'q', .help = "show no progress"},
    {.name = "timeout",
     .argument = "DURATION",
     .otherwise = "0, for ever",
     .help = "how long to wait at most"},
    {0}};

/* -- Showing -------------------------------------------------------------- */

static int read_certificate(const ProtobufCBinaryData *pem,
                            struct swk_certificate *out_certificate)
{
    struct swk_error err = {0};

    out_certificate->size = sizeof(*out_certificate);
    return swk_certificate_read(pem->data, pem->len, out_certificate, &err) == 0
               ? EXIT_OK
               : ctl_error(EXIT_FAILED, "a root certificate of the swarm: %s",
                           err.text);
}

static const char *hex_text(const struct swk_certificate *certificate,
                            char out_text[HEX_SIZE])
{
    for (size_t i = 0; i < SWK_CERTIFICATE_DIGEST_SIZE; i++) {
        snprintf(out_text + 2 * i, 3, "%02x", certificate->fingerprint[i]);
    }
    return out_text;
}

static void print_certificate(const char *title,
                              const struct swk_certificate *certificate)
{
    char fingerprint[HEX_SIZE];
    char from[WALL_TEXT_SIZE];
    char to[WALL_TEXT_SIZE];

    print_field(title, "%s", certificate->subject);
    print_field("  Fingerprint", "sha256:%s",
                hex_text(certificate, fingerprint));
    print_field("  Valid", "%s to %s", wall_text(certificate->not_before, from),
                wall_text(certificate->not_after, to));
}

static void print_progress(struct pool *pool,
                           const struct ca_progress *progress, bool rotates)
{
    if (rotates) {
        print_field("Rotation", "%zu of %zu node%s renewed%s",
                    progress->renewed, progress->nodes,
                    progress->nodes == 1 ? " has" : "s have",
                    progress->missing_count == 0 ? ", it ends now" : "");
    } else if (progress->missing_count > 0) {
        print_field("Locked out", "%zu of %zu node%s, by earlier rotations",
                    progress->missing_count, progress->nodes,
                    progress->nodes == 1 ? "" : "s");
    }
    for (size_t i = 0; i < progress->missing_count; i++) {
        fputs(ca_missing_text(pool, &progress->missing[i]), stdout);
    }
}

/* -- JSON ----------------------------------------------------------------- */

static void json_certificate(const struct swk_certificate *certificate)
{
    char fingerprint[HEX_SIZE];
    char from[WALL_TEXT_SIZE];
    char to[WALL_TEXT_SIZE];

    printf("\"subject\":");
    print_json_text(certificate->subject);
    printf(",\"fingerprint\":\"sha256:%s\",\"notBefore\":\"%s\","
           "\"notAfter\":\"%s\"",
           hex_text(certificate, fingerprint),
           wall_text(certificate->not_before, from),
           wall_text(certificate->not_after, to));
}

static void json_missing(const struct ca_progress *progress)
{
    putchar('[');
    for (size_t i = 0; i < progress->missing_count; i++) {
        const struct ca_missing *missing = &progress->missing[i];

        printf("%s{\"id\":", i > 0 ? "," : "");
        print_json_text(missing->node->id);
        printf(",\"name\":");
        print_json_text(node_name(missing->node));
        printf(",\"why\":");
        print_json_text(missing->why);
        printf(",\"remedy\":");
        print_json_text(missing->remedy != NULL ? missing->remedy : "");
        printf(",\"leftOut\":%s,\"lockedOut\":%s}",
               missing->left_out ? "true" : "false",
               missing->locked_out ? "true" : "false");
    }
    putchar(']');
}

static void json_progress(const struct ca_progress *progress)
{
    printf(",\"nodes\":%zu,\"renewed\":%zu,\"leftOut\":%zu,\"missing\":",
           progress->nodes, progress->renewed, progress->left_out);
    json_missing(progress);
}

static void json_report(struct ctl *ctl, const Swkpb__Cluster *cluster,
                        const struct swk_certificate *root,
                        const struct swk_certificate *next,
                        const struct ca_progress *progress)
{
    putchar('{');
    json_certificate(root);
    printf(",\"digest\":");
    print_json_text(cluster->root_ca->ca_cert_hash);
    ca_json_signers(ctl, cluster);
    printf(",\"certificates\":%u,\"rotation\":", root->count);
    if (next != NULL) {
        putchar('{');
        json_certificate(next);
        json_progress(progress);
        putchar('}');
    } else {
        printf("null,\"lockedOut\":");
        json_missing(progress);
    }
    printf("}\n");
}

/* -- The report ----------------------------------------------------------- */

static int report(struct ctl *ctl, const Swkpb__Cluster *cluster)
{
    const Swkpb__RootCA *root = cluster->root_ca;
    const Swkpb__RootRotation *rotation;
    struct swk_certificate now;
    struct swk_certificate next;
    struct ca_progress progress = {0};
    Swkpb__ListNodesResponse *nodes;
    struct swk_error err = {0};
    int rc;

    if (root == NULL) {
        return ctl_error(EXIT_FAILED, "the swarm has no root CA");
    }
    rotation = root->root_rotation;
    rc = read_certificate(&root->ca_cert, &now);
    if (rc == EXIT_OK && rotation != NULL) {
        rc = read_certificate(&rotation->ca_cert, &next);
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    err.code = list_nodes(ctl, &ctl->pool, &nodes, &err);
    if (err.code != 0) {
        return ctl_fail(&err);
    }
    ca_progress_read(&ctl->pool, root, nodes, &progress);
    if (ctl->json) {
        json_report(ctl, cluster, &now, rotation != NULL ? &next : NULL,
                    &progress);
        return EXIT_OK;
    }
    print_certificate("Root CA", &now);
    print_field("  Digest", "%s", root->ca_cert_hash);
    ca_print_signers(ctl, cluster, CA_ROOT);
    if (rotation != NULL) {
        print_certificate("Next root CA", &next);
        ca_print_signers(ctl, cluster, CA_NEXT_ROOT);
    }
    ca_print_other_signers(ctl, cluster);
    print_progress(&ctl->pool, &progress, rotation != NULL);
    return EXIT_OK;
}

int run_ca_show(struct ctl *ctl, const struct args *args)
{
    Swkpb__Cluster *cluster;
    int rc = find_cluster(ctl, "default", &cluster);

    (void)args;
    return rc == EXIT_OK ? report(ctl, cluster) : rc;
}

/* -- Changing ------------------------------------------------------------- */

static Swkpb__CAConfig *config_of(struct ctl *ctl, Swkpb__Cluster *cluster)
{
    if (cluster->spec == NULL) {
        cluster->spec =
            pool_message(&ctl->pool, &swkpb__cluster_spec__descriptor);
    }
    if (cluster->spec->ca_config == NULL) {
        cluster->spec->ca_config =
            pool_message(&ctl->pool, &swkpb__caconfig__descriptor);
    }
    return cluster->spec->ca_config;
}

/* Keeps what was read for as long as the command runs. */
static Swkpb__ExternalCA *keep_external_ca(struct pool *pool,
                                           const Swkpb__ExternalCA *read)
{
    Swkpb__ExternalCA *ca = pool_message(pool, &swkpb__external_ca__descriptor);

    ca->protocol = read->protocol;
    ca->url = pool_strdup(pool, read->url);
    ca->ca_cert.len = read->ca_cert.len;
    if (read->ca_cert.len > 0) {
        ca->ca_cert.data = pool_alloc(pool, read->ca_cert.len);
        memcpy(ca->ca_cert.data, read->ca_cert.data, read->ca_cert.len);
    }
    ca->n_options = read->n_options;
    ca->options = pool_alloc(pool, (read->n_options + 1) * sizeof(void *));
    for (size_t i = 0; i < read->n_options; i++) {
        ca->options[i] =
            pool_message(pool, &swkpb__external_ca__options_entry__descriptor);
        ca->options[i]->key = pool_strdup(pool, read->options[i]->key);
        ca->options[i]->value = pool_strdup(pool, read->options[i]->value);
    }
    return ca;
}

static int read_external_ca(struct ctl *ctl, const char *text,
                            Swkpb__ExternalCA **out_ca)
{
    Swkpb__ExternalCA *read;
    struct swk_error err;

    if (external_ca_read(text, &read, &err) != 0) {
        return ctl_usage("--external-ca: %s", err.text);
    }
    *out_ca = keep_external_ca(&ctl->pool, read);
    external_ca_free(read);
    return EXIT_OK;
}

int ca_read_external(struct ctl *ctl, const struct args *args,
                     Swkpb__CAConfig *config)
{
    const char *const *texts;
    size_t count = args_list(args, "external-ca", &texts);
    int rc = EXIT_OK;

    if (count == 0) {
        return EXIT_OK;
    }
    config->n_external_cas = 0;
    if (count == 1 && strcmp(texts[0], "none") == 0) {
        return EXIT_OK;
    }
    config->external_cas =
        pool_alloc(&ctl->pool, count * sizeof(Swkpb__ExternalCA *));
    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        rc = read_external_ca(ctl, texts[i], &config->external_cas[i]);
        config->n_external_cas = rc == EXIT_OK ? i + 1 : i;
    }
    return rc;
}

/* What to go over to: a certificate, or one that the swarm makes. */
static int read_target(struct ctl *ctl, const struct args *args,
                       Swkpb__CAConfig *config)
{
    int rc = EXIT_OK;

    if (!args_has(args, "cert")) {
        config->force_rotate++;
        return args_has(args, "key")
                   ? ctl_usage("--key needs the --cert that it belongs to")
                   : EXIT_OK;
    }
    rc = payload_read(ctl, args_text(args, "cert"), &config->signing_ca_cert);
    if (rc == EXIT_OK && args_has(args, "key")) {
        rc = payload_read(ctl, args_text(args, "key"), &config->signing_ca_key);
    }
    return rc;
}

/* Whoever names a root without its key, and CAs without theirs, means that
 * these sign for it: else nobody would. */
static void bind_external_cas(const struct args *args, Swkpb__CAConfig *config)
{
    if (!args_has(args, "external-ca") || !args_has(args, "cert") ||
        args_has(args, "key")) {
        return;
    }
    for (size_t i = 0; i < config->n_external_cas; i++) {
        if (config->external_cas[i]->ca_cert.len > 0) {
            return;
        }
    }
    for (size_t i = 0; i < config->n_external_cas; i++) {
        config->external_cas[i]->ca_cert = config->signing_ca_cert;
    }
}

/* Those that were named before stay left out. */
static int read_waiver(struct ctl *ctl, const struct args *args,
                       const Swkpb__Rpc__RotationWaiver *before,
                       Swkpb__KeyRotation *rotation)
{
    const char *const *names;
    size_t count = args_list(args, "without", &names);
    size_t known = before != NULL ? before->n_node_ids : 0;
    Swkpb__Rpc__RotationWaiver *without;

    if (count == 0 && !args_has(args, "without-down")) {
        return EXIT_OK;
    }
    without =
        pool_message(&ctl->pool, &swkpb__rpc__rotation_waiver__descriptor);
    without->down =
        args_has(args, "without-down") || (before != NULL && before->down);
    without->node_ids =
        pool_alloc(&ctl->pool, (known + count + 1) * sizeof(char *));
    for (size_t i = 0; i < known; i++) {
        without->node_ids[without->n_node_ids++] = before->node_ids[i];
    }
    for (size_t i = 0; i < count; i++) {
        Swkpb__Node *node;
        int rc = find_node(ctl, names[i], &node);

        if (rc != EXIT_OK) {
            return rc;
        }
        without->node_ids[without->n_node_ids++] = node->id;
    }
    rotation->finish_without = without;
    return EXIT_OK;
}

static int read_timeout(const struct args *args, int64_t *out_ns)
{
    *out_ns = 0;
    return !args_has(args, "timeout") ||
                   (parse_duration(args_text(args, "timeout"), out_ns) &&
                    *out_ns >= 0)
               ? EXIT_OK
               : ctl_usage("--timeout takes a duration such as 1m30s");
}

/* One that names no root is of the present one. */
static bool has_external_ca(const Swkpb__Cluster *cluster)
{
    const Swkpb__CAConfig *config =
        cluster->spec != NULL ? cluster->spec->ca_config : NULL;

    for (size_t i = 0; config != NULL && i < config->n_external_cas; i++) {
        const ProtobufCBinaryData *root = &config->external_cas[i]->ca_cert;

        if (root->len == 0 ||
            ca_same_certificate(root, &cluster->root_ca->ca_cert)) {
            return true;
        }
    }
    return false;
}

/* A root that a signer made is at one manager; another one could not lead. */
static void tell_of_key(const Swkpb__Cluster *cluster, const char *fingerprint)
{
    const Swkpb__Rpc__CaKeeper *keeper =
        cluster->root_ca != NULL ? cluster->root_ca->keeper : NULL;

    if (keeper != NULL && keeper->signer[0] != '\0' && !keeper->in_log &&
        !has_external_ca(cluster)) {
        printf("its key is at %s of the manager that leads; the signers of "
               "other managers\nneed it: \"swarm-signer export %.16s "
               "--transfer-password-file FILE\" on that\nmachine, "
               "\"swarm-signer import\" likewise on theirs\n",
               keeper->signer, fingerprint);
    }
}

static int tell_of_rotation(struct ctl *ctl, const char *fingerprint)
{
    Swkpb__Cluster *cluster;
    int rc;

    puts("the root CA is rotated; join tokens are new");
    rc = find_cluster(ctl, "default", &cluster);
    if (rc == EXIT_OK) {
        tell_of_key(cluster, fingerprint);
    }
    return rc;
}

/* Shows where it stands, follows it if it is to be, and shows how it ended. */
static int follow(struct ctl *ctl, const struct args *args,
                  const Swkpb__Cluster *cluster, int64_t timeout_ns)
{
    const Swkpb__RootRotation *rotation =
        cluster->root_ca != NULL ? cluster->root_ca->root_rotation : NULL;
    struct swk_certificate next;
    Swkpb__Cluster *after;
    char hex[HEX_SIZE];
    int rc;

    if (rotation == NULL) { /* the key of the present root was set */
        return ctl->json ? report(ctl, cluster) : EXIT_OK;
    }
    rc = read_certificate(&rotation->ca_cert, &next);
    if (rc == EXIT_OK && !ctl->json && !args_has(args, "quiet")) {
        printf("new root CA: %s sha256:%s\n", next.subject,
               hex_text(&next, hex));
        fflush(stdout);
    }
    if (rc == EXIT_OK && !args_has(args, "detach")) {
        rc = ca_follow(ctl, cluster->id, &rotation->ca_cert, timeout_ns,
                       ctl->json || args_has(args, "quiet"));
        if (rc == EXIT_OK && !ctl->json && !args_has(args, "quiet")) {
            return tell_of_rotation(ctl, hex);
        }
    }
    if (rc != EXIT_OK || !ctl->json) {
        return rc;
    }
    rc = find_cluster(ctl, "default", &after);
    return rc == EXIT_OK ? report(ctl, after) : rc;
}

/* Half a swarm may have gone over to the root that would be dropped. Saying
 * once more where to go, with a key perhaps, drops nothing. */
static int check_replaces(struct ctl *ctl, const struct args *args,
                          const Swkpb__Cluster *cluster,
                          const Swkpb__CAConfig *config)
{
    const Swkpb__RootRotation *rotation =
        cluster->root_ca != NULL ? cluster->root_ca->root_rotation : NULL;
    Swkpb__ListNodesResponse *nodes;
    struct ca_progress progress;
    struct swk_error err = {0};

    if (rotation == NULL || args_has(args, "replace") ||
        (args_has(args, "cert") &&
         ca_same_certificate(&config->signing_ca_cert, &rotation->ca_cert))) {
        return EXIT_OK;
    }
    err.code = list_nodes(ctl, &ctl->pool, &nodes, &err);
    if (err.code != 0) {
        return ctl_fail(&err);
    }
    ca_progress_read(&ctl->pool, cluster->root_ca, nodes, &progress);
    ctl_error(EXIT_CONFLICT,
              "a rotation of the root CA is under way: %zu of %zu node%s "
              "renewed.",
              progress.renewed, progress.nodes,
              progress.nodes == 1 ? " has" : "s have");
    for (size_t i = 0; i < progress.missing_count; i++) {
        fputs(ca_missing_text(&ctl->pool, &progress.missing[i]), stderr);
    }
    fputs("\"swarmctl cluster ca finish\" follows it, or lets it end without "
          "some workers;\n\"swarmctl cluster ca abort\" gives it up; "
          "--replace turns it to another root\n",
          stderr);
    return EXIT_CONFLICT;
}

int run_ca_rotate(struct ctl *ctl, const struct args *args)
{
    Swkpb__KeyRotation rotation = SWKPB__KEY_ROTATION__INIT;
    Swkpb__Cluster *cluster;
    Swkpb__CAConfig *config;
    int64_t timeout_ns;
    int rc = read_timeout(args, &timeout_ns);

    if (rc == EXIT_OK) {
        rc = find_cluster(ctl, "default", &cluster);
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    config = config_of(ctl, cluster);
    rc = read_target(ctl, args, config);
    if (rc == EXIT_OK) {
        rc = ca_read_external(ctl, args, config);
    }
    if (rc == EXIT_OK) {
        bind_external_cas(args, config);
        rc = check_replaces(ctl, args, cluster, config);
    }
    if (rc == EXIT_OK) {
        rc = read_waiver(ctl, args, NULL, &rotation);
    }
    if (rc == EXIT_OK) {
        rc = update_cluster(ctl, cluster, &rotation, &cluster);
    }
    payload_wipe(&config->signing_ca_key);
    return rc == EXIT_OK ? follow(ctl, args, cluster, timeout_ns) : rc;
}

static int find_rotation(struct ctl *ctl, Swkpb__Cluster **out_cluster)
{
    int rc = find_cluster(ctl, "default", out_cluster);

    if (rc == EXIT_OK && ((*out_cluster)->root_ca == NULL ||
                          (*out_cluster)->root_ca->root_rotation == NULL)) {
        rc = ctl_error(EXIT_FAILED, "no rotation of the root CA is under way");
    }
    return rc;
}

int run_ca_finish(struct ctl *ctl, const struct args *args)
{
    Swkpb__KeyRotation rotation = SWKPB__KEY_ROTATION__INIT;
    Swkpb__Cluster *cluster;
    int64_t timeout_ns;
    int rc = read_timeout(args, &timeout_ns);

    if (rc == EXIT_OK) {
        rc = find_rotation(ctl, &cluster);
    }
    if (rc == EXIT_OK) {
        rc = read_waiver(ctl, args, cluster->root_ca->root_rotation->without,
                         &rotation);
    }
    if (rc == EXIT_OK && rotation.finish_without != NULL) {
        rc = update_cluster(ctl, cluster, &rotation, &cluster);
    }
    return rc == EXIT_OK ? follow(ctl, args, cluster, timeout_ns) : rc;
}

static int tell_of_end(const Swkpb__Cluster *cluster)
{
    struct swk_certificate root;
    char hex[HEX_SIZE];
    int rc = read_certificate(&cluster->root_ca->ca_cert, &root);

    if (rc == EXIT_OK) {
        printf("the rotation is given up; the root CA stays %s sha256:%s\n",
               root.subject, hex_text(&root, hex));
    }
    return rc;
}

int run_ca_abort(struct ctl *ctl, const struct args *args)
{
    Swkpb__KeyRotation rotation = SWKPB__KEY_ROTATION__INIT;
    Swkpb__Cluster *cluster;
    int rc = find_rotation(ctl, &cluster);

    (void)args;
    rotation.abort_ca_rotation = true;
    if (rc == EXIT_OK) {
        rc = update_cluster(ctl, cluster, &rotation, &cluster);
    }
    if (rc == EXIT_OK && !ctl->json) {
        return tell_of_end(cluster);
    }
    return rc == EXIT_OK ? report(ctl, cluster) : rc;
}
