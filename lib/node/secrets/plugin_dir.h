/* SPDX-License-Identifier: Apache-2.0 */

/* Where the socket of a plugin is. */

#ifndef SWKI_NODE_PLUGIN_DIR_H
#define SWKI_NODE_PLUGIN_DIR_H

#include <swarmkit/error.h>

enum {
    SWKI_PLUGIN_NAME_MAX = 64,
    SWKI_PLUGIN_PATH_SIZE = 108, /* of a socket's address, with the NUL */
};

/* SWK_ENOTFOUND if there is no such plugin; SWK_EINVAL for a name that can be
 * none; SWK_EMALFORMED for a description that leads nowhere. */
int swki_plugin_dir_find(const char *directory, const char *name,
                         char out_path[SWKI_PLUGIN_PATH_SIZE],
                         struct swk_error *err);

#endif
