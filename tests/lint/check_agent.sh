#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The worker's program holds no code of a manager.
# usage: check_agent.sh SWARM_AGENT
set -u
found=$(nm "$1" | awk '{print $NF}' | grep -E \
    '^swki_(store|control|dispatcher|scheduler|orchestrator|allocator|reaper|enforcer|ca_server|manager|raft)_|^swk_(raft|manager|file_storage)_')
if [ -n "$found" ]; then
    echo "of a manager, in $1:"
    echo "$found"
    exit 1
fi
[ "$(nm "$1" | grep -c ' T ')" -gt 100 ] || exit 1
echo "[       OK ] the_worker_links_no_code_of_a_manager"
