# SPDX-License-Identifier: Apache-2.0

"""Certificates in time: renewed before their end, and after it; clocks that
are wrong. The programs are the real ones, with a calendar that is shifted."""

import os
import shutil
import time

from swarm import Swarm, expect, main, run, tool, wait_for

SHIFTED = os.environ.get("SWARM_SHIFTED") or os.path.normpath(
    os.path.join(os.path.dirname(__file__),
                 "../../../build/tests/integration/swarm"))
DAY = 24 * 3600
# Of a validity of 90 days: all have been renewed, and none has ended.
LATE = 75


class ShiftedSwarm(Swarm):
    """Its nodes share a clock, except for those that have their own."""

    def __init__(self):
        super().__init__(drained=True)
        self.clock = self.path("clock")
        self.days = 0
        self.set_clock(self.clock, 0)

    def set_clock(self, clock, seconds):
        with open(clock + ".new", "w") as f:
            f.write("%d" % seconds)
        os.rename(clock + ".new", clock)

    def go_to_day(self, days):
        self.days = days
        self.set_clock(self.clock, days * DAY)

    def daemon(self, program, name, *flags):
        daemon = super().daemon(program, name, *flags)
        daemon.words[0] = os.path.join(SHIFTED, program + "-shifted")
        daemon.words[:0] = ["env", "SWARM_CLOCK_FILE=" + self.clock]
        return daemon

    def certificate(self, name):
        with open(self.path(name, "certificates", "swarm-node.crt")) as f:
            return f.read()

    def root(self, name):
        with open(self.path(name, "certificates", "swarm-root-ca.crt")) as f:
            return f.read()

    def missing(self):
        """Whom a rotation waits for."""
        rotation = self.json("cluster", "ca")["rotation"] or {}
        return sorted(m["name"] for m in rotation.get("missing", []))

    def wait_renewed(self, name, old):
        wait_for(lambda: self.certificate(name) != old,
                 "%s has a new certificate" % name)

    def wait_log(self, daemon, text):
        wait_for(lambda: text in daemon.text(),
                 "%s logs %r" % (daemon.name, text))

    def renew_all(self, days, *daemons):
        """Time goes on while they run."""
        old = [self.certificate(d.name) for d in daemons]
        self.go_to_day(days)
        for daemon, certificate in zip(daemons, old):
            self.wait_renewed(daemon.name, certificate)


def says(daemon, *texts):
    for text in texts:
        expect(text in daemon.text(),
               "%s lacks %r:\n%s" % (daemon.name, text, daemon.text()))


def shim_beside_the_programs():
    """Where the daemons look for it first."""
    place = os.path.join(SHIFTED, "swarm-shim")
    if not os.path.exists(place):
        os.symlink(os.path.join(os.environ["SWARM_TOOLS"], "swarm-shim",
                                "swarm-shim"), place)


def certificates_are_renewed_before_they_end():
    with ShiftedSwarm() as swarm:
        worker = swarm.worker("w1")
        node_id = swarm.nodes()["w1"]["id"]
        swarm.renew_all(LATE, swarm.manager, worker)
        swarm.wait_node("w1", "READY")
        # 15 days before the end by the clock of the swarm, 75 more by ours.
        for node in swarm.json("node", "ls"):
            expect("notAfter" in node["certificate"], node)
        swarm.ctl("node", "ls").says("CERT EXPIRY", "in 16")
        swarm.ctl("node", "inspect", "w1").says("Certificate  ", "until 20")
        # Nobody went away meanwhile.
        expect(swarm.nodes()["w1"]["id"] == node_id, "another node")
        # The new ones are in force: the old ones have ended by then.
        swarm.renew_all(LATE + 73, swarm.manager, worker)
        worker.stop()
        registered = worker.text().count("registered with a manager")
        worker.start()
        wait_for(lambda: worker.text().count("registered with a manager") >
                 registered, "w1 is back")
        swarm.wait_node("w1", "READY")


def nodes_come_back_after_their_certificates_ended():
    with ShiftedSwarm() as swarm:
        worker = swarm.worker("w1")
        node_id = swarm.nodes()["w1"]["id"]
        worker.stop()
        swarm.manager.stop()
        old = swarm.certificate("w1"), swarm.certificate("manager")
        copy = swarm.path("copy")
        shutil.copytree(swarm.path("w1"), copy)

        # The only manager renews its own certificate, then the worker's.
        swarm.go_to_day(100)
        swarm.again(swarm.manager)
        swarm.wait_renewed("manager", old[1])
        worker.start()
        swarm.wait_renewed("w1", old[0])
        swarm.wait_log(worker, "certificate has ended")
        swarm.wait_node("w1", "READY")
        expect(swarm.nodes()["w1"]["id"] == node_id, "another node")
        worker.stop()

        # What was taken once is not taken again.
        thief = swarm.daemon("swarm-agent", "copy", "--hostname", "thief")
        swarm.daemons.append(thief)
        thief.start()
        swarm.wait_log(thief, "not the one that the node was issued last")
        thief.stop()


def certificate_that_ended_long_ago_is_not_renewed():
    with ShiftedSwarm() as swarm:
        late = swarm.worker("late")
        removed = swarm.worker("removed")
        late.stop()
        removed.stop()
        swarm.renew_all(LATE, swarm.manager)
        swarm.wait_node("removed", "DOWN")
        swarm.go_to_day(100)
        swarm.ctl("node", "rm", "--force", "removed")
        removed.start()
        expect(removed.wait() == 4, "it does not know that it was removed")
        says(removed, "was removed from its swarm")

        swarm.go_to_day(90 + 31)
        late.start()
        swarm.wait_log(late, "are allowed")
        # The operator decides how long is too long.
        swarm.ctl("cluster", "update", "--expired-grace", "960h")
        late.stop()
        late.start()
        swarm.wait_node("late", "READY")


def manager_comes_back_with_the_help_of_the_others():
    with ShiftedSwarm() as swarm:
        swarm.add_manager("m2")
        third = swarm.add_manager("m3")
        third.stop()
        swarm.renew_all(LATE, swarm.manager, swarm.named("m2"))
        old = swarm.certificate("m3")
        swarm.go_to_day(100)
        third.start()
        swarm.wait_renewed("m3", old)
        swarm.wait_voter("m3")
        expect("manages nothing before" in third.text(), "it did not wait")


def wrong_clock_is_named_as_the_reason():
    with ShiftedSwarm() as swarm:
        swarm.go_to_day(1)
        swarm.manager.stop()
        swarm.again(swarm.manager)
        worker = swarm.worker("w1")
        worker.stop()
        own = swarm.path("own-clock")
        swarm.clock, shared = own, swarm.clock

        # 21 h before anything was made.
        swarm.set_clock(own, -21 * 3600)
        worker.words[1] = "SWARM_CLOCK_FILE=" + own
        worker.start()
        expect(worker.wait() == 1, "it starts")
        expect("this machine's clock is 45h00m behind that of manager " +
               swarm.address in worker.text(), worker.text())
        expect("set it right (timedatectl), then start again" in
               worker.text(), worker.text())

        token = swarm.token()
        result = swarm.refused("swarm-agent", "w2", "--join-addr",
                               swarm.address, "--join-token", token)
        expect(result.code == 1, "exit code %d" % result.code)
        result.says("this machine's clock is 45h00m behind that of manager")

        # Years ahead: the manager's certificate seems to have ended.
        swarm.set_clock(own, 1000 * DAY)
        result = swarm.refused("swarm-agent", "w3", "--join-addr",
                               swarm.address, "--join-token", token)
        result.says("this machine's clock is 999 days ahead of that of")

        # Right again, it is a node like others.
        swarm.set_clock(own, DAY)
        worker.start()
        swarm.wait_node("w1", "READY")
        swarm.clock = shared


def clock_that_is_ahead_brings_no_flood_of_certificates():
    with ShiftedSwarm() as swarm:
        own = swarm.path("own-clock")
        swarm.set_clock(own, 80 * DAY)
        swarm.clock, shared = own, swarm.clock
        ahead = "clock is 80 days ahead of that of manager " + swarm.address
        worker = swarm.worker("w1")

        # It looks old to a node that starts, and so does the next one.
        swarm.wait_log(worker, "has a new certificate")
        wait_for(lambda: worker.text().count(ahead) == 2, "it says why")
        time.sleep(2)
        expect(worker.text().count("has a new certificate") == 1,
               worker.text())
        expect("renewing it fails" not in worker.text(), worker.text())
        swarm.clock = shared


def only_manager_of_a_wrong_time_is_told_how_to_go_on():
    with ShiftedSwarm() as swarm:
        shared = swarm.clock
        swarm.clock = swarm.path("right-clock")
        worker = swarm.worker("w1")
        swarm.clock = shared
        node_id = swarm.nodes()["w1"]["id"]
        state = swarm.path("manager")
        swarm.manager.stop()

        # An empty battery: before the swarm was founded.
        swarm.go_to_day(-1)
        swarm.manager.start()
        expect(swarm.manager.wait() == 1, "it starts")
        says(swarm.manager, "the swarm's root certificate is valid from 20",
             "set it right (timedatectl), then start again",
             "this machine's clock is wrong, or was: ",
             "/manager/certificates/swarm-root-ca.crt: root: certificate (1 - "
             "swarm-ca) not valid before 20")

        # Far ahead, it has another certificate made, by that clock.
        old = swarm.certificate("manager")
        swarm.go_to_day(85)
        swarm.again(swarm.manager)
        swarm.wait_renewed("manager", old)
        swarm.manager.stop()
        swarm.go_to_day(0)
        swarm.manager.start()
        expect(swarm.manager.wait() == 1, "it starts")
        says(swarm.manager, "was ahead, by some 85 days",
             "the swarm's only manager: keep " + state,
             "this machine's clock is wrong, or was: ",
             "/manager/certificates/swarm-node.crt: certificate (1 - ")

        # The way that it names.
        for words in (["export", "--state-dir", state, "--output",
                       swarm.path("swarm.json")],
                      ["import", swarm.path("swarm.json"), "--state-dir",
                       swarm.path("new"), "--address", swarm.address]):
            result = run(tool("swarm-rafttool"), *words)
            expect(result.code == 0, result.err)
        swarm.manager.words[swarm.manager.words.index(state)] = \
            swarm.path("new")
        registered = worker.text().count("registered with a manager")
        swarm.again(swarm.manager)
        wait_for(lambda: worker.text().count("registered with a manager") >
                 registered, "w1 is back")
        swarm.wait_node("w1", "READY")
        expect(swarm.nodes()["w1"]["id"] == node_id, "another node")


def node_that_missed_the_end_of_a_rotation_follows_by_itself():
    with ShiftedSwarm() as swarm:
        worker = swarm.worker("w1")
        idle = swarm.worker("w2")
        old = swarm.root("w1")
        idle.stop()
        swarm.ctl("cluster", "ca", "rotate", "--detach")
        wait_for(lambda: swarm.missing() == ["w2"], "the others have renewed")
        worker.stop()
        swarm.ctl("cluster", "ca", "finish", "--without", "w2")
        wait_for(lambda: swarm.root("manager") != old, "a new root")
        # Its certificate no longer leads to the old root.
        swarm.renew_all(LATE, swarm.manager)

        expect(swarm.root("w1") == old, "it was off")
        registered = worker.text().count("registered with a manager")
        worker.start()
        wait_for(lambda: swarm.root("w1") == swarm.root("manager"),
                 "w1 has the new root")
        wait_for(lambda: worker.text().count("registered with a manager") >
                 registered, "w1 is back")

        # Who missed all of it has nothing that speaks for the new root.
        idle.start()
        swarm.wait_log(idle, "to join anew")
        expect(swarm.root("w2") == old, "it trusts anybody")


if __name__ == "__main__":
    shim_beside_the_programs()
    main([
        certificates_are_renewed_before_they_end,
        nodes_come_back_after_their_certificates_ended,
        certificate_that_ended_long_ago_is_not_renewed,
        manager_comes_back_with_the_help_of_the_others,
        wrong_clock_is_named_as_the_reason,
        clock_that_is_ahead_brings_no_flood_of_certificates,
        only_manager_of_a_wrong_time_is_told_how_to_go_on,
        node_that_missed_the_end_of_a_rotation_follows_by_itself,
    ])
