# SPDX-License-Identifier: Apache-2.0

"""Nodes that run only what operators signed, whatever managers say."""

import json
import os
import time

from swarm import (Swarm, alive, exactly, expect, main, run, state_of, tool,
                   wait_for, workloads)


def key(swarm, name):
    """A new key; what nodes trust is name.pub."""
    path = swarm.path(name)
    done = run(tool("swarmctl"), "spec", "keygen", "--out", path)
    expect(done.code == 0, done.err)
    return path, done.out.strip()


def swarm_of_signers(swarm):
    """A worker that trusts a key, and no other node for tasks."""
    path, key_id = key(swarm, "alice")
    worker = swarm.worker("w1", "--trust", path + ".pub")
    return path, key_id, worker


def errors(swarm, service):
    return [t.get("status", {}).get("err", "") for t in swarm.tasks(service)]


def wait_error(swarm, service, text):
    return wait_for(lambda: [e for e in errors(swarm, service) if text in e],
                    "a task of %s says %r: %s" %
                    (service, text, errors(swarm, service)))


def spec_of(swarm, service):
    return swarm.json("service", "inspect", service)["spec"]


def write_json(swarm, name, value):
    path = swarm.path(name)
    with open(path, "w") as f:
        json.dump(value, f)
    return path


def a_signed_service_runs_is_scaled_and_is_changed():
    with Swarm(drained=True) as swarm:
        path, key_id, _ = swarm_of_signers(swarm)
        first = swarm.create("web", "--sign", path, count=2)
        expect(len(first) == 2, "not two processes")
        swarm.ctl("service", "inspect", "web").says("of key " + key_id)
        swarm.ctl("service", "scale", "web=3")
        expect(set(first) < set(workloads(swarm.mark("web"))),
               "scaling restarted processes")
        swarm.ctl("service", "update", "--sign", path, "--env", "A=1", "web")
        swarm.wait_live("web", 3)
        expect(not any(alive(pid) for pid in first), "nothing was replaced")
        swarm.ctl("service", "update", "--force", "web")
        swarm.wait_live("web", 3)


def a_changed_spec_needs_another_signature():
    with Swarm(drained=True) as swarm:
        path, _, _ = swarm_of_signers(swarm)
        swarm.create("web", "--sign", path)
        swarm.ctl("service", "update", "--env", "A=1", "web",
                  code=1).says("sign the change", "--sign KEY", "--unsign")
        swarm.ctl("service", "update", "--detach", "--unsign", "--env", "A=1",
                  "web")
        wait_for(lambda: any(
            "not satisfied" in e or "signature" in e or "signed" in e
            for e in errors(swarm, "web")), "the unsigned task says why")
        swarm.ctl("service", "update", "--detach", "--rollback", "web")
        swarm.wait_live("web", 1)


def what_was_tampered_with_is_refused_and_says_so():
    with Swarm(drained=True) as swarm:
        path, key_id, _ = swarm_of_signers(swarm)
        swarm.create("web", "--sign", path)
        spec = spec_of(swarm, "web")
        spec["annotations"]["name"] = "other"
        first, *rest = swarm.sleeper("other")
        spec["task"]["container"].update(command=[first], args=rest)
        swarm.ctl("service", "create", "--detach", "--spec",
                  write_json(swarm, "other.json", spec))
        wait_error(swarm, "other", "signature of key %s is not of this spec: "
                   "it was changed after it was signed" % key_id[:16])
        rejected = [t for t in swarm.tasks("other")
                    if state_of(t) == "REJECTED"]
        expect(rejected, "no task is REJECTED")
        swarm.ctl("service", "ps", "--all", "other").says("changed after")
        expect(not workloads(swarm.mark("other")), "it ran")
        # It is tried again, but not at once.
        count = len(swarm.tasks("other"))
        time.sleep(2)
        expect(len(swarm.tasks("other")) <= count + 3, "it is tried for ever")
        expect(len(workloads(swarm.mark("web"))) == 1, "the good one suffers")


def a_spec_is_checked_before_it_is_sent():
    with Swarm(drained=True) as swarm:
        path, key_id, _ = swarm_of_signers(swarm)
        trust = ("--trust", path + ".pub")
        swarm.create("web", "--sign", path, *trust)
        spec = spec_of(swarm, "web")
        spec["annotations"]["name"] = "other"
        file = write_json(swarm, "other.json", spec)
        create = ("service", "create", "--detach", "--spec", file)
        swarm.ctl(*create, *trust, code=5).says(
            "nothing is changed", "changed after it was signed")
        # Here, too: the manager sees another spec with another signature.
        swarm.ctl("service", "update", "--detach", "--spec", file, *trust,
                  "web", code=5).says("changed after it was signed")
        swarm.ctl("service", "create", "--detach", "--name", "plain", *trust,
                  "--", "true", code=5).says("not signed")
        swarm.ctl(*create, "--trust", swarm.path("none"), code=1).says(
            "No such file")
        elsewhere = swarm.ctl("spec", "sign", "--key", path, "--swarm", "far",
                              file)
        swarm.ctl("service", "create", "--detach", "--spec", write_json(
            swarm, "far.json", json.loads(elsewhere.out)), *trust,
            code=5).says("is for another swarm")

        # What flags change is not signed any more, whoever knows the keys.
        good = json.loads(swarm.ctl("spec", "sign", "--key", path, file).out)
        file = write_json(swarm, "good.json", good)
        create = ("service", "create", "--detach", "--spec", file)
        swarm.ctl(*create, "--env", "A=1", code=2).says(
            "the flags change what is signed", "--sign")
        swarm.ctl("service", "update", "--detach", "--spec", file, "--env",
                  "A=1", "web", code=2).says("the flags change")
        expect([s["spec"]["annotations"]["name"]
                for s in swarm.json("service", "ls")] == ["web"],
               "something was sent")
        bob, _ = key(swarm, "bob")
        swarm.ctl(*create, "--name", "third", "--env", "A=1", "--sign", bob)
        expect(len(spec_of(swarm, "third")["signatures"]) == 1,
               "a signature of something else is kept")
        swarm.ctl(*create, "--replicas", "2", "--restart-delay", "0s", *trust)
        swarm.wait_live("other", 2)
        swarm.ctl("service", "update", "--detach", "--unsign", "--env", "B=1",
                  "other")
        swarm.ctl("service", "update", "--detach", "--rollback", *trust,
                  "other")
        swarm.ctl("service", "update", "--detach", "--rollback", *trust,
                  "other", code=5).says("not signed")


def keys_and_signatures_are_told_in_json():
    with Swarm(drained=True) as swarm:
        alice = swarm.path("alice")
        made = swarm.json("spec", "keygen", "--out", alice)
        expect(made["privateKey"] == alice and
               made["publicKey"] == alice + ".pub" and
               len(made["keyId"]) == 64, made)
        swarm.ctl("service", "create", "--detach", "--name", "web", "--sign",
                  alice, "--", "true")
        spec = spec_of(swarm, "web")
        verify = ("--format", "json", "spec", "verify", "--trust",
                  alice + ".pub")
        found = swarm.ctl(*verify, write_json(swarm, "web.json", spec))
        expect(json.loads(found.out) ==
               {"verified": True, "keyId": made["keyId"]}, found.out)
        spec["annotations"]["name"] = "other"
        found = swarm.ctl(*verify, write_json(swarm, "web.json", spec), code=5)
        told = json.loads(found.out)
        expect(told["verified"] is False and
               "changed after it was signed" in told["reason"], told)
        found = swarm.ctl(*verify[:-1], swarm.path("none"),
                          swarm.path("web.json"), code=1)
        expect(found.out == "", "a verdict without keys: " + found.out)


def errors_name_the_file_that_is_wrong():
    with Swarm(drained=True) as swarm:
        alice, _ = key(swarm, "alice")
        swarm.ctl("service", "create", "--name", "web", "--sign",
                  alice + ".pub", "--", "true", code=1).says(
                      alice + ".pub holds a public key")
        good = write_json(swarm, "good.json", {"annotations": {"name": "x"}})
        swarm.ctl("spec", "verify", "--trust", alice, good, code=1).says(
            alice + ": something else than public keys")
        for value, says in (
                ({"spec": {"annotations": {"nam": "x"}}},
                 "JSON: spec.annotations.nam: there is no such field"),
                ({"annotations": {"nam": "x"}},
                 "JSON: annotations.nam: there is no such field")):
            bad = write_json(swarm, "bad.json", value)
            swarm.ctl("spec", "sign", "--key", alice, "--any-swarm", bad,
                      code=1).says("%s: %s" % (bad, says))
            swarm.ctl("service", "create", "--spec", bad, code=1).says(
                "%s: %s" % (bad, says))


def foreign_swarms_and_ended_signatures_do_not_count():
    with Swarm(drained=True) as swarm:
        path, _, _ = swarm_of_signers(swarm)
        swarm.create_detached("far", "--sign", path, "--swarm", "elsewhere")
        wait_error(swarm, "far", "is for another swarm")
        swarm.create_detached("brief", "--sign", path, "--valid-for", "2s")
        swarm.wait_live("brief", 1)
        time.sleep(3)
        before = workloads(swarm.mark("brief"))
        expect(len(before) == 1, "the end of the signature stopped the task")
        os.kill(before[0], 9)
        wait_error(swarm, "brief", "expired on 20")
        swarm.create_detached("free", "--sign", path, "--any-swarm")
        swarm.wait_live("free", 1)


def the_agent_restarts_and_keys_are_withdrawn():
    with Swarm(drained=True) as swarm:
        path, _, worker = swarm_of_signers(swarm)
        before = swarm.create("web", "--sign", path)
        worker.stop()
        worker.start()
        swarm.wait_node("w1", "READY")
        swarm.wait_live("web", 1)
        expect(workloads(swarm.mark("web")) == before, "it was restarted")
        # Another key in the file, and nothing may go on running.
        other, _ = key(swarm, "bob")
        worker.stop()
        os.replace(other + ".pub", path + ".pub")
        worker.start()
        wait_for(lambda: not workloads(swarm.mark("web")), "it is stopped")
        wait_error(swarm, "web", "not signed by a trusted key")
        expect([t for t in swarm.tasks("web") if state_of(t) == "FAILED"],
               "no task FAILED")
        swarm.ctl("service", "update", "--detach", "--sign", other, "web")
        swarm.wait_live("web", 1)


def another_leader_keeps_signatures():
    with Swarm(drained=True) as swarm:
        swarm.add_manager("m2")
        swarm.add_manager("m3")
        wait_for(lambda: exactly(swarm.voters(), 3), "three managers")
        swarm.ctl("node", "drain", "m2")
        swarm.ctl("node", "drain", "m3")
        path, _, _ = swarm_of_signers(swarm)
        before = swarm.create("web", "--sign", path, count=2)
        old = swarm.leader()
        swarm.at(swarm.others(old)[0])
        swarm.named(old).crash()
        swarm.wait_led_by_another(old)
        swarm.ctl("service", "scale", "web=3")
        after = wait_for(lambda: exactly(workloads(swarm.mark("web")), 3),
                         "a third process")
        expect(set(before) < set(after), "processes were restarted")
        os.kill(before[0], 9)
        wait_for(lambda: len(workloads(swarm.mark("web"))) == 3 and
                 before[0] not in workloads(swarm.mark("web")),
                 "a successor of a task that ended")


def a_manager_that_trusts_keys_runs_only_what_is_signed():
    with Swarm() as swarm:
        path, _ = key(swarm, "alice")
        swarm.manager.stop()
        swarm.manager.words += ["--trust", path + ".pub"]
        swarm.again(swarm.manager)
        swarm.create_detached("plain")
        swarm.create("web", "--sign", path)
        wait_for(lambda: any(errors(swarm, "plain")), "it says why it waits")
        expect(not workloads(swarm.mark("plain")), "it ran")


def files_without_good_keys_are_refused():
    with Swarm() as swarm:
        path, _ = key(swarm, "alice")
        join = ["--join-addr", swarm.address, "--join-token", swarm.token()]
        swarm.refused("swarm-agent", "w1", "--trust", path,
                      *join).says(
                          "trusted keys: %s: something else than public keys" %
                          path)
        swarm.refused("swarm-agent", "w2", "--trust", swarm.path("none"),
                      *join).says("No such file")
        os.mkdir(swarm.path("keys"))
        swarm.refused("swarm-agent", "w3", "--trust", swarm.path("keys"),
                      *join).says("no file *.pem or *.pub in it")
        os.replace(path + ".pub", swarm.path("keys", "alice.pub"))
        # Of several files the one that is wrong is named.
        bad = swarm.path("keys", "bad.pem")
        with open(bad, "w") as f:
            f.write("-----BEGIN PUBLIC KEY-----\n@@@@\n")
        swarm.refused("swarm-agent", "w4", "--trust", swarm.path("keys"),
                      *join).says("trusted keys: %s: " % bad)
        with open(bad, "w") as f:
            f.write("no key\n")
        swarm.refused("swarm-agent", "w4", "--trust", bad, *join).says(
            "trusted keys: %s: " % bad)
        os.unlink(bad)
        swarm.worker("w4", "--trust", swarm.path("keys"))


main([a_signed_service_runs_is_scaled_and_is_changed,
      a_changed_spec_needs_another_signature,
      what_was_tampered_with_is_refused_and_says_so,
      a_spec_is_checked_before_it_is_sent,
      keys_and_signatures_are_told_in_json,
      errors_name_the_file_that_is_wrong,
      foreign_swarms_and_ended_signatures_do_not_count,
      the_agent_restarts_and_keys_are_withdrawn,
      another_leader_keeps_signatures,
      a_manager_that_trusts_keys_runs_only_what_is_signed,
      files_without_good_keys_are_refused])
