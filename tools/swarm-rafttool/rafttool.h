/* SPDX-License-Identifier: Apache-2.0 */

/* What every command of swarm-rafttool works with. */

#ifndef RAFTTOOL_H
#define RAFTTOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>
#include <swarmkit/error.h>
#include <swarmkit/offline.h>

/* How the program ends. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_LOCKED = 3, /* the unlock key is missing, or another one */
    EXIT_NOT_FOUND = 4,
    EXIT_EXISTS = 5,
    EXIT_DAMAGED = 6,
    EXIT_IN_USE = 7, /* by a manager that runs */
};

/* What the command line says; NULL or 0 where it says nothing. */
struct options {
    const char *state_dir;
    const char *unlock_key_file;
    const char *output;
    const char *address;
    const char *id;
    const char *name;
    const char *argument; /* behind the command's name */
    uint64_t start;
    uint64_t end;
    bool json;
    bool redact;
    bool uncommitted;
};

/* The commands; each returns an exit code. */
int run_dump_wal(const struct options *options);
int run_dump_snapshot(const struct options *options);
int run_dump_object(const struct options *options);
int run_verify(const struct options *options);
int run_decrypt(const struct options *options);
int run_export(const struct options *options);
int run_import(const struct options *options);

/* -- Output --------------------------------------------------------------- */

/* "swarm-rafttool: error: TEXT" on the standard error, in one line; returns the
 * code. */
int tool_error(enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* What a call of the library says, with the fitting code. */
int tool_fail(const struct swk_error *err);
/* Something to know, on the standard error. */
void tool_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints text in which a terminal obeys nothing. */
void print_plain(const char *text);
/* Prints an encoded message as JSON, without a line end. */
int print_message(const struct options *options, const char *type,
                  const void *data, size_t len, uint32_t flags);

/* -- Reading -------------------------------------------------------------- */

/* The ports and what the options say; key is the caller's room for one. */
int tool_config(const struct options *options, struct swk_unlock_key *key,
                struct swk_offline_config *out_config);
/* Reads the state; flags are SWK_OFFLINE_*. */
int tool_open(const struct options *options, uint64_t flags,
              swk_offline **out_offline);
/* The objects as of the last committed entry, or the last one. */
int tool_state(const struct options *options, const swk_offline *offline,
               uint8_t **out_data, size_t *out_len);

/* -- Objects -------------------------------------------------------------- */

/* A list of objects in a StoreSnapshot. */
struct object_list {
    const ProtobufCFieldDescriptor *field; /* "nodes", ... */
    char kind[16];                         /* "node", ... */
    ProtobufCMessage *const *objects;
    size_t count;
};

/* The list at a position; false behind the last. store may be NULL. */
bool object_list_at(const ProtobufCMessage *store, unsigned position,
                    struct object_list *out_list);

const char *object_id(const ProtobufCMessage *object);
/* Its name, or the host name of a node; "" if it has none. */
const char *object_name(const ProtobufCMessage *object);
uint64_t object_version(const ProtobufCMessage *object);

/* Encodes an object and prints it as JSON. */
int print_object(const struct options *options, const ProtobufCMessage *object);

#endif
