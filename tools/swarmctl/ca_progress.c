/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Following a rotation of the root CA: every node says whose signature is under
 * its certificate, so that the nodes that are listed tell how far it is.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/certificate.h>

#include "ca.h"
#include "swarmkit/rotation.pb-c.h"

#define POLL_NS INT64_C(300000000)
#define DOWN_NS INT64_C(30000000000)
#define STATE(name) SWKPB__ISSUANCE_STATUS__STATE__##name

/* For who looks away from a rotation. */
#define GOES_ON                                                                \
    "the swarm goes on with the rotation. \"swarmctl cluster ca finish\" "     \
    "follows it\nagain, \"swarmctl cluster ca\" shows how far it is"

enum {
    NODES_SHOWN = 20,
};

/* -- Reading -------------------------------------------------------------- */

static bool has_renewed(const ProtobufCBinaryData *root,
                        const Swkpb__Node *node)
{
    const Swkpb__NodeTLSInfo *info =
        node->description != NULL ? node->description->tls_info : NULL;
    struct swk_bytes subject;
    struct swk_bytes key;

    if (info == NULL) {
        return false;
    }
    subject = (struct swk_bytes){.data = info->cert_issuer_subject.data,
                                 .len = info->cert_issuer_subject.len};
    key = (struct swk_bytes){.data = info->cert_issuer_public_key.data,
                             .len = info->cert_issuer_public_key.len};
    return swk_certificate_is_issuer(root->data, root->len, &subject, &key) !=
           0;
}

static bool is_down(const Swkpb__Node *node)
{
    return node->status != NULL &&
           node->status->state == SWKPB__NODE_STATUS__STATE__DOWN;
}

/* As the managers judge it: they never leave out one of themselves. */
static bool is_left_out(const Swkpb__Rpc__RotationWaiver *without,
                        const Swkpb__Node *node)
{
    if (without == NULL || node->role == SWKPB__NODE_ROLE__MANAGER) {
        return false;
    }
    for (size_t i = 0; i < without->n_node_ids; i++) {
        if (strcmp(without->node_ids[i], node->id) == 0) {
            return true;
        }
    }
    return without->down && is_down(node);
}

/* A certificate under the next root comes with the next root's own under the
 * present one. */
static bool has_next_certificate(const Swkpb__RootRotation *rotation,
                                 const Swkpb__Node *node)
{
    const ProtobufCBinaryData *cross = &rotation->cross_signed_ca_cert;
    const ProtobufCBinaryData *chain = &node->certificate->certificate;

    return cross->len > 0 && chain->len >= cross->len &&
           memmem(chain->data, chain->len, cross->data, cross->len) != NULL;
}

static const char *certificate_text(struct pool *pool,
                                    const Swkpb__RootRotation *rotation,
                                    const Swkpb__Node *node)
{
    const Swkpb__IssuanceStatus *status =
        node->certificate != NULL ? node->certificate->status : NULL;

    switch (status != NULL ? (int)status->state : STATE(UNKNOWN)) {
    case STATE(RENEW):
        return "its certificate is being signed";
    case STATE(PENDING):
        return "it is joining";
    case STATE(ROTATE):
        return "asked to renew its certificate";
    case STATE(FAILED):
        return pool_printf(pool, "it got no certificate: %s", status->err);
    case STATE(ISSUED):
        if (has_next_certificate(rotation, node)) {
            return "goes over to its new certificate";
        }
        /* fall through */
    default:
        return "waits for its turn";
    }
}

static const char *why_missing(struct pool *pool,
                               const Swkpb__RootRotation *rotation,
                               const Swkpb__Node *node)
{
    if (is_down(node)) {
        return "down";
    }
    if (node->status == NULL ||
        node->status->state != SWKPB__NODE_STATUS__STATE__READY) {
        return "not connected";
    }
    return certificate_text(pool, rotation, node);
}

static int by_name(const void *a, const void *b)
{
    const struct ca_missing *x = a;
    const struct ca_missing *y = b;
    int order = strcmp(node_name(x->node), node_name(y->node));

    return order != 0 ? order : strcmp(x->node->id, y->node->id);
}

void ca_progress_read(struct pool *pool, const Swkpb__RootRotation *rotation,
                      const Swkpb__ListNodesResponse *nodes,
                      struct ca_progress *out_progress)
{
    struct ca_progress progress = {.nodes = nodes->n_nodes};

    progress.missing =
        pool_alloc(pool, (nodes->n_nodes + 1) * sizeof(*progress.missing));
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        const Swkpb__Node *node = nodes->nodes[i];
        struct ca_missing *missing = &progress.missing[progress.missing_count];

        if (has_renewed(&rotation->ca_cert, node)) {
            progress.renewed++;
            continue;
        }
        *missing = (struct ca_missing){
            .node = node,
            .why = why_missing(pool, rotation, node),
            .left_out = is_left_out(rotation->without, node),
        };
        progress.left_out += missing->left_out;
        progress.missing_count++;
    }
    if (progress.missing_count > 1) {
        qsort(progress.missing, progress.missing_count,
              sizeof(progress.missing[0]), by_name);
    }
    *out_progress = progress;
}

/* -- Following ------------------------------------------------------------ */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

struct follow {
    struct ctl *ctl;
    const char *cluster_id;
    const ProtobufCBinaryData *target;
    int64_t start;
    int64_t seen; /* when the manager answered last */
    char **ids;   /* of the nodes at the first look, sorted; NULL before */
    size_t ids_count;
    bool quiet;
    bool terminal;
    int lines;       /* drawn on the terminal */
    char *last_text; /* printed elsewhere */
};

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int ask(struct follow *f, struct pool *pool,
               Swkpb__Cluster **out_cluster,
               Swkpb__ListNodesResponse **out_nodes, struct swk_error *err)
{
    Swkpb__GetClusterRequest request = SWKPB__GET_CLUSTER_REQUEST__INIT;
    Swkpb__GetClusterResponse *reply;

    request.cluster_id = pool_strdup(pool, f->cluster_id);
    int rc =
        ctl_try(f->ctl, "GetCluster", &request.base,
                &swkpb__get_cluster_response__descriptor, pool, &reply, err);
    if (rc == 0) {
        *out_cluster = reply->cluster;
        rc = list_nodes(f->ctl, pool, out_nodes, err);
    }
    return rc;
}

static bool is_target(const struct follow *f, const ProtobufCBinaryData *root)
{
    return root->len == f->target->len &&
           memcmp(root->data, f->target->data, root->len) == 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void note_ids(struct follow *f, const Swkpb__ListNodesResponse *nodes)
{
    struct pool *pool = &f->ctl->pool;

    f->ids = pool_alloc(pool, (nodes->n_nodes + 1) * sizeof(*f->ids));
    f->ids_count = nodes->n_nodes;
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        f->ids[i] = pool_strdup(pool, nodes->nodes[i]->id);
    }
    qsort(f->ids, f->ids_count, sizeof(*f->ids), by_text);
}

/* Nodes come and go: fewer that have renewed are no step back, and who sees
 * the numbers change is told why. */
static char *count_text(struct follow *f, struct pool *pool,
                        const struct ca_progress *progress,
                        const Swkpb__ListNodesResponse *nodes)
{
    size_t to_go = progress->missing_count - progress->left_out;
    size_t known = 0;
    char *text = pool_printf(
        pool, "overall progress: %zu of %zu node%s renewed", progress->renewed,
        progress->nodes, progress->nodes == 1 ? " has" : "s have");

    if (f->ids == NULL) {
        note_ids(f, nodes);
    }
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        known += bsearch(&nodes->nodes[i]->id, f->ids, f->ids_count,
                         sizeof(*f->ids), by_text) != NULL;
    }
    if (to_go > 0) {
        text = pool_printf(pool, "%s, %zu to go", text, to_go);
    }
    if (progress->left_out > 0) {
        text = pool_printf(pool, "%s, %zu left out", text, progress->left_out);
    }
    if (known < nodes->n_nodes || known < f->ids_count) {
        text = pool_printf(pool, "%s (meanwhile %zu came, %zu went)", text,
                           nodes->n_nodes - known, f->ids_count - known);
    }
    return text;
}

static char *describe(struct follow *f, struct pool *pool,
                      const struct ca_progress *progress,
                      const Swkpb__ListNodesResponse *nodes, int *out_lines)
{
    char *text = count_text(f, pool, progress, nodes);

    text = pool_printf(pool, "%s\n", text);
    *out_lines = 1;
    for (size_t i = 0; i < progress->missing_count && i < NODES_SHOWN; i++) {
        const struct ca_missing *missing = &progress->missing[i];

        text =
            pool_printf(pool, "%s  %s: %s%s\n", text, node_name(missing->node),
                        missing->why, missing->left_out ? ", left out" : "");
        ++*out_lines;
    }
    if (progress->missing_count > NODES_SHOWN) {
        text = pool_printf(pool, "%s  and %zu more\n", text,
                           progress->missing_count - NODES_SHOWN);
        ++*out_lines;
    }
    return text;
}

static void show(struct follow *f, const char *text, int lines)
{
    if (f->last_text != NULL && strcmp(f->last_text, text) == 0) {
        return;
    }
    if (f->terminal && f->lines > 0) {
        printf("\033[%dA\033[J", f->lines);
    }
    fputs(text, stdout);
    fflush(stdout);
    f->lines = lines;
    free(f->last_text);
    f->last_text = strdup(text);
}

static void show_progress(struct follow *f, struct pool *pool,
                          const Swkpb__RootRotation *rotation,
                          const Swkpb__ListNodesResponse *nodes)
{
    struct ca_progress progress;
    const char *text;
    int lines;

    if (!f->quiet) {
        ca_progress_read(pool, rotation, nodes, &progress);
        text = describe(f, pool, &progress, nodes, &lines);
        show(f, text, lines);
    }
}

/* The last of it, for what was shown before is of some time ago. A rotation
 * that is over waits for nobody: who has not renewed was left out. */
static void show_end(struct follow *f, struct pool *pool,
                     const Swkpb__RootCA *root,
                     const Swkpb__ListNodesResponse *nodes)
{
    Swkpb__Rpc__RotationWaiver without = SWKPB__RPC__ROTATION_WAIVER__INIT;
    Swkpb__RootRotation rotation = SWKPB__ROOT_ROTATION__INIT;

    rotation.ca_cert = root->ca_cert;
    rotation.without = &without;
    without.node_ids =
        pool_alloc(pool, (nodes->n_nodes + 1) * sizeof(*without.node_ids));
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        if (nodes->nodes[i]->description != NULL &&
            nodes->nodes[i]->description->tls_info != NULL) {
            without.node_ids[without.n_node_ids++] = nodes->nodes[i]->id;
        }
    }
    show_progress(f, pool, &rotation, nodes);
}

/* -1 to go on, else an exit code. */
static int judge(struct follow *f, struct pool *pool,
                 const Swkpb__Cluster *cluster,
                 const Swkpb__ListNodesResponse *nodes)
{
    const Swkpb__RootCA *root = cluster->root_ca;
    const Swkpb__RootRotation *rotation =
        root != NULL ? root->root_rotation : NULL;

    if (root == NULL) {
        return ctl_error(EXIT_FAILED, "the swarm has no root CA");
    }
    if (is_target(f, &root->ca_cert)) {
        show_end(f, pool, root, nodes);
        return EXIT_OK;
    }
    if (rotation == NULL) {
        return ctl_error(EXIT_FAILED, "the rotation was given up");
    }
    if (!is_target(f, &rotation->ca_cert)) {
        return ctl_error(EXIT_FAILED,
                         "the root CA is rotated to yet another one");
    }
    show_progress(f, pool, rotation, nodes);
    return -1;
}

static int look(struct follow *f)
{
    Swkpb__ListNodesResponse *nodes;
    struct swk_error err = {0};
    struct pool pool = {0};
    Swkpb__Cluster *cluster;
    int rc = ask(f, &pool, &cluster, &nodes, &err);

    if (rc == 0) {
        f->seen = now_ns();
        rc = judge(f, &pool, cluster, nodes);
    } else if (rc == SWK_EUNAVAILABLE && now_ns() - f->seen < DOWN_NS) {
        rc = -1; /* a change of leaders passes */
    } else {
        err.code = rc;
        rc = ctl_fail(&err);
    }
    pool_empty(&pool);
    return rc;
}

static int wait_for(struct follow *f, int64_t timeout_ns)
{
    const struct timespec pause = {0, POLL_NS};

    for (;;) {
        int rc = look(f);

        if (rc >= 0) {
            return rc;
        }
        if (timeout_ns != 0 && now_ns() - f->start >= timeout_ns) {
            return ctl_error(EXIT_TIMEOUT, "not done in time; " GOES_ON);
        }
        if (!interrupted) {
            nanosleep(&pause, NULL);
        }
        if (interrupted) {
            fputs("Interrupted: " GOES_ON ".\n", stderr);
            return EXIT_INTERRUPTED;
        }
    }
}

int ca_follow(struct ctl *ctl, const char *cluster_id,
              const ProtobufCBinaryData *target, int64_t timeout_ns, bool quiet)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    struct sigaction old_action;
    struct follow f = {
        .ctl = ctl,
        .cluster_id = cluster_id,
        .target = target,
        .start = now_ns(),
        .seen = now_ns(),
        .quiet = quiet,
        .terminal = isatty(STDOUT_FILENO) != 0,
    };
    int rc;

    sigaction(SIGINT, &action, &old_action);
    rc = wait_for(&f, timeout_ns);
    sigaction(SIGINT, &old_action, NULL);
    free(f.last_text);
    return rc;
}
