/* SPDX-License-Identifier: Apache-2.0 */

/* What every command of swarmctl works with. */

#ifndef SWARMCTL_CTL_H
#define SWARMCTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>
#include <swarmkit/client.h>
#include <swarmkit/error.h>

#include "control.pb-c.h"
#include "table.h"

/* How the program ends. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_CONFLICT = 4, /* exists already, or changed meanwhile */
    EXIT_DENIED = 5,
    EXIT_UNAVAILABLE = 6, /* nobody answers, or no leader */
    EXIT_TIMEOUT = 7,
    EXIT_UNVERIFIED = 8, /* sound as far as can be told: nobody vouches */
    EXIT_INTERRUPTED = 130,
};

/* -- Memory: kept until the pool is emptied ------------------------------- */

struct pool {
    struct pool_block *blocks;
};

/* Zeroed; there is no way on without memory, so it ends the program. */
void *pool_alloc(struct pool *pool, size_t size);
char *pool_strdup(struct pool *pool, const char *text);
char *pool_strndup(struct pool *pool, const char *text, size_t len);
char *pool_printf(struct pool *pool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void pool_empty(struct pool *pool);

/* A new message of the type. */
void *pool_message(struct pool *pool, const ProtobufCMessageDescriptor *type);

/* -- The program ---------------------------------------------------------- */

struct ctl {
    const char *socket;
    bool no_resolve; /* show IDs instead of names */
    bool json;
    swk_client *client; /* opened by the first call */
    char request_id[33]; /* of the call being made; empty for none */
    const char *hint;    /* on a flag that helps, or NULL: printed if a call
                            fails with hint_for */
    int hint_for;
    struct pool pool;   /* for as long as the command runs */
    struct typed *typed; /* what names stand for; in the pool */
};

/* Closes the connection and empties the pool. */
void ctl_close(struct ctl *ctl);

/* Prints "Error: text" and returns the code. */
int ctl_error(enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A mistake in the command line: prints it, and where help is found. */
int ctl_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints what a failed call says, and returns the fitting exit code. */
int ctl_fail(const struct swk_error *err);

/* Puts in front of a failure which file it is about. */
void ctl_name_file(struct swk_error *err, const char *path);

/*
 * Calls a method of the control API, or "SERVICE/METHOD", and decodes the
 * answer into the pool (the command's, if NULL). Returns 0 or a negative enum swk_error_code.
 */
int ctl_try(struct ctl *ctl, const char *method, const ProtobufCMessage *request,
            const ProtobufCMessageDescriptor *type, struct pool *pool,
            void *out_message, struct swk_error *err);

/* The same, but a call that no leader took is made again, such that it has its
 * effect once; printing the failure. An exit code. */
int ctl_call(struct ctl *ctl, const char *method,
             const ProtobufCMessage *request,
             const ProtobufCMessageDescriptor *type, void *out_message);

/* Prints a message as JSON, on a line of its own; an exit code. */
int ctl_print_json(struct ctl *ctl, const ProtobufCMessage *message);

/* -- Names ---------------------------------------------------------------- */

/*
 * Find an object by its ID, its name, or an unambiguous beginning of its ID,
 * in this order. An exit code; failures have been printed.
 */
int find_node(struct ctl *ctl, const char *text, Swkpb__Node **out_node);
int find_service(struct ctl *ctl, const char *text,
                 Swkpb__Service **out_service);
int find_task(struct ctl *ctl, const char *text, Swkpb__Task **out_task);
int find_cluster(struct ctl *ctl, const char *text,
                 Swkpb__Cluster **out_cluster);
/* Writes the cluster's spec back, and rotates what is named; an exit code. */
int update_cluster(struct ctl *ctl, Swkpb__Cluster *cluster,
                   Swkpb__KeyRotation *rotation, Swkpb__Cluster **out_cluster);
int find_secret(struct ctl *ctl, const char *text, Swkpb__Secret **out_secret);
int find_config(struct ctl *ctl, const char *text, Swkpb__Config **out_config);

/* Remembers how the user calls an object; find_...() does so. Kept as long as
 * the pool; the text is not copied. */
void note_typed(struct ctl *ctl, const char *id, const char *text);
/* How the user called it, else the ID. */
const char *typed_name(const struct ctl *ctl, const char *id);
/* Managers know IDs only: behind a name that was typed, the ID stands in
 * brackets. */
void name_objects(const struct ctl *ctl, struct swk_error *err);

/* All nodes, into the pool. Returns 0 or a negative enum swk_error_code. */
int list_nodes(struct ctl *ctl, struct pool *pool,
               Swkpb__ListNodesResponse **out_nodes, struct swk_error *err);

/* Whether the task's node is down: it runs or stops nothing that is known. */
bool on_down_node(const Swkpb__ListNodesResponse *nodes,
                  const Swkpb__Task *task);

const char *node_name(const Swkpb__Node *node);
const char *service_name(const Swkpb__Service *service);
const char *annotations_name(const Swkpb__Annotations *annotations);

/* -- Text ----------------------------------------------------------------- */

/* The last part of a value's name in the schema, such as "RUNNING". */
const char *enum_text(const ProtobufCEnumDescriptor *type, int value);
/* "3 minutes ago"; "-" without a timestamp. */
const char *age_text(struct ctl *ctl, const Swkpb__Timestamp *timestamp);

/* "in 89 days", "EXPIRED 2 days ago"; "-" without a timestamp. */
const char *expiry_text(struct ctl *ctl, const Swkpb__Timestamp *timestamp);
enum {
    WALL_TEXT_SIZE = 32,
};

/* "2026-11-23T16:00:00Z"; "-" for what is no time. */
const char *wall_text(swk_wall wall, char out_text[WALL_TEXT_SIZE]);
const char *time_text(struct ctl *ctl, const Swkpb__Timestamp *timestamp);
/* "1m30s". */
const char *duration_text(struct ctl *ctl, const Swkpb__Duration *duration);
Swkpb__Duration *new_duration(struct ctl *ctl, int64_t ns);

/* Pairs of a name and a value, one a line. */
void print_field(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A string of JSON, with its quotes. */
void print_json_text(const char *text);

/* That an object is gone: what was typed, or its ID in JSON. */
void print_removed(const struct ctl *ctl, const char *id, const char *typed);

#endif
