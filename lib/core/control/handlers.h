/* SPDX-License-Identifier: Apache-2.0 */

/* The handlers of the control API, a file for each kind of object. */

#ifndef SWKI_CONTROL_HANDLERS_H
#define SWKI_CONTROL_HANDLERS_H

#include "core/control/request.h"

int swki_control_get_node(struct swki_control_request *r, const void *request,
                          struct swk_error *err);
int swki_control_list_nodes(struct swki_control_request *r, const void *request,
                            struct swk_error *err);
int swki_control_update_node(struct swki_control_request *r,
                             const void *request, struct swk_error *err);
int swki_control_remove_node(struct swki_control_request *r,
                             const void *request, struct swk_error *err);

int swki_control_get_task(struct swki_control_request *r, const void *request,
                          struct swk_error *err);
int swki_control_list_tasks(struct swki_control_request *r, const void *request,
                            struct swk_error *err);
int swki_control_remove_task(struct swki_control_request *r,
                             const void *request, struct swk_error *err);

int swki_control_get_service(struct swki_control_request *r,
                             const void *request, struct swk_error *err);
int swki_control_list_services(struct swki_control_request *r,
                               const void *request, struct swk_error *err);
int swki_control_list_service_statuses(struct swki_control_request *r,
                                       const void *request,
                                       struct swk_error *err);
int swki_control_create_service(struct swki_control_request *r,
                                const void *request, struct swk_error *err);
int swki_control_update_service(struct swki_control_request *r,
                                const void *request, struct swk_error *err);
int swki_control_remove_service(struct swki_control_request *r,
                                const void *request, struct swk_error *err);

int swki_control_get_cluster(struct swki_control_request *r,
                             const void *request, struct swk_error *err);
int swki_control_list_clusters(struct swki_control_request *r,
                               const void *request, struct swk_error *err);
int swki_control_update_cluster(struct swki_control_request *r,
                                const void *request, struct swk_error *err);

int swki_control_create_join_token(struct swki_control_request *r,
                                   const void *request, struct swk_error *err);
int swki_control_list_join_tokens(struct swki_control_request *r,
                                  const void *request, struct swk_error *err);
int swki_control_remove_join_token(struct swki_control_request *r,
                                   const void *request, struct swk_error *err);

int swki_control_get_secret(struct swki_control_request *r, const void *request,
                            struct swk_error *err);
int swki_control_list_secrets(struct swki_control_request *r,
                              const void *request, struct swk_error *err);
int swki_control_create_secret(struct swki_control_request *r,
                               const void *request, struct swk_error *err);
int swki_control_update_secret(struct swki_control_request *r,
                               const void *request, struct swk_error *err);
int swki_control_remove_secret(struct swki_control_request *r,
                               const void *request, struct swk_error *err);

int swki_control_get_config(struct swki_control_request *r, const void *request,
                            struct swk_error *err);
int swki_control_list_configs(struct swki_control_request *r,
                              const void *request, struct swk_error *err);
int swki_control_create_config(struct swki_control_request *r,
                               const void *request, struct swk_error *err);
int swki_control_update_config(struct swki_control_request *r,
                               const void *request, struct swk_error *err);
int swki_control_remove_config(struct swki_control_request *r,
                               const void *request, struct swk_error *err);

#endif
