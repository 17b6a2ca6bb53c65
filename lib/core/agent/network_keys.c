/* SPDX-License-Identifier: Apache-2.0 */

#include "core/agent/network_keys.h"

static bool is_known(const struct swki_known_keys *known, uint64_t time)
{
    for (size_t i = 0; i < known->count; i++) {
        if (known->times[i] == time) {
            return true;
        }
    }
    return false;
}

bool swki_known_keys_take(struct swki_known_keys *known,
                          const Swkpb__SessionMessage *message)
{
    struct swki_known_keys next = {.count = 0};
    bool news = false;

    for (size_t i = 0; i < message->n_network_bootstrap_keys &&
                       next.count < SWKI_NETWORK_KEYS_MAX;
         i++) {
        uint64_t time = message->network_bootstrap_keys[i]->lamport_time;

        news = news || !is_known(known, time);
        next.times[next.count++] = time;
    }
    if (news) {
        *known = next;
    }
    return news;
}
