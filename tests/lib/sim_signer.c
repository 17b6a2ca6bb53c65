/* SPDX-License-Identifier: Apache-2.0 */

/* The signer of a simulated manager: it works at once, and its answer comes a
 * little later. */

#include "lib/sim_swarm.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/job.h"

static void take_certificate(struct sim_event *event,
                             const struct swki_buf *certificate)
{
    event->data = malloc(certificate->len);
    assert(event->data != NULL);
    memcpy(event->data, certificate->data, certificate->len);
    event->len = certificate->len;
}

int sim_sign(void *ctx, uint64_t id, const struct swk_sign_request *request,
             struct swk_error *err)
{
    struct sim_event *event = sim_event_new(SIM_SIGNED);
    struct swki_job_output output;
    struct swki_job_keys keys;
    struct swk_error why = {0};
    struct sim *sim = ctx;

    (void)err;
    swki_job_output_init(&output, NULL);
    swki_job_keys_init(&keys, NULL, &sim->entropy);
    event->life = sim->manager_lives;
    event->call_id = id;
    event->status = swki_job_sign(&keys, request, &output, &why);
    if (event->status == 0) {
        take_certificate(event, &output.certificate);
    }
    snprintf(event->text, sizeof(event->text), "%s", why.text);
    sim_post(sim, event, SIM_SIGN_NS);
    swki_job_keys_fini(&keys);
    swki_job_output_fini(&output);
    return SWK_OK;
}

void sim_signed(struct sim *sim, const struct sim_event *event)
{
    const struct swk_sign_result result = {
        .size = sizeof(result),
        .code = event->status,
        .text = event->text,
        .certificate = {event->data, event->len},
    };

    if (event->life == sim->manager_lives && sim->manager != NULL) {
        swki_manager_signed(sim->manager, event->call_id, &result);
    }
}
