/* SPDX-License-Identifier: Apache-2.0 */

/* What services refer to: secrets and configs. */

#ifndef SWKI_CONTROL_REFERENCES_H
#define SWKI_CONTROL_REFERENCES_H

#include "core/control/request.h"

/* SWK_EINVAL, naming them, if services use the secret or config; by is
 * SWKI_BY_SECRET or SWKI_BY_CONFIG. */
int swki_check_unused(struct swki_control_request *r,
                      const struct swki_view *view,
                      const struct swki_object *object, enum swki_by by,
                      struct swk_error *err);

/* SWK_EINVAL, naming them all, if references lead nowhere or to an object of
 * another name. */
int swki_check_references(struct swki_control_request *r,
                          const struct swki_view *view,
                          const Swkpb__TaskSpec *task, struct swk_error *err);

#endif
