/* SPDX-License-Identifier: Apache-2.0 */

/* The objects of raft as text, the way the data files show them. */

#ifndef TESTS_CONFORMANCE_RENDER_H
#define TESTS_CONFORMANCE_RENDER_H

#include "base/buf.h"
#include "core/raft/configuration.h"
#include "core/raft/machine.h"

/* A message and, for those to a thread of the storage, its responses. */
struct message {
    struct swk_raft_message m;
    struct message *responses;
    size_t responses_count;
};

/* "MsgApp"; NULL for numbers without a name. */
const char *message_type_name(int32_t type);

/* False if no type has that name. */
bool message_type_parse(const char *name, int32_t *out_type);

const char *role_name(enum swk_raft_role role);

/* Hexadecimal; what a node calls itself. */
void render_id(struct swki_buf *buf, uint64_t id);

/* "(1 2 3)" */
void render_ids(struct swki_buf *buf, const uint64_t *ids, size_t count);

/* "v1 l2 r3" */
void render_changes(struct swki_buf *buf,
                    const struct swk_raft_conf_change *change);

void render_entry(struct swki_buf *buf, const struct swk_log_entry *entry);

/* An entry a line. */
void render_entries(struct swki_buf *buf, const struct swk_log_entry *entries,
                    size_t count);

void render_conf_state(struct swki_buf *buf, const struct swk_conf_state *cs);

void render_message(struct swki_buf *buf, const struct message *message);

void render_progress(struct swki_buf *buf, const struct swki_raft_progress *p);

/* "<id>: <progress>" a line, for every member. */
void render_members(struct swki_buf *buf,
                    const struct swki_raft_configuration *c);

void render_configuration(struct swki_buf *buf,
                          const struct swki_raft_configuration *c);

/* A Ready, but for its messages, which the caller has copied, in order. */
void render_ready(struct swki_buf *buf, const struct swki_machine_ready *ready,
                  const struct message *messages, size_t messages_count);

#endif
