# SPDX-License-Identifier: Apache-2.0

"""Services on a swarm whose parts fail, stop, and come back."""

import os
import signal
import subprocess
import threading
import time

from swarm import (PATIENCE_S, Swarm, alive, exactly, expect,
                   kill, main, state_of, tool, wait_for, workloads)


def a_killed_workload_is_replaced():
    with Swarm() as swarm:
        pids = swarm.create("web", count=3)
        expect(len(pids) == 3, "workloads: %s" % pids)
        kill(pids[0])
        wait_for(lambda: exactly([p for p in workloads(swarm.mark("web"))
                                  if p not in pids], 1), "a replacement runs")
        live = swarm.wait_live("web", 3)
        expect(not alive(pids[0]) and alive(pids[1]) and alive(pids[2]),
               "the wrong ones run")
        failed = [t for t in swarm.tasks("web") if state_of(t) == "FAILED"]
        expect(len(failed) == 1, "%d failed tasks are kept" % len(failed))
        expect("137" in swarm.ctl("task", "inspect", failed[0]["id"]).out,
               "the exit code is not shown")
        expect(len({t["slot"] for t in live}) == 3, "a slot is taken twice")


def a_service_is_scaled_and_updated_and_removed():
    with Swarm() as swarm:
        swarm.worker("w1")
        old = swarm.create("web", count=2)
        swarm.ctl("service", "scale", "web=5")
        expect(len(workloads(swarm.mark("web"))) == 5, "not scaled up")
        swarm.ctl("service", "scale", "web=1")
        wait_for(lambda: exactly(workloads(swarm.mark("web")), 1),
                 "one workload is left")
        swarm.ctl("service", "scale", "web=3")
        old = workloads(swarm.mark("web"))
        swarm.ctl("service", "update", "--update-monitor", "0s", "web", "--",
                  *swarm.sleeper("second"))
        new = workloads(swarm.mark("second"))
        expect(len(new) == 3, "workloads: %s" % new)
        expect(workloads(swarm.mark("web")) == [], "old ones run")
        expect(not any(map(alive, old)), "old ones run")
        expect(len(swarm.live("web")) == 3, "not three live tasks")
        swarm.ctl("service", "rm", "web")
        wait_for(lambda: not any(map(alive, new)), "the workloads end")
        swarm.ctl("service", "inspect", "web", code=3)
        wait_for(lambda: exactly(swarm.json("task", "ls", "--all"), 0),
                 "no task is left")
        wait_for(lambda: all(d.shims() == [] for d in swarm.daemons),
                 "no shim is left")


def what_fits_nowhere_waits_and_says_why():
    with Swarm() as swarm:
        swarm.create_detached("none", "--constraint",
                              "node.labels.zone==nowhere")
        task = wait_for(lambda: [t for t in swarm.tasks("none")
                                 if t.get("status", {}).get("err")],
                        "the task has a reason")[0]
        expect(state_of(task) == "PENDING", "it is " + state_of(task))
        swarm.ctl("service", "ps", "none").says("constraint")
        waited = swarm.try_ctl("service", "scale", "--timeout", "1s",
                               "none=2")
        expect(waited.code == 7, "exit code %d" % waited.code)
        waited.says("constraint")
        swarm.ctl("node", "update", "--label-add", "zone=nowhere", "manager")
        swarm.wait_live("none", 2)
        swarm.create_detached("big", "--memory-reservation", "9999g")
        wait_for(lambda: "insufficient resources" in
                 swarm.ctl("service", "ps", "big").out, "the reason is shown")


def draining_moves_tasks_and_removal_is_guarded():
    with Swarm(drained=True) as swarm:
        first, second = swarm.worker("w1"), swarm.worker("w2")
        swarm.create("web", count=4)
        expect(len(first.shims()) == 2 and len(second.shims()) == 2,
               "not spread")
        swarm.ctl("node", "drain", "w1")
        wait_for(lambda: len(first.shims()) == 0 and
                 len(second.shims()) == 4, "the tasks are moved")
        swarm.ctl("node", "rm", "w1", code=1).says("not down", "force")
        swarm.ctl("node", "activate", "w1")
        expect(len(second.shims()) == 4, "running tasks were moved")
        swarm.ctl("node", "rm", "--force", "w2")
        wait_for(lambda: len(first.shims()) == 4, "the tasks are moved")
        expect("w2" not in swarm.nodes(), "w2 is there")
        expect(second.wait() == 4, "it does not say by its status why it ended")
        for text in ("this node was removed from the swarm",
                     "swarm-agent: error: node ", "start with an empty state "
                     "directory (this one is " + swarm.path("w2")):
            expect(text in second.text(), "it does not say " + text)
        expect(not second.shims() and
               not os.listdir(swarm.path("w2", "processes", "tasks")),
               "something of a task is left")
        second.log += ".again"
        second.start()
        expect(second.wait() == 4, "it is not told again")
        expect("w2" not in swarm.nodes(), "w2 is let in")


def a_removed_swarmd_ends_too():
    with Swarm(drained=True) as swarm:
        worker = swarm.worker("w1", program="swarmd")
        swarm.create("web", count=1)
        swarm.ctl("node", "rm", "--force", "w1")
        expect(worker.wait() == 4, "its status: %s" % worker.text())
        expect(not worker.shims(), "a removed node's tasks run")
        expect("swarmd: error: node " in worker.text(), worker.text())


def an_agent_that_starts_can_be_stopped_at_any_moment():
    with Swarm(drained=True) as swarm:
        agents = [swarm.worker("w%d" % i) for i in range(4)]
        for agent in agents:
            agent.stop()
        for delay_ms in range(4, 52, 2):
            for agent in agents:
                agent.start()
            time.sleep(delay_ms / 1000)
            for agent in agents:
                agent.process.send_signal(signal.SIGTERM)
            for agent in agents:
                # Its first steps are before it looks at signals.
                expect(agent.wait(10) in (0, -signal.SIGTERM), agent.text())


def a_second_agent_says_which_process_is_in_its_way():
    with Swarm(drained=True) as swarm:
        worker = swarm.worker("w1")
        swarm.refused("swarm-agent", "w1").says(
            "error: process %d (swarm-agent) has the directory %s" %
            (worker.process.pid, swarm.path("w1")), "stop it first")
        expect(worker.running(), "the first one ended")


def a_node_with_much_to_say_of_itself_is_described():
    with Swarm(drained=True) as swarm:
        swarm.worker("w1", "--generic-node-resources", ",".join(
            "gpu=a-long-name-of-one-of-many-%03d" % i for i in range(200)))
        swarm.ctl("--format", "json", "node", "inspect", "w1").says(
            "a-long-name-of-one-of-many-000", "a-long-name-of-one-of-many-199")


def who_cannot_reach_a_manager_is_not_removed():
    with Swarm(drained=True) as swarm:
        worker = swarm.worker("w1")
        pids = swarm.create("web", count=1)
        swarm.manager.crash()
        wait_for(lambda: worker.text().count("no session: ") > 3, "it tries")
        expect(worker.running() and workloads(swarm.mark("web")) == pids,
               "the worker gave up")


def a_killed_agent_adopts_its_tasks():
    with Swarm(drained=True) as swarm:
        worker = swarm.worker("w1")
        pids = swarm.create("web", count=3)
        ids = sorted(t["id"] for t in swarm.live("web"))
        worker.crash()
        expect(all(map(alive, pids)), "the tasks died with the agent")
        worker.start()
        wait_for(lambda: worker.text().count("registered") == 2,
                 "the agent registers again")
        swarm.wait_node("w1", "READY")
        swarm.wait_live("web", 3)
        expect(workloads(swarm.mark("web")) == pids, "other processes run")
        expect(sorted(t["id"] for t in swarm.live("web")) == ids,
               "the tasks were replaced")
        kill(pids[0])
        wait_for(lambda: exactly([p for p in workloads(swarm.mark("web"))
                                  if p not in pids], 1),
                 "an adopted task is watched")


def a_restarted_manager_leaves_workloads_alone():
    with Swarm() as swarm:
        worker = swarm.worker("w1")
        pids = swarm.create("web", count=4)
        for end in (swarm.manager.stop, swarm.manager.crash):
            end()
            expect(workloads(swarm.mark("web")) == pids, "some ended")
            swarm.again(swarm.manager)
            swarm.wait_node("w1", "READY")
            swarm.wait_live("web", 4)
        expect(workloads(swarm.mark("web")) == pids, "some were replaced")
        worker.stop()
        expect(workloads(swarm.mark("web")) == pids,
               "they ended with the agent")


def tasks_of_a_lost_worker_run_elsewhere_and_its_leftovers_end():
    with Swarm(drained=True) as swarm:
        lost, other = swarm.worker("w1"), swarm.worker("w2")
        swarm.create("web", count=4)
        lost.crash_with_tasks()
        wait_for(lambda: len(other.shims()) == 4, "they run elsewhere")
        expect(swarm.node_state("w1") == "DOWN", "w1 is not down")
        swarm.wait_live("web", 4)
        lost.start()
        swarm.wait_node("w1", "READY")

        # Cut off, with its tasks running: they are leftovers when it is back.
        other.crash()
        wait_for(lambda: len(lost.shims()) == 4, "they run elsewhere")
        expect(len(other.shims()) == 4, "the cut off tasks ended")
        other.start()
        wait_for(lambda: exactly(other.shims(), 0), "the leftovers end")
        swarm.wait_live("web", 4)
        expect(len(workloads(swarm.mark("web"))) == 4, "too many run")


# -- Killing managers ---------------------------------------------------------

def create_until_killed(swarm, prefix, delay):
    """Creates services one after the other until the manager dies; returns
    the names of those that were acknowledged, and the one that was not."""
    timer = threading.Timer(delay, swarm.manager.process.send_signal,
                            [signal.SIGKILL])
    acknowledged = []
    timer.start()
    while True:
        name = "%s-%d" % (prefix, len(acknowledged))
        done = subprocess.run(
            [tool("swarmctl"), "-s", swarm.socket, "service", "create",
             "--detach", "--name", name, "--replicas", "2", "--", "true"],
            capture_output=True, text=True, timeout=PATIENCE_S)
        if done.returncode != 0:
            timer.join()
            swarm.manager.wait()
            expect(done.returncode == 6, "exit code %d: %s" %
                   (done.returncode, done.stderr))
            return acknowledged, name
        acknowledged.append(name)


def check_after_kill(swarm, acknowledged, unsure):
    services = {s["spec"]["annotations"]["name"]: s
                for s in swarm.json("service", "ls")}
    for name in acknowledged:
        expect(name in services, name + " was acknowledged and is lost")
    extra = set(services) - set(acknowledged) - unsure
    expect(not extra, "not asked for: %s" % extra)
    for name, service in services.items():
        slots = wait_for(lambda n=name: exactly(
            {int(t["slot"]) for t in swarm.tasks(n)}, 2), name + " has two tasks")
        expect(slots == {1, 2}, "%s has slots %s" % (name, slots))
    known = {s["id"] for s in services.values()}
    for task in swarm.json("task", "ls", "--all"):
        expect(task["serviceId"] in known, "a task of no service")


def nothing_acknowledged_is_lost_when_managers_are_killed():
    with Swarm(drained=True) as swarm:
        acknowledged, unsure = [], set()
        for i in range(10):
            names, last = create_until_killed(swarm, "s%d" % i,
                                              0.05 + 0.03 * i)
            acknowledged += names
            unsure.add(last)
            swarm.again(swarm.manager)
        check_after_kill(swarm, acknowledged, unsure)
        expect(len(acknowledged) > 10, "hardly any was created")


main([
    a_killed_workload_is_replaced,
    a_service_is_scaled_and_updated_and_removed,
    what_fits_nowhere_waits_and_says_why,
    draining_moves_tasks_and_removal_is_guarded,
    a_removed_swarmd_ends_too,
    an_agent_that_starts_can_be_stopped_at_any_moment,
    a_second_agent_says_which_process_is_in_its_way,
    a_node_with_much_to_say_of_itself_is_described,
    who_cannot_reach_a_manager_is_not_removed,
    a_killed_agent_adopts_its_tasks,
    a_restarted_manager_leaves_workloads_alone,
    tasks_of_a_lost_worker_run_elsewhere_and_its_leftovers_end,
    nothing_acknowledged_is_lost_when_managers_are_killed,
])
