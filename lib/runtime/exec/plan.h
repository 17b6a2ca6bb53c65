/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From a task to the shim's instructions.
 *
 * Everything a spec can ask for is either put into the plan or refused here,
 * with the field's name: nothing is silently dropped. A pure function of the
 * task and the machine.
 */

#ifndef SWKI_EXEC_PLAN_H
#define SWKI_EXEC_PLAN_H

#include "base/buf.h"
#include "base/error.h"
#include "objects.pb-c.h"
#include "runtime/exec/machine.h"

enum {
    SWKI_PLAN_ENV_MAX = 4096,
    SWKI_PLAN_GRACE_MS = 10000, /* if the spec says nothing */
};

struct swki_plan_options {
    uint64_t log_file_size;
    uint32_t log_files_count;
    uint32_t paths_without_links; /* SWK_EXECUTOR_*_PATHS */
};

struct swki_plan {
    char task_id[SWK_ID_LEN_MAX + 1];
    struct swki_buf instructions;
    char *image; /* the directory, or NULL for the host's root */
    /* IDs of the secrets whose values the shim is given, in the order of the
     * instructions, each with a NUL. */
    struct swki_buf secret_ids;
    size_t secrets_count;
    int stop_signal;
    int64_t grace_ms;
};

/*
 * Makes a plan, to be released with swki_plan_fini() if it succeeds.
 * SWK_EINVAL for what is wrong anywhere, SWK_ENOTSUP for what this executor or
 * this machine cannot do, SWK_ELIMIT, SWK_ENOMEM.
 */
int swki_plan_make(struct swki_plan *out_plan, const Swkpb__Task *task,
                   const struct swki_machine *machine,
                   const struct swki_plan_options *options,
                   struct swk_error *err);
void swki_plan_fini(struct swki_plan *plan);

/* Whether the text can be a task's ID, and a directory's name. */
bool swki_task_id_valid(const char *text);

/* Parts of the above, in files of their own. */

/* What this executor, or this machine, cannot do at all (refuse.c). */
int swki_plan_refuse(const Swkpb__Task *task,
                     const struct swki_machine *machine, struct swk_error *err);

/* Adds the environment (plan_env.c), the mounts (plan_mounts.c), and the files
 * of secrets (plan_secrets.c). */
int swki_plan_add_secrets(struct swki_plan *plan,
                          const Swkpb__ContainerSpec *spec,
                          struct swk_error *err);
int swki_plan_add_env(struct swki_plan *plan, const Swkpb__Task *task,
                      struct swk_error *err);
int swki_plan_add_mounts(struct swki_plan *plan,
                         const Swkpb__ContainerSpec *spec,
                         struct swk_error *err);

/* Appends a key and one value. Failure shows in plan->instructions.failed. */
void swki_plan_add(struct swki_plan *plan, const char *key, const char *value);
/* Appends one more value to the last key. */
void swki_plan_add_value(struct swki_plan *plan, const char *value);

#endif
