/* SPDX-License-Identifier: Apache-2.0 */

/* The roles of nodes, which certificates grant and calls ask for. */

#ifndef SWKI_BASE_ROLES_H
#define SWKI_BASE_ROLES_H

/* Roles as bits, so that a method names those that may call it. */
enum swki_role {
    SWKI_ROLE_NONE = 0, /* no certificate */
    SWKI_ROLE_WORKER = 1 << 0,
    SWKI_ROLE_MANAGER = 1 << 1,
};

#endif
