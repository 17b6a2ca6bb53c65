/* SPDX-License-Identifier: Apache-2.0 */

/* Whether the node agrees to what its managers want it to run. */

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/agent/internal.h"
#include "core/consent/consent.h"
#include "core/trust/trust.h"

/* Whether the node agrees to run the task, which has come to this state; if
 * not, *out_err has the reason. */
static bool agrees(struct swki_agent *agent, const Swkpb__Task *task,
                   Swkpb__TaskState state, struct swk_error *out_err)
{
    struct swki_trust *trust = agent->config.trust;
    enum swki_trust_moment moment = state >= SWKPB__TASK_STATE__STARTING
                                        ? SWKI_TRUST_BEGUN
                                        : SWKI_TRUST_TO_BEGIN;

    if (trust != NULL && swki_trust_check_task(trust, task, agent->wall, moment,
                                               out_err) != SWK_OK) {
        return false;
    }
    return agent->config.consent == NULL ||
           swki_consent_check(agent->config.consent, task, out_err) ==
               SWKI_CONSENT_GIVEN;
}

bool swki_agent_agrees_to_change(struct swki_agent *agent,
                                 const struct agent_task *t, Swkpb__Task *task,
                                 struct swk_error *out_err)
{
    Swkpb__Task kept = *task;
    struct swk_error unused;

    /* What the signatures are over has changed: however far the task is, this
     * would have to be begun. */
    if (agent->config.trust != NULL &&
        !swki_statement_same(agent->config.alloc, t->task, task)) {
        return agrees(agent, task, SWKPB__TASK_STATE__ASSIGNED, out_err);
    }
    if (agrees(agent, task, t->status->state, out_err)) {
        return true;
    }
    kept.signatures = t->task->signatures;
    kept.n_signatures = t->task->n_signatures;
    if (!agrees(agent, &kept, t->status->state, &unused)) {
        return false;
    }
    *task = kept;
    return true;
}

void swki_agent_refuse(struct swki_agent *agent, struct agent_task *t,
                       const struct swk_error *why)
{
    size_t size = strlen(why->text) + 1;
    char *copy = swki_alloc(agent->config.alloc, size);

    swki_log(agent->config.logger, SWK_LOG_WARN, "agent", "task %s refused: %s",
             t->id, why->text);
    if (copy == NULL) {
        agent->failed = true;
        return;
    }
    memcpy(copy, why->text, size);
    swki_free(agent->config.alloc, t->refusal);
    t->refusal = copy;
    t->vetted = true;
}

bool swki_agent_vet(struct swki_agent *agent, struct agent_task *t)
{
    struct swk_error err;

    if (t->vetted) {
        return t->refusal == NULL;
    }
    if (!agrees(agent, t->task, t->status->state, &err)) {
        swki_agent_refuse(agent, t, &err);
        return false;
    }
    t->vetted = true;
    return true;
}

void swki_agent_vet_new(struct swki_agent *agent, struct agent_task *t)
{
    Swkpb__TaskState state = t->status->state;
    struct swk_error err;

    if (state < SWKPB__TASK_STATE__STARTING ||
        state >= SWKPB__TASK_STATE__COMPLETE) {
        return;
    }
    if (agrees(agent, t->task, SWKPB__TASK_STATE__ASSIGNED, &err)) {
        t->vetted = true;
        return;
    }
    /* Restored with this state it is still one to begin, and what there may
     * be of it is shut down. */
    t->status->state = SWKPB__TASK_STATE__PREPARING;
    swki_agent_refuse(agent, t, &err);
}
