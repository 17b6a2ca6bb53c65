/* SPDX-License-Identifier: Apache-2.0 */

#include "core/allocator/ports.h"

#include <string.h>

void swki_ports_init(struct swki_ports *ports)
{
    memset(ports, 0, sizeof(*ports));
    for (unsigned i = 0; i < SWKI_PORT_PROTOCOLS; i++) {
        ports->last[i] = SWKI_PORT_DYNAMIC_LAST;
    }
}

static bool valid(unsigned protocol, uint32_t port)
{
    return protocol < SWKI_PORT_PROTOCOLS && port > 0 && port < 65536;
}

bool swki_ports_take(struct swki_ports *ports, unsigned protocol, uint32_t port)
{
    uint64_t bit = UINT64_C(1) << (port % 64);

    if (!valid(protocol, port) ||
        (ports->used[protocol][port / 64] & bit) != 0) {
        return false;
    }
    ports->used[protocol][port / 64] |= bit;
    return true;
}

uint32_t swki_ports_take_next(struct swki_ports *ports, unsigned protocol)
{
    uint32_t span = SWKI_PORT_DYNAMIC_LAST - SWKI_PORT_DYNAMIC_FIRST + 1;

    if (protocol >= SWKI_PORT_PROTOCOLS) {
        return 0;
    }
    for (uint32_t i = 0; i < span; i++) {
        uint32_t port = ports->last[protocol] + 1;

        if (port > SWKI_PORT_DYNAMIC_LAST) {
            port = SWKI_PORT_DYNAMIC_FIRST;
        }
        ports->last[protocol] = port;
        if (swki_ports_take(ports, protocol, port)) {
            return port;
        }
    }
    return 0;
}

void swki_ports_release(struct swki_ports *ports, unsigned protocol,
                        uint32_t port)
{
    if (valid(protocol, port)) {
        ports->used[protocol][port / 64] &= ~(UINT64_C(1) << (port % 64));
    }
}
