/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Names and numbers of the calls, without their messages: what a client needs
 * that must not link the types of every call.
 */

#ifndef SWKI_WIRE_METHOD_PATHS_H
#define SWKI_WIRE_METHOD_PATHS_H

/* Numbers of calls. They travel: one is never changed, and new ones are
 * appended. 0 stands for no call. */
enum swki_method_number {
    SWKI_METHOD_CA_GET_ROOT_CA_CERTIFICATE = 1,
    SWKI_METHOD_CA_GET_UNLOCK_KEY = 2,
    SWKI_METHOD_NODE_CA_ISSUE_NODE_CERTIFICATE = 3,
    SWKI_METHOD_NODE_CA_NODE_CERTIFICATE_STATUS = 4,
    SWKI_METHOD_CONTROL_GET_NODE = 5,
    SWKI_METHOD_CONTROL_LIST_NODES = 6,
    SWKI_METHOD_CONTROL_UPDATE_NODE = 7,
    SWKI_METHOD_CONTROL_REMOVE_NODE = 8,
    SWKI_METHOD_CONTROL_GET_TASK = 9,
    SWKI_METHOD_CONTROL_LIST_TASKS = 10,
    SWKI_METHOD_CONTROL_REMOVE_TASK = 11,
    SWKI_METHOD_CONTROL_GET_SERVICE = 12,
    SWKI_METHOD_CONTROL_LIST_SERVICES = 13,
    SWKI_METHOD_CONTROL_CREATE_SERVICE = 14,
    SWKI_METHOD_CONTROL_UPDATE_SERVICE = 15,
    SWKI_METHOD_CONTROL_REMOVE_SERVICE = 16,
    SWKI_METHOD_CONTROL_LIST_SERVICE_STATUSES = 17,
    SWKI_METHOD_CONTROL_GET_NETWORK = 18,
    SWKI_METHOD_CONTROL_LIST_NETWORKS = 19,
    SWKI_METHOD_CONTROL_CREATE_NETWORK = 20,
    SWKI_METHOD_CONTROL_REMOVE_NETWORK = 21,
    SWKI_METHOD_CONTROL_GET_CLUSTER = 22,
    SWKI_METHOD_CONTROL_LIST_CLUSTERS = 23,
    SWKI_METHOD_CONTROL_UPDATE_CLUSTER = 24,
    SWKI_METHOD_CONTROL_GET_SECRET = 25,
    SWKI_METHOD_CONTROL_UPDATE_SECRET = 26,
    SWKI_METHOD_CONTROL_LIST_SECRETS = 27,
    SWKI_METHOD_CONTROL_CREATE_SECRET = 28,
    SWKI_METHOD_CONTROL_REMOVE_SECRET = 29,
    SWKI_METHOD_CONTROL_GET_CONFIG = 30,
    SWKI_METHOD_CONTROL_UPDATE_CONFIG = 31,
    SWKI_METHOD_CONTROL_LIST_CONFIGS = 32,
    SWKI_METHOD_CONTROL_CREATE_CONFIG = 33,
    SWKI_METHOD_CONTROL_REMOVE_CONFIG = 34,
    SWKI_METHOD_CONTROL_GET_EXTENSION = 35,
    SWKI_METHOD_CONTROL_CREATE_EXTENSION = 36,
    SWKI_METHOD_CONTROL_REMOVE_EXTENSION = 37,
    SWKI_METHOD_CONTROL_GET_RESOURCE = 38,
    SWKI_METHOD_CONTROL_UPDATE_RESOURCE = 39,
    SWKI_METHOD_CONTROL_LIST_RESOURCES = 40,
    SWKI_METHOD_CONTROL_CREATE_RESOURCE = 41,
    SWKI_METHOD_CONTROL_REMOVE_RESOURCE = 42,
    SWKI_METHOD_CONTROL_CREATE_VOLUME = 43,
    SWKI_METHOD_CONTROL_GET_VOLUME = 44,
    SWKI_METHOD_CONTROL_UPDATE_VOLUME = 45,
    SWKI_METHOD_CONTROL_LIST_VOLUMES = 46,
    SWKI_METHOD_CONTROL_REMOVE_VOLUME = 47,
    SWKI_METHOD_DISPATCHER_SESSION = 48,
    SWKI_METHOD_DISPATCHER_HEARTBEAT = 49,
    SWKI_METHOD_DISPATCHER_UPDATE_TASK_STATUS = 50,
    SWKI_METHOD_DISPATCHER_UPDATE_VOLUME_STATUS = 51,
    SWKI_METHOD_DISPATCHER_TASKS = 52,
    SWKI_METHOD_DISPATCHER_ASSIGNMENTS = 53,
    SWKI_METHOD_HEALTH_CHECK = 54,
    SWKI_METHOD_LOGS_SUBSCRIBE_LOGS = 55,
    SWKI_METHOD_LOG_BROKER_LISTEN_SUBSCRIPTIONS = 56,
    SWKI_METHOD_LOG_BROKER_PUBLISH_LOGS = 57,
    SWKI_METHOD_RAFT_PROCESS_RAFT_MESSAGE = 58,
    SWKI_METHOD_RAFT_STREAM_RAFT_MESSAGE = 59,
    SWKI_METHOD_RAFT_RESOLVE_ADDRESS = 60,
    SWKI_METHOD_RAFT_MEMBERSHIP_JOIN = 61,
    SWKI_METHOD_RAFT_MEMBERSHIP_LEAVE = 62,
    SWKI_METHOD_RESOURCE_ALLOCATOR_ATTACH_NETWORK = 63,
    SWKI_METHOD_RESOURCE_ALLOCATOR_DETACH_NETWORK = 64,
    SWKI_METHOD_WATCH_WATCH = 65,
    SWKI_METHOD_RAFT_STREAM_SNAPSHOT = 66,
    SWKI_METHOD_NODE_UNLOCK = 67,
    SWKI_METHOD_JOIN_TOKENS_CREATE_JOIN_TOKEN = 68,
    SWKI_METHOD_JOIN_TOKENS_LIST_JOIN_TOKENS = 69,
    SWKI_METHOD_JOIN_TOKENS_REMOVE_JOIN_TOKEN = 70,
    SWKI_METHODS_COUNT = SWKI_METHOD_JOIN_TOKENS_REMOVE_JOIN_TOKEN,
};

/* Paths of calls, as gRPC has them. */
#define SWKI_PATH_CA_GET_ROOT_CA_CERTIFICATE                                   \
    "/docker.swarmkit.v1.CA/GetRootCACertificate"
#define SWKI_PATH_CA_GET_UNLOCK_KEY "/docker.swarmkit.v1.CA/GetUnlockKey"
#define SWKI_PATH_NODE_CA_ISSUE_NODE_CERTIFICATE                               \
    "/docker.swarmkit.v1.NodeCA/IssueNodeCertificate"
#define SWKI_PATH_NODE_CA_NODE_CERTIFICATE_STATUS                              \
    "/docker.swarmkit.v1.NodeCA/NodeCertificateStatus"
#define SWKI_PATH_CONTROL_GET_NODE "/docker.swarmkit.v1.Control/GetNode"
#define SWKI_PATH_CONTROL_LIST_NODES "/docker.swarmkit.v1.Control/ListNodes"
#define SWKI_PATH_CONTROL_UPDATE_NODE "/docker.swarmkit.v1.Control/UpdateNode"
#define SWKI_PATH_CONTROL_REMOVE_NODE "/docker.swarmkit.v1.Control/RemoveNode"
#define SWKI_PATH_CONTROL_GET_TASK "/docker.swarmkit.v1.Control/GetTask"
#define SWKI_PATH_CONTROL_LIST_TASKS "/docker.swarmkit.v1.Control/ListTasks"
#define SWKI_PATH_CONTROL_REMOVE_TASK "/docker.swarmkit.v1.Control/RemoveTask"
#define SWKI_PATH_CONTROL_GET_SERVICE "/docker.swarmkit.v1.Control/GetService"
#define SWKI_PATH_CONTROL_LIST_SERVICES                                        \
    "/docker.swarmkit.v1.Control/ListServices"
#define SWKI_PATH_CONTROL_CREATE_SERVICE                                       \
    "/docker.swarmkit.v1.Control/CreateService"
#define SWKI_PATH_CONTROL_UPDATE_SERVICE                                       \
    "/docker.swarmkit.v1.Control/UpdateService"
#define SWKI_PATH_CONTROL_REMOVE_SERVICE                                       \
    "/docker.swarmkit.v1.Control/RemoveService"
#define SWKI_PATH_CONTROL_LIST_SERVICE_STATUSES                                \
    "/docker.swarmkit.v1.Control/ListServiceStatuses"
#define SWKI_PATH_CONTROL_GET_NETWORK "/docker.swarmkit.v1.Control/GetNetwork"
#define SWKI_PATH_CONTROL_LIST_NETWORKS                                        \
    "/docker.swarmkit.v1.Control/ListNetworks"
#define SWKI_PATH_CONTROL_CREATE_NETWORK                                       \
    "/docker.swarmkit.v1.Control/CreateNetwork"
#define SWKI_PATH_CONTROL_REMOVE_NETWORK                                       \
    "/docker.swarmkit.v1.Control/RemoveNetwork"
#define SWKI_PATH_CONTROL_GET_CLUSTER "/docker.swarmkit.v1.Control/GetCluster"
#define SWKI_PATH_CONTROL_LIST_CLUSTERS                                        \
    "/docker.swarmkit.v1.Control/ListClusters"
#define SWKI_PATH_CONTROL_UPDATE_CLUSTER                                       \
    "/docker.swarmkit.v1.Control/UpdateCluster"
#define SWKI_PATH_CONTROL_GET_SECRET "/docker.swarmkit.v1.Control/GetSecret"
#define SWKI_PATH_CONTROL_UPDATE_SECRET                                        \
    "/docker.swarmkit.v1.Control/UpdateSecret"
#define SWKI_PATH_CONTROL_LIST_SECRETS "/docker.swarmkit.v1.Control/ListSecrets"
#define SWKI_PATH_CONTROL_CREATE_SECRET                                        \
    "/docker.swarmkit.v1.Control/CreateSecret"
#define SWKI_PATH_CONTROL_REMOVE_SECRET                                        \
    "/docker.swarmkit.v1.Control/RemoveSecret"
#define SWKI_PATH_CONTROL_GET_CONFIG "/docker.swarmkit.v1.Control/GetConfig"
#define SWKI_PATH_CONTROL_UPDATE_CONFIG                                        \
    "/docker.swarmkit.v1.Control/UpdateConfig"
#define SWKI_PATH_CONTROL_LIST_CONFIGS "/docker.swarmkit.v1.Control/ListConfigs"
#define SWKI_PATH_CONTROL_CREATE_CONFIG                                        \
    "/docker.swarmkit.v1.Control/CreateConfig"
#define SWKI_PATH_CONTROL_REMOVE_CONFIG                                        \
    "/docker.swarmkit.v1.Control/RemoveConfig"
#define SWKI_PATH_CONTROL_GET_EXTENSION                                        \
    "/docker.swarmkit.v1.Control/GetExtension"
#define SWKI_PATH_CONTROL_CREATE_EXTENSION                                     \
    "/docker.swarmkit.v1.Control/CreateExtension"
#define SWKI_PATH_CONTROL_REMOVE_EXTENSION                                     \
    "/docker.swarmkit.v1.Control/RemoveExtension"
#define SWKI_PATH_CONTROL_GET_RESOURCE "/docker.swarmkit.v1.Control/GetResource"
#define SWKI_PATH_CONTROL_UPDATE_RESOURCE                                      \
    "/docker.swarmkit.v1.Control/UpdateResource"
#define SWKI_PATH_CONTROL_LIST_RESOURCES                                       \
    "/docker.swarmkit.v1.Control/ListResources"
#define SWKI_PATH_CONTROL_CREATE_RESOURCE                                      \
    "/docker.swarmkit.v1.Control/CreateResource"
#define SWKI_PATH_CONTROL_REMOVE_RESOURCE                                      \
    "/docker.swarmkit.v1.Control/RemoveResource"
#define SWKI_PATH_CONTROL_CREATE_VOLUME                                        \
    "/docker.swarmkit.v1.Control/CreateVolume"
#define SWKI_PATH_CONTROL_GET_VOLUME "/docker.swarmkit.v1.Control/GetVolume"
#define SWKI_PATH_CONTROL_UPDATE_VOLUME                                        \
    "/docker.swarmkit.v1.Control/UpdateVolume"
#define SWKI_PATH_CONTROL_LIST_VOLUMES "/docker.swarmkit.v1.Control/ListVolumes"
#define SWKI_PATH_CONTROL_REMOVE_VOLUME                                        \
    "/docker.swarmkit.v1.Control/RemoveVolume"
#define SWKI_PATH_DISPATCHER_SESSION "/docker.swarmkit.v1.Dispatcher/Session"
#define SWKI_PATH_DISPATCHER_HEARTBEAT                                         \
    "/docker.swarmkit.v1.Dispatcher/Heartbeat"
#define SWKI_PATH_DISPATCHER_UPDATE_TASK_STATUS                                \
    "/docker.swarmkit.v1.Dispatcher/UpdateTaskStatus"
#define SWKI_PATH_DISPATCHER_UPDATE_VOLUME_STATUS                              \
    "/docker.swarmkit.v1.Dispatcher/UpdateVolumeStatus"
#define SWKI_PATH_DISPATCHER_TASKS "/docker.swarmkit.v1.Dispatcher/Tasks"
#define SWKI_PATH_DISPATCHER_ASSIGNMENTS                                       \
    "/docker.swarmkit.v1.Dispatcher/Assignments"
#define SWKI_PATH_HEALTH_CHECK "/docker.swarmkit.v1.Health/Check"
#define SWKI_PATH_LOGS_SUBSCRIBE_LOGS "/docker.swarmkit.v1.Logs/SubscribeLogs"
#define SWKI_PATH_LOG_BROKER_LISTEN_SUBSCRIPTIONS                              \
    "/docker.swarmkit.v1.LogBroker/ListenSubscriptions"
#define SWKI_PATH_LOG_BROKER_PUBLISH_LOGS                                      \
    "/docker.swarmkit.v1.LogBroker/PublishLogs"
#define SWKI_PATH_RAFT_PROCESS_RAFT_MESSAGE                                    \
    "/docker.swarmkit.v1.Raft/ProcessRaftMessage"
#define SWKI_PATH_RAFT_STREAM_RAFT_MESSAGE                                     \
    "/docker.swarmkit.v1.Raft/StreamRaftMessage"
#define SWKI_PATH_RAFT_RESOLVE_ADDRESS "/docker.swarmkit.v1.Raft/ResolveAddress"
#define SWKI_PATH_RAFT_MEMBERSHIP_JOIN "/docker.swarmkit.v1.RaftMembership/Join"
#define SWKI_PATH_RAFT_MEMBERSHIP_LEAVE                                        \
    "/docker.swarmkit.v1.RaftMembership/Leave"
#define SWKI_PATH_RESOURCE_ALLOCATOR_ATTACH_NETWORK                            \
    "/docker.swarmkit.v1.ResourceAllocator/AttachNetwork"
#define SWKI_PATH_RESOURCE_ALLOCATOR_DETACH_NETWORK                            \
    "/docker.swarmkit.v1.ResourceAllocator/DetachNetwork"
#define SWKI_PATH_WATCH_WATCH "/docker.swarmkit.v1.Watch/Watch"

/* Calls that are ours. */
#define SWKI_PATH_RAFT_STREAM_SNAPSHOT "/swarmkit.v1.Raft/StreamSnapshot"
#define SWKI_PATH_NODE_UNLOCK "/swarmkit.v1.Node/Unlock"
#define SWKI_PATH_JOIN_TOKENS_CREATE_JOIN_TOKEN                                \
    "/swarmkit.v1.JoinTokens/CreateJoinToken"
#define SWKI_PATH_JOIN_TOKENS_LIST_JOIN_TOKENS                                 \
    "/swarmkit.v1.JoinTokens/ListJoinTokens"
#define SWKI_PATH_JOIN_TOKENS_REMOVE_JOIN_TOKEN                                \
    "/swarmkit.v1.JoinTokens/RemoveJoinToken"

#endif
