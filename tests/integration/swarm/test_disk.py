# SPDX-License-Identifier: Apache-2.0

"""Nodes whose disk is full."""

import os

from small_disk import SmallDisk
from swarm import Swarm, expect, main, pid_of, wait_for


def with_small_disk(test):
    """Calls test(swarm, worker, disk), where disks can be made, with a worker
    that was not started yet."""
    with Swarm(drained=True) as swarm:
        worker = swarm.daemon("swarm-agent", "w1", "--hostname", "w1",
                              "--join-addr", swarm.address, "--join-token",
                              swarm.token())
        swarm.daemons.append(worker)
        os.makedirs(worker.state, exist_ok=True)
        with SmallDisk(worker.state) as disk:
            if not disk.is_there:
                print("             not tried: mounting is not permitted")
                return
            test(swarm, worker, disk)
            if worker.running():
                worker.stop()


def who_cannot_keep_its_key_asks_for_no_certificate():
    def test(swarm, worker, disk):
        disk.fill()
        worker.start()
        wait_for(lambda: "no space left" in worker.text(), "it says why")
        expect(len(swarm.json("node", "ls")) == 1, "a node that is nobody's")
        disk.free()
        wait_for(lambda: worker.running() or worker.start(), "it runs")
        swarm.wait_node("w1", "READY")
        expect(len(swarm.json("node", "ls")) == 2, "one node too many")
    with_small_disk(test)


def an_agent_adopts_its_tasks_with_a_full_disk():
    def test(swarm, worker, disk):
        worker.start()
        swarm.wait_node("w1", "READY")
        swarm.create("sleeper")
        task, = swarm.live("sleeper")
        worker.crash()
        disk.fill()
        before = len(worker.text())
        worker.start()
        wait_for(lambda: "registered" in worker.text()[before:], "it is back")
        expect("managers not remembered" in worker.text()[before:],
               "it does not tell")
        swarm.wait_live("sleeper", 1)
        expect(pid_of(swarm.live("sleeper")[0]) == pid_of(task),
               "another task runs")
        disk.free()
    with_small_disk(test)


main([
    who_cannot_keep_its_key_asks_for_no_certificate,
    an_agent_adopts_its_tasks_with_a_full_disk,
])
