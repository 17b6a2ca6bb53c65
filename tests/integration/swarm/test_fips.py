# SPDX-License-Identifier: Apache-2.0

"""Swarms that admit only nodes in FIPS mode, and nodes in that mode."""

import os

from swarm import Swarm, expect, main

REFUSAL = "node is not FIPS-enabled but cluster requires FIPS"


class FipsSwarm(Swarm):
    """Its first manager has --fips; others have it by their flags."""

    def daemon(self, program, name, *flags):
        if name == "manager":
            flags += ("--fips",)
        return super().daemon(program, name, *flags)


def flagged(swarm, name, *flags):
    """A worker with more flags, which is ready when this returns."""
    worker = swarm.daemon("swarm-agent", name, "--hostname", name,
                          "--join-addr", swarm.address, "--join-token",
                          swarm.token(), *flags)
    swarm.daemons.append(worker)
    worker.start()
    swarm.wait_node(name, "READY")
    return worker


def again_without(daemon, *words):
    """Starts a stopped daemon without some of its words; its exit code."""
    daemon.words = [w for w in daemon.words if w not in words]
    daemon.log += ".again"
    daemon.start()
    return daemon.wait()


def a_swarm_that_demands_it_says_so_in_its_id_and_tokens():
    with FipsSwarm(drained=True) as swarm:
        cluster = swarm.json("cluster", "inspect")
        expect(cluster["id"].startswith("FIPS."), cluster["id"])
        expect(len(cluster["id"]) == 30, cluster["id"])
        for role in "worker", "manager":
            expect(swarm.token(role).startswith("SWMTKN-2-1-"), role)
        made = swarm.ctl("cluster", "token", "create", "-q").out
        expect(made.startswith("SWMTKN-2-1-"), made)
        swarm.ctl("cluster", "token", "--rotate", "worker")
        expect(swarm.token().startswith("SWMTKN-2-1-"), "after a rotation")
        with open(os.path.join(swarm.manager.state, "certificates",
                               "swarm-node.key")) as f:
            expect("-----BEGIN PRIVATE KEY-----" in f.read(), "no PKCS #8")


def only_nodes_in_that_mode_join_it():
    with FipsSwarm(drained=True) as swarm:
        for program in "swarm-agent", "swarmd":
            result = swarm.refused(program, "plain-" + program, "--join-addr",
                                   swarm.address, "--join-token",
                                   swarm.token())
            expect(result.code == 1, "exit code %d" % result.code)
            result.says(REFUSAL)
        expect(len(swarm.json("node", "ls")) == 1, "a node was let in")
        worker = flagged(swarm, "w1", "--fips")
        expect(swarm.json("node", "inspect", "w1")["description"]["fips"],
               "the node does not say so")
        swarm.ctl("node", "inspect", "w1").says("FIPS")
        manager = swarm.add_manager("m2", "--fips")
        swarm.create("web", count=1)
        worker.stop()
        expect(again_without(worker, "--fips") == 1, "it starts without")
        expect(REFUSAL in worker.text(), worker.text())
        manager.stop()
        expect(again_without(manager, "--fips") == 1, "it starts without")
        expect(REFUSAL in manager.text(), manager.text())


def nodes_in_that_mode_join_any_swarm():
    with Swarm(drained=True) as swarm:
        expect(swarm.token().startswith("SWMTKN-1-"), swarm.token())
        worker = flagged(swarm, "w1", "--fips")
        swarm.worker("w2")
        expect(not swarm.json("node", "inspect", "w2")["description"].get(
            "fips"), "w2 says so")
        worker.stop()
        swarm.wait_node("w1", "DOWN")
        worker.words = [w for w in worker.words if w != "--fips"]
        worker.start()
        swarm.wait_node("w1", "READY")


def a_key_of_the_old_kind_is_refused():
    with FipsSwarm(drained=True) as swarm:
        worker = flagged(swarm, "w1", "--fips")
        worker.stop()
        key = os.path.join(worker.state, "certificates", "swarm-node.key")
        with open(key, "w") as f:
            f.write("-----BEGIN EC PRIVATE KEY-----\n"
                    "Proc-Type: 4,ENCRYPTED\n"
                    "DEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF"
                    "\n\nAAAA\n-----END EC PRIVATE KEY-----\n")
        expect(again_without(worker) == 1, "it starts")
        expect("unsupported key format" in worker.text(), worker.text())


main([
    a_swarm_that_demands_it_says_so_in_its_id_and_tokens,
    only_nodes_in_that_mode_join_it,
    nodes_in_that_mode_join_any_swarm,
    a_key_of_the_old_kind_is_refused,
])
