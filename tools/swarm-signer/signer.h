/* SPDX-License-Identifier: Apache-2.0 */

/* The parts of swarm-signer. */

#ifndef SWARM_SIGNER_SIGNER_H
#define SWARM_SIGNER_SIGNER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include <swarmkit/signer_service.h>

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    USERS_MAX = 16,
    PASSWORD_SIZE = 1024,
};

enum command {
    COMMAND_RUN,
    COMMAND_INIT,
    COMMAND_LIST,
    COMMAND_EXPORT,
    COMMAND_IMPORT,
    COMMAND_TRUST,
    COMMAND_ALLOW,
    COMMAND_REMOVE,
    COMMAND_CHECK_SANDBOX,
    COMMAND_STATUS,
};

struct options {
    enum command command;
    const char *argument; /* what stands beside the flags, or NULL */
    char fingerprint[SWK_FINGERPRINT_LEN + 1]; /* the argument, if it is one */
    const char *state_dir;
    const char *password_file;
    const char *user;
    int log_level;
    const char *format;
    /* keys */
    const char *certificate_file;
    const char *key_file;
    const char *transfer_password_file;
    bool another;
    uint64_t allow_ns;
    bool withdraw;
    bool force;
    /* run */
    const char *socket_path;
    const char *socket_group;
    const char *log_file;
    const char *users[USERS_MAX];
    size_t users_count;
    bool no_sandbox;
    struct swk_signer_policy policy;
};

/* -- options.c -- */

/* -1 to go on, else the exit status. */
int options_parse(int argc, char **argv, struct options *options);

/* -- keys.c -- */

/* Reads a password without its line end; of a file that others cannot read.
 * NULL stands for systemd's credential "signer-password", if there is one. */
int read_password(const char *path, char out_text[PASSWORD_SIZE],
                  struct swk_bytes *out_password, struct swk_error *err);
/* SWK_ENOTFOUND with advice. */
int check_state_dir(const struct options *options, struct swk_error *err);
int open_keys(const struct options *options, struct swk_bytes password,
              uint32_t flags, swk_signer_keys **out_keys,
              struct swk_error *err);
/* Does what init, list, export, import, trust, allow and remove do. */
int work_on_keys(const struct options *options, struct swk_error *err);

/* -- serve.c -- */

struct swk_logger make_logger(int level);
int serve(const struct options *options, struct swk_error *err);
/* Prints what the sandbox denies; SWK_EDENIED if it is not all. */
int check_sandbox(const struct options *options, struct swk_error *err);

/* -- status.c -- */

/* Asks the signer that runs, and prints what it says of itself. */
int print_status(const struct options *options, struct swk_error *err);

/* -- sandbox.c -- */

/* Who the process is to be. */
struct identity {
    uid_t uid;
    gid_t gid;
    gid_t socket_group; /* (gid_t)-1 for none */
};

/* Where it may reach; folders that exist. */
struct reach {
    char state_dir[PATH_MAX];
    char log_dir[PATH_MAX]; /* "" if it is the same */
    char socket_dir[PATH_MAX];
};

enum confinement {
    CONFINED_FILES = 1 << 0,   /* by Landlock */
    CONFINED_NETWORK = 1 << 1, /* TCP by Landlock, beside the system calls */
    CONFINED_SIGNALS = 1 << 2, /* likewise */
    CONFINED_MEMORY = 1 << 3,  /* locked */
};

/* NULL for user: who it is now. */
int identity_find(const char *user, const char *socket_group,
                  struct identity *out_identity, struct swk_error *err);
/* For good. */
int identity_take(const struct identity *identity, struct swk_error *err);

/* What came of it. */
struct hardening {
    bool locked_all; /* memory is, and will be */
    uintptr_t heap;  /* where it begins */
};

/* No core, no debugger, few descriptors, locked memory if that may be. While
 * it is still root. */
struct hardening sandbox_harden(void);
/* With the keys in memory, and no other thread: where all cannot be locked, the
 * heap can. CONFINED_MEMORY or 0. */
uint32_t sandbox_lock_keys(const struct hardening *hardening);
/* Files; before the first thread, which would stay outside. */
uint32_t sandbox_restrict_files(const struct reach *reach,
                                struct swk_error *err);
/* System calls, of all threads; when all is open. */
int sandbox_restrict_calls(struct swk_error *err);

/* -- attempts.c -- */

/* Tries what is forbidden and prints what came of it; the number of attempts
 * that were not denied. */
unsigned sandbox_attempt(const struct reach *reach, uint32_t confined);

#endif
