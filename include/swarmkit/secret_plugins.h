/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * Secrets out of plugins: a <swarmkit/port/secret_provider.h> that speaks
 * Docker's plugin protocol, JSON over HTTP on a socket of this machine.
 *
 * The plugin NAME is found in a directory: as a socket NAME.sock, or by a
 * description NAME.spec ("unix:///run/vault.sock") or NAME.json (with that as
 * "Addr"). Whoever may write there decides what secrets are: the directory
 * should be root's.
 */

#ifndef SWARMKIT_SECRET_PLUGINS_H
#define SWARMKIT_SECRET_PLUGINS_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/secret_provider.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** The plugins of a directory. */
typedef struct swk_secret_plugins swk_secret_plugins;

/** Where plugins are. Pointers are *borrowed until* swk_secret_plugins_free();
 *  the directory is copied. */
struct swk_secret_plugins_config {
    size_t size; /**< sizeof(struct swk_secret_plugins_config). */
    /** Must be safe on any thread; NULL for malloc(). One that wipes, since
     *  values pass through it: swk_posix_wiping_alloc(). */
    const struct swk_alloc *alloc;
    const struct swk_clock *clock; /**< Required. */
    /** NULL for "/run/docker/plugins". It need not exist. */
    const char *directory;
};

/** An empty configuration. */
#define SWK_SECRET_PLUGINS_CONFIG_INIT                                         \
    {                                                                          \
        sizeof(struct swk_secret_plugins_config)                               \
    }

/**
 * Makes the provider. It has a thread for each request that is under way, 32 at
 * most (SWK_ELIMIT), and none otherwise. A plugin is looked for, and asked
 * whether it is a "secretprovider", with each request: it may come, go and be
 * replaced at any time.
 *
 * @param config       Copied; not NULL.
 * @param out_plugins  Receives it, *given*: swk_secret_plugins_free().
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a wrong configuration; SWK_ENOMEM.
 * @threads any
 * @source  Docker's plugin API 1.2; SwarmKit's secret drivers. Plugins are
 *          asked over HTTP/1.0, and only on local sockets.
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_secret_plugins_new(const struct swk_secret_plugins_config *config,
                       swk_secret_plugins **out_plugins, struct swk_error *err);

/**
 * Gives the port, whose functions may be called on any thread.
 *
 * @param plugins  Not NULL.
 * @return The port, *borrowed until* swk_secret_plugins_free().
 * @threads any
 * @since   0.1
 */
SWK_API const struct swk_secret_provider *
swk_secret_plugins_port(const swk_secret_plugins *plugins);

/**
 * Gives up all requests, and releases. Waits for threads to end, which takes a
 * moment.
 *
 * @param plugins  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_secret_plugins_free(swk_secret_plugins *plugins);

SWK_END_DECLS

#endif
