/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/reconcile.h"

#include <stdio.h>
#include <string.h>

#include <swarmkit/join_token.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/ca/issuer.h"
#include "swarmkit/rotation.pb-c.h"

#define STATE(name) SWKPB__ISSUANCE_STATUS__STATE__##name

enum {
    WAIVED_NAMED = 5, /* in a record of the log */
    WAIVED_TEXT_SIZE = WAIVED_NAMED * (SWK_ID_LEN_MAX + 2) + 1,
};

/* A node that has not renewed yet. */
struct straggler {
    struct swki_link link; /* in the list of its state */
    struct swki_link *list;
    swk_time rest_until;
    bool waived;
    char node_id[SWK_ID_LEN_MAX + 1];
};

void swki_reconcile_init(struct swki_reconcile *r,
                         const struct swk_alloc *alloc,
                         const struct swk_logger *logger,
                         struct swki_store *store,
                         const struct swk_entropy *entropy)
{
    *r = (struct swki_reconcile){
        .alloc = alloc,
        .logger = logger,
        .store = store,
        .entropy = entropy,
    };
    swki_buf_init(&r->subject, alloc, SIZE_MAX);
    swki_buf_init(&r->public_key, alloc, SIZE_MAX);
    swki_map_init(&r->stragglers, alloc);
    swki_list_init(&r->ready);
    swki_list_init(&r->under_way);
    swki_list_init(&r->resting);
}

static void drop(struct swki_reconcile *r, struct straggler *s)
{
    swki_map_remove(&r->stragglers, s->node_id);
    swki_list_remove(&s->link);
    r->waived_count -= s->waived;
    swki_free(r->alloc, s);
}

static void drop_all(struct swki_reconcile *r)
{
    struct straggler *s;
    size_t cursor = 0;

    while ((s = swki_map_next(&r->stragglers, &cursor)) != NULL) {
        drop(r, s);
    }
}

void swki_reconcile_fini(struct swki_reconcile *r)
{
    drop_all(r);
    swki_map_fini(&r->stragglers);
    swki_buf_fini(&r->subject);
    swki_buf_fini(&r->public_key);
    swki_object_unref(r->cluster);
    r->cluster = NULL;
    r->stale = false;
    r->unread = false;
    r->broken = false;
    r->failed = false;
    r->next_at = 0;
}

/* -- The rotation --------------------------------------------------------- */

static const Swkpb__RootRotation *rotation_of(const struct swki_object *cluster)
{
    const Swkpb__RootCA *root =
        cluster != NULL ? swki_cluster(cluster)->root_ca : NULL;

    return root != NULL ? root->root_rotation : NULL;
}

static bool same_data(const ProtobufCBinaryData *a,
                      const ProtobufCBinaryData *b)
{
    return a->len == b->len &&
           (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* Whether nodes are led to the same certificate. */
static bool same_target(const Swkpb__RootRotation *a,
                        const Swkpb__RootRotation *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return same_data(&a->ca_cert, &b->ca_cert) &&
           same_data(&a->cross_signed_ca_cert, &b->cross_signed_ca_cert);
}

/* What a node's description says if it has renewed. If memory is short, the
 * next step tries again. */
static void read_target(struct swki_reconcile *r)
{
    const Swkpb__RootRotation *rotation = rotation_of(r->cluster);
    const struct swki_pem pem = {rotation->ca_cert.data, rotation->ca_cert.len};
    struct swki_certificate_info info;
    struct swk_error err = {0};
    int rc = swki_certificate_info_init(&info, r->alloc, pem, &err);

    r->unread = rc == SWK_ENOMEM;
    r->broken = rc != 0 && rc != SWK_ENOMEM;
    if (r->broken) {
        swki_log(r->logger, SWK_LOG_ERROR, "ca",
                 "the root CA is not rotated: %s", err.text);
    }
    if (rc != 0) {
        return;
    }
    swki_buf_clear(&r->subject);
    swki_buf_clear(&r->public_key);
    r->unread =
        !swki_buf_append(&r->subject, info.subject.data, info.subject.len) ||
        !swki_buf_append(&r->public_key, info.public_key.data,
                         info.public_key.len);
    swki_certificate_info_fini(&info);
}

void swki_reconcile_cluster(struct swki_reconcile *r,
                            const struct swki_object *cluster)
{
    const Swkpb__RootRotation *rotation = rotation_of(cluster);
    const Swkpb__RootRotation *before = rotation_of(r->cluster);
    bool same = same_target(before, rotation);
    bool same_waiver =
        same && (rotation == NULL || rotation->without == before->without);

    if (!same) {
        drop_all(r);
        r->unread = rotation != NULL;
        r->broken = false;
        r->failed = false;
        r->next_at = 0;
    }
    /* A waiver that changed is read with the nodes. */
    r->stale = rotation != NULL && (r->stale || !same_waiver);
    swki_object_unref(r->cluster);
    r->cluster = rotation != NULL ? swki_object_ref(cluster) : NULL;
}

void swki_reconcile_reset(struct swki_reconcile *r)
{
    r->stale = r->cluster != NULL;
}

/* -- Nodes ---------------------------------------------------------------- */

static bool is_bytes(const ProtobufCBinaryData *data,
                     const struct swki_buf *buf)
{
    return data->len == buf->len &&
           (buf->len == 0 || memcmp(data->data, buf->data, buf->len) == 0);
}

static bool has_renewed(const struct swki_reconcile *r, const Swkpb__Node *node)
{
    const Swkpb__NodeTLSInfo *info =
        node->description != NULL ? node->description->tls_info : NULL;

    return info != NULL && is_bytes(&info->cert_issuer_subject, &r->subject) &&
           is_bytes(&info->cert_issuer_public_key, &r->public_key);
}

static bool is_under_way(const Swkpb__Node *node)
{
    if (node->certificate == NULL || node->certificate->status == NULL) {
        return false;
    }
    switch ((int)node->certificate->status->state) {
    case STATE(RENEW):
    case STATE(PENDING):
    case STATE(ROTATE):
        return true;
    default:
        return false;
    }
}

/* A manager is never waived: it would be lost to the others. */
static bool is_waived(const struct swki_reconcile *r, const Swkpb__Node *node)
{
    const Swkpb__Rpc__RotationWaiver *without =
        rotation_of(r->cluster)->without;

    if (without == NULL || node->role == SWKPB__NODE_ROLE__MANAGER) {
        return false;
    }
    if (without->down && node->status != NULL &&
        node->status->state == SWKPB__NODE_STATUS__STATE__DOWN) {
        return true;
    }
    for (size_t i = 0; i < without->n_node_ids; i++) {
        if (strcmp(without->node_ids[i], node->id) == 0) {
            return true;
        }
    }
    return false;
}

static struct straggler *add(struct swki_reconcile *r, const char *node_id)
{
    struct straggler *s = swki_calloc(r->alloc, 1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    snprintf(s->node_id, sizeof(s->node_id), "%s", node_id);
    swki_list_init(&s->link);
    if (!swki_map_put(&r->stragglers, s->node_id, s)) {
        swki_free(r->alloc, s);
        return NULL;
    }
    return s;
}

static void move(struct straggler *s, struct swki_link *list)
{
    if (s->list != list) {
        swki_list_remove(&s->link);
        swki_list_append(list, &s->link);
        s->list = list;
    }
}

/* What was under way and is no more has a new certificate, most likely. */
static void sort(struct swki_reconcile *r, swk_time now, struct straggler *s,
                 const Swkpb__Node *node)
{
    if (is_under_way(node)) {
        move(s, &r->under_way);
    } else if (s->list == &r->under_way) {
        s->rest_until = now + SWKI_RECONCILE_REST;
        move(s, &r->resting);
    } else if (s->list == NULL) {
        move(s, &r->ready);
    }
}

void swki_reconcile_node(struct swki_reconcile *r, swk_time now,
                         const Swkpb__Node *node)
{
    struct straggler *s;
    bool waived;

    if (r->cluster == NULL || r->stale || r->broken) {
        return; /* it will be looked at with all others, or never */
    }
    s = swki_map_get(&r->stragglers, node->id);
    if (has_renewed(r, node)) {
        if (s != NULL) {
            drop(r, s);
        }
        return;
    }
    if (s == NULL) {
        s = add(r, node->id);
    }
    if (s == NULL) {
        r->stale = true;
        return;
    }
    waived = is_waived(r, node);
    r->waived_count = r->waived_count - s->waived + waived;
    s->waived = waived;
    sort(r, now, s, node);
}

void swki_reconcile_gone(struct swki_reconcile *r, const char *node_id)
{
    struct straggler *s = swki_map_get(&r->stragglers, node_id);

    if (s != NULL) {
        drop(r, s);
    }
}

/* Looks at all nodes of head. */
static void list_nodes(struct swki_reconcile *r, swk_time now)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_view *view = swki_store_head(r->store);
    const struct swki_object *node;
    struct swki_cursor cursor;

    if (swki_view_find(view, SWKI_KIND_NODE, &all, &cursor, NULL) != 0) {
        return;
    }
    drop_all(r);
    r->stale = false;
    while ((node = swki_cursor_next(&cursor)) != NULL) {
        swki_reconcile_node(r, now, swki_node(node));
    }
    swki_cursor_close(&cursor);
}

/* -- A round -------------------------------------------------------------- */

static bool mark(struct swki_object *object)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);
    Swkpb__Certificate *certificate = node->certificate;

    if (certificate != NULL) {
        certificate = swki_object_own(object, &node->certificate);
    } else if ((certificate = swki_arena_alloc(arena, sizeof(*certificate))) !=
               NULL) {
        swkpb__certificate__init(certificate);
        certificate->role = node->role;
        certificate->cn = node->id;
        node->certificate = certificate;
    }
    if (certificate != NULL && certificate->status == NULL) {
        certificate->status =
            swki_arena_alloc(arena, sizeof(*certificate->status));
        if (certificate->status != NULL) {
            swkpb__issuance_status__init(certificate->status);
        }
    }
    if (certificate == NULL || certificate->status == NULL) {
        return false;
    }
    certificate->status->state = STATE(ROTATE);
    /* Of what failed before; it is asked anew. */
    certificate->status->err = swki_arena_strdup(arena, "");
    return certificate->status->err != NULL;
}

static int ask_node(struct swki_tx *tx, const char *node_id,
                    struct swk_error *err)
{
    const struct swki_object *old =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_NODE, node_id);
    struct swki_object *object;

    if (old == NULL || is_under_way(swki_node(old))) {
        return SWK_OK; /* an event will say so */
    }
    object = swki_object_edit(old);
    if (object == NULL || !mark(object)) {
        swki_object_unref(object);
        return swki_fail_nomem(err);
    }
    return swki_tx_update(tx, object, err);
}

/* They leave the list when the event of their change comes. */
static void ask(struct swki_reconcile *r, swk_wall wall)
{
    struct swk_error err = {0};
    size_t count = 0;
    struct swki_tx *tx;
    int rc = 0;

    if (swki_list_empty(&r->ready)) {
        return;
    }
    tx = swki_store_begin(r->store, SWKI_ACTOR_CA, wall);
    if (tx == NULL) {
        return; /* the next round */
    }
    for (struct swki_link *link = r->ready.next;
         link != &r->ready && rc == 0 && count < SWKI_RECONCILE_BATCH;
         link = link->next, count++) {
        size_t savepoint = swki_tx_savepoint(tx);

        rc = ask_node(tx, SWKI_CONTAINER(link, struct straggler, link)->node_id,
                      &err);
        if (rc != 0) {
            swki_tx_rollback(tx, savepoint);
        }
    }
    if (rc != 0) {
        swki_log(r->logger, SWK_LOG_WARN, "ca",
                 "nodes are not asked to renew: %s", err.text);
    }
    rc = swki_tx_commit(tx, NULL, NULL, NULL, &err);
    if (rc != 0) {
        swki_log(r->logger, SWK_LOG_WARN, "ca",
                 "nodes are not asked to renew: %s", err.text);
    }
}

static void wake(struct swki_reconcile *r, swk_time now)
{
    while (!swki_list_empty(&r->resting)) {
        struct straggler *s =
            SWKI_CONTAINER(r->resting.next, struct straggler, link);

        if (s->rest_until > now) {
            return; /* they rest equally long, so the others do too */
        }
        move(s, &r->ready);
    }
}

/* -- The end -------------------------------------------------------------- */

static int finish_cluster(struct swki_reconcile *r, struct swki_object *object,
                          struct swk_error *err)
{
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    const Swkpb__RootRotation *rotation = cluster->root_ca->root_rotation;
    const struct swki_pem certificate = {rotation->ca_cert.data,
                                         rotation->ca_cert.len};
    const struct swki_pem key = {rotation->ca_key.data, rotation->ca_key.len};
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__RootCA *root = swki_arena_alloc(arena, sizeof(*root));
    int rc;

    if (root == NULL) {
        return swki_fail_nomem(err);
    }
    swkpb__root_ca__init(root);
    rc = swki_ca_fill_root(certificate, key,
                           cluster->fips ? SWK_JOIN_TOKEN_FIPS : 0, r->entropy,
                           arena, root, err);
    if (rc == 0) {
        root->last_forced_rotation = cluster->root_ca->last_forced_rotation;
        cluster->root_ca = root;
    }
    return rc;
}

/* The rotation must still be the one that the nodes followed. */
static int finish_in(struct swki_reconcile *r, struct swki_tx *tx,
                     struct swk_error *err)
{
    const struct swki_object *old = swki_view_get(
        swki_tx_view(tx), SWKI_KIND_CLUSTER, swki_object_id(r->cluster));
    struct swki_object *object;
    int rc;

    if (old == NULL || rotation_of(old) == NULL ||
        !same_target(rotation_of(old), rotation_of(r->cluster)) ||
        !swki_ca_same_signer(swki_cluster(old)->root_ca,
                             swki_cluster(r->cluster)->root_ca)) {
        return swki_fail(err, SWK_ECONFLICT,
                         "another rotation has taken its place");
    }
    object = swki_object_edit(old);
    if (object == NULL) {
        return swki_fail_nomem(err);
    }
    rc = finish_cluster(r, object, err);
    if (rc != 0) {
        swki_object_unref(object);
        return rc;
    }
    return swki_tx_update(tx, object, err);
}

/* The IDs of some that are left out. */
static void name_waived(const struct swki_reconcile *r,
                        char out_text[WAIVED_TEXT_SIZE])
{
    const struct swki_link *const lists[] = {&r->ready, &r->under_way,
                                             &r->resting};
    size_t named = 0;
    size_t len = 0;

    out_text[0] = '\0';
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (struct swki_link *link = lists[i]->next;
             link != lists[i] && named < WAIVED_NAMED; link = link->next) {
            const struct straggler *s =
                SWKI_CONTAINER(link, struct straggler, link);

            if (s->waived) {
                len +=
                    (size_t)snprintf(out_text + len, WAIVED_TEXT_SIZE - len,
                                     "%s%s", named > 0 ? ", " : "", s->node_id);
                named++;
            }
        }
    }
}

static void finish(struct swki_reconcile *r, swk_wall wall)
{
    size_t waived_count = r->waived_count;
    char waived[WAIVED_TEXT_SIZE];
    struct swk_error err = {0};
    struct swki_tx *tx = swki_store_begin(r->store, SWKI_ACTOR_CA, wall);
    int rc;

    r->failed = true;
    if (tx == NULL) {
        return; /* the next round */
    }
    name_waived(r, waived);
    rc = finish_in(r, tx, &err);
    if (rc != 0) {
        swki_tx_abort(tx);
    } else {
        rc = swki_tx_commit(tx, NULL, NULL, NULL, &err);
    }
    if (rc != 0) {
        swki_log(r->logger, SWK_LOG_WARN, "ca",
                 "the rotation of the root CA does not end: %s", err.text);
        return;
    }
    r->failed = false;
    swki_log(r->logger, SWK_LOG_INFO, "ca",
             "the root CA was rotated; join tokens are new");
    if (waived_count > 0) {
        swki_log(r->logger, SWK_LOG_WARN, "ca",
                 "%zu node%s left out, to be removed and to join anew: %s%s",
                 waived_count, waived_count == 1 ? " was" : "s were", waived,
                 waived_count > WAIVED_NAMED ? ", ..." : "");
    }
}

/* -- Steps ---------------------------------------------------------------- */

void swki_reconcile_step(struct swki_reconcile *r, swk_time now, swk_wall wall)
{
    bool is_round = r->next_at <= now;

    if (r->cluster != NULL && r->unread) {
        read_target(r);
    }
    if (r->cluster == NULL || r->broken) {
        return;
    }
    if (is_round) {
        r->next_at = now + SWKI_RECONCILE_INTERVAL;
    }
    if (r->stale && !r->unread) {
        list_nodes(r, now);
    }
    if (r->stale || r->unread) { /* memory is short */
        return;
    }
    /* Whoever is down may be up again at the next look, so that only rounds
     * give up on it. */
    if ((r->stragglers.count == 0 && !r->failed) ||
        (is_round && swki_reconcile_missing(r) == 0)) {
        finish(r, wall);
    } else if (is_round) {
        wake(r, now);
        ask(r, wall);
    }
}

swk_time swki_reconcile_deadline(const struct swki_reconcile *r)
{
    return r->cluster != NULL && !r->broken ? r->next_at : SWK_NEVER;
}

size_t swki_reconcile_missing(const struct swki_reconcile *r)
{
    return r->cluster != NULL ? r->stragglers.count - r->waived_count : 0;
}
