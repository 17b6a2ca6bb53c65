/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * What the process executor, its shim and readers of logs agree on.
 *
 * The executor runs each task under a program of its own, the shim, which
 * outlives it. They meet in the task's directory, STATE_DIR/tasks/ID:
 *
 *     instructions   what to run, written before the start
 *     lock           held with flock() as long as a shim lives
 *     started        there once a start was attempted: never start again
 *     control        the shim's socket (AF_UNIX, SOCK_SEQPACKET)
 *     session        "PID START_TIME" of the workload's main process
 *     exit           how it ended; appears complete, or not at all
 *     log, log.1 ... output, the newest file first
 *     root upper work  the root directory of a task with an image directory
 *
 * Directories that are being deleted lie in STATE_DIR/removed.
 *
 * **instructions** is a list of NUL-terminated strings. The first is
 * SWK_SHIM_MAGIC, the last "end". Between them stand records: a key, and as
 * many values as the key has, in any order, each key any number of times:
 *
 *     arg VALUE                  the command line
 *     env NAME=VALUE             the environment
 *     dir PATH                   working directory
 *     user NAME|UID[:NAME|GID]   group NAME|GID
 *     hostname NAME              in a UTS namespace of its own
 *     image PATH                 root directory; absent: the host's
 *     nolinks WHAT               WHAT: SWK_SHIM_NOLINKS_*; no symbolic link may
 *                                be in the path of the image, of bind sources
 *     readonly 1                 the root directory is not writable
 *     bind SOURCE TARGET FLAGS   FLAGS: any of SWK_SHIM_BIND_*
 *     tmpfs TARGET OPTIONS FLAGS OPTIONS: for mount(2); FLAGS: r, x
 *     cgroup PATH                a group to make, join, empty and delete
 *     limit FILE VALUE           to be written before the start
 *     oom FILE                   has a line "oom_kill COUNT"
 *     rlimit NUMBER SOFT HARD    "-1" for unlimited
 *     caps HEX                   capabilities that are kept
 *     no_new_privs 1             oom_score_adj NUMBER
 *     log_size BYTES             log_files COUNT
 *     secret NAME UID GID MODE   a file in SWK_SHIM_SECRETS_DIR; MODE in octal
 *     stop SIGNAL MILLISECONDS   used when the shim itself is told to end
 *
 * The values of secrets are not in the directory, nor on any disk: the shim is
 * started with a file descriptor from which it reads them, in the order of the
 * instructions, each behind its length in 8 bytes, little-endian.
 *
 * **control**: the shim sends SWK_SHIM_STARTED, a blank and the process ID when
 * the workload runs, to each peer once; it closes when the exit file is there.
 * It takes "stop SIGNAL MILLISECONDS" and "kill".
 *
 * **exit** has lines NAME=VALUE: `status` (as a shell's $?) and `pid` if the
 * workload ran, or `failed` with the reason if it could not be started; `oom`
 * 1 if the kernel killed a process of it for lack of memory; `log_lost`,
 * bytes of output that could not be stored. The last line is `end`.
 *
 * **log** holds records: a struct swk_task_log_record header, little-endian,
 * then `data_len` bytes of output.
 */

#ifndef SWARMKIT_SHIM_H
#define SWARMKIT_SHIM_H

#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** First string of the instructions; the number is the version. */
#define SWK_SHIM_MAGIC "swarm-shim 1"
/** What the shim says when the workload runs. */
#define SWK_SHIM_STARTED "started"

/** Where the files of secrets are, in a task with an image directory. */
#define SWK_SHIM_SECRETS_DIR "/run/secrets"

/** Flags of a mount, as letters. */
#define SWK_SHIM_BIND_READONLY 'r'
#define SWK_SHIM_BIND_NONRECURSIVE 'n'
#define SWK_SHIM_BIND_CREATE 'c'
#define SWK_SHIM_TMPFS_EXEC 'x'

/** Paths in which symbolic links are refused. */
#define SWK_SHIM_NOLINKS_IMAGE "image"
#define SWK_SHIM_NOLINKS_BINDS "binds"

enum {
    SWK_SHIM_INSTRUCTIONS_MAX = 1 << 20, /**< Bytes of the file. */
    SWK_SHIM_MESSAGE_MAX = 256,          /**< Bytes of a control message. */
    SWK_SHIM_EXIT_MAX = 2048,            /**< Bytes of the exit file. */
};

/** File descriptors the shim is started with. */
enum {
    SWK_SHIM_FD_DIR = 3,     /**< run: the task's directory; clean, remove:
                                  the one that holds it. */
    SWK_SHIM_FD_LOCK = 4,    /**< run: the lock file, locked. */
    SWK_SHIM_FD_CONTROL = 5, /**< run: a first, connected control socket. */
    SWK_SHIM_FD_SECRETS = 6, /**< run: values, if there are secrets. */
};

enum swk_log_stream {
    SWK_LOG_STREAM_STDOUT = 1,
    SWK_LOG_STREAM_STDERR = 2,
};

/** Flags of swk_task_log_record.flags. */
enum {
    SWK_LOG_ENTRY_PARTIAL = 1 << 0, /**< The line goes on in the next entry
                                         of the same stream. */
};

/** Header of an entry of the log file; 16 bytes. A plain value. */
struct swk_task_log_record {
    uint32_t data_len; /**< Bytes that follow, line end included. */
    uint8_t stream;    /**< enum swk_log_stream. */
    uint8_t flags;     /**< SWK_LOG_ENTRY_*. */
    uint16_t reserved; /**< 0. */
    swk_wall time;     /**< When the shim read the end of it. */
};

SWK_END_DECLS

#endif
