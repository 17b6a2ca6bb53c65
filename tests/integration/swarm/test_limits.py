# SPDX-License-Identifier: Apache-2.0

"""Limits: what a task gets, and what a node that cannot do it answers."""

import os

from swarm import Swarm, alive, expect, main, state_of, wait_for, workloads

# controller, flag, value, files and what stands in them, field
LIMITS = [
    ("memory", "--memory-limit", "64m",
     {"memory.max": "67108864", "memory.limit_in_bytes": "67108864"},
     "memory_bytes"),
    ("cpu", "--cpu-limit", "0.5",
     {"cpu.max": "50000 100000", "cpu.cfs_quota_us": "50000"}, "nano_cpus"),
    ("pids", "--pids-limit", "20", {"pids.max": "20"}, "pids_limit"),
]


def controllers(swarm, node):
    """What the node says that it can limit."""
    labels = swarm.nodes()[node]["description"]["engine"]["labels"]
    return labels["swarmkit.limits"].split(",")


def groups_of(pid):
    with open("/proc/%d/cgroup" % pid) as f:
        for line in f:
            _, names, path = line.rstrip("\n").split(":", 2)
            for top in ("", "unified", *names.split(",")):
                yield os.path.join("/sys/fs/cgroup", top, path.lstrip("/"))


def limit_of(pid, files):
    """What stands in the first of the files that its groups have."""
    for group in groups_of(pid):
        for name in files:
            try:
                with open(os.path.join(group, name)) as f:
                    return name, f.read().strip()
            except OSError:
                pass
    return None, None


def rejected(swarm, name, field, state="REJECTED"):
    """Its task is refused by the node, for that field."""
    task = wait_for(lambda: [t for t in swarm.tasks(name)
                             if state_of(t) == state],
                    "%s is %s" % (name, state))[0]
    expect(field in task["status"]["err"],
           "%s is not named: %s" % (field, task["status"]["err"]))
    expect(field in swarm.ctl("service", "ps", "--all", name).out,
           "the reason is not shown")
    expect(workloads(swarm.mark(name)) == [], "it runs")


def limits_are_set_or_refused():
    with Swarm() as swarm:
        able = controllers(swarm, "manager")
        for controller, flag, value, files, field in LIMITS:
            if controller not in able:
                swarm.create_detached(controller, "--restart-condition",
                                      "none", flag, value)
                rejected(swarm, controller, field)
                continue
            pids = swarm.create(controller, flag, value)
            expect(len(pids) == 1, "workloads: %s" % pids)
            name, found = limit_of(pids[0], files)
            expect(found == files.get(name), "%s: %s" % (name, found))


def what_a_node_cannot_do_is_rejected_with_the_reason():
    with Swarm() as swarm:
        for name, flags, field, state in (
                ("image", ["--image", "/no/such/image"], "/no/such/image",
                 "REJECTED"),
                ("user", ["--user", "no-such-user"], "no-such-user",
                 "FAILED"),  # found out at the start
                ("secret", ["--secret", "key"], "secret", "REJECTED")):
            if name == "secret":
                with open(swarm.path("data"), "w") as f:
                    f.write("data")
                swarm.ctl("secret", "create", "--file", swarm.path("data"),
                          "key")
            swarm.create_detached(name, "--restart-condition", "none", *flags)
            rejected(swarm, name, field, state)


def a_command_that_is_not_there_fails_with_its_name():
    with Swarm() as swarm:
        swarm.ctl("service", "create", "--detach", "--name", "typo",
                  "--restart-condition", "none", "--", "/no/such/program")
        wait_for(lambda: "/no/such/program" in
                 swarm.ctl("service", "ps", "--all", "typo").out,
                 "the program is named")


def a_task_ignoring_its_stop_signal_is_killed_after_its_grace():
    with Swarm() as swarm:
        swarm.ctl("service", "create", "--name", "deaf",
                  "--stop-grace-period", "200ms", "--", "sh", "-c",
                  "trap '' TERM; while :; do read -r x < $1; done", "sh",
                  swarm.fifo(), swarm.mark("deaf"))
        pids = workloads(swarm.mark("deaf"))
        expect(len(pids) == 1, "workloads: %s" % pids)
        swarm.ctl("service", "rm", "deaf")
        wait_for(lambda: not alive(pids[0]), "it is killed")


main([
    limits_are_set_or_refused,
    what_a_node_cannot_do_is_rejected_with_the_reason,
    a_command_that_is_not_there_fails_with_its_name,
    a_task_ignoring_its_stop_signal_is_killed_after_its_grace,
])
