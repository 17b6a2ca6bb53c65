/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The shim: the parent of one workload, which outlives the executor.
 *
 *     swarm-shim run           supervises the workload of a task directory
 *     swarm-shim clean NAME    kills what a dead shim left behind
 *     swarm-shim remove NAME   ends the shim too, and deletes the directory
 *
 * <swarmkit/shim.h> describes the files and sockets.
 */

#ifndef SHIM_H
#define SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <swarmkit/shim.h>

/* The values of one key, flattened: a key of two values has two items each. */
struct shim_list {
    char **items; /* a NULL follows the last */
    size_t count;
};

struct shim_instructions {
    char *text; /* what the lists point into */
    struct shim_list args;
    struct shim_list env;
    struct shim_list dir;
    struct shim_list user;
    struct shim_list groups;
    struct shim_list hostname;
    struct shim_list image;
    struct shim_list nolinks;
    struct shim_list readonly;
    struct shim_list binds;
    struct shim_list tmpfs;
    struct shim_list cgroups;
    struct shim_list limits;
    struct shim_list oom;
    struct shim_list rlimits;
    struct shim_list caps;
    struct shim_list no_new_privs;
    struct shim_list oom_score_adj;
    struct shim_list log_size;
    struct shim_list log_files;
    struct shim_list secrets;
    struct shim_list stop;
};

/* Reads the file of that name in the current directory; false if it is absent
 * or damaged. */
bool shim_instructions_load(struct shim_instructions *in, const char *name);
/* Also after a load that failed. */
void shim_instructions_free(struct shim_instructions *in);

/* The last value of a key of one value, or fallback. */
const char *shim_text(const struct shim_list *list, const char *fallback);
long long shim_number(const struct shim_list *list, long long fallback);

/*
 * Failures of the workload's setup, in words. The child sends them to the
 * shim, and the shim writes them to the exit file.
 */
enum {
    SHIM_FAILURE_SIZE = 200,
};

/* Formats to the failure, appends the text of error if it is not 0, and
 * returns false. */
bool shim_fail(char failure[SHIM_FAILURE_SIZE], int error, const char *format,
               ...) __attribute__((format(printf, 3, 4)));

/* Process groups and cgroups (group.c). */
bool shim_groups_create(const struct shim_instructions *in, char *failure);
bool shim_groups_join(const struct shim_instructions *in, char *failure);
void shim_groups_kill(const struct shim_instructions *in);
void shim_groups_delete(const struct shim_instructions *in);
bool shim_groups_oom(const struct shim_instructions *in);
/* SIGKILL to every child of this process. */
void shim_children_kill(void);
/* Notes the main process in the file session. */
void shim_session_write(pid_t pid);
/* SIGKILL to all that is left of the session noted in that file. */
void shim_session_kill(void);

/* Paths that others chose (path.c). */
enum shim_links {
    SHIM_LINKS_FOLLOW, /* wherever they lead */
    SHIM_LINKS_REFUSE, /* symbolic links are an error: ELOOP */
    SHIM_LINKS_INSIDE, /* as if the root directory were all there is */
};

enum {
    SHIM_LINK_SIZE = 96,
};

/* Opens an absolute path, to name it by the descriptor; -1 and errno. */
int shim_path_open(const char *path, enum shim_links links);
/* The same, to read it. */
int shim_path_read(const char *path, enum shim_links links);
/* The same as the first, after making what is missing: directories, and at the
 * end maybe a file. */
int shim_path_make(const char *path, bool directory, enum shim_links links);
/* Fails for errno, after one of them, and says so when it is the system that
 * takes no such calls at all. */
bool shim_path_fail(char failure[SHIM_FAILURE_SIZE], const char *what,
                    const char *path);
/* Finds the first symbolic link in a path, for people to read. */
bool shim_path_find_link(const char *path, char link[SHIM_LINK_SIZE]);

/* The root directory of a workload with an image (root.c). */
bool shim_root_enter(const struct shim_instructions *in, char *failure);
/* Makes a directory and its parents; of paths that nobody else chose. */
bool shim_directory_make(const char *path, mode_t mode);

/* A new tmpfs that is mounted nowhere yet, with "NAME=VALUE,..." for options;
 * and where it, or another mount, comes to be. */
int shim_tmpfs_make(const char *options, unsigned attributes);
bool shim_mount_attach(int fd, const char *target, char *failure);

/* The files of secrets (secrets.c): after the change of root. */
bool shim_secrets_mount(const struct shim_instructions *in, char *failure);

/* Who the workload runs as (user.c). */
struct shim_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[64];
    size_t groups_count;
    char home[256];
    bool wanted; /* the spec names a user or groups */
};

bool shim_user_find(const struct shim_instructions *in, struct shim_user *user,
                    char *failure);

/* What the child does between fork and exec; returns only if it failed. */
void shim_workload_run(const struct shim_instructions *in, pid_t shim_pid,
                       char *failure);

/* The log files in the current directory (log.c). */
enum {
    SHIM_LOG_LINE_MAX = 16384,
};

struct shim_log_line {
    uint8_t data[SHIM_LOG_LINE_MAX];
    size_t len;
};

struct shim_log {
    int fd;
    unsigned files;
    uint64_t size;
    uint64_t limit;
    uint64_t lost;
    struct shim_log_line lines[2]; /* by stream: stdout, stderr */
};

void shim_log_open(struct shim_log *log, const struct shim_instructions *in);
/* Takes output of a stream, as read. */
void shim_log_append(struct shim_log *log, uint8_t stream, const uint8_t *data,
                     size_t len);
/* Writes unfinished lines too. */
void shim_log_close(struct shim_log *log);

/* The verbs. */
int shim_run(void);
int shim_clean(const char *name);
int shim_remove(const char *name);

/* Writes all, or false. */
bool shim_write(int fd, const void *data, size_t len);
/* Writes text to a file that exists. */
bool shim_put(const char *path, const char *text);
/* Nanoseconds of the monotonic clock. */
uint64_t shim_now(void);
void shim_pause_ms(unsigned milliseconds);

#endif
