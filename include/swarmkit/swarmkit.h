/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * All public headers at once.
 */

#ifndef SWARMKIT_SWARMKIT_H
#define SWARMKIT_SWARMKIT_H

#include <swarmkit/agent.h>
#include <swarmkit/alloc.h>
#include <swarmkit/audit.h>
#include <swarmkit/ca.h>
#include <swarmkit/certificate.h>
#include <swarmkit/client.h>
#include <swarmkit/error.h>
#include <swarmkit/file_storage.h>
#include <swarmkit/join_token.h>
#include <swarmkit/log.h>
#include <swarmkit/manager.h>
#include <swarmkit/message.h>
#include <swarmkit/nng_transport.h>
#include <swarmkit/node.h>
#include <swarmkit/node_policy.h>
#include <swarmkit/offline.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/executor.h>
#include <swarmkit/port/secret_provider.h>
#include <swarmkit/port/signer.h>
#include <swarmkit/port/storage.h>
#include <swarmkit/port/transport.h>
#include <swarmkit/posix.h>
#include <swarmkit/process_executor.h>
#include <swarmkit/raft.h>
#include <swarmkit/raft_message.h>
#include <swarmkit/recovery.h>
#include <swarmkit/shim.h>
#include <swarmkit/secret_plugins.h>
#include <swarmkit/signer.h>
#include <swarmkit/signer_service.h>
#include <swarmkit/signed_spec.h>
#include <swarmkit/storage_inspector.h>
#include <swarmkit/types.h>
#include <swarmkit/unlock_key.h>

#endif
