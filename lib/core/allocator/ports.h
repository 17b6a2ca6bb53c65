/* SPDX-License-Identifier: Apache-2.0 */

/* The published ports of the routing mesh: one space a protocol. */

#ifndef SWKI_ALLOCATOR_PORTS_H
#define SWKI_ALLOCATOR_PORTS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SWKI_PORT_DYNAMIC_FIRST = 30000,
    SWKI_PORT_DYNAMIC_LAST = 32767,
    SWKI_PORT_PROTOCOLS = 3, /* TCP, UDP, SCTP */
};

struct swki_ports {
    uint64_t used[SWKI_PORT_PROTOCOLS][65536 / 64];
    /* The last number that was given out. */
    uint32_t last[SWKI_PORT_PROTOCOLS];
};

void swki_ports_init(struct swki_ports *ports);

/* Takes one port; false if it is taken, or no port. */
bool swki_ports_take(struct swki_ports *ports, unsigned protocol,
                     uint32_t port);

/* Takes the next free port of the dynamic range after the last one that was
 * given out; 0 if there is none. */
uint32_t swki_ports_take_next(struct swki_ports *ports, unsigned protocol);

void swki_ports_release(struct swki_ports *ports, unsigned protocol,
                        uint32_t port);

#endif
