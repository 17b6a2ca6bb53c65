/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A rotation of the root of a large swarm: the machines of one leader, real
 * keys and certificates, nodes that answer as real ones do, no sockets.
 *
 * The time that passes for the swarm follows from the rounds, 30 nodes every
 * 3 s; what counts is the work of the leader: signatures, checks of them, and
 * bookkeeping.
 */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/ca_swarm.h"

enum {
    NODES = 1000,
};

static double cpu_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void measure(size_t nodes)
{
    struct ca_swarm *s = ca_swarm_new(0);
    double start_ms;
    double nodes_ms;
    swk_time start;

    s->unchecked = true; /* who trusts whom is not what is measured */
    for (size_t i = 0; i < nodes; i++) {
        ca_swarm_add(s);
    }
    ca_swarm_advance(s, 0);
    nodes_ms = (double)s->nodes_ns / 1e6;
    start = s->now;
    start_ms = cpu_ms();
    ca_swarm_rotate(s);
    while (ca_swarm_is_rotating(s)) {
        ca_swarm_advance(s, 100 * SWK_MILLISECOND);
    }

    double all_ms = cpu_ms() - start_ms;
    nodes_ms = (double)s->nodes_ns / 1e6 - nodes_ms;
    printf("ca_rotation_%zu_simulated %.1f s\n", nodes,
           (double)(s->now - start) / 1e9);
    printf("ca_rotation_%zu_leader_cpu %.0f ms\n", nodes, all_ms - nodes_ms);
    printf("ca_rotation_%zu_leader_cpu_per_node %.2f ms\n", nodes,
           (all_ms - nodes_ms) / (double)nodes);
    printf("ca_rotation_%zu_nodes_cpu %.0f ms\n", nodes, nodes_ms);
    ca_swarm_free(s);
}

int main(void)
{
    measure(100);
    measure(NODES);
    return 0;
}
