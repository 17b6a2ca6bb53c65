/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A port: where the values of secrets come from that have a driver.
 *
 * The swarm stores no value of such a secret. When a task that uses it is
 * assigned to a node, the leading manager asks the provider for one, sends it
 * to that node, and forgets it. A provider may take its time: only the task
 * waits for it.
 */

#ifndef SWARMKIT_PORT_SECRET_PROVIDER_H
#define SWARMKIT_PORT_SECRET_PROVIDER_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

enum {
    /** A value has 1 to so many bytes. */
    SWK_SECRET_VALUE_MAX = 511999,
};

/** A label, or an option of a driver. */
struct swk_secret_label {
    const char *key;
    const char *value;
};

/** A port that the task's service publishes. */
struct swk_secret_port {
    const char *name;     /**< Or "". */
    int32_t protocol;     /**< PortConfig.Protocol: 0 TCP, 1 UDP, 2 SCTP. */
    int32_t publish_mode; /**< PortConfig.PublishMode: 0 ingress, 1 host. */
    uint32_t target;      /**< Inside the task. */
    uint32_t published;   /**< 0: none was asked for. */
};

/**
 * Which value is wanted, and for whom. All of it is *borrowed for the call* of
 * get(); texts are UTF-8, end in a NUL, are never NULL and may be empty if
 * nothing else is said.
 */
struct swk_secret_request {
    size_t size;         /**< sizeof(struct swk_secret_request). */
    uint64_t timeout_ns; /**< After this nobody waits for the answer. */
    const char *driver;  /**< Its name; not empty. */
    const struct swk_secret_label *driver_options;
    size_t driver_options_count;

    const char *secret_name; /**< Not empty. */
    const struct swk_secret_label *secret_labels;
    size_t secret_labels_count;

    const char *service_id; /**< Empty for a task without service. */
    const char *service_name;
    const char *service_hostname; /**< That the tasks' containers get. */
    const struct swk_secret_label *service_labels;
    size_t service_labels_count;

    const char *task_id; /**< Not empty. */
    const char *task_name;
    const char *task_image; /**< Empty for a task without container. */
    const char *node_id;    /**< That the task runs on; not empty. */

    int32_t has_endpoint;  /**< Not 0: the service has an endpoint. */
    int32_t endpoint_mode; /**< EndpointSpec.ResolutionMode: 0 VIP, 1 DNSRR. */
    const struct swk_secret_port *ports;
    size_t ports_count;
};

/** What became of a request. Borrowed for the call of done(). */
struct swk_secret_result {
    size_t size; /**< sizeof(struct swk_secret_result). */
    /**
     * 0, or enum swk_error_code. SWK_EDENIED, SWK_EMALFORMED, SWK_EINVAL,
     * SWK_ENOTSUP and SWK_ENOTFOUND are final: the task goes without the
     * value. All others may pass, so that it is tried again after a pause.
     */
    int32_t code;
    /** Not 0: the value is for this task alone. 0: also for others that use
     *  the secret on this node. */
    int32_t do_not_reuse;
    /** Why there is none, for people and their logs; one line, without a
     *  secret. NULL if there is one. */
    const char *text;
    /** 1 to SWK_SECRET_VALUE_MAX bytes, *secret*: the callee copies what it
     *  keeps, and the provider wipes its own after done(). */
    struct swk_bytes value;
};

/** Told the end of a request, on any thread, or within get(). Must not block,
 *  and must not call the provider. */
typedef void (*swk_secret_done_fn)(void *done_ctx, uint64_t id,
                                   const struct swk_secret_result *result);

struct swk_secret_provider {
    size_t size; /**< sizeof(struct swk_secret_provider). */
    void *ctx;   /**< Passed to each function. */

    /**
     * Whether there is a driver of this name: 0, SWK_ENOTFOUND, or another
     * code with the reason. Asked before a secret with the driver is stored;
     * must answer from what is at hand, without waiting for the driver.
     */
    int (*find)(void *ctx, const char *driver, struct swk_error *err);
    /**
     * Takes a request and returns at once; done is called exactly once for
     * each that was taken. id is any number, which is handed back. At most
     * 16 are under way at a time, 4 of them for the same driver, beside those
     * whose time was up. Returns 0, or a negative code with the meaning of
     * swk_secret_result.code, and done is not called.
     */
    int (*get)(void *ctx, uint64_t id, const struct swk_secret_request *request,
               swk_secret_done_fn done, void *done_ctx, struct swk_error *err);
    /** Gives up all requests of a done_ctx: once this returns, done is not
     *  called with it any more. May wait for a call that is under way, but not
     *  for a driver. */
    void (*forget)(void *ctx, void *done_ctx);
};

SWK_END_DECLS

#endif
