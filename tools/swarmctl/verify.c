/* SPDX-License-Identifier: Apache-2.0 */

#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "signing.h"
#include "trust_input.h"

int verify_spec(struct ctl *ctl, const char *trust_path, const char *swarm_id,
                const Swkpb__ServiceSpec *spec,
                char out_key_id[SWK_SIGNING_KEY_ID_LEN + 1],
                struct swk_error *err)
{
    struct swk_spec_trust trust = SWK_SPEC_TRUST_INIT;
    const ProtobufCBinaryData data = signing_encode(ctl, spec);
    struct timespec now;
    char *keys;
    int rc = trust_input_read(trust_path, &keys, err);

    if (rc != 0) {
        return rc;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    trust.public_keys = keys;
    trust.swarm_id = swarm_id;
    trust.now = (swk_wall)now.tv_sec * (swk_wall)SWK_SECOND + now.tv_nsec;
    rc = swk_spec_verify(&trust, data.data, data.len, out_key_id, err);
    free(keys);
    if (rc != 0 && rc != SWK_EDENIED) {
        ctl_name_file(err, trust_path);
    }
    return rc;
}

int verify_before_sending(struct ctl *ctl, const struct args *args,
                          const Swkpb__ServiceSpec *spec)
{
    const char *trust = args_text(args, "trust");
    char key_id[SWK_SIGNING_KEY_ID_LEN + 1];
    struct swk_error err = {0};
    Swkpb__Cluster *cluster;
    int rc;

    if (trust == NULL) {
        return EXIT_OK;
    }
    rc = find_cluster(ctl, "default", &cluster);
    if (rc != EXIT_OK) {
        return rc;
    }
    rc = verify_spec(ctl, trust, cluster->id, spec, key_id, &err);
    if (rc == 0) {
        return EXIT_OK;
    }
    return ctl_error(rc == SWK_EDENIED ? EXIT_DENIED : EXIT_FAILED,
                     "nothing is changed: %s", err.text);
}

ProtobufCBinaryData verify_covered(struct ctl *ctl,
                                   const Swkpb__ServiceSpec *spec)
{
    Swkpb__ServiceSpec covered = SWKPB__SERVICE_SPEC__INIT;
    Swkpb__ContainerSpec container;
    Swkpb__TaskSpec task;

    covered.annotations = spec->annotations;
    covered.endpoint = spec->endpoint;
    if (spec->task != NULL) {
        task = *spec->task;
        task.restart = NULL;
        task.placement = NULL;
        task.force_update = 0;
        covered.task = &task;
    }
    if (spec->task != NULL &&
        task.runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        container = *task.container;
        container.pull_options = NULL;
        task.container = &container;
    }
    return signing_encode(ctl, &covered);
}
