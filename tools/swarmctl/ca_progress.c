/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Following a rotation of the root CA: every node says whose signature is under
 * its certificate, so that the nodes that are listed tell how far it is.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* It neither trusts the present root nor has a certificate under it: a rotation
 * ended without this node, and nobody lets it in any more. */
static bool is_locked_out(const Swkpb__RootCA *root, const Swkpb__Node *node)
{
    const Swkpb__NodeTLSInfo *info =
        node->description != NULL ? node->description->tls_info : NULL;

    return info != NULL && !has_renewed(&root->ca_cert, node) &&
           (info->trust_root.len != root->ca_cert.len ||
            memcmp(info->trust_root.data, root->ca_cert.data,
                   root->ca_cert.len) != 0);
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

/* A renewal has no reason of its own on record. */
static const char *renewal_text(struct pool *pool,
                                const Swkpb__Rpc__CaKeeper *keeper)
{
    if (keeper != NULL && keeper->not_signing != NULL) {
        return pool_printf(pool, "its certificate waits to be signed: %s",
                           keeper->not_signing->why);
    }
    if (keeper != NULL && keeper->held_back != NULL) {
        return pool_printf(pool,
                           "its certificate is being signed, or held back: %s",
                           keeper->held_back->why);
    }
    return "its certificate is being signed";
}

static const char *certificate_text(struct pool *pool,
                                    const Swkpb__RootCA *root,
                                    const Swkpb__Node *node)
{
    const Swkpb__IssuanceStatus *status =
        node->certificate != NULL ? node->certificate->status : NULL;

    switch (status != NULL ? (int)status->state : STATE(UNKNOWN)) {
    case STATE(RENEW):
        return renewal_text(pool, root->keeper);
    case STATE(PENDING):
        return pool_printf(pool,
                           "it is joining, and has no certificate yet%s%s",
                           status->err[0] != '\0' ? ": " : "", status->err);
    case STATE(ROTATE):
        return "asked to renew its certificate";
    case STATE(FAILED):
        return pool_printf(pool, "it got no certificate: %s", status->err);
    case STATE(ISSUED):
        if (has_next_certificate(root->root_rotation, node)) {
            return "goes over to its new certificate";
        }
        /* fall through */
    default:
        return "waits for its turn";
    }
}

static bool is_joining(const Swkpb__Node *node)
{
    return node->certificate != NULL && node->certificate->status != NULL &&
           node->certificate->status->state == STATE(PENDING);
}

static const char *why_missing(struct pool *pool, const Swkpb__RootCA *root,
                               const Swkpb__Node *node)
{
    if (is_down(node)) {
        return "down";
    }
    if (!is_joining(node) &&
        (node->status == NULL ||
         node->status->state != SWKPB__NODE_STATUS__STATE__READY)) {
        return "not connected";
    }
    return root->root_rotation != NULL ? certificate_text(pool, root, node)
                                       : "connected";
}

/* Names the node by its ID alone, as its name is what the node likes to say,
 * and this is pasted into a shell. */
static const char *remedy(struct pool *pool, const struct ca_missing *missing)
{
    const char *id = missing->node->id;

    if (missing->locked_out) {
        return pool_printf(pool, "has to join anew: swarmctl node rm %s", id);
    }
    if (!is_down(missing->node)) {
        return NULL;
    }
    if (missing->left_out) {
        return "has to join anew if it is not back before the rotation ends";
    }
    if (missing->node->role == SWKPB__NODE_ROLE__MANAGER) {
        return "bring it back, or demote and remove it: swarmctl node demote, "
               "node rm";
    }
    return pool_printf(pool, "bring it back, or remove it: swarmctl node rm %s",
                       id);
}

static int by_name(const void *a, const void *b)
{
    const struct ca_missing *x = a;
    const struct ca_missing *y = b;
    int order = strcmp(node_name(x->node), node_name(y->node));

    return order != 0 ? order : strcmp(x->node->id, y->node->id);
}

/* Whether a rotation has nothing more to do with the node; without one, whether
 * the last one had it with it. */
static bool is_done(const Swkpb__RootCA *root, const Swkpb__Node *node)
{
    return root->root_rotation != NULL
               ? has_renewed(&root->root_rotation->ca_cert, node)
               : !is_locked_out(root, node);
}

void ca_progress_read(struct pool *pool, const Swkpb__RootCA *root,
                      const Swkpb__ListNodesResponse *nodes,
                      struct ca_progress *out_progress)
{
    const Swkpb__RootRotation *rotation = root->root_rotation;
    struct ca_progress progress = {.nodes = nodes->n_nodes};

    progress.missing =
        pool_alloc(pool, (nodes->n_nodes + 1) * sizeof(*progress.missing));
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        const Swkpb__Node *node = nodes->nodes[i];
        struct ca_missing *missing = &progress.missing[progress.missing_count];

        if (is_done(root, node)) {
            progress.renewed++;
            continue;
        }
        *missing = (struct ca_missing){
            .node = node,
            .why = why_missing(pool, root, node),
            .locked_out = is_locked_out(root, node),
            .left_out =
                rotation == NULL || is_left_out(rotation->without, node),
        };
        missing->remedy = remedy(pool, missing);
        progress.left_out += missing->left_out;
        progress.missing_count++;
    }
    if (progress.missing_count > 1) {
        qsort(progress.missing, progress.missing_count,
              sizeof(progress.missing[0]), by_name);
    }
    *out_progress = progress;
}

char *ca_missing_text(struct pool *pool, const struct ca_missing *missing)
{
    const char *what = "";

    if (missing->left_out) {
        what = ", left out";
    } else if (missing->locked_out) {
        what = ", left out of an earlier rotation";
    }
    return pool_printf(pool, "  %s (%s): %s%s\n%s%s%s",
                       node_name(missing->node), missing->node->id,
                       missing->why, what,
                       missing->remedy != NULL ? "    " : "",
                       missing->remedy != NULL ? missing->remedy : "",
                       missing->remedy != NULL ? "\n" : "");
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
    char *last_text; /* that was shown; NULL at first */
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
                      const Swkpb__ListNodesResponse *nodes)
{
    char *text = count_text(f, pool, progress, nodes);

    text = pool_printf(pool, "%s\n", text);
    for (size_t i = 0; i < progress->missing_count && i < NODES_SHOWN; i++) {
        const struct ca_missing *missing = &progress->missing[i];

        text = pool_printf(pool, "%s%s", text, ca_missing_text(pool, missing));
    }
    if (progress->missing_count > NODES_SHOWN) {
        text = pool_printf(pool, "%s  and %zu more\n", text,
                           progress->missing_count - NODES_SHOWN);
    }
    return text;
}

/* How many lines the terminal makes of the text, breaking long ones. */
static int rows_of(const char *text)
{
    struct winsize size = {.ws_col = 0};
    int column = 0;
    int rows = 0;

    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            rows++;
            column = 0;
        } else if (((unsigned char)*text & 0xc0) != 0x80) { /* of UTF-8 */
            rows += column > 0 && size.ws_col > 0 && column % size.ws_col == 0;
            column++;
        }
    }
    return rows;
}

static void show(struct follow *f, const char *text)
{
    if (f->last_text != NULL && strcmp(f->last_text, text) == 0) {
        return;
    }
    if (f->terminal && f->last_text != NULL) {
        printf("\033[%dA\033[J", rows_of(f->last_text));
    }
    fputs(text, stdout);
    fflush(stdout);
    free(f->last_text);
    f->last_text = strdup(text);
}

static void show_progress(struct follow *f, struct pool *pool,
                          const Swkpb__RootCA *root,
                          const Swkpb__ListNodesResponse *nodes)
{
    struct ca_progress progress;

    if (!f->quiet) {
        ca_progress_read(pool, root, nodes, &progress);
        show(f, describe(f, pool, &progress, nodes));
    }
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
        /* The last of it, for what was shown before is of some time ago. */
        show_progress(f, pool, root, nodes);
        return EXIT_OK;
    }
    if (rotation == NULL) {
        return ctl_error(EXIT_FAILED, "the rotation was given up");
    }
    if (!is_target(f, &rotation->ca_cert)) {
        return ctl_error(EXIT_FAILED,
                         "the root CA is rotated to yet another one");
    }
    show_progress(f, pool, root, nodes);
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
