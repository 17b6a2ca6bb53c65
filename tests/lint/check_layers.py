#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks who includes whom against the table of doc/architecture.md.

usage: check_layers.py SOURCE_DIR
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)

# Third-party headers, and the only folder under lib/ that may include them.
THIRD_PARTY = {
    "mbedtls/": {"crypto"},
    "psa/": {"crypto"},
    "nng/": {"runtime/nng"},
    "cjson/": {"wire"},
    "protobuf-c/": {"wire", "core", "node"},
}

# Headers by which code reaches outside the process. Core never does.
IO_HEADERS = {
    "dirent.h", "fcntl.h", "netdb.h", "poll.h", "pthread.h", "signal.h",
    "spawn.h", "sys/epoll.h", "sys/eventfd.h", "sys/mman.h", "sys/socket.h",
    "sys/stat.h", "sys/time.h", "sys/wait.h", "time.h", "unistd.h",
}

# The table: a folder of lib/, and the folders whose headers it may use.
CORES = ["agent", "allocator", "audit", "autolock", "ca", "consent", "control",
         "dispatcher", "keymanager", "membership", "orchestrator", "raft",
         "rolemanager", "scheduler", "secretdriver", "signer", "trust"]
# The rooms of lib/node, and the other ones that each may use.
ROOMS = {
    "rpc": [],
    "audit": [],
    "signing": ["rpc"],
    "secrets": ["rpc", "signing"],
    "peers": ["rpc"],
    "identity": ["rpc", "signing"],
    "agent": ["rpc", "identity"],
    "signer": ["rpc", "identity"],
    "manager": ["rpc", "audit", "peers"],
    "storage": ["identity", "manager"],
    "host": ["rpc", "audit", "signing", "secrets", "peers", "identity",
             "agent", "manager", "storage"],
}
MAY_USE = {
    "base": ["base"],
    "wire": ["wire", "base"],
    "crypto": ["crypto", "base"],
    "core/store": ["core/store", "wire", "crypto", "base"],
    **{f"core/{core}": [f"core/{core}", "core/store", "wire", "crypto", "base"]
       for core in CORES},
    **{f"runtime/{part}": [f"runtime/{part}", "base"]
       for part in ["loop", "nng", "file", "posix", "exec"]},
    **{f"node/{room}": [f"node/{other}" for other in [room, *others]]
       + ["core", "runtime", "wire", "crypto", "base"]
       for room, others in ROOMS.items()},
}

# Single headers that another folder may use, beyond the table, and why.
ALSO = {
    # The one grammar of constraints, for whoever checks or obeys them.
    ("core/control", "core/scheduler/constraint.h"),
    ("core/orchestrator", "core/scheduler/constraint.h"),
    # What a change of the CA means, for whoever is asked to make it.
    ("core/control", "core/ca/rotation.h"),
    # The list of managers, to which the role manager's work leads.
    ("core/rolemanager", "core/membership/membership.h"),
    # Whose signatures count: asked before a spec is stored, and before a task
    # runs.
    ("core/control", "core/trust/trust.h"),
    ("core/agent", "core/trust/trust.h"),
    # What a node lets run: obeyed by the node, foreseen by the scheduler.
    ("core/agent", "core/consent/consent.h"),
    ("core/scheduler", "core/consent/consent.h"),
    # Values of secrets, which the dispatcher needs and does not store.
    ("core/dispatcher", "core/secretdriver/fetcher.h"),
    # What is on the disk is sealed; a port with one implementation would only
    # forward.
    ("runtime/file", "crypto/aead.h"),
    # Who is in the way, said in the same words everywhere.
    ("runtime/exec", "runtime/posix/lock_holder.h"),
}

# Runtime folders that must speak messages: a port hands encoded ones over.
MESSAGES = {"runtime/exec": ["wire"]}


def folder_of(path):
    parts = path.parts
    for depth in (2, 1):
        name = "/".join(parts[:depth])
        if name in MAY_USE:
            return name
    return None


def in_folders(name, folders):
    return any(name == f or name.startswith(f + "/") for f in folders)


def check_lib(root, path, text):
    relative = path.relative_to(root / "lib")
    folder = folder_of(relative)
    if folder is None:
        yield f"{relative}: in no folder of the table"
        return
    allowed = MAY_USE[folder] + MESSAGES.get(folder, [])
    for quote, name in INCLUDE.findall(text):
        for prefix, owners in THIRD_PARTY.items():
            if name.startswith(prefix) and not in_folders(folder, owners):
                yield f"{relative}: {folder} may not include <{name}>"
        if quote == "<" and name in IO_HEADERS and (
                folder.startswith("core") or folder in ("base", "wire")):
            yield f"{relative}: {folder} touches the world by <{name}>"
        if quote == '"' and "/" in name and not name.endswith(".pb-c.h"):
            if (folder, name) in ALSO:
                continue
            if not in_folders(str(pathlib.PurePath(name).parent), allowed):
                yield f'{relative}: {folder} may not include "{name}"'


def check_tool(root, path, text):
    relative = path.relative_to(root)
    for quote, name in INCLUDE.findall(text):
        if quote == '"' and (root / "lib" / name).exists():
            yield f'{relative}: tools use <swarmkit/...> alone, not "{name}"'
        if any(name.startswith(prefix) for prefix in ("mbedtls/", "nng/")):
            yield f"{relative}: tools may not include <{name}>"


def check_public(root, path, text):
    relative = path.relative_to(root)
    for quote, name in INCLUDE.findall(text):
        if quote == '"' or "pb-c" in name:
            yield f"{relative}: a public header may not include {name}"


def main():
    root = pathlib.Path(sys.argv[1])
    problems = []
    count = 0
    for folder, check in (("lib", check_lib), ("tools", check_tool),
                          ("examples", check_tool),
                          ("include", check_public)):
        for path in sorted((root / folder).rglob("*.[ch]")):
            count += 1
            problems += check(root, path, path.read_text("utf-8"))
    print("\n".join(problems))
    print(f"{count} files, {len(problems)} problems")
    if not problems:
        print("[       OK ] includes_follow_the_table_of_layers")
    sys.exit(bool(problems) or count == 0)


main()
