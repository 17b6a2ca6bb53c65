/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/methods.h"

#include <string.h>

#include "ca.pb-c.h"
#include "control.pb-c.h"
#include "dispatcher.pb-c.h"
#include "health.pb-c.h"
#include "logbroker.pb-c.h"
#include "raft.pb-c.h"
#include "resource.pb-c.h"
#include "swarmkit/node.pb-c.h"
#include "swarmkit/peers.pb-c.h"
#include "swarmkit/tokens.pb-c.h"
#include "watch.pb-c.h"

/* Short words keep a call within a few lines of the table. */
#define UNARY SWKI_METHOD_UNARY
#define SERVER_STREAM SWKI_METHOD_SERVER_STREAM
#define CLIENT_STREAM SWKI_METHOD_CLIENT_STREAM
#define BOTH_STREAM SWKI_METHOD_BOTH_STREAM

#define ANYONE SWKI_ROLE_NONE
#define MANAGER SWKI_ROLE_MANAGER
#define ANY_NODE (SWKI_ROLE_WORKER | SWKI_ROLE_MANAGER)

#define NOT SWKI_SERVED_NOT
#define LEADER SWKI_SERVED_LEADER
#define HERE SWKI_SERVED_HERE

#define NONE 0
#define READ_ONLY (SWKI_CALL_READ_ONLY | SWKI_CALL_IDEMPOTENT)
#define IDEMPOTENT SWKI_CALL_IDEMPOTENT

/* Columns: path, service, name, request, response, kind, roles, who serves it
 * for the network, who for the control socket, flags. */
static const struct swki_method methods[] = {
    /* clang-format off */
    [SWKI_METHOD_CA_GET_ROOT_CA_CERTIFICATE] = {
        SWKI_PATH_CA_GET_ROOT_CA_CERTIFICATE, "CA", "GetRootCACertificate",
        &swkpb__get_root_cacertificate_request__descriptor,
        &swkpb__get_root_cacertificate_response__descriptor,
        UNARY, ANYONE, LEADER, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CA_GET_UNLOCK_KEY] = {
        SWKI_PATH_CA_GET_UNLOCK_KEY, "CA", "GetUnlockKey",
        &swkpb__get_unlock_key_request__descriptor,
        &swkpb__get_unlock_key_response__descriptor,
        UNARY, MANAGER, LEADER, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_NODE_CA_ISSUE_NODE_CERTIFICATE] = {
        SWKI_PATH_NODE_CA_ISSUE_NODE_CERTIFICATE, "NodeCA",
        "IssueNodeCertificate",
        &swkpb__issue_node_certificate_request__descriptor,
        &swkpb__issue_node_certificate_response__descriptor,
        UNARY, ANYONE, LEADER, LEADER, NONE,
    },
    [SWKI_METHOD_NODE_CA_NODE_CERTIFICATE_STATUS] = {
        SWKI_PATH_NODE_CA_NODE_CERTIFICATE_STATUS, "NodeCA",
        "NodeCertificateStatus",
        &swkpb__node_certificate_status_request__descriptor,
        &swkpb__node_certificate_status_response__descriptor,
        UNARY, ANYONE, LEADER, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_GET_NODE] = {
        SWKI_PATH_CONTROL_GET_NODE, "Control", "GetNode",
        &swkpb__get_node_request__descriptor,
        &swkpb__get_node_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_LIST_NODES] = {
        SWKI_PATH_CONTROL_LIST_NODES, "Control", "ListNodes",
        &swkpb__list_nodes_request__descriptor,
        &swkpb__list_nodes_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_UPDATE_NODE] = {
        SWKI_PATH_CONTROL_UPDATE_NODE, "Control", "UpdateNode",
        &swkpb__update_node_request__descriptor,
        &swkpb__update_node_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_REMOVE_NODE] = {
        SWKI_PATH_CONTROL_REMOVE_NODE, "Control", "RemoveNode",
        &swkpb__remove_node_request__descriptor,
        &swkpb__remove_node_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_GET_TASK] = {
        SWKI_PATH_CONTROL_GET_TASK, "Control", "GetTask",
        &swkpb__get_task_request__descriptor,
        &swkpb__get_task_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_LIST_TASKS] = {
        SWKI_PATH_CONTROL_LIST_TASKS, "Control", "ListTasks",
        &swkpb__list_tasks_request__descriptor,
        &swkpb__list_tasks_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_REMOVE_TASK] = {
        SWKI_PATH_CONTROL_REMOVE_TASK, "Control", "RemoveTask",
        &swkpb__remove_task_request__descriptor,
        &swkpb__remove_task_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_GET_SERVICE] = {
        SWKI_PATH_CONTROL_GET_SERVICE, "Control", "GetService",
        &swkpb__get_service_request__descriptor,
        &swkpb__get_service_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_LIST_SERVICES] = {
        SWKI_PATH_CONTROL_LIST_SERVICES, "Control", "ListServices",
        &swkpb__list_services_request__descriptor,
        &swkpb__list_services_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_CREATE_SERVICE] = {
        SWKI_PATH_CONTROL_CREATE_SERVICE, "Control", "CreateService",
        &swkpb__create_service_request__descriptor,
        &swkpb__create_service_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_UPDATE_SERVICE] = {
        SWKI_PATH_CONTROL_UPDATE_SERVICE, "Control", "UpdateService",
        &swkpb__update_service_request__descriptor,
        &swkpb__update_service_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_REMOVE_SERVICE] = {
        SWKI_PATH_CONTROL_REMOVE_SERVICE, "Control", "RemoveService",
        &swkpb__remove_service_request__descriptor,
        &swkpb__remove_service_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_LIST_SERVICE_STATUSES] = {
        SWKI_PATH_CONTROL_LIST_SERVICE_STATUSES, "Control",
        "ListServiceStatuses",
        &swkpb__list_service_statuses_request__descriptor,
        &swkpb__list_service_statuses_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_GET_NETWORK] = {
        SWKI_PATH_CONTROL_GET_NETWORK, "Control", "GetNetwork",
        &swkpb__get_network_request__descriptor,
        &swkpb__get_network_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_LIST_NETWORKS] = {
        SWKI_PATH_CONTROL_LIST_NETWORKS, "Control", "ListNetworks",
        &swkpb__list_networks_request__descriptor,
        &swkpb__list_networks_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_CREATE_NETWORK] = {
        SWKI_PATH_CONTROL_CREATE_NETWORK, "Control", "CreateNetwork",
        &swkpb__create_network_request__descriptor,
        &swkpb__create_network_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_REMOVE_NETWORK] = {
        SWKI_PATH_CONTROL_REMOVE_NETWORK, "Control", "RemoveNetwork",
        &swkpb__remove_network_request__descriptor,
        &swkpb__remove_network_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_GET_CLUSTER] = {
        SWKI_PATH_CONTROL_GET_CLUSTER, "Control", "GetCluster",
        &swkpb__get_cluster_request__descriptor,
        &swkpb__get_cluster_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_LIST_CLUSTERS] = {
        SWKI_PATH_CONTROL_LIST_CLUSTERS, "Control", "ListClusters",
        &swkpb__list_clusters_request__descriptor,
        &swkpb__list_clusters_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_UPDATE_CLUSTER] = {
        SWKI_PATH_CONTROL_UPDATE_CLUSTER, "Control", "UpdateCluster",
        &swkpb__update_cluster_request__descriptor,
        &swkpb__update_cluster_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_GET_SECRET] = {
        SWKI_PATH_CONTROL_GET_SECRET, "Control", "GetSecret",
        &swkpb__get_secret_request__descriptor,
        &swkpb__get_secret_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_UPDATE_SECRET] = {
        SWKI_PATH_CONTROL_UPDATE_SECRET, "Control", "UpdateSecret",
        &swkpb__update_secret_request__descriptor,
        &swkpb__update_secret_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_LIST_SECRETS] = {
        SWKI_PATH_CONTROL_LIST_SECRETS, "Control", "ListSecrets",
        &swkpb__list_secrets_request__descriptor,
        &swkpb__list_secrets_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_CREATE_SECRET] = {
        SWKI_PATH_CONTROL_CREATE_SECRET, "Control", "CreateSecret",
        &swkpb__create_secret_request__descriptor,
        &swkpb__create_secret_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_REMOVE_SECRET] = {
        SWKI_PATH_CONTROL_REMOVE_SECRET, "Control", "RemoveSecret",
        &swkpb__remove_secret_request__descriptor,
        &swkpb__remove_secret_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_GET_CONFIG] = {
        SWKI_PATH_CONTROL_GET_CONFIG, "Control", "GetConfig",
        &swkpb__get_config_request__descriptor,
        &swkpb__get_config_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_UPDATE_CONFIG] = {
        SWKI_PATH_CONTROL_UPDATE_CONFIG, "Control", "UpdateConfig",
        &swkpb__update_config_request__descriptor,
        &swkpb__update_config_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_LIST_CONFIGS] = {
        SWKI_PATH_CONTROL_LIST_CONFIGS, "Control", "ListConfigs",
        &swkpb__list_configs_request__descriptor,
        &swkpb__list_configs_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_CREATE_CONFIG] = {
        SWKI_PATH_CONTROL_CREATE_CONFIG, "Control", "CreateConfig",
        &swkpb__create_config_request__descriptor,
        &swkpb__create_config_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_REMOVE_CONFIG] = {
        SWKI_PATH_CONTROL_REMOVE_CONFIG, "Control", "RemoveConfig",
        &swkpb__remove_config_request__descriptor,
        &swkpb__remove_config_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_GET_EXTENSION] = {
        SWKI_PATH_CONTROL_GET_EXTENSION, "Control", "GetExtension",
        &swkpb__get_extension_request__descriptor,
        &swkpb__get_extension_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_CREATE_EXTENSION] = {
        SWKI_PATH_CONTROL_CREATE_EXTENSION, "Control", "CreateExtension",
        &swkpb__create_extension_request__descriptor,
        &swkpb__create_extension_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_REMOVE_EXTENSION] = {
        SWKI_PATH_CONTROL_REMOVE_EXTENSION, "Control", "RemoveExtension",
        &swkpb__remove_extension_request__descriptor,
        &swkpb__remove_extension_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_GET_RESOURCE] = {
        SWKI_PATH_CONTROL_GET_RESOURCE, "Control", "GetResource",
        &swkpb__get_resource_request__descriptor,
        &swkpb__get_resource_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_UPDATE_RESOURCE] = {
        SWKI_PATH_CONTROL_UPDATE_RESOURCE, "Control", "UpdateResource",
        &swkpb__update_resource_request__descriptor,
        &swkpb__update_resource_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_LIST_RESOURCES] = {
        SWKI_PATH_CONTROL_LIST_RESOURCES, "Control", "ListResources",
        &swkpb__list_resources_request__descriptor,
        &swkpb__list_resources_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_CREATE_RESOURCE] = {
        SWKI_PATH_CONTROL_CREATE_RESOURCE, "Control", "CreateResource",
        &swkpb__create_resource_request__descriptor,
        &swkpb__create_resource_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_REMOVE_RESOURCE] = {
        SWKI_PATH_CONTROL_REMOVE_RESOURCE, "Control", "RemoveResource",
        &swkpb__remove_resource_request__descriptor,
        &swkpb__remove_resource_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_CREATE_VOLUME] = {
        SWKI_PATH_CONTROL_CREATE_VOLUME, "Control", "CreateVolume",
        &swkpb__create_volume_request__descriptor,
        &swkpb__create_volume_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_GET_VOLUME] = {
        SWKI_PATH_CONTROL_GET_VOLUME, "Control", "GetVolume",
        &swkpb__get_volume_request__descriptor,
        &swkpb__get_volume_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_UPDATE_VOLUME] = {
        SWKI_PATH_CONTROL_UPDATE_VOLUME, "Control", "UpdateVolume",
        &swkpb__update_volume_request__descriptor,
        &swkpb__update_volume_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_CONTROL_LIST_VOLUMES] = {
        SWKI_PATH_CONTROL_LIST_VOLUMES, "Control", "ListVolumes",
        &swkpb__list_volumes_request__descriptor,
        &swkpb__list_volumes_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_CONTROL_REMOVE_VOLUME] = {
        SWKI_PATH_CONTROL_REMOVE_VOLUME, "Control", "RemoveVolume",
        &swkpb__remove_volume_request__descriptor,
        &swkpb__remove_volume_response__descriptor,
        UNARY, MANAGER, HERE, LEADER, NONE,
    },
    [SWKI_METHOD_DISPATCHER_SESSION] = {
        SWKI_PATH_DISPATCHER_SESSION, "Dispatcher", "Session",
        &swkpb__session_request__descriptor,
        &swkpb__session_message__descriptor,
        SERVER_STREAM, ANY_NODE, LEADER, LEADER, NONE,
    },
    [SWKI_METHOD_DISPATCHER_HEARTBEAT] = {
        SWKI_PATH_DISPATCHER_HEARTBEAT, "Dispatcher", "Heartbeat",
        &swkpb__heartbeat_request__descriptor,
        &swkpb__heartbeat_response__descriptor,
        UNARY, ANY_NODE, LEADER, LEADER, IDEMPOTENT,
    },
    [SWKI_METHOD_DISPATCHER_UPDATE_TASK_STATUS] = {
        SWKI_PATH_DISPATCHER_UPDATE_TASK_STATUS, "Dispatcher",
        "UpdateTaskStatus",
        &swkpb__update_task_status_request__descriptor,
        &swkpb__update_task_status_response__descriptor,
        UNARY, ANY_NODE, LEADER, LEADER, IDEMPOTENT,
    },
    [SWKI_METHOD_DISPATCHER_UPDATE_VOLUME_STATUS] = {
        SWKI_PATH_DISPATCHER_UPDATE_VOLUME_STATUS, "Dispatcher",
        "UpdateVolumeStatus",
        &swkpb__update_volume_status_request__descriptor,
        &swkpb__update_volume_status_response__descriptor,
        UNARY, ANY_NODE, LEADER, LEADER, IDEMPOTENT,
    },
    [SWKI_METHOD_DISPATCHER_TASKS] = {
        SWKI_PATH_DISPATCHER_TASKS, "Dispatcher", "Tasks",
        &swkpb__tasks_request__descriptor,
        &swkpb__tasks_message__descriptor,
        SERVER_STREAM, ANY_NODE, LEADER, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_DISPATCHER_ASSIGNMENTS] = {
        SWKI_PATH_DISPATCHER_ASSIGNMENTS, "Dispatcher", "Assignments",
        &swkpb__assignments_request__descriptor,
        &swkpb__assignments_message__descriptor,
        SERVER_STREAM, ANY_NODE, LEADER, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_HEALTH_CHECK] = {
        SWKI_PATH_HEALTH_CHECK, "Health", "Check",
        &swkpb__health_check_request__descriptor,
        &swkpb__health_check_response__descriptor,
        UNARY, MANAGER, HERE, HERE, READ_ONLY,
    },
    [SWKI_METHOD_LOGS_SUBSCRIBE_LOGS] = {
        SWKI_PATH_LOGS_SUBSCRIBE_LOGS, "Logs", "SubscribeLogs",
        &swkpb__subscribe_logs_request__descriptor,
        &swkpb__subscribe_logs_message__descriptor,
        SERVER_STREAM, MANAGER, HERE, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_LOG_BROKER_LISTEN_SUBSCRIPTIONS] = {
        SWKI_PATH_LOG_BROKER_LISTEN_SUBSCRIPTIONS, "LogBroker",
        "ListenSubscriptions",
        &swkpb__listen_subscriptions_request__descriptor,
        &swkpb__subscription_message__descriptor,
        SERVER_STREAM, ANY_NODE, LEADER, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_LOG_BROKER_PUBLISH_LOGS] = {
        SWKI_PATH_LOG_BROKER_PUBLISH_LOGS, "LogBroker", "PublishLogs",
        &swkpb__publish_logs_message__descriptor,
        &swkpb__publish_logs_response__descriptor,
        CLIENT_STREAM, ANY_NODE, LEADER, LEADER, NONE,
    },
    [SWKI_METHOD_RAFT_PROCESS_RAFT_MESSAGE] = {
        SWKI_PATH_RAFT_PROCESS_RAFT_MESSAGE, "Raft", "ProcessRaftMessage",
        &swkpb__process_raft_message_request__descriptor,
        &swkpb__process_raft_message_response__descriptor,
        UNARY, MANAGER, HERE, NOT, IDEMPOTENT,
    },
    [SWKI_METHOD_RAFT_STREAM_RAFT_MESSAGE] = {
        SWKI_PATH_RAFT_STREAM_RAFT_MESSAGE, "Raft", "StreamRaftMessage",
        &swkpb__stream_raft_message_request__descriptor,
        &swkpb__stream_raft_message_response__descriptor,
        CLIENT_STREAM, MANAGER, HERE, NOT, IDEMPOTENT,
    },
    [SWKI_METHOD_RAFT_RESOLVE_ADDRESS] = {
        SWKI_PATH_RAFT_RESOLVE_ADDRESS, "Raft", "ResolveAddress",
        &swkpb__resolve_address_request__descriptor,
        &swkpb__resolve_address_response__descriptor,
        UNARY, MANAGER, HERE, NOT, READ_ONLY,
    },
    [SWKI_METHOD_RAFT_MEMBERSHIP_JOIN] = {
        SWKI_PATH_RAFT_MEMBERSHIP_JOIN, "RaftMembership", "Join",
        &swkpb__join_request__descriptor,
        &swkpb__join_response__descriptor,
        UNARY, MANAGER, LEADER, NOT, IDEMPOTENT,
    },
    [SWKI_METHOD_RAFT_MEMBERSHIP_LEAVE] = {
        SWKI_PATH_RAFT_MEMBERSHIP_LEAVE, "RaftMembership", "Leave",
        &swkpb__leave_request__descriptor,
        &swkpb__leave_response__descriptor,
        UNARY, MANAGER, LEADER, NOT, NONE,
    },
    [SWKI_METHOD_RESOURCE_ALLOCATOR_ATTACH_NETWORK] = {
        SWKI_PATH_RESOURCE_ALLOCATOR_ATTACH_NETWORK, "ResourceAllocator",
        "AttachNetwork",
        &swkpb__attach_network_request__descriptor,
        &swkpb__attach_network_response__descriptor,
        UNARY, ANY_NODE, LEADER, LEADER, NONE,
    },
    [SWKI_METHOD_RESOURCE_ALLOCATOR_DETACH_NETWORK] = {
        SWKI_PATH_RESOURCE_ALLOCATOR_DETACH_NETWORK, "ResourceAllocator",
        "DetachNetwork",
        &swkpb__detach_network_request__descriptor,
        &swkpb__detach_network_response__descriptor,
        UNARY, ANY_NODE, LEADER, LEADER, NONE,
    },
    [SWKI_METHOD_WATCH_WATCH] = {
        SWKI_PATH_WATCH_WATCH, "Watch", "Watch",
        &swkpb__watch_request__descriptor,
        &swkpb__watch_message__descriptor,
        SERVER_STREAM, MANAGER, HERE, HERE, READ_ONLY,
    },
    [SWKI_METHOD_RAFT_STREAM_SNAPSHOT] = {
        SWKI_PATH_RAFT_STREAM_SNAPSHOT, "Raft", "StreamSnapshot",
        &swkpb__rpc__stream_snapshot_request__descriptor,
        &swkpb__rpc__stream_snapshot_response__descriptor,
        BOTH_STREAM, MANAGER, HERE, NOT, IDEMPOTENT,
    },
    [SWKI_METHOD_NODE_UNLOCK] = {
        SWKI_PATH_NODE_UNLOCK, "Node", "Unlock",
        &swkpb__rpc__unlock_request__descriptor,
        &swkpb__rpc__unlock_response__descriptor,
        UNARY, MANAGER, NOT, HERE, IDEMPOTENT,
    },
    [SWKI_METHOD_JOIN_TOKENS_CREATE_JOIN_TOKEN] = {
        SWKI_PATH_JOIN_TOKENS_CREATE_JOIN_TOKEN, "JoinTokens",
        "CreateJoinToken",
        &swkpb__rpc__create_join_token_request__descriptor,
        &swkpb__rpc__create_join_token_response__descriptor,
        UNARY, MANAGER, LEADER, LEADER, NONE,
    },
    [SWKI_METHOD_JOIN_TOKENS_LIST_JOIN_TOKENS] = {
        SWKI_PATH_JOIN_TOKENS_LIST_JOIN_TOKENS, "JoinTokens", "ListJoinTokens",
        &swkpb__rpc__list_join_tokens_request__descriptor,
        &swkpb__rpc__list_join_tokens_response__descriptor,
        UNARY, MANAGER, LEADER, LEADER, READ_ONLY,
    },
    [SWKI_METHOD_JOIN_TOKENS_REMOVE_JOIN_TOKEN] = {
        SWKI_PATH_JOIN_TOKENS_REMOVE_JOIN_TOKEN, "JoinTokens",
        "RemoveJoinToken",
        &swkpb__rpc__remove_join_token_request__descriptor,
        &swkpb__rpc__remove_join_token_response__descriptor,
        UNARY, MANAGER, LEADER, LEADER, NONE,
    },
    /* clang-format on */
};

const struct swki_method *swki_method_by_number(uint32_t number)
{
    return number > 0 && number <= SWKI_METHODS_COUNT ? &methods[number] : NULL;
}

const struct swki_method *swki_method_by_path(const char *path, size_t path_len)
{
    for (uint32_t i = 1; i <= SWKI_METHODS_COUNT; i++) {
        if (strlen(methods[i].path) == path_len &&
            memcmp(methods[i].path, path, path_len) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}

uint32_t swki_method_number(const struct swki_method *method)
{
    return (uint32_t)(method - methods);
}

bool swki_method_permits(const struct swki_method *method, uint32_t role)
{
    return method->roles == ANYONE || (method->roles & role) != 0;
}
