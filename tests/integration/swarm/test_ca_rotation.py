# SPDX-License-Identifier: Apache-2.0

"""Going over to another root CA while everything goes on.

usage: test_ca_rotation.py [--agents N] [TEST...]
"""

import os
import signal
import subprocess
import sys
import threading
import time

from swarm import (Swarm, expect, free_port, main, run, state_of, tool,
                   wait_for)

AGENTS = 4
ROTATION_S = 120


# -- Looking ------------------------------------------------------------------

def report(swarm):
    return swarm.json("cluster", "ca")


def is_rotating(swarm):
    return report(swarm)["rotation"] is not None


def missing(swarm):
    """Why the rotation waits, by the node's name."""
    rotation = report(swarm)["rotation"]
    return {m["name"]: m["why"] for m in (rotation or {}).get("missing", [])}


def certificates(swarm, name):
    return swarm.path(name, "certificates")


def root_of(swarm, name):
    with open(os.path.join(certificates(swarm, name), "swarm-root-ca.crt"),
              "rb") as f:
        return f.read()


def fingerprint(pem):
    done = subprocess.run(["openssl", "x509", "-noout", "-fingerprint",
                           "-sha256"], input=pem, capture_output=True,
                          check=True)
    text = done.stdout.decode().strip().split("=", 1)[1]
    return "sha256:" + text.replace(":", "").lower()


def verifies(swarm, name):
    """The leaf alone, under the node's root alone."""
    place = certificates(swarm, name)
    return run("openssl", "verify", "-no-CApath", "-no-CAstore", "-CAfile",
               os.path.join(place, "swarm-root-ca.crt"),
               os.path.join(place, "swarm-node.crt")).code == 0


def follows(swarm, name):
    """The node has the swarm's root, and a certificate under it."""
    return (fingerprint(root_of(swarm, name)) == report(swarm)["fingerprint"]
            and verifies(swarm, name))


def expect_all_follow(swarm, names):
    for name in names:
        wait_for(lambda: follows(swarm, name),
                 "%s is under the new root" % name)


# -- Doing --------------------------------------------------------------------

def knows_only(node, *addresses):
    """Of the managers it will know these alone, in this order."""
    for flag in ("--join-addr", "--join-token"):
        at = node.words.index(flag)
        del node.words[at:at + 2]
    with open(os.path.join(node.state, "managers"), "w") as f:
        f.write("".join(a + "\n" for a in addresses))


def rotate(swarm, *flags):
    before = report(swarm)["fingerprint"]
    result = run(tool("swarmctl"), "-s", swarm.socket, "cluster", "ca",
                 "rotate", "--timeout", "%ds" % ROTATION_S, *flags,
                 patience=ROTATION_S + 10)
    expect(result.code == 0, "rotate: %d: %s" % (result.code, result.err))
    expect(report(swarm)["fingerprint"] != before, "the root is the old one")
    return result


def finish(swarm, *flags):
    return run(tool("swarmctl"), "-s", swarm.socket, "cluster", "ca", "finish",
               "--timeout", "%ds" % ROTATION_S, *flags,
               patience=ROTATION_S + 10)


class Scaling(threading.Thread):
    """Somebody who scales a service up and down; notes what failed."""

    def __init__(self, swarm, service, counts):
        super().__init__()
        self.words = [tool("swarmctl"), "-s", swarm.socket, "service", "scale",
                      "--detach"]
        self.service = service
        self.counts = counts
        self.calls = 0
        self.failed = []
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            count = self.counts[self.calls % len(self.counts)]
            result = run(*self.words, "%s=%d" % (self.service, count))
            self.calls += 1
            if result.code != 0:
                self.failed.append((result.code, result.err))
            self.over.wait(0.3)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def same_tasks(swarm, service, before):
    tasks = swarm.tasks(service)
    ids = sorted(t["id"] for t in tasks)
    expect(ids == before, "tasks of %s: %s, were %s" % (service, ids, before))
    for task in tasks:
        expect(state_of(task) == "RUNNING", "%s is %s" %
               (task["id"], state_of(task)))


# -- Tests --------------------------------------------------------------------

def managers_and_agents_go_over_twice_and_lose_their_leader():
    with Swarm(drained=True) as swarm:
        swarm.add_manager("m2")
        swarm.add_manager("m3")
        for name in ("m2", "m3"):
            swarm.ctl("node", "drain", name)
        workers = ["w%d" % i for i in range(AGENTS)]
        for name in workers:
            swarm.worker(name)
        swarm.worker("idle")
        swarm.ctl("node", "drain", "idle")
        everybody = ["manager", "m2", "m3", "idle"] + workers
        swarm.create("steady", count=2 * AGENTS)
        swarm.create("moving", count=1)
        steady = sorted(t["id"] for t in swarm.tasks("steady"))
        old_token = swarm.token()

        with Scaling(swarm, "moving", [AGENTS + 1, 2, 1]) as scaling:
            said = rotate(swarm)
        said.says("overall progress: %d of %d nodes have renewed\n" %
                  (len(everybody), len(everybody)))
        expect(scaling.calls > 0, "nobody has scaled")
        expect(not scaling.failed, "calls failed: %s" % scaling.failed)
        same_tasks(swarm, "steady", steady)
        expect_all_follow(swarm, everybody)
        expect(swarm.token() != old_token, "the join token is the old one")

        # A frozen node keeps it from ending before the leader is dead.
        leader = swarm.leader()
        swarm.at(swarm.others(leader)[0])
        swarm.named("idle").process.send_signal(signal.SIGSTOP)
        with Scaling(swarm, "moving", [AGENTS + 2, 2, 1]) as scaling:
            swarm.ctl("cluster", "ca", "rotate", "--detach")
            swarm.named(leader).crash()
            swarm.wait_led_by_another(leader)
            wait_for(lambda: set(missing(swarm)) == {"idle", leader},
                     "all others have renewed")
            swarm.named("idle").process.send_signal(signal.SIGCONT)
            swarm.named(leader).start()
            done = finish(swarm)
        expect(done.code == 0, "finish: %d: %s" % (done.code, done.err))
        expect(scaling.calls > 0, "nobody has scaled")
        expect(not scaling.failed, "calls failed: %s" % scaling.failed)
        swarm.wait_voter(leader)
        same_tasks(swarm, "steady", steady)
        expect_all_follow(swarm, everybody)
        roots = {root_of(swarm, name) for name in everybody}
        expect(len(roots) == 1, "%d roots" % len(roots))
        swarm.worker("late") # the new token is good


def an_operator_brings_the_root():
    with Swarm() as swarm:
        swarm.worker("w1")
        key = swarm.path("root.key")
        cert = swarm.path("root.crt")
        made = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                   "ec_paramgen_curve:P-384", "-nodes", "-keyout", key,
                   "-out", cert, "-days", "3650", "-subj",
                   "/O=Example/CN=Root of our own")
        expect(made.code == 0, made.err)
        rotate(swarm, "--cert", cert, "--key", key).says("Root of our own")
        with open(cert, "rb") as f:
            expect(report(swarm)["fingerprint"] == fingerprint(f.read()),
                   "another root")
        expect_all_follow(swarm, ["manager", "w1"])

        short = run("openssl", "req", "-x509", "-key", key, "-out", cert,
                    "-days", "30", "-subj", "/CN=short")
        expect(short.code == 0, short.err)
        swarm.ctl("cluster", "ca", "rotate", "--cert", cert, "--key", key,
                  code=1).says("expires too soon")
        swarm.ctl("cluster", "ca", "rotate", "--cert", cert, code=1)


def nodes_that_are_down_are_waited_for_or_left_out():
    with Swarm() as swarm:
        swarm.worker("w1")
        lost = swarm.worker("w2")
        swarm.worker("w3")
        lost.crash()
        swarm.wait_node("w2", "DOWN")
        old_token = swarm.token()
        swarm.ctl("cluster", "ca", "rotate", "--detach")
        wait_for(lambda: missing(swarm) == {"w2": "down"},
                 "w2 alone is missing")
        w2 = swarm.nodes()["w2"]["id"]
        swarm.ctl("cluster", "ca").says(
            "w2 (%s): down\n" % w2, "swarmctl node rm " + w2)
        expect(swarm.token() == old_token, "the token changed too early")

        # Who comes meanwhile trusts the old root, and is not in the way.
        swarm.worker("w4")
        wait_for(lambda: missing(swarm) == {"w2": "down"},
                 "w4 has renewed")
        impatient = subprocess.Popen(
            [tool("swarmctl"), "-s", swarm.socket, "cluster", "ca", "finish"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        impatient.send_signal(signal.SIGINT)
        err = impatient.communicate(timeout=20)[1]
        expect(impatient.returncode == 130 and "goes on" in err and
               "ca finish" in err, "%d: %s" % (impatient.returncode, err))
        expect(is_rotating(swarm), "the rotation did not go on")
        swarm.ctl("cluster", "ca", "finish", "--timeout", "1s",
                  code=7).says("goes on", "ca finish")
        swarm.ctl("cluster", "ca", "finish", "--without", "manager", code=1)

        done = finish(swarm, "--without-down")
        expect(done.code == 0, "finish: %d: %s" % (done.code, done.err))
        done.says("w2 (%s): down, left out" % w2, "the root CA is rotated",
                  "has to join anew: swarmctl node rm " + w2)
        expect(" to go" not in done.out.splitlines()[-3],
               "the end waits for who was left out:\n" + done.out)
        expect_all_follow(swarm, ["manager", "w1", "w3", "w4"])
        expect("1 node was left out, to be removed and to join anew: %s\n" % w2
               in swarm.manager.text(), "the manager names nobody")

        # It is locked out, and told so, until it joins anew.
        lost.start()
        wait_for(lambda: "this node is shut out of its swarm" in lost.text(),
                 "w2 says what is wrong")
        expect("swarmctl cluster token worker" in lost.text(),
               "w2 does not say what helps:\n" + lost.text())
        tries = lost.text().count("no session")
        time.sleep(10)
        expect(swarm.node_state("w2") == "DOWN", "w2 is let in")
        expect(lost.text().count("no session") <= tries + 2,
               "w2 goes on and on:\n" + lost.text())
        expect(lost.text().count("shut out of its swarm") == 1,
               "w2 says it again:\n" + lost.text())
        lost.process.kill()
        lost.wait()
        knows_only(lost, "127.0.0.1:%d" % free_port(), swarm.address)
        lost.start()
        wait_for(lambda: "(others do not answer)" in lost.text(),
                 "w2 says so although a manager is dead")
        lost.process.kill()
        lost.wait()

        # The next rotation waits for it again, and says why in vain.
        swarm.ctl("cluster", "ca").says("Locked out           1 of 5 nodes",
                                        "swarmctl node rm " + w2)
        swarm.ctl("cluster", "ca", "rotate", "--timeout", "8s", code=7).says(
            "w2 (%s): down, left out of an earlier rotation\n" % w2,
            "has to join anew: swarmctl node rm " + w2)
        swarm.ctl("cluster", "ca", "rotate", code=4).says(
            "left out of an earlier rotation", "ca finish")
        swarm.ctl("node", "rm", "w2")
        wait_for(lambda: not is_rotating(swarm), "the rotation ends")
        expect(report(swarm)["lockedOut"] == [], "who is locked out?")
        swarm.worker("w2b")


def strangers_among_the_managers_do_not_keep_a_worker_away():
    """Two addresses lead to a manager of another swarm, as after a move."""
    with Swarm() as swarm:
        stranger = swarm.plan_manager("stranger", join=False)
        stranger.start()
        swarm.at("stranger")
        wait_for(lambda: swarm.leads(stranger), "it founds its swarm")
        swarm.at("manager")
        worker = swarm.worker("w1")
        worker.stop()
        knows_only(worker, "127.0.0.1:%d" % stranger.port,
                   "localhost:%d" % stranger.port, swarm.address)
        swarm.wait_node("w1", "DOWN")
        worker.start()
        swarm.wait_node("w1", "READY")
        expect("manager localhost:%d has a root certificate to which nothing "
               "leads" % stranger.port in worker.text() and
               "shut out" not in worker.text(), worker.text())


def a_manager_that_missed_a_rotation_is_told():
    """It is among the managers that it knows, and takes itself."""
    with Swarm() as swarm:
        swarm.add_manager("m2")
        lost = swarm.add_manager("m3")
        lost.crash()
        swarm.wait_node("m3", "DOWN")
        swarm.ctl("node", "demote", "m3")
        wait_for(lambda: "m3" not in swarm.voters(), "m3 is no manager")
        swarm.ctl("node", "rm", "m3")
        rotate(swarm)
        lost.start()
        wait_for(lambda: "this node is shut out of its swarm" in lost.text(),
                 "m3 says what is wrong")
        expect("swarmctl cluster token manager" in lost.text() and
               "do not answer" not in lost.text(), lost.text())


def a_node_that_returns_in_time_renews():
    with Swarm() as swarm:
        lost = swarm.worker("w1")
        lost.crash()
        swarm.wait_node("w1", "DOWN")
        swarm.ctl("cluster", "ca", "rotate", "--detach")
        wait_for(lambda: missing(swarm) == {"w1": "down"},
                 "w1 alone is missing")
        lost.start()
        done = finish(swarm)
        expect(done.code == 0, "finish: %d: %s" % (done.code, done.err))
        expect_all_follow(swarm, ["manager", "w1"])


def progress_tells_of_nodes_that_come_and_go():
    with Swarm() as swarm:
        lost = swarm.worker("w1")
        leaving = swarm.worker("w2")
        lost.crash()
        swarm.wait_node("w1", "DOWN")
        swarm.ctl("cluster", "ca", "rotate", "--detach")
        wait_for(lambda: missing(swarm) == {"w1": "down"},
                 "w1 alone is missing")
        with open(swarm.path("out"), "w") as out:
            watching = subprocess.Popen(
                [tool("swarmctl"), "-s", swarm.socket, "cluster", "ca",
                 "finish"], stdout=out)

        def says(text):
            with open(swarm.path("out")) as f:
                return text in f.read()

        wait_for(lambda: says("2 of 3 nodes have renewed, 1 to go\n"),
                 "it is followed")
        leaving.crash()
        swarm.wait_node("w2", "DOWN")
        swarm.ctl("node", "rm", "w2")
        wait_for(lambda: says("1 of 2 nodes have renewed, 1 to go (meanwhile "
                              "0 came, 1 went)\n"), "one less is explained")
        swarm.worker("w3")
        wait_for(lambda: says("2 of 3 nodes have renewed, 1 to go (meanwhile "
                              "1 came, 1 went)\n"), "one more is explained")
        lost.start()
        expect(watching.wait(ROTATION_S) == 0, "it is not done")
        expect(says("overall progress: 3 of 3 nodes have renewed (meanwhile 1 "
                    "came, 1 went)\nthe root CA is rotated"),
               "the end is not told")


def another_rotation_needs_a_word():
    with Swarm() as swarm:
        lost = swarm.worker("w1")
        lost.crash()
        swarm.wait_node("w1", "DOWN")
        key = swarm.path("root.key")
        cert = swarm.path("root.crt")
        made = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                   "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                   "-out", cert, "-days", "3650", "-subj", "/CN=own")
        expect(made.code == 0, made.err)
        given = ("--cert", cert, "--key", key)
        swarm.ctl("cluster", "ca", "rotate", "--detach", *given)
        wait_for(lambda: missing(swarm) == {"w1": "down"},
                 "w1 alone is missing")
        first = report(swarm)["rotation"]["fingerprint"]
        swarm.ctl("cluster", "ca", "rotate", "--detach", code=4).says(
            "under way: 1 of 2 nodes have renewed", "ca finish", "ca abort",
            "--replace")
        present = swarm.path("present.crt")
        with open(present, "wb") as f:
            f.write(root_of(swarm, "manager"))
        swarm.ctl("cluster", "ca", "rotate", "--detach", "--cert", present,
                  code=4).says("under way")
        expect(report(swarm)["rotation"]["fingerprint"] == first,
               "the first was replaced")
        # To the same root is no other rotation.
        swarm.ctl("cluster", "ca", "rotate", "--detach", *given)
        expect(report(swarm)["rotation"]["fingerprint"] == first,
               "the first was replaced by itself")
        swarm.ctl("cluster", "ca", "rotate", "--detach", "--replace")
        expect(report(swarm)["rotation"]["fingerprint"] != first,
               "the first was not replaced")
        lost.start()
        expect(finish(swarm).code == 0, "it does not end")


def a_rotation_is_given_up():
    with Swarm() as swarm:
        lost = swarm.worker("w1")
        swarm.worker("w2")
        before = report(swarm)["fingerprint"]
        lost.crash()
        swarm.wait_node("w1", "DOWN")
        swarm.ctl("cluster", "ca", "rotate", "--detach")
        wait_for(lambda: missing(swarm) == {"w1": "down"},
                 "w1 alone is missing")
        swarm.ctl("cluster", "ca", "abort").says(
            "the rotation is given up; the root CA stays CN=swarm-ca " + before)
        expect(not is_rotating(swarm), "it was not given up")
        expect(report(swarm)["fingerprint"] == before, "another root")
        swarm.ctl("cluster", "ca", "abort", code=1)
        swarm.ctl("cluster", "ca", "finish", code=1)

        # Old leaf and new leaf, both under the old root.
        lost.start()
        swarm.wait_node("w1", "READY")
        swarm.wait_node("w2", "READY")
        swarm.create("both", count=2)
        rotate(swarm)
        expect_all_follow(swarm, ["manager", "w1", "w2"])


if __name__ == "__main__":
    if "--agents" in sys.argv:
        at = sys.argv.index("--agents")
        AGENTS = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    main([
        managers_and_agents_go_over_twice_and_lose_their_leader,
        an_operator_brings_the_root,
        nodes_that_are_down_are_waited_for_or_left_out,
        strangers_among_the_managers_do_not_keep_a_worker_away,
        a_manager_that_missed_a_rotation_is_told,
        a_node_that_returns_in_time_renews,
        progress_tells_of_nodes_that_come_and_go,
        another_rotation_needs_a_word,
        a_rotation_is_given_up,
    ])
