/* SPDX-License-Identifier: Apache-2.0 */

/* Which keys of networks a node has been told, by their times alone. */

#ifndef SWKI_AGENT_NETWORK_KEYS_H
#define SWKI_AGENT_NETWORK_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dispatcher.pb-c.h"

enum {
    SWKI_NETWORK_KEYS_MAX = 16, /* of a message, more are not looked at */
};

struct swki_known_keys {
    uint64_t times[SWKI_NETWORK_KEYS_MAX];
    size_t count;
};

/* Whether a message names a key that is not known yet: its list then is the
 * one to use, as a whole, and is known from now on. */
bool swki_known_keys_take(struct swki_known_keys *known,
                          const Swkpb__SessionMessage *message);

#endif
