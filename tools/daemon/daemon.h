/* SPDX-License-Identifier: Apache-2.0 */

/* What swarmd and swarm-agent have in common: flags, log, signals, executor. */

#ifndef TOOLS_DAEMON_H
#define TOOLS_DAEMON_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/executor.h>
#include <swarmkit/port/transport.h>

/* Exit statuses. */
enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_LOCKED = 3,  /* the unlock key is another one */
    EXIT_REMOVED = 4, /* the node is in its swarm no more */
};

enum {
    DAEMON_EXTERNAL_CAS_MAX = 16,
};

/* The flags of both. NULL where a flag was not given. */
struct daemon_options {
    const char *state_dir;
    const char *join_address;
    const char *join_token;
    const char *hostname;
    const char *generic_resources;
    const char *shim_path;
    const char *cgroup_parent;
    const char *trust;
    const char *policy;
    const char *check_policy;
    const char *fips;
    int log_level;
    /* swarmd alone */
    const char *listen_remote;
    const char *advertise_remote;
    const char *listen_control;
    const char *heartbeat_tick;
    const char *election_tick;
    const char *unlock_key_file;
    const char *signer;
    const char *plugin_dir;
    const char *force_new_cluster;
    const char *dry_run;
    const char *format;
    const char *core_dumps;
    char own_token[128]; /* join_token, once it is off the command line */
    const char *audit;
    const char *audit_required;
    const char *audit_size;
    const char *audit_keep;
    const char *external_cas[DAEMON_EXTERNAL_CAS_MAX];
    size_t external_cas_count;
};

/* A flag of a program, for parsing and for --help. */
struct daemon_flag {
    char letter; /* 0 for none */
    const char *name;
    const char *value; /* what it takes; NULL for nothing */
    const char *help;
    const char **target; /* where the text goes; without any, the name */
    size_t *count; /* may be given so often: how often it was; or NULL */
};

/* Reads the flags; -1 to go on, else the exit status. */
int daemon_parse(int argc, char **argv, const char *summary,
                 const struct daemon_flag *flags, struct daemon_options *options);

/* Records go to the standard error. */
struct swk_logger daemon_logger(int level);

/* Blocks SIGINT and SIGTERM, so that only daemon_wait() sees them; before the
 * first thread. SIGPIPE is ignored. */
void daemon_block_signals(void);

/* From one to the other SIGINT and SIGTERM end the process at once: while it
 * starts, which takes long if it joins and has to wait for a certificate. What
 * is on the disk then is as after a crash. */
struct daemon_start {
    pthread_t watch;
    bool watched;
};
int daemon_starting(struct daemon_start *start, struct swk_error *err);
void daemon_started(struct daemon_start *start);

/* Waits for a signal to stop, asking stopped() now and then. */
void daemon_wait(bool (*stopped)(void *ctx), void *ctx);

/* The process executor below the state directory, with its shim. */
int daemon_make_executor(const struct daemon_options *options,
                         const struct swk_logger *logger,
                         struct swk_executor *out_executor,
                         struct swk_error *err);

/* What the node agrees to run, as the options name it; NULL for anything. */
struct daemon_agreement {
    char *trusted_keys;
    char *policy;
};

/* Reads the files; release with daemon_drop_agreement(), also on failure. */
int daemon_read_agreement(const struct daemon_options *options,
                          struct daemon_agreement *out_agreement,
                          struct swk_error *err);
void daemon_drop_agreement(struct daemon_agreement *agreement);

/* Says what the policy of the options means: an exit status. */
int daemon_check_policy(const char *name, const struct daemon_options *options);

/* Keeps secrets out of core dumps, unless the flags ask for such. */
void daemon_harden(const struct daemon_options *options,
                   const struct swk_logger *logger);

/* Runs a worker until a signal stops it. */
int daemon_run_worker(const struct daemon_options *options,
                      const struct swk_logger *logger,
                      const struct swk_transport *transport,
                      const struct swk_executor *executor,
                      struct swk_error *err);

/* "NAME: error: TEXT" on the standard error. */
void daemon_complain(const char *name, const struct swk_error *err);

#endif
