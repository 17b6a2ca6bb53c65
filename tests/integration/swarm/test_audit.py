# SPDX-License-Identifier: Apache-2.0

"""The audit log: who did what with which outcome, and that it is kept."""

import json
import os
import shutil
import threading

from small_disk import SmallDisk
from swarm import (Swarm, exactly, expect, main, run, tool, wait_for)

REFUSED = "PERMISSION_DENIED"


def records(swarm, name="manager", *flags):
    """What the node of that name has recorded; the log must be intact."""
    result = run(tool("swarmctl"), "--format", "json", "audit", "ls", *flags,
                 swarm.path(name))
    expect(result.code == 0, "audit ls: %s" % result.err)
    return json.loads(result.out)


def only(found, what):
    expect(len(found) == 1, "%d records of %s: %s" % (len(found), what, found))
    return found[0]


def with_fields(found, **fields):
    return [r for r in found
            if all(r.get(name) == value for name, value in fields.items())]


def verify(swarm, *flags, name="manager"):
    return run(tool("swarmctl"), "audit", "verify", *flags, swarm.path(name))


def head(swarm, *flags):
    return run(tool("swarmctl"), "audit", "head", *flags,
               swarm.path("manager")).out.strip()


def certificate(swarm, name, node="manager"):
    return swarm.path(node, "certificates", name)


def write(swarm, name, code=0):
    with open(swarm.path("note"), "w") as f:
        f.write("the words of the note")
    swarm.ctl("config", "create", "--file", swarm.path("note"), name,
              code=code)


def log_file(swarm, name="manager"):
    return swarm.path(name, "audit", "audit-00000001.log")


# -- Who did what -------------------------------------------------------------

def a_change_names_its_caller_and_its_outcome():
    with Swarm() as swarm:
        write(swarm, "a")
        write(swarm, "a", code=4)
        swarm.ctl("config", "rm", "a")
        found = records(swarm)
        created = only(with_fields(found, type="change", kind="config",
                                   action="create"), "the creation")
        removed = only(with_fields(found, type="change", kind="config",
                                   action="delete"), "the removal")
        for change in created, removed:
            expect(change["actor"] == "control" and change["name"] == "a" and
                   change["outcome"] == "committed", str(change))
            call = only(with_fields(found, type="call", call=change["call"]),
                        "its call")
            expect(call["actor"] == "local" and call["uid"] == os.geteuid() and
                   call["pid"] > 0 and call["outcome"] == "done", str(call))
            expect(call["request"] in change["request"], str(change))
        refused = only(with_fields(found, status="ALREADY_EXISTS"),
                       "the refusal")
        expect(refused["outcome"] == "refused" and refused["name"] == "a" and
               "exists" in refused["text"], str(refused))
        with open(log_file(swarm)) as f:
            expect("the words of the note" not in f.read(), "content leaked")


def components_are_told_apart():
    with Swarm() as swarm:
        swarm.create("web")
        found = with_fields(records(swarm), type="change", kind="task")
        actors = [r["actor"] for r in found]
        for actor in "orchestrator", "allocator", "scheduler", "dispatcher":
            expect(actor in actors, "no change by %s: %s" % (actor, actors))


def call_as(swarm, node, *method):
    certificates = [swarm.path(node, "certificates", name) for name in
                    ("swarm-root-ca.crt", "swarm-node.crt", "swarm-node.key")]
    if node != "w1":
        certificates = certificates[:1]
    return run(os.environ["SWARM_CALL"], "tcp://" + swarm.address, *method,
               *certificates)


def those_who_are_refused_are_recorded():
    with Swarm() as swarm:
        swarm.worker("w1")
        worker = swarm.nodes()["w1"]["id"]
        method = "/docker.swarmkit.v1.Control/ListNodes"
        call_as(swarm, "w1", method, "0").says("Permission denied")
        call_as(swarm, "manager", method, "0").says("Permission denied")
        call_as(swarm, "w1", "/docker.swarmkit.v1.Control/Conjure",
                "0").says("unknown method")
        raft = "/docker.swarmkit.v1.Raft/ResolveAddress"
        call_as(swarm, "w1", raft, "0").says("Permission denied")
        found = with_fields(records(swarm), type="call", outcome="refused")
        by_worker = only(with_fields(found, method=method, actor=worker),
                         "the worker")
        expect(by_worker["role"] == "worker" and
               by_worker["status"] == REFUSED and
               by_worker["address"].startswith("127.0.0.1:"), str(by_worker))
        only(with_fields(found, method=method, actor="anonymous",
                         status=REFUSED), "nobody")
        only(with_fields(found, method=raft, actor=worker, status=REFUSED),
             "the call of raft")
        only(with_fields(found, actor=worker, status="UNIMPLEMENTED"),
             "the unknown method")


def each_manager_has_every_change_and_calls_name_who_passed_them_on():
    with Swarm() as swarm:
        swarm.add_manager("m2")
        swarm.add_manager("m3")
        wait_for(lambda: exactly(swarm.voters(), 3), "three managers")
        passer = swarm.others(swarm.leader())[0]
        leader = swarm.leader()
        passer_id = swarm.nodes()[passer]["id"]
        swarm.at(passer)
        write(swarm, "a")
        call = only(with_fields(records(swarm, leader), type="call",
                                name="a"), "the call")
        expect(call["by"] == passer_id and call["actor"] == passer_id and
               call["address"].startswith("local"), str(call))
        for name in "manager", "m2", "m3":
            change = wait_for(
                lambda: with_fields(records(swarm, name), type="change",
                                    kind="config"), "the change at " + name)
            expect(only(change, name)["actor"] == "control", str(change))


def what_is_recorded_can_be_chosen():
    with Swarm() as swarm:
        manager = swarm.manager
        manager.stop()
        manager.words += ["--audit", "calls"]
        swarm.again(manager)
        count = len(records(swarm))
        write(swarm, "a")
        found = records(swarm)[count:]
        only(with_fields(found, type="call", name="a"), "the call")
        expect(not with_fields(found, type="change"), "changes are recorded")
        manager.stop()
        manager.words[-1] = "off"
        swarm.again(manager)
        count = len(records(swarm))
        write(swarm, "b")
        expect(len(records(swarm)) == count, "it is recorded all the same")


# -- That it is kept ----------------------------------------------------------

def a_manager_that_is_killed_loses_no_record_of_what_it_answered():
    with Swarm() as swarm:
        done = []
        ended = threading.Event()

        def write_on():
            while not ended.is_set():
                name = "n%d" % len(done)
                with open(swarm.path("text"), "w") as f:
                    f.write(name)
                result = swarm.try_ctl("config", "create", "--file",
                                       swarm.path("text"), name)
                if result.code != 0:
                    return
                done.append(name)

        writer = threading.Thread(target=write_on)
        writer.start()
        wait_for(lambda: len(done) >= 10, "ten notes")
        swarm.manager.crash()
        ended.set()
        writer.join()
        expect(verify(swarm).code == 0, "the log is damaged")
        swarm.again(swarm.manager)
        found = records(swarm)
        expect(with_fields(found, type="start", before="crashed"),
               "the crash is not recorded")
        names = [r.get("name") for r in
                 with_fields(found, type="call", outcome="done")]
        expect(set(done) <= set(names), "records are missing")
        changes = [r["object"] for r in
                   with_fields(found, type="change", kind="config")]
        expect(len(changes) == len(set(changes)), "changes are there twice")


def tampering_is_found(what, change, *words):
    with Swarm() as swarm:
        write(swarm, "a")
        write(swarm, "b")
        swarm.manager.stop()
        expect(verify(swarm).code == 0, "not intact before")
        with open(log_file(swarm)) as f:
            lines = f.readlines()
        change(swarm, lines)
        with open(log_file(swarm), "w") as f:
            f.writelines(lines)
        result = verify(swarm)
        expect(result.code == 1, what + " is not found: " + result.out)
        result.says(*words)
        swarm.manager.start()  # and goes on
        wait_for(lambda: swarm.leads(swarm.manager), "the manager leads")
        expect(verify(swarm).code == 1, what + " is forgotten")


def an_altered_record_is_found():
    def change(swarm, lines):
        at = next(i for i, line in enumerate(lines) if '"name":"a"' in line)
        lines[at] = lines[at].replace('"name":"a"', '"name":"z"')
    tampering_is_found("an altered record", change, "altered")


def a_removed_record_is_found():
    tampering_is_found("a removed record",
                       lambda swarm, lines: lines.pop(5),
                       "line 6: record 7: removed")


def a_missing_beginning_is_found():
    tampering_is_found("a missing beginning",
                       lambda swarm, lines: lines.pop(0),
                       "line 1: record 2: removed")


def reordered_records_are_found():
    def change(swarm, lines):
        lines[4], lines[5] = lines[5], lines[4]
    tampering_is_found("another order", change, "line 5: record 6: reordered")


def a_missing_end_is_found():
    def change(swarm, lines):
        del lines[-3:]
    tampering_is_found("a missing end", change, "truncated")


def a_head_that_was_kept_elsewhere_finds_what_the_node_key_could_hide():
    with Swarm() as swarm:
        swarm.manager.stop()
        shutil.copytree(swarm.path("manager", "audit"), swarm.path("earlier"))
        swarm.again(swarm.manager)
        write(swarm, "a")
        kept = head(swarm)
        swarm.manager.stop()
        expect(verify(swarm, "--expect", kept).code == 0, "not intact")
        shutil.rmtree(swarm.path("manager", "audit"))
        shutil.copytree(swarm.path("earlier"), swarm.path("manager", "audit"))
        expect(verify(swarm).code == 0, "sound by itself")
        verify(swarm, "--expect", kept).says("truncated")
        expect(verify(swarm, "--expect", "nonsense").code == 2, "usage")


# -- Who signed it ------------------------------------------------------------

def checkpoint(swarm):
    with open(swarm.path("manager", "audit", "checkpoint")) as f:
        return f.read()


def rotate(swarm):
    result = run(tool("swarmctl"), "-s", swarm.socket, "cluster", "ca",
                 "rotate", "--timeout", "60s", "--quiet", patience=90)
    expect(result.code == 0, "rotate: %s" % result.err)


def a_rotated_root_and_a_new_key_sign_on():
    with Swarm() as swarm:
        write(swarm, "a")
        old = swarm.path("old-roots")
        shutil.copy(certificate(swarm, "swarm-root-ca.crt"), old)
        before = checkpoint(swarm)
        rotate(swarm)
        wait_for(lambda: verify(swarm).code == 0, "the new certificate signs")
        with open(certificate(swarm, "swarm-node.crt")) as f:
            leaf = f.read().split("-----END")[0]
        expect(leaf in checkpoint(swarm) and leaf not in before, "another key")
        write(swarm, "b")
        expect(verify(swarm).code == 0, "not intact while it runs")
        swarm.manager.stop()
        expect(verify(swarm).code == 0, "not intact after the stop")
        swarm.again(swarm.manager)
        starts = with_fields(records(swarm), type="start")
        expect([r["before"] for r in starts] == ["none", "stopped"],
               str(starts))
        # The cross certificate leads to the old root as well.
        expect(verify(swarm, "--roots", old).code == 0, "under the old root")


def who_signed_is_not_known_without_roots():
    with Swarm() as swarm:
        swarm.worker("w1")
        swarm.manager.stop()
        shutil.copytree(swarm.path("manager", "audit"), swarm.path("copy"))
        roots = certificate(swarm, "swarm-root-ca.crt")
        for command in "verify", "head", "ls":
            alone = run(tool("swarmctl"), "audit", command, swarm.path("copy"))
            expect(alone.code == 8, "%s: %d" % (command, alone.code))
            alone.says("signatures not verified: who signed is not known")
            known = run(tool("swarmctl"), "audit", command, "--roots", roots,
                        swarm.path("copy"))
            expect(known.code == 0, "%s: %s" % (command, known.err))
        found = run(tool("swarmctl"), "audit", "verify", "--format", "json",
                    swarm.path("copy"))
        expect(json.loads(found.out)["signature"] == "unknown", found.out)
        with Swarm() as other:
            verify(swarm, "--roots",
                   certificate(other, "swarm-root-ca.crt")).says("altered")
        worker = run(tool("swarmctl"), "audit", "verify", "--roots", roots,
                     "--node", "w1", swarm.path("copy"))
        expect(worker.code == 1, "another node's log")
        worker.says("this is the log of node ")


# -- A disk without room ------------------------------------------------------

def with_small_disk(test, *flags):
    """Calls test(swarm, disk) where disks can be made."""
    with Swarm() as swarm:
        swarm.manager.stop()
        place = swarm.path("manager", "audit")
        shutil.rmtree(place)
        os.mkdir(place, 0o700)
        with SmallDisk(place) as disk:
            if not disk.is_there:
                print("             not tried: mounting is not permitted")
                return
            swarm.manager.words += flags
            swarm.again(swarm.manager)
            test(swarm, disk)
            swarm.manager.stop()
            expect(verify(swarm).code == 0, "not intact: " + verify(swarm).err)


def try_to_write(swarm, name):
    with open(swarm.path("note"), "w") as f:
        f.write("x")
    return swarm.try_ctl("config", "create", "--file", swarm.path("note"),
                         name)


def a_full_disk_stops_nothing_and_records_wait():
    def test(swarm, disk):
        disk.fill()
        for i in range(30):
            write(swarm, "n%d" % i)
        expect("records wait to be written: " in swarm.manager.text(),
               swarm.manager.text())
        disk.free()
        wait_for(lambda: "written again" in swarm.manager.text(), "room")
        names = [r.get("name") for r in
                 with_fields(records(swarm), type="call", outcome="done")]
        expect(all("n%d" % i in names for i in range(30)), str(names))
    with_small_disk(test)


def changes_are_refused_while_records_that_are_required_wait():
    def test(swarm, disk):
        write(swarm, "before")
        swarm.worker("w1")
        disk.fill()
        # The last page of the file may have room for some records.
        refused = wait_for(lambda: next(
            (r for r in (try_to_write(swarm, "n%d" % i) for i in range(30))
             if r.code != 0), None), "a refusal")
        expect(refused.code == 6, "exit status %d" % refused.code)
        refused.says("the audit log cannot be written")
        swarm.ctl("config", "ls").says("before")
        swarm.wait_node("w1", "READY")
        disk.free()
        wait_for(lambda: try_to_write(swarm, "after").code == 0, "room")
        found = with_fields(records(swarm), type="call", outcome="refused")
        expect(any("cannot be written" in r.get("text", "") for r in found),
               "no record of the refusal")
    with_small_disk(test, "--audit-required")


# -- The command --------------------------------------------------------------

def words_that_no_record_has_are_refused():
    with Swarm() as swarm:
        def ls(*flags):
            return run(tool("swarmctl"), "audit", "ls", *flags,
                       swarm.path("manager"))
        for flag, words in (("--outcome", ["committed", "PERMISSION_DENIED"]),
                            ("--actor", ["anonymous", "scheduler"])):
            refused = ls(flag, "bogus")
            expect(refused.code == 2, "%s: %d" % (flag, refused.code))
            refused.says('%s: "bogus"' % flag, *words)
            for word in words:
                expect(ls(flag, word).code == 0, word)
        expect(ls("--actor", swarm.nodes()["manager"]["id"]).code == 0, "an ID")
        expect(ls("--since", "yesterday").code == 2, "--since")
        expect(records(swarm, "manager", "--object", "nobody") == [], "no list")


def a_head_is_told_in_json_too():
    with Swarm() as swarm:
        swarm.manager.stop()
        told = json.loads(head(swarm, "--format", "json"))
        expect(told["head"] == head(swarm) and
               told["head"] == "%d:%s" % (told["last"], told["hash"]),
               str(told))
        said = verify(swarm).out
        expect(told["head"] in said and told["node"] in said, said)


def files_are_limited():
    with Swarm() as swarm:
        manager = swarm.manager
        manager.stop()
        manager.words += ["--audit-size", "64K", "--audit-keep", "2"]
        swarm.again(manager)
        with open(swarm.path("note"), "w") as f:
            f.write("x")
        old = head(swarm)
        for i in range(250):
            swarm.ctl("config", "create", "--file", swarm.path("note"),
                      "n%d" % i)
        names = sorted(n for n in os.listdir(swarm.path("manager", "audit"))
                       if n.startswith("audit-"))
        expect(len(names) == 2, str(names))
        expect(verify(swarm).code == 0, "not intact")
        result = verify(swarm, "--expect", old)
        expect(result.code == 1, "what it cannot know passes: " + result.out)
        result.says("whoever asks knows record", "the log begins at")
        os.unlink(swarm.path("manager", "audit", names[0]))
        verify(swarm).says("removed")


main([
    a_change_names_its_caller_and_its_outcome,
    components_are_told_apart,
    those_who_are_refused_are_recorded,
    each_manager_has_every_change_and_calls_name_who_passed_them_on,
    what_is_recorded_can_be_chosen,
    a_manager_that_is_killed_loses_no_record_of_what_it_answered,
    an_altered_record_is_found,
    a_removed_record_is_found,
    a_missing_beginning_is_found,
    reordered_records_are_found,
    a_missing_end_is_found,
    a_head_that_was_kept_elsewhere_finds_what_the_node_key_could_hide,
    a_rotated_root_and_a_new_key_sign_on,
    who_signed_is_not_known_without_roots,
    a_full_disk_stops_nothing_and_records_wait,
    changes_are_refused_while_records_that_are_required_wait,
    words_that_no_record_has_are_refused,
    a_head_is_told_in_json_too,
    files_are_limited,
])
