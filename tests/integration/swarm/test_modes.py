# SPDX-License-Identifier: Apache-2.0

"""Kinds of services, and how they are updated and restarted."""

from swarm import (Swarm, exactly, expect, kill, main, state_of, wait_for,
                   workloads)


def update_status(swarm, name):
    return swarm.json("service", "inspect", name).get("updateStatus",
                                                      {}).get("state")


def a_busy_manager_stops_in_good_order():
    for _ in range(4):
        with Swarm() as swarm:
            swarm.ctl("service", "create", "--detach", "--name", "busy",
                      "--replicas", "4", "--restart-delay", "0s", "--", "sh",
                      "-c", "exit 1")
            wait_for(lambda: len(swarm.tasks("busy")) > 8, "tasks fail")


def a_failing_update_pauses_and_is_rolled_back_by_hand():
    with Swarm() as swarm:
        swarm.create("web", "--update-parallelism", "1", "--update-monitor",
                     "5s", "--update-delay", "3s", count=2)
        result = swarm.ctl("service", "update", "web", "--", "sh", "-c",
                           "exit 3", code=1)
        expect("paused" in result.err, "not said: " + result.err)
        wait_for(lambda: update_status(swarm, "web") == "PAUSED",
                 "the update is paused")
        expect(len(workloads(swarm.mark("web"))) == 1, "the second was taken")
        swarm.ctl("service", "update", "--rollback", "web")
        expect(len(workloads(swarm.mark("web"))) == 2, "not rolled back")


def a_failing_update_rolls_back_by_itself():
    with Swarm() as swarm:
        swarm.create("web", "--update-parallelism", "1", "--update-monitor",
                     "2s", "--update-on-failure", "rollback",
                     "--rollback-monitor", "0s", count=2)
        swarm.try_ctl("service", "update", "web", "--", "sh", "-c",
                      "exit 3").says("rolled back")
        wait_for(lambda: update_status(swarm, "web") == "ROLLBACK_COMPLETED",
                 "the rollback is completed")
        wait_for(lambda: exactly(workloads(swarm.mark("web")), 2),
                 "the old ones run")


def started_first_there_are_never_too_few():
    with Swarm() as swarm:
        swarm.create("web", "--update-order", "start-first",
                     "--update-parallelism", "1", "--update-monitor", "0s",
                     count=2)
        swarm.ctl("service", "update", "--detach", "web", "--",
                  *swarm.sleeper("new"))
        fewest = 2

        def updated():
            nonlocal fewest
            old = len(workloads(swarm.mark("web")))
            new = len(workloads(swarm.mark("new")))
            fewest = min(fewest, old + new)
            return old == 0 and new == 2

        wait_for(updated, "all are new")
        expect(fewest >= 1, "at a time there were %d" % fewest)


def restarts_follow_their_condition():
    with Swarm() as swarm:
        for name, flags, command, states in (
                ("never", ["--restart-condition", "none"], "exit 1",
                 ["FAILED"]),
                ("failed", ["--restart-condition", "failure"], "exit 0",
                 ["COMPLETE"]),
                ("twice", ["--restart-condition", "any",
                           "--restart-max-attempts", "2",
                           "--restart-delay", "0s"], "exit 1",
                 ["FAILED"] * 3)):
            swarm.ctl("service", "create", "--detach", "--name", name, *flags,
                      "--", "sh", "-c", command)
            wait_for(lambda n=name, s=states:
                     [state_of(t) for t in swarm.tasks(n)] == s,
                     "%s has %s" % (name, states))
        pids = swarm.create("again", count=1)
        kill(pids[0])
        wait_for(lambda: exactly([p for p in workloads(swarm.mark("again"))
                                  if p not in pids], 1), "it runs again")


def the_environment_of_a_task_is_what_was_asked():
    with Swarm() as swarm:
        out = swarm.path("env")
        swarm.ctl("service", "create", "--detach", "--name", "e",
                  "--restart-condition", "none", "--env",
                  "GREETING=hello world", "--workdir", swarm.dir, "--", "sh",
                  "-c", "(echo \"$GREETING\"; pwd) > env")
        wait_for(lambda: [state_of(t) for t in swarm.tasks("e")] ==
                 ["COMPLETE"], "it is complete")
        with open(out) as f:
            expect(f.read() == "hello world\n%s\n" % swarm.dir, "wrong")


def modes_that_nothing_carries_out_are_refused():
    with Swarm(drained=True) as swarm:
        for mode in "global", "replicated-job", "global-job":
            result = swarm.try_ctl("service", "create", "--detach", "--name",
                                   "x", "--mode", mode, "--", "true")
            expect(result.code != 0, mode + " was accepted")
            expect("not available in this release" in result.err,
                   "not said: " + result.err)


main([
    modes_that_nothing_carries_out_are_refused,
    a_busy_manager_stops_in_good_order,
    a_failing_update_pauses_and_is_rolled_back_by_hand,
    a_failing_update_rolls_back_by_itself,
    started_first_there_are_never_too_few,
    restarts_follow_their_condition,
    the_environment_of_a_task_is_what_was_asked,
])
