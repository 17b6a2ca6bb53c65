/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random disturbances of a simulated swarm, then rest: it has to settle.
 *
 * usage: test_random [SEED]      replays one seed and prints its whole trace
 */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/sim_admin.h"

enum {
    NODES = 5,
    SERVICES = 5,
    DISTURBANCES = 300,
    TRACE_TAIL = 8000, /* bytes of a trace that are shown */
};

/* Agents come back within 8 s of pause, nodes are given up after 3 s, tasks
 * stop within 10 s of grace; an update does so slot after slot. */
#define SETTLE_TIME (90 * SWK_SECOND)

struct f {
    struct sim *sim;
    struct swki_rng rng;
    unsigned images; /* named so far */
    swk_time settled_after;
};

static uint64_t below(struct f *f, uint64_t bound)
{
    return swki_rng_below(&f->rng, bound);
}

static struct sim_node *any_node(struct f *f)
{
    return f->sim->nodes[below(f, f->sim->nodes_count)];
}

static const char *any_service(struct f *f)
{
    static const char *const names[SERVICES] = {"web", "db", "cache", "queue",
                                                "mail"};

    return names[below(f, SERVICES)];
}

/* -- What the administrator does ------------------------------------------ */

static const char *any_secrets(struct f *f)
{
    static const char *const words[] = {"secrets=", "secrets=s1", "secrets=s2",
                                        "secrets=s1,s2"};

    return words[below(f, 4)];
}

static const char *any_configs(struct f *f)
{
    static const char *const words[] = {"configs=", "configs=c1", "configs=c2",
                                        "configs=c1,c2"};

    return words[below(f, 4)];
}

static void create(struct f *f)
{
    char replicas[32];
    static const char *const extras[] = {
        "restart=any", "restart=any", "restart=on-failure", "restart-max=2",
        "constraint=node.labels.zone==north"};
    const char *service = any_service(f);
    const char *extra = extras[below(f, 5)];
    char *words[] = {replicas,
                     (char *)"restart-delay=500ms",
                     (char *)"update-monitor=300ms",
                     (char *)"update-failure=continue",
                     (char *)"update-parallelism=2",
                     (char *)extra,
                     (char *)any_secrets(f),
                     (char *)any_configs(f)};

    snprintf(replicas, sizeof(replicas), "replicas=%u",
             (unsigned)below(f, 8));
    (void)sim_create_service(f->sim, service, words, 8);
}

static void scale(struct f *f)
{
    const char *service = any_service(f);
    char replicas[32];
    char *words[] = {replicas};

    snprintf(replicas, sizeof(replicas), "replicas=%u",
             (unsigned)below(f, 10));
    (void)sim_update_service(f->sim, service, words, 1);
}

static void update(struct f *f)
{
    static const char *const runs[] = {
        "run=",           "run=",          "run=stubborn",
        "run=exit=1:2s",  "run=exit=0:1s", "run=start-fails",
        "run=start=500ms", "run=prepare-fails", "run=prepare=2s",
        "run=refuse"};
    static const char *const orders[] = {"update-order=stop-first",
                                         "update-order=start-first"};
    static const char *const failures[] = {"update-failure=continue",
                                           "update-failure=pause",
                                           "update-failure=rollback"};
    const char *service = any_service(f);
    const char *run = runs[below(f, sizeof(runs) / sizeof(runs[0]))];
    const char *order = orders[below(f, 2)];
    const char *failure = failures[below(f, 3)];
    char image[32];
    char *words[] = {image,
                     (char *)run,
                     (char *)order,
                     (char *)failure,
                     (char *)any_secrets(f),
                     (char *)any_configs(f)};

    snprintf(image, sizeof(image), "image=app:%u", ++f->images);
    (void)sim_update_service(f->sim, service, words, 6);
}

static void set_availability(struct f *f)
{
    static const char *const values[] = {"active", "active", "pause", "drain"};

    const char *node = any_node(f)->name;

    (void)sim_set_availability(f->sim, node, values[below(f, 4)]);
}

static void label(struct f *f)
{
    const char *node = any_node(f)->name;

    (void)sim_label_node(f->sim, node, "zone",
                         below(f, 2) == 0 ? "north" : "south");
}

static void administrate(struct f *f)
{
    if (f->sim->client.waiting) {
        return;
    }
    if (f->sim->client.status == SWKI_STATUS_UNAVAILABLE && below(f, 2) == 0) {
        sim_client_retry(f->sim);
        return;
    }
    f->sim->client.lose_reply = below(f, 10) == 0;
    switch (below(f, 9)) {
    case 0:
    case 1:
        create(f);
        break;
    case 2:
    case 3:
        scale(f);
        break;
    case 4:
    case 5:
        update(f);
        break;
    case 6:
        (void)sim_remove_service(f->sim, any_service(f));
        break;
    case 7:
        label(f);
        break;
    default:
        set_availability(f);
        break;
    }
}

/* -- What goes wrong ------------------------------------------------------ */

static void end_workload(struct f *f)
{
    struct sim_node *node = any_node(f);
    struct sim_workload *w;
    size_t cursor = 0;

    while ((w = swki_map_next(&node->workloads, &cursor)) != NULL) {
        if (w->running && below(f, 3) == 0) {
            sim_exit_workload(w, (int)below(f, 3));
        }
    }
}

static void toggle_agent(struct f *f)
{
    struct sim_node *node = any_node(f);

    if (node->agent == NULL) {
        sim_start_agent(node);
    } else if (below(f, 2) == 0) {
        sim_kill_agent(node);
    } else {
        sim_kill_node(node);
    }
}

static void toggle_cut(struct f *f)
{
    struct sim_node *node = any_node(f);

    if (node->cut_in || node->cut_out) {
        sim_heal(node);
    } else {
        uint64_t way = below(f, 3);

        sim_trace(f->sim, node->name, "is cut (%u)", (unsigned)way);
        sim_cut(node, way != 0, way != 1);
    }
}

static void toggle_manager(struct f *f)
{
    if (f->sim->manager == NULL) {
        sim_start_manager(f->sim);
    } else {
        sim_kill_manager(f->sim, (size_t)below(f, 4));
    }
}

static void toggle_disk(struct f *f)
{
    if (f->sim->disk_held) {
        sim_release_disk(f->sim);
    } else if (f->sim->manager != NULL) {
        sim_hold_disk(f->sim);
    }
}

static void disturb(struct f *f)
{
    switch (below(f, 20)) {
    case 0:
    case 1:
        toggle_agent(f);
        break;
    case 2:
    case 3:
        toggle_cut(f);
        break;
    case 4:
        toggle_manager(f);
        break;
    case 5:
        toggle_disk(f);
        break;
    case 6:
        sim_break_connection(any_node(f));
        break;
    case 7:
    case 8:
        end_workload(f);
        break;
    default:
        administrate(f);
        break;
    }
    /* Often so soon that what was begun is still under way. */
    sim_advance(f->sim, below(f, 4) == 0 ? below(f, 4 * SWK_SECOND)
                                         : below(f, 40 * SWK_MILLISECOND));
}

/* -- Rest ----------------------------------------------------------------- */

/* Repeats what begin() does until it is answered well. */
static void insist(struct f *f, bool (*begin)(struct f *f, const char *name),
                   const char *name)
{
    for (int i = 0; i < 20 && f->sim->broken[0] == '\0'; i++) {
        if (!sim_wait(f->sim) || !begin(f, name)) {
            return; /* there is none */
        }
        if (sim_wait(f->sim) && f->sim->client.status == 0) {
            return;
        }
        sim_advance(f->sim, 100 * SWK_MILLISECOND);
    }
}

static bool activate(struct f *f, const char *name)
{
    return sim_set_availability(f->sim, name, "active");
}

/* A spec that works. */
static bool mend(struct f *f, const char *name)
{
    char *words[] = {(char *)"image=app:good",
                     (char *)"run=",
                     (char *)"restart=any",
                     (char *)"restart-max=0",
                     (char *)"constraint=",
                     (char *)"update-failure=continue",
                     (char *)"update-parallelism=0"};

    return sim_update_service(f->sim, name, words, 7);
}

static void end_faults(struct f *f)
{
    static const char *const names[SERVICES] = {"web", "db", "cache", "queue",
                                                "mail"};

    sim_trace(f->sim, "sim", "faults end");
    sim_release_disk(f->sim);
    if (f->sim->manager == NULL) {
        sim_start_manager(f->sim);
    }
    for (size_t i = 0; i < f->sim->nodes_count; i++) {
        sim_heal(f->sim->nodes[i]);
        if (f->sim->nodes[i]->agent == NULL) {
            sim_start_agent(f->sim->nodes[i]);
        }
    }
    f->sim->client.lose_reply = false;
    for (size_t i = 0; i < f->sim->nodes_count; i++) {
        insist(f, activate, f->sim->nodes[i]->name);
    }
    for (size_t i = 0; i < SERVICES; i++) {
        insist(f, mend, names[i]);
    }
}

static void settle(struct f *f)
{
    swk_time begin = f->sim->now;
    char why[128];
    const char *unsettled = NULL;

    do {
        sim_advance(f->sim, SWK_SECOND);
        unsettled = sim_unsettled(f->sim, why, sizeof(why));
    } while (unsettled != NULL && f->sim->broken[0] == '\0' &&
             f->sim->now < begin + SETTLE_TIME);
    f->settled_after = f->sim->now - begin;
    if (unsettled != NULL) {
        sim_broken(f->sim, "not settled after %llu s: %s",
                   (unsigned long long)(SETTLE_TIME / SWK_SECOND), unsettled);
    }
}

static void add_payloads(struct f *f)
{
    static const char *const secrets[] = {"s1", "s2"};
    static const char *const configs[] = {"c1", "c2"};

    for (size_t i = 0; i < 2; i++) {
        (void)sim_create_secret(f->sim, secrets[i]);
        (void)sim_wait(f->sim);
        (void)sim_create_config(f->sim, configs[i]);
        (void)sim_wait(f->sim);
    }
}

static void run_seed(struct f *f, uint64_t seed)
{
    char name[8];

    f->images = 0;
    swki_rng_init(&f->rng, seed);
    f->sim = sim_new(seed);
    assert_non_null(f->sim);
    f->sim->trace_tasks = true;
    f->sim->jitter_ns = below(f, 3) * 20 * SWK_MILLISECOND;
    sim_start_manager(f->sim);
    sim_advance(f->sim, SWK_SECOND);
    add_payloads(f);
    for (int i = 0; i < NODES; i++) {
        snprintf(name, sizeof(name), "a%d", i + 1);
        assert_non_null(sim_add_node(f->sim, name));
    }
    for (int i = 0; i < DISTURBANCES && f->sim->broken[0] == '\0'; i++) {
        disturb(f);
    }
    end_faults(f);
    settle(f);
}

/* -- Tests ---------------------------------------------------------------- */

static void show_failure(const struct f *f, uint64_t seed)
{
    size_t len = f->sim->trace.len;
    size_t shown = len < TRACE_TAIL ? len : TRACE_TAIL;

    print_error("%.*s\n", (int)shown,
                (const char *)f->sim->trace.data + (len - shown));
    print_error("replay with: build/tests/trace/test_random %llu\n",
                (unsigned long long)seed);
}

static void swarm_settles_after_random_disturbances(void **state)
{
    uint64_t seed = *(const uint64_t *)*state;
    struct f f;
    bool good;

    run_seed(&f, seed);
    good = f.sim->broken[0] == '\0';
    if (!good) {
        show_failure(&f, seed);
    }
    sim_free(f.sim);
    assert_true(good);
}

static void same_seed_gives_the_same_trace(void **state)
{
    struct f a;
    struct f b;
    bool same;

    (void)state;
    run_seed(&a, 7);
    run_seed(&b, 7);
    same = a.sim->trace.len == b.sim->trace.len &&
           memcmp(a.sim->trace.data, b.sim->trace.data, a.sim->trace.len) == 0;
    sim_free(a.sim);
    sim_free(b.sim);
    assert_true(same);
}

/* The seeds from first to last, for a search or a replay. */
static int replay(uint64_t first, uint64_t last)
{
    int failed = 0;

    for (uint64_t seed = first; seed <= last; seed++) {
        struct f f;

        run_seed(&f, seed);
        if (first == last) {
            printf("%.*s", (int)f.sim->trace.len,
                   (const char *)f.sim->trace.data);
        }
        printf("seed %llu: %s, %.0f s\n", (unsigned long long)seed,
               f.sim->broken[0] != '\0' ? f.sim->broken : "settled",
               (double)f.settled_after / (double)SWK_SECOND);
        fflush(stdout);
        failed += f.sim->broken[0] != '\0';
        sim_free(f.sim);
    }
    return failed > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    static uint64_t seeds[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const struct CMUnitTest tests[] = {
        {"swarm_settles_after_disturbances_of_seed_1",
         swarm_settles_after_random_disturbances, NULL, NULL, &seeds[0]},
        {"swarm_settles_after_disturbances_of_seed_2",
         swarm_settles_after_random_disturbances, NULL, NULL, &seeds[1]},
        {"swarm_settles_after_disturbances_of_seed_3",
         swarm_settles_after_random_disturbances, NULL, NULL, &seeds[2]},
        {"swarm_settles_after_disturbances_of_seed_4",
         swarm_settles_after_random_disturbances, NULL, NULL, &seeds[3]},
        {"swarm_settles_after_disturbances_of_seed_5",
         swarm_settles_after_random_disturbances, NULL, NULL, &seeds[4]},
        {"swarm_settles_after_disturbances_of_seed_6",
         swarm_settles_after_random_disturbances, NULL, NULL, &seeds[5]},
        {"swarm_settles_after_disturbances_of_seed_7",
         swarm_settles_after_random_disturbances, NULL, NULL, &seeds[6]},
        {"swarm_settles_after_disturbances_of_seed_8",
         swarm_settles_after_random_disturbances, NULL, NULL, &seeds[7]},
        cmocka_unit_test(same_seed_gives_the_same_trace),
    };

    if (argc > 1) {
        uint64_t first = strtoull(argv[1], NULL, 10);

        return replay(first, argc > 2 ? strtoull(argv[2], NULL, 10) : first);
    }
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
