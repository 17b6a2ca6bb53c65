/* SPDX-License-Identifier: Apache-2.0 */

/* A signature that is waited for, while no loop runs yet. */

#ifndef SWKI_NODE_SIGN_NOW_H
#define SWKI_NODE_SIGN_NOW_H

#include <swarmkit/port/signer.h>

#include "crypto/job.h"

#define SWKI_SIGN_NOW_LIMIT (10 * SWK_SECOND)

/* Blocks until the signer has done the job, or limit_ns has passed:
 * SWK_ETIMEDOUT; else as struct swk_sign_result says. */
int swki_sign_now(const struct swk_signer *signer,
                  const struct swk_sign_request *request, swk_time limit_ns,
                  struct swki_job_output *output, struct swk_error *err);

#endif
