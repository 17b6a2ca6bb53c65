/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What comes in at a signer's socket: any bytes for its decoder, and, made from
 * them, some requests in a row for its policy, whose answers are held against
 * what the policy promises.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "node/signer/signer_paths.h"
#include "node/signer/signer_request.h"

#define NOW (INT64_C(1893456000) * (swk_wall)SWK_SECOND)
#define DAY ((swk_wall)(24 * SWK_HOUR))
#define SWARM "swarm0000000000000000000a"

enum {
    NODES = 3,
    KEYS = 2,
    STEPS_MAX = 3, /* each may verify a chain, which takes a while */
    MANAGERS_AT_ONCE = 2,
};

/* An authority, and nodes that it knows by a certificate in each role. */
struct world {
    struct swki_rng rng;
    struct swk_entropy entropy;
    struct swki_buf root_key;
    struct swki_buf root;
    struct swki_authorities authorities;
    struct swki_authority *authority;
    struct swki_buf csrs[KEYS];
    struct swki_buf certificates[NODES][2]; /* worker, manager */
};

static const char *const node_ids[NODES] = {"a", "b", "c"};

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static int fill(void *ctx, void *out_data, size_t len)
{
    swki_rng_fill(ctx, out_data, len);
    return 0;
}

static void make_key(struct world *world, struct swki_buf *out_key)
{
    swki_buf_init(out_key, NULL, SIZE_MAX);
    require(swki_key_generate(&world->entropy, out_key, NULL) == 0);
}

static void issue(struct world *world, int node, enum swki_role role,
                  struct swki_buf *out_pem)
{
    const struct swki_leaf leaf = {
        .node_id = node_ids[node],
        .swarm_id = SWARM,
        .role = role,
        .now = NOW - DAY,
        .validity_ns = 90 * 24 * SWK_HOUR,
    };

    swki_buf_init(out_pem, NULL, SIZE_MAX);
    require(swki_signer_issue(world->authority->signer,
                              swki_pem_of_buf(&world->csrs[0]), &leaf, out_pem,
                              NULL) == 0);
}

static void make_world(struct world *world)
{
    struct swki_buf key;

    swki_rng_init(&world->rng, 1);
    world->entropy =
        (struct swk_entropy){sizeof(world->entropy), &world->rng, fill};
    make_key(world, &world->root_key);
    swki_buf_init(&world->root, NULL, SIZE_MAX);
    require(swki_root_create(swki_pem_of_buf(&world->root_key), NOW - 2 * DAY,
                             &world->entropy, &world->root, NULL) == 0);
    swki_authorities_init(&world->authorities, NULL);
    require(
        swki_authorities_add(&world->authorities, swki_pem_of_buf(&world->root),
                             swki_pem_of_buf(&world->root_key), &world->entropy,
                             &world->authority, NULL) == 0);
    for (int i = 0; i < KEYS; i++) {
        make_key(world, &key);
        swki_buf_init(&world->csrs[i], NULL, SIZE_MAX);
        require(swki_csr_create(swki_pem_of_buf(&key), "any", &world->entropy,
                                &world->csrs[i], NULL) == 0);
        swki_buf_fini(&key);
    }
    for (int i = 0; i < NODES; i++) {
        issue(world, i, SWKI_ROLE_WORKER, &world->certificates[i][0]);
        issue(world, i, SWKI_ROLE_MANAGER, &world->certificates[i][1]);
    }
}

/* Made once: keys take longer than all else. */
static struct world *the_world(void)
{
    static struct world world;

    if (world.authority == NULL) {
        make_world(&world);
    }
    world.authority->used = false;
    return &world;
}

/* -- What is asked --------------------------------------------------------- */

struct source {
    const uint8_t *data;
    size_t len;
};

static unsigned next(struct source *from, unsigned below)
{
    if (from->len == 0) {
        return 0;
    }
    from->len--;
    return *from->data++ % below;
}

struct question {
    int node;
    enum swki_role role;
    int csr;
    int shown_node; /* -1: nothing is shown */
    int shown_role; /* 0 or 1 */
};

static struct question read_question(struct source *from)
{
    struct question q = {
        .node = (int)next(from, NODES),
        .role = next(from, 2) == 0 ? SWKI_ROLE_WORKER : SWKI_ROLE_MANAGER,
        .csr = (int)next(from, KEYS),
        .shown_node = -1,
    };

    switch (next(from, 4)) {
    case 0:
        q.shown_node = (int)next(from, NODES);
        break;
    case 1:
        q.shown_node = q.node;
        break;
    default:
        break;
    }
    q.shown_role = (int)next(from, 2);
    return q;
}

static struct swki_notary_request request_of(const struct world *world,
                                             const struct question *q)
{
    struct swki_notary_request request = {
        .kind = SWKI_NOTARY_NODE,
        .now = NOW,
        .swarm_id = SWARM,
        .authority = swki_pem_of_buf(&world->root),
        .node_id = node_ids[q->node],
        .role = q->role,
        .validity_ns = 24 * SWK_HOUR,
        .csr = swki_pem_of_buf(&world->csrs[q->csr]),
    };

    if (q->shown_node >= 0) {
        request.previous =
            swki_pem_of_buf(&world->certificates[q->shown_node][q->shown_role]);
    }
    return request;
}

/* -- What is promised ------------------------------------------------------ */

/* What was signed, beside the register. */
struct model {
    bool known[NODES];
    enum swki_role role[NODES];
    int csr[NODES];
    unsigned new_managers;
};

static enum swki_role role_before(const struct model *model,
                                  const struct question *q)
{
    if (model->known[q->node]) { /* later than all that can be shown */
        return model->role[q->node];
    }
    return q->shown_node < 0    ? SWKI_ROLE_NONE
           : q->shown_role == 0 ? SWKI_ROLE_WORKER
                                : SWKI_ROLE_MANAGER;
}

static void check_grant(struct model *model, const struct swki_notary *notary,
                        const struct question *q, bool allowed, bool founding)
{
    uint32_t flags = notary->policy.flags;
    enum swki_role before = role_before(model, q);

    require(q->shown_node < 0 || q->shown_node == q->node);
    require(q->shown_node >= 0 || !model->known[q->node] ||
            (model->role[q->node] == q->role && model->csr[q->node] == q->csr));
    if (q->role != SWKI_ROLE_MANAGER) {
        return;
    }
    require((flags & SWK_SIGNER_NO_MANAGERS) == 0);
    require((flags & SWK_SIGNER_NO_PROMOTIONS) == 0 ||
            before != SWKI_ROLE_WORKER);
    if (before != SWKI_ROLE_MANAGER) {
        require((flags & SWK_SIGNER_APPROVE_MANAGERS) == 0 || allowed ||
                founding);
        require(++model->new_managers <= MANAGERS_AT_ONCE);
    }
}

static void note_grant(const struct world *world, struct model *model,
                       struct swki_notary *notary, const struct question *q)
{
    struct swki_register_record record = {
        .role = q->role,
        .not_before = NOW - (swk_wall)SWK_HOUR,
        .not_after = NOW + DAY,
    };
    struct swki_buf key;

    model->known[q->node] = true;
    model->role[q->node] = q->role;
    model->csr[q->node] = q->csr;
    snprintf(record.node_id, sizeof(record.node_id), "%s", node_ids[q->node]);
    swki_buf_init(&key, NULL, SIZE_MAX);
    require(swki_csr_public_key(swki_pem_of_buf(&world->csrs[q->csr]), &key,
                                NULL) == 0 &&
            swki_sha256(key.data, key.len, record.key) &&
            swki_register_put(&notary->nodes, &record));
    swki_buf_fini(&key);
}

/* As after a restart: what is not in the lines is not known. */
static void restart(struct swki_notary *notary)
{
    struct swki_register_record record;
    struct swki_buf text;
    size_t at = 0;

    swki_buf_init(&text, NULL, SIZE_MAX);
    require(swki_register_write(&notary->nodes, &text));
    swki_register_fini(&notary->nodes);
    swki_register_init(&notary->nodes, NULL, 100, 0);
    while (at < text.len) {
        const char *line = (const char *)text.data + at;
        const char *end = memchr(line, '\n', text.len - at);

        require(end != NULL &&
                swki_register_read_line(line, (size_t)(end - line), &record));
        require(swki_register_put(&notary->nodes, &record));
        at += (size_t)(end - line) + 1;
    }
    swki_buf_fini(&text);
}

static void ask(struct world *world, struct model *model,
                struct swki_notary *notary, const struct question *q)
{
    const struct swki_notary_request request = request_of(world, q);
    bool allowed =
        swki_approvals_has(&notary->approvals, node_ids[q->node], NOW);
    bool founding =
        !world->authority->used && swki_register_count(&notary->nodes) == 0;
    struct swki_notary_decision decision;

    if (swki_notary_decide(notary, SWK_HOUR, NOW, &request, &decision, NULL) !=
        0) {
        return;
    }
    require(decision.authority == world->authority);
    check_grant(model, notary, q, allowed, founding);
    if (decision.approved) {
        swki_approvals_remove(&notary->approvals, node_ids[q->node]);
    }
    swki_notary_signed(notary, &request, &decision);
    note_grant(world, model, notary, q);
}

static void try_policy(struct source *from)
{
    struct swk_signer_policy policy = {
        .size = sizeof(policy),
        .flags = next(from, 32),
        .new_managers = {.per_hour = 1, .burst = MANAGERS_AT_ONCE},
    };
    struct world *world = the_world();
    struct model model = {.new_managers = 0};
    struct swki_notary notary;

    require(swki_notary_init(&notary, &policy, "", &world->authorities, NULL) ==
            0);
    for (int i = 0; i < STEPS_MAX && from->len > 0; i++) {
        struct question q = read_question(from);

        if (next(from, 4) == 0) {
            swki_approvals_add(&notary.approvals, node_ids[next(from, NODES)],
                               NOW, NOW);
        }
        ask(world, &model, &notary, &q);
        if (next(from, 4) == 0) {
            restart(&notary);
        }
    }
    swki_notary_fini(&notary);
}

static void try_decoder(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {
        SWKI_SIGNER_SIGN_NODE,  SWKI_SIGNER_CREATE_ROOT,
        SWKI_SIGNER_CROSS_SIGN, SWKI_SIGNER_CHECK_AUTHORITY,
        SWKI_SIGNER_DESCRIBE,   "/swarmkit.v1.Signer/Other",
    };
    const struct swk_signer_policy policy = SWK_SIGNER_POLICY_INIT;
    struct world *world = the_world();
    struct swki_notary_decision decision;
    struct swki_signer_request request;
    struct swki_notary notary;
    struct swki_arena arena;

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        swki_arena_init(&arena, NULL, 1024 * 1024);
        require(swki_notary_init(&notary, &policy, "", &world->authorities,
                                 NULL) == 0);
        if (swki_signer_request_read(paths[i], data, size, &arena, &request,
                                     NULL) == 0 &&
            !request.describe) {
            (void)swki_notary_decide(&notary, SWK_HOUR, NOW, &request.notary,
                                     &decision, NULL);
        }
        swki_notary_fini(&notary);
        swki_arena_fini(&arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source from = {data, size};

    try_decoder(data, size);
    try_policy(&from);
    return 0;
}
