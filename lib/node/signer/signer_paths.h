/* SPDX-License-Identifier: Apache-2.0 */

/* The methods of proto/swarmkit/signer.proto, for its two sides. They are not
 * in the table of the manager's methods, which they are none of. */

#ifndef SWKI_NODE_SIGNER_PATHS_H
#define SWKI_NODE_SIGNER_PATHS_H

#define SWKI_SIGNER_SIGN_NODE "/swarmkit.v1.Signer/SignNode"
#define SWKI_SIGNER_CREATE_ROOT "/swarmkit.v1.Signer/CreateRoot"
#define SWKI_SIGNER_CROSS_SIGN "/swarmkit.v1.Signer/CrossSign"
#define SWKI_SIGNER_CHECK_AUTHORITY "/swarmkit.v1.Signer/CheckAuthority"
#define SWKI_SIGNER_DESCRIBE "/swarmkit.v1.Signer/Describe"

#endif
