/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Frames of bytes between the processes of raft_kv, over the transport port.
 *
 * Each process dials the others and sends over what it dialed; it receives
 * over what it accepted. What cannot be sent is dropped: raft sends it again.
 */

#ifndef RAFT_KV_NET_H
#define RAFT_KV_NET_H

#include <stdbool.h>

#include <swarmkit/types.h>

struct net;

/* Listens on ports[id] of the loopback; ports[1] to ports[count] are those of
 * all. received() gets each frame, on a thread of the transport. NULL, and a
 * line on the standard error, if that fails. */
struct net *net_open(uint64_t id, const int *ports, uint64_t count,
                     void (*received)(void *ctx, const uint8_t *frame,
                                      size_t len),
                     void *ctx);
void net_close(struct net *net);

/* Dials who is not connected, and clears away what failed; now and then. */
void net_turn(struct net *net, swk_time now);

/* Sends a frame of two parts to a process. False if it was dropped. */
bool net_send(struct net *net, uint64_t to, const void *head, size_t head_len,
              const void *rest, size_t rest_len);

#endif
