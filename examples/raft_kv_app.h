/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The application of raft_kv: pairs of text, and the commands about them. It
 * knows what an entry means, and when a command may be answered.
 */

#ifndef RAFT_KV_APP_H
#define RAFT_KV_APP_H

#include <swarmkit/raft.h>

struct app_pair;
struct app_request;

struct app {
    swk_raft *raft;
    uint64_t run; /* drawn at the start: reads of two runs differ */
    struct app_pair *pairs; /* the state, as of applied */
    uint64_t applied;
    struct app_request *requests; /* commands that wait for their answer */
    uint64_t reads;
};

/* A command from the standard input. */
void app_command(struct app *app, const char *line, swk_time now);

/* A committed entry. */
void app_apply(struct app *app, const struct swk_log_entry *entry);

/* The index of a read is known. */
void app_read(struct app *app, const struct swk_raft_read *read);

/* Nobody knows any more what becomes of the entries proposed here. */
void app_lost_leadership(struct app *app);

/* Gives up on commands that wait for too long. */
void app_expire(struct app *app, swk_time now);

/* The state as text, to be freed; and back. */
char *app_save(const struct app *app, size_t *out_len);
void app_restore(struct app *app, const uint8_t *data, size_t len,
                 uint64_t index);

void app_fini(struct app *app);

/* Memory that is there, or the end of the process. */
void *app_take(void *memory);

#endif
