# SPDX-License-Identifier: Apache-2.0

"""A swarm most of whose managers are lost for good, and its only survivor."""

import json
import os
import shutil
import subprocess

from swarm import (Swarm, exactly, expect, free_port, main, run, tool,
                   wait_for)


def three(swarm):
    swarm.add_manager("m2")
    swarm.add_manager("m3")
    wait_for(lambda: exactly(swarm.voters(), 3), "three managers")


def write(swarm, name):
    with open(swarm.path("note"), "w") as f:
        f.write(name)
    swarm.ctl("config", "create", "--file", swarm.path("note"), name)


def notes(swarm):
    return sorted(c["spec"]["annotations"]["name"]
                  for c in swarm.json("config", "ls"))


def write_many(swarm, prefix, count):
    names = ["%s%02d" % (prefix, i) for i in range(count)]
    for name in names:
        write(swarm, name)
    return names


def lose_all_but(swarm, name):
    """The others are killed, and this one has been stopped."""
    for other in swarm.others(name):
        swarm.named(other).crash()
    swarm.at(name)
    wait_for(lambda: "does not have a leader" in
             swarm.try_ctl("node", "ls").err, "nobody leads")
    result = swarm.try_ctl("config", "create", "--file", swarm.path("note"),
                           "lost")
    expect(result.code != 0, "written without a quorum")
    swarm.named(name).stop()


def without_joining(words):
    words = list(words)
    for flag in "--join-addr", "--join-token":
        if flag in words:
            at = words.index(flag)
            del words[at:at + 2]
    return words


def look(swarm, name, *flags):
    return run(tool("swarmd"), "--state-dir", swarm.path(name),
               "--force-new-cluster", "--dry-run", *flags)


def inspect(swarm, name):
    result = look(swarm, name, "--format", "json")
    expect(result.code == 0, "dry run: " + result.err)
    return json.loads(result.out)


def force(swarm, name):
    """Starts the survivor so, and leaves it as it is started ever after."""
    survivor = swarm.named(name)
    survivor.words = without_joining(survivor.words) + ["--force-new-cluster"]
    survivor.start()
    wait_for(lambda: swarm.leads(survivor), "the survivor leads")
    survivor.words.remove("--force-new-cluster")
    at = survivor.words.index("--listen-remote-api") + 1
    swarm.address = survivor.words[at]


def count_of(report, kind):
    return next(o for o in report["objects"] if o["kind"] == kind)["count"]


def the_survivor_goes_on_with_all_that_was_acknowledged():
    with Swarm() as swarm:
        three(swarm)
        expected = write_many(swarm, "before", 12)
        swarm.at("m3")
        expected += write_many(swarm, "through-m3-", 3)
        lose_all_but(swarm, "m3")
        force(swarm, "m3")
        expect(swarm.voters() == ["m3"], "voters: %s" % swarm.voters())
        lacks = set(expected) - set(notes(swarm))
        expect(not lacks, "acknowledged, and lost: %s" % lacks)
        write(swarm, "after")
        # The others' nodes are there until somebody removes them.
        swarm.wait_node("m2", "DOWN")
        swarm.ctl("node", "rm", "--force", "m2")
        expect("m2" not in swarm.nodes(), "m2 is not removed")
        # It starts without the flag from now on, and others join.
        swarm.named("m3").stop()
        swarm.named("m3").start()
        wait_for(lambda: swarm.leads(swarm.named("m3")), "it leads again")
        swarm.add_manager("m4")
        swarm.add_manager("m5")
        wait_for(lambda: exactly(swarm.voters(), 3), "three managers again")
        swarm.at("m5")
        expect(notes(swarm) == sorted(set(notes(swarm)) | set(expected) |
                                      {"after"}), "m5 lacks notes")


def a_dry_run_tells_what_would_happen_and_changes_nothing():
    with Swarm() as swarm:
        three(swarm)
        write_many(swarm, "note", 5)
        ids = {name: node["id"] for name, node in swarm.nodes().items()}
        wait_for(lambda: look(swarm, "m2").code == 0, "a look while it runs")
        lose_all_but(swarm, "m2")
        before = inspect(swarm, "m2")
        expect(before["nodeId"] == ids["m2"], "another node: %s" % before)
        expect({m["nodeId"] for m in before["removed"]} ==
               {ids["manager"], ids["m3"]}, "removed: %s" % before["removed"])
        expect({m["hostname"] for m in before["removed"]} ==
               {"manager", "m3"}, "removed: %s" % before["removed"])
        expect(all(m["address"].startswith("127.0.0.1:")
                   for m in before["removed"]), "no addresses")
        expect(count_of(before, "node") == 3, "nodes: %s" % before["objects"])
        expect(count_of(before, "config") >= 5, "configs are missing")
        expect(before["lastIndex"] >= before["commitIndex"] > 0 and
               before["term"] >= before["lastTerm"] > 0, "log: %s" % before)
        expect(not before["certificateExpired"], "it did not expire")
        text = look(swarm, "m2")
        text.says("would be removed for good", ids["m3"], "manager",
                  "Term             %d" % before["term"],
                  "Last entry       %d, of term %d" %
                  (before["lastIndex"], before["lastTerm"]),
                  "What only the others have is lost", "Nothing was changed")
        expect(text.code == 0, "exit code %d" % text.code)
        expect(inspect(swarm, "m2") == before, "the dry run changed something")
        # The swarm goes on as before if the others come back after all.
        for name in "manager", "m2", "m3":
            swarm.named(name).start()
        wait_for(lambda: exactly(swarm.voters(), 3), "three managers again")


def what_may_have_been_acknowledged_is_kept():
    with Swarm() as swarm:
        swarm.manager.stop()
        # It believes to lead for seconds after it has lost the others.
        swarm.manager.words += ["--election-tick", "50"]
        swarm.again(swarm.manager)
        three(swarm)
        expect(swarm.leader() == "manager", "another leads")
        swarm.named("m2").crash()
        swarm.named("m3").crash()
        with open(swarm.path("note"), "w") as f:
            f.write("half")
        asked = subprocess.Popen(
            [tool("swarmctl"), "-s", swarm.socket, "config", "create",
             "--file", swarm.path("note"), "half"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: "leads the swarm no more" in swarm.manager.text(),
                 "it leads no more")
        expect(asked.poll() is None or asked.returncode != 0,
               "acknowledged without a quorum")
        asked.kill()
        asked.wait()
        swarm.manager.stop()
        report = inspect(swarm, "manager")
        expect(report["uncommittedCount"] > 0 and
               next(o for o in report["objects"]
                    if o["kind"] == "config")["created"] == 1,
               "report: %s" % report)
        look(swarm, "manager").says("not known to be committed",
                                    "config     1 created")
        force(swarm, "manager")
        expect("entries %d to %d were not known to be committed" %
               (report["commitIndex"] + 1, report["lastIndex"]) in
               swarm.manager.text(), "they are not named")
        expect(notes(swarm) == ["half"], "notes: %s" % notes(swarm))


def forcing_twice_does_no_harm():
    with Swarm() as swarm:
        three(swarm)
        write(swarm, "a")
        lose_all_but(swarm, "manager")
        force(swarm, "manager")
        write(swarm, "b")
        swarm.manager.stop()
        report = inspect(swarm, "manager")
        expect(report["removed"] == [] and report["generation"] == 1,
               "report: %s" % report)
        look(swarm, "manager").says("only manager already")
        force(swarm, "manager")
        expect("nothing is removed" in swarm.manager.text(), "not said")
        write(swarm, "c")
        expect(set(notes(swarm)) >= {"a", "b", "c"}, "notes are lost")


def an_old_manager_is_refused_until_it_is_wiped():
    with Swarm() as swarm:
        three(swarm)
        write(swarm, "a")
        swarm.ctl("node", "drain", "m2")
        lose_all_but(swarm, "manager")
        force(swarm, "manager")
        write(swarm, "b")
        old = swarm.named("m2")
        old.words = without_joining(old.words)
        old.start()
        wait_for(lambda: "member was removed from the cluster" in old.text(),
                 "the old manager is told")
        expect(old.running(), "it ended: " + old.text())
        for name in "c", "d", "e":
            write(swarm, name)
        expect(swarm.voters() == ["manager"], "it takes part")
        since = swarm.manager.text().split("forced a new cluster", 1)[1]
        expect("leads the swarm no more" not in since,
               "the survivor was disturbed")
        expect("leads the swarm" not in old.text(), "the old one leads")
        old.stop()
        # Wiped, it is a new node.
        before = swarm.nodes()["m2"]["id"]
        swarm.ctl("node", "rm", "--force", before)
        shutil.rmtree(swarm.path("m2"))
        old.words += ["--join-addr", swarm.address, "--join-token",
                      swarm.token("manager")]
        old.start()
        swarm.wait_voter("m2")
        expect(swarm.nodes()["m2"]["id"] != before, "the same node")
        swarm.at("m2")
        expect(set(notes(swarm)) >= set("abcde"), "m2 lacks notes")


def make_leader(swarm, name, other):
    """Of the two that make the quorum, this one leads."""
    while swarm.leader() != name:
        swarm.named(other).crash()
        swarm.at(name)
        wait_for(lambda: not swarm.voters(), "nobody leads")
        swarm.named(other).start()


def who_the_survivor_never_knew_is_not_heard():
    with Swarm() as swarm:
        three(swarm)
        write(swarm, "a")
        survivor = swarm.named("m3")
        survivor.stop()
        swarm.add_manager("m4")  # of which the survivor does not know
        swarm.ctl("node", "demote", "manager")
        swarm.at("m2")
        wait_for(lambda: exactly(swarm.voters(), 2), "two managers")
        for name in "m2", "m4":
            swarm.named(name).words = without_joining(swarm.named(name).words)
        make_leader(swarm, "m4", "m2")
        swarm.named("m2").crash()
        swarm.named("m4").crash()
        swarm.at("m3")
        force(swarm, "m3")
        write(swarm, "b")
        # The old group comes back, and is led by the one it does not know.
        swarm.named("m2").start()
        swarm.named("m4").start()
        swarm.at("m4")
        wait_for(swarm.voters, "the old group has a leader")
        make_leader(swarm, "m4", "m2")
        wait_for(lambda: "wipe this one" in swarm.named("m4").text(),
                 "the old leader is refused")
        swarm.at("m3")
        write(swarm, "c")
        expect(notes(swarm) == ["a", "b", "c"], "notes: %s" % notes(swarm))
        since = survivor.text().split("forced a new cluster", 1)[1]
        expect("leads the swarm no more" not in since,
               "the survivor was disturbed")


def a_survivor_may_move_to_another_address():
    with Swarm() as swarm:
        three(swarm)
        write(swarm, "a")
        lose_all_but(swarm, "m2")
        survivor = swarm.named("m2")
        at = survivor.words.index("--listen-remote-api") + 1
        survivor.words[at] = "127.0.0.1:%d" % free_port()
        force(swarm, "m2")
        wait_for(lambda: swarm.nodes()["m2"].get("managerStatus", {})
                 .get("addr") == survivor.words[at], "its address is known")
        swarm.wait_node("m2", "READY")
        swarm.add_manager("m4")


def what_cannot_be_recovered_is_refused():
    with Swarm() as swarm:
        result = look(swarm, "nowhere")
        expect(result.code == 1, "exit code %d" % result.code)
        result.says("this node is in no swarm")
        expect(not os.path.exists(swarm.path("nowhere")), "it was made")
        swarm.refused("swarmd", "nowhere", "--force-new-cluster").says(
            "this node is in no swarm")
        swarm.worker("w1", program="swarmd").stop()
        look(swarm, "w1").says("this node is a worker")
        for words, why in (
                (["--dry-run"], "goes with --force-new-cluster"),
                (["--force-new-cluster", "--format", "json"],
                 "goes with --dry-run"),
                (["--force-new-cluster", "--dry-run", "--format", "xml"],
                 "text or json"),
                (["--force-new-cluster", "--join-addr", swarm.address],
                 "exclude each other")):
            result = run(tool("swarmd"), "--state-dir", swarm.path("x"),
                         *words)
            expect(result.code == 2, "exit code %d" % result.code)
            result.says(why)


main([
    the_survivor_goes_on_with_all_that_was_acknowledged,
    a_dry_run_tells_what_would_happen_and_changes_nothing,
    what_may_have_been_acknowledged_is_kept,
    forcing_twice_does_no_harm,
    an_old_manager_is_refused_until_it_is_wiped,
    who_the_survivor_never_knew_is_not_heard,
    a_survivor_may_move_to_another_address,
    what_cannot_be_recovered_is_refused,
])
