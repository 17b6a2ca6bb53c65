/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The secrets that the node's tasks use, as the manager sent them: in memory
 * alone, and wiped when they go.
 *
 * A task sees those that its own spec names, by the IDs that it knows. A value
 * that is for one task only lies under "SECRET.TASK", which is looked for
 * first; what lies there is presented, and stays as it is.
 */

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/agent/internal.h"
#include "crypto/digest.h"

enum {
    ID_SIZE = 2 * SWK_ID_LEN_MAX + 2, /* of a secret, '.', of a task */
    SECRETS_MAX = 65536,
};

struct agent_secret {
    char id[ID_SIZE];
    bool templated;
    size_t len;
    uint8_t data[];
};

static void free_secret(struct swki_agent *agent, struct agent_secret *secret)
{
    if (secret != NULL) {
        swki_wipe(secret, sizeof(*secret) + secret->len);
        swki_free(agent->config.alloc, secret);
    }
}

void swki_agent_drop_secret(struct swki_agent *agent, const char *id)
{
    free_secret(agent, swki_map_remove(&agent->secrets, id));
}

void swki_agent_drop_secrets(struct swki_agent *agent)
{
    size_t cursor = 0;
    struct agent_secret *secret;

    while ((secret = swki_map_next(&agent->secrets, &cursor)) != NULL) {
        free_secret(agent, secret);
    }
    swki_map_fini(&agent->secrets);
}

static bool is_usable(const Swkpb__Secret *secret)
{
    return secret->id[0] != '\0' && strlen(secret->id) < ID_SIZE &&
           secret->spec != NULL && secret->spec->data.len > 0 &&
           secret->spec->data.len <= SWK_TASK_SECRET_MAX;
}

bool swki_agent_put_secret(struct swki_agent *agent,
                           const Swkpb__Secret *secret)
{
    struct agent_secret *copy;

    if (!is_usable(secret) || agent->secrets.count >= SECRETS_MAX) {
        swki_log(agent->config.logger, SWK_LOG_ERROR, "agent",
                 "a secret of no use was sent, or too many");
        return true;
    }
    copy = swki_calloc(agent->config.alloc, 1,
                       sizeof(*copy) + secret->spec->data.len);
    if (copy == NULL) {
        return false;
    }
    snprintf(copy->id, sizeof(copy->id), "%s", secret->id);
    copy->templated = secret->spec->templating != NULL;
    copy->len = secret->spec->data.len;
    memcpy(copy->data, secret->spec->data.data, copy->len);
    swki_agent_drop_secret(agent, copy->id);
    if (!swki_map_put(&agent->secrets, copy->id, copy)) {
        free_secret(agent, copy);
        return false;
    }
    return true;
}

/* -- What a task sees ----------------------------------------------------- */

static size_t references_of(const Swkpb__Task *task,
                            Swkpb__SecretReference *const **out_references)
{
    if (task->spec == NULL ||
        task->spec->runtime_case != SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        return 0;
    }
    *out_references = task->spec->container->secrets;
    return task->spec->container->n_secrets;
}

static const struct agent_secret *
find(const struct swki_agent *agent, const char *secret_id, const char *task_id)
{
    char id[ID_SIZE];
    const struct agent_secret *own;

    snprintf(id, sizeof(id), "%.*s.%s", SWK_ID_LEN_MAX, secret_id, task_id);
    own = swki_map_get(&agent->secrets, id);
    return own != NULL ? own : swki_map_get(&agent->secrets, secret_id);
}

const Swkpb__SecretReference *
swki_agent_missing_secret(const struct swki_agent *agent,
                          const struct agent_task *t)
{
    Swkpb__SecretReference *const *references = NULL;
    size_t count = references_of(t->task, &references);

    for (size_t i = 0; i < count; i++) {
        if (find(agent, references[i]->secret_id, t->id) == NULL) {
            return references[i];
        }
    }
    return NULL;
}

int swki_agent_task_secrets(const struct swki_agent *agent, const char *task_id,
                            struct swk_task_secret **out_secrets,
                            size_t *out_count, struct swk_error *err)
{
    const struct agent_task *t = swki_map_get(&agent->tasks, task_id);
    Swkpb__SecretReference *const *references = NULL;
    size_t count = t != NULL ? references_of(t->task, &references) : 0;
    struct swk_task_secret *secrets =
        swki_calloc(agent->config.alloc, count, sizeof(secrets[0]));

    if (secrets == NULL) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        const struct agent_secret *secret =
            find(agent, references[i]->secret_id, task_id);

        if (secret == NULL) {
            swki_free(agent->config.alloc, secrets);
            return swki_fail(err, SWK_ENOTFOUND, "secret %.64s not found",
                             references[i]->secret_id);
        }
        secrets[i] = (struct swk_task_secret){
            .secret_id = references[i]->secret_id,
            .templated = secret->templated,
            .data = {secret->data, secret->len},
        };
    }
    *out_secrets = secrets;
    *out_count = count;
    return SWK_OK;
}
