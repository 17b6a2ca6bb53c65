# SPDX-License-Identifier: Apache-2.0

"""Nodes with a policy of their own, which no manager gets round."""

import json
import os
import time

from swarm import (Swarm, exactly, expect, main, run, state_of, tool,
                   wait_for, workloads)

NOT_ROOT = {"users": {"allow": ["*"], "deny": ["root"]}}


def policy(swarm, value, name="policy.json"):
    path = swarm.path(name)
    with open(path, "w") as f:
        f.write(value if isinstance(value, str) else json.dumps(value))
    return path


def errors(swarm, service):
    return [t.get("status", {}).get("err", "") for t in swarm.tasks(service)]


def wait_error(swarm, service, text):
    return wait_for(lambda: [e for e in errors(swarm, service) if text in e],
                    "a task of %s says %r: %s" %
                    (service, text, errors(swarm, service)))


def node_of(swarm, task):
    names = {n["id"]: name for name, n in swarm.nodes().items()}
    return names[task["nodeId"]]


def tasks_run_where_the_policy_lets_them():
    with Swarm(drained=True) as swarm:
        swarm.worker("w1", "--policy", policy(
            swarm, dict(NOT_ROOT, hostNamespaces={})))
        swarm.create_detached("web", count=2)
        wait_error(swarm, "web", "no suitable node (1 node not available for "
                   "new tasks; user or group not allowed on 1 node)")
        swarm.worker("w2")
        live = swarm.wait_live("web", 2)
        expect({node_of(swarm, t) for t in live} == {"w2"}, "not all on w2")
        swarm.ctl("node", "inspect", "w1").says(
            "Has a policy on      users\n",
            "Has a policy on      hostNamespaces\n")
        swarm.create("mail", "--user", "65534")
        swarm.ctl("service", "scale", "mail=2")
        expect({node_of(swarm, t) for t in swarm.live("mail")} ==
               {"w1", "w2"}, "w1 takes nothing")


def another_policy_stops_what_runs_and_it_moves():
    with Swarm(drained=True) as swarm:
        path = policy(swarm, {})
        worker = swarm.worker("w1", "--policy", path)
        before = swarm.create("web")
        worker.stop()
        policy(swarm, {"images": {"deny": ["host"]}})
        worker.start()
        wait_for(lambda: not workloads(swarm.mark("web")), "it is stopped")
        wait_error(swarm, "web",
                   "this node's policy does not allow image host")
        failed = [t for t in swarm.tasks("web") if state_of(t) == "FAILED"]
        expect(failed and failed[0]["status"]["message"] ==
               "refused by the node", "the task does not say who refused")
        swarm.ctl("service", "ps", "--all", "web").says("does not allow")
        swarm.worker("w2")
        after = swarm.wait_live("web", 1)
        expect(node_of(swarm, after[0]) == "w2", "it did not move")
        expect(not set(before) & set(workloads(swarm.mark("web"))), "the same")


def signatures_and_policies_go_together():
    with Swarm(drained=True) as swarm:
        key = swarm.path("alice")
        run(tool("swarmctl"), "spec", "keygen", "--out", key)
        swarm.worker("w1", "--trust", key + ".pub", "--policy",
                     policy(swarm, NOT_ROOT))
        swarm.create_detached("root", "--sign", key)
        wait_error(swarm, "root", "user or group not allowed on 1 node")
        swarm.create_detached("plain", "--user", "65534")
        wait_error(swarm, "plain", "not signed by a key that 1 node trusts")
        swarm.create("web", "--sign", key, "--user", "65534")
        time.sleep(1)
        expect(not workloads(swarm.mark("root")) and
               not workloads(swarm.mark("plain")), "what may not run runs")


def policies_are_checked_before_anything_else():
    with Swarm() as swarm:
        join = ["--join-addr", swarm.address, "--join-token", swarm.token()]
        for text, says in (
                ("{", "on line 1"),
                ('{\n"users": {"alow": []}}', "users.alow"),
                ('{"mounts": {"allow": [{"type": "disk"}]}}',
                 "mounts.allow[0].type")):
            path = policy(swarm, text)
            swarm.refused("swarm-agent", "w1", "--policy", path,
                          *join).says(path, says)
            done = run(tool("swarm-agent"), "--policy", path, "--check-policy")
            expect(done.code == 1, "it was not refused")
            done.says(says)
        expect(not os.path.exists(swarm.path("w1", "certificates")),
               "it joined all the same")
        path = policy(swarm, NOT_ROOT)
        done = run(tool("swarmd"), "--policy", path, "--check-policy")
        expect(done.code == 0, done.err)
        done.says("users: anything, but not root\n", "images: anything\n")


def links_do_not_lead_past_a_policy():
    """Tasks of an image with nothing in it get as far as looking for their
    program, if their mount is one that the node takes."""
    with Swarm(drained=True) as swarm:
        for name in ("image", "srv", "srv/data", "other"):
            os.mkdir(swarm.path(name))
        os.symlink(swarm.path("other"), swarm.path("srv", "link"))
        swarm.worker("w1", "--policy", policy(swarm, {"mounts": {"allow": [
            {"type": "bind", "source": swarm.path("srv")}]}}))

        def create(name, source):
            swarm.create_detached(
                name, "--image", swarm.path("image"), "--read-only",
                "--restart-condition", "none", "--bind",
                swarm.path(*source) + ":/tmp/mnt")

        create("real", ("srv", "data"))
        wait_error(swarm, "real", "starting task failed: exec ")
        create("link", ("srv", "link"))
        wait_error(swarm, "link", swarm.path("srv", "link") +
                   " is a symbolic link, and this node's policy takes none")
        create("other", ("other",))
        wait_error(swarm, "other", "mount not allowed on 1 node")


def the_node_of_a_manager_has_a_policy_too():
    with Swarm() as swarm:
        swarm.manager.stop()
        swarm.manager.words += ["--policy", policy(swarm, {"executors": {}})]
        swarm.again(swarm.manager)
        swarm.create_detached("web")
        wait_error(swarm, "web", "kind of task not allowed on 1 node")
        swarm.worker("w1")
        wait_for(lambda: exactly(workloads(swarm.mark("web")), 1), "it runs")


main([tasks_run_where_the_policy_lets_them,
      another_policy_stops_what_runs_and_it_moves,
      signatures_and_policies_go_together,
      policies_are_checked_before_anything_else,
      links_do_not_lead_past_a_policy,
      the_node_of_a_manager_has_a_policy_too])
