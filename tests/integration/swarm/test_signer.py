# SPDX-License-Identifier: Apache-2.0

"""Swarms whose CA's key is in a process of its own."""

import json
import os
import shutil
import subprocess
import time

from external_ca import Root
from signed_swarm import USER, Signer, SignedSwarm, key_of, found_in_files
from swarm import Swarm, expect, main, run, tool, wait_for

ASK = os.environ.get("SIGNER_ASK") or os.path.normpath(os.path.join(
    os.path.dirname(__file__),
    "../../../build/tests/integration/signer/signer_ask"))


def signed(records, call):
    return [r for r in records
            if r["call"] == call and r["outcome"] == "signed"]


def signed_as(signer, outcome):
    return [r for r in signer.records() if r["outcome"] == outcome]


def founding_and_joining_go_through_the_signer():
    with SignedSwarm() as swarm:
        swarm.worker("w1")
        swarm.add_manager("m2")
        records = swarm.signer.records()
        expect(len(signed(records, "CreateRoot")) == 1, records)
        issued = signed(records, "SignNode")
        ids = {n["id"]: n for n in swarm.json("node", "ls")}
        expect({r["nodeId"] for r in issued} == set(ids), records)
        expect(sorted(r["role"] for r in issued) ==
               ["manager", "manager", "worker"], records)
        expect(all(r["swarmId"] == issued[0]["swarmId"] and r["serial"] and
                   r["publicKey"] and r["uid"] == str(os.geteuid())
                   for r in issued), records)
        one, = swarm.signer.authorities()
        expect(one["used"], one)
        told = run(tool("swarm-signer"), "status", "--socket",
                   swarm.signer.socket)
        expect(told.code == 0, told.err)
        told.says("Swarm: " + issued[0]["swarmId"], one["fingerprint"],
                  "new nodes          3", "refused            0")
        expect(all(r["authority"] == one["fingerprint"] for r in records),
               records)

        # Neither log nor keys of a manager hold the CA's key.
        key = key_of(swarm.signer.state)
        for name in ("manager", "m2"):
            found = found_in_files(swarm.path(name), key)
            expect(not found, "in files of %s: %s" % (name, found))
        found = found_in_files(swarm.signer.state, key)
        expect(found, "the search finds nothing")


def promotion_and_demotion_show_the_old_certificate():
    with SignedSwarm() as swarm:
        node = swarm.plan_manager("w1", "--join-addr", swarm.address,
                                  "--join-token", swarm.token(), join=False)
        node.start()
        swarm.wait_node("w1", "READY")
        swarm.ctl("node", "promote", "w1")
        swarm.wait_voter("w1")
        node = swarm.nodes()["w1"]["id"]
        renewed = [r for r in signed(swarm.signer.records(), "SignNode")
                   if r["nodeId"] == node]
        expect([(r.get("previousRole"), r["role"]) for r in renewed] ==
               [(None, "worker"), ("worker", "manager")], renewed)


def the_root_is_rotated_without_its_key_in_a_manager():
    with SignedSwarm() as swarm:
        swarm.worker("w1")
        old, = swarm.signer.authorities()
        old_key = key_of(swarm.signer.state)
        before = len(swarm.signer.records())
        swarm.ctl("cluster", "ca").says("Signed by", swarm.signer.socket)
        swarm.ctl("cluster", "ca", "rotate").says(
            "is rotated", "swarm-signer export", swarm.signer.socket)
        new, = [a for a in swarm.signer.authorities()
                if a["fingerprint"] != old["fingerprint"]]
        expect(new["used"], new)
        swarm.ctl("cluster", "ca").says(new["fingerprint"])
        records = swarm.signer.records()[before:]
        expect([(r["call"], r["outcome"]) for r in records] ==
               [("CreateRoot", "signed"), ("CrossSign", "signed"),
                ("SignNode", "signed"), ("SignNode", "signed")], records)
        cross, renewals = records[1], records[2:]
        expect(cross["authority"] == old["fingerprint"], cross)
        expect(all(r["authority"] == new["fingerprint"] and
                   r["role"] == r["previousRole"] for r in renewals), renewals)

        # The old one is out of use: who joins now needs the new one alone.
        removed = old["fingerprint"]
        swarm.signer.tool("remove", removed[:1], code=1)
        swarm.signer.tool("remove", removed[:7], "--force", code=1)
        swarm.signer.tool("remove", removed[:8], code=1)
        expect(len(swarm.signer.authorities()) == 2, "one was removed")
        swarm.signer.tool("remove", "sha256:%s:%s" % (
            removed[:4].upper(), removed[4:8]), "--force").says(
            "removed %s and its key" % removed)
        wait_for(lambda: signed_as(swarm.signer, "removed"), "it is dropped")
        told = run(tool("swarm-signer"), "status", "--socket",
                   swarm.signer.socket)
        told.says("Removed\n  " + removed)
        swarm.worker("w2")
        for key in (old_key, key_of(swarm.signer.state)):
            found = found_in_files(swarm.path("manager"), key)
            expect(not found, "in the manager's files: %s" % found)


def a_swarm_that_has_its_key_moves_to_a_signer():
    with Swarm(drained=True) as swarm:
        swarm.worker("w1")
        signer = Signer(swarm, "signer")
        signer.tool("init")
        swarm.daemons.append(signer.start())
        swarm.manager.stop()
        swarm.manager.words += ["--signer", "unix:" + signer.socket]
        swarm.again(swarm.manager)
        swarm.worker("w2")  # by the key in the log, still
        expect("lies in the swarm's log" in swarm.manager.text(),
               "nothing is told of the key in the log")
        expect(not signer.records(), "the signer was asked")

        swarm.ctl("cluster", "ca").says("the key is in the swarm's log")
        # What the nodes have is made known to it, and the root is another.
        signer.tool("trust", swarm.path("manager", "certificates",
                                        "swarm-root-ca.crt"))
        swarm.ctl("cluster", "ca", "rotate").says("is rotated")
        swarm.worker("w3")
        one, = [a for a in signer.authorities() if a["hasKey"]]
        swarm.ctl("cluster", "ca").says(one["fingerprint"])
        ids = {n["id"] for n in swarm.json("node", "ls")}
        expect({r["nodeId"] for r in signed(signer.records(), "SignNode")} ==
               ids, signer.records())


def who_joins_while_the_signer_is_away_waits():
    with SignedSwarm() as swarm:
        swarm.signer.crash()
        worker = swarm.daemon("swarm-agent", "w1", "--hostname", "w1",
                              "--join-addr", swarm.address, "--join-token",
                              swarm.token())
        swarm.daemons.append(worker)
        worker.start()
        wait_for(lambda: "signer is not there" in swarm.manager.text(),
                 "the manager tells that the signer is away")
        waiting = wait_for(
            lambda: [n for n in swarm.json("node", "ls")
                     if n["certificate"]["status"].get("state") == "PENDING"],
            "a node waits")
        expect(len(waiting) == 1, waiting)
        # All three know why: the node, the operator, the manager.
        wait_for(lambda: "waits for its certificate, as node " +
                 waiting[0]["id"] in worker.text() and
                 "nothing listens there" in worker.text(),
                 "w1 says why it waits")
        swarm.ctl("node", "inspect", waiting[0]["id"]).says(
            "waits to be signed", "nothing listens there")
        time.sleep(5)
        expect(worker.text().count("waits for its certificate") == 1,
               worker.text())
        swarm.signer.start()
        swarm.wait_node("w1", "READY")
        expect(swarm.nodes()["w1"]["id"] == waiting[0]["id"],
               "it had to begin again")
        expect("New certificate" not in
               swarm.ctl("node", "inspect", "w1").out, "it waits still")


def a_join_that_crashed_goes_on_where_it_was():
    with SignedSwarm() as swarm:
        token = swarm.json("cluster", "token", "create", "--uses",
                           "1")["joinToken"]
        swarm.signer.crash()
        worker = swarm.daemon("swarm-agent", "w1", "--hostname", "w1",
                              "--join-addr", swarm.address, "--join-token",
                              token)
        swarm.daemons.append(worker)
        worker.start()
        wait_for(lambda: "waits for its certificate" in worker.text(),
                 "w1 waits")
        worker.crash()
        swarm.signer.start()
        worker.start()
        swarm.wait_node("w1", "READY")
        expect(len(swarm.json("node", "ls")) == 2, "another node was made")


def a_manager_that_lacks_its_signer_says_so():
    with SignedSwarm() as swarm:
        swarm.worker("w1")
        # Away: the words are the signer's, not those of an external CA.
        expect("Not signing" not in swarm.ctl("cluster", "ca").says(
            "Asked last         20").out, "it fails already")
        # An external CA of another root does not stand in for it.
        other = Root(swarm.path("other"))
        swarm.ctl("cluster", "update", "--external-ca",
                  "protocol=cfssl,url=https://localhost:1/,cacert=" +
                  other.cert)
        swarm.ctl("cluster", "ca").says("Asked last", "Not asked")
        swarm.signer.stop()
        # The manager finds out by itself, and that it is back.
        wait_for(lambda: "Not signing" in swarm.ctl("cluster", "ca").out,
                 "the manager notices that it is away")
        swarm.signer.start()
        wait_for(lambda: "Not signing" not in swarm.ctl("cluster", "ca").out,
                 "the manager notices that it is back")
        swarm.ctl("cluster", "update", "--external-ca", "none")
        swarm.signer.stop()
        result = swarm.ctl("cluster", "ca", "rotate", "--detach", code=1)
        result.says("nobody signs with the key of the current CA certificate",
                    "swarm-signer", swarm.signer.socket)
        expect("external" not in result.err, result.err)
        swarm.ctl("cluster", "ca").says("Not signing", "swarm-signer: ")
        swarm.manager.stop()
        at = swarm.manager.words.index("--signer")
        del swarm.manager.words[at:at + 2]
        swarm.again(swarm.manager)
        wait_for(lambda: "while it leads, nodes get no certificate; start "
                 "swarmd with --signer" in swarm.manager.text(), "it tells")
        swarm.ctl("cluster", "ca").says("started without --signer")
        found = swarm.json("cluster", "ca")
        expect(found["keyInLog"] is False and found["signer"] == "", found)
        result = swarm.ctl("cluster", "ca", "rotate", "--detach", code=1)
        result.says("the leading manager was started without --signer")


def a_rotation_tells_that_its_signer_is_away():
    with SignedSwarm() as swarm:
        worker = swarm.worker("w1")
        worker.crash()
        swarm.wait_node("w1", "DOWN")
        swarm.ctl("cluster", "ca", "rotate", "--detach")
        wait_for(lambda: [m["why"] for m in swarm.json("cluster", "ca")
                          ["rotation"]["missing"]] == ["down"],
                 "w1 alone is missing")
        swarm.signer.stop()
        worker.start()
        wait_for(lambda: "its certificate waits to be signed: swarm-signer: " in
                 swarm.ctl("cluster", "ca").says("w1").out, "it is told")
        swarm.ctl("cluster", "ca").says("Not signing")
        swarm.signer.start()
        swarm.ctl("cluster", "ca", "finish").says(
            "is rotated", "swarm-signer export")


def a_signer_that_has_lost_its_key_is_told_of():
    with SignedSwarm() as swarm:
        one, = swarm.signer.authorities()
        wait_for(lambda: swarm.json("cluster", "ca")["signerAskedAt"],
                 "it is asked")
        swarm.signer.tool("init", "--another")
        swarm.signer.tool("remove", one["fingerprint"], "--force")
        told = wait_for(lambda: swarm.json("cluster", "ca")["signerFailure"],
                        "the manager notices that the key is gone")
        expect("swarm-signer: " in told, told)
        swarm.ctl("cluster", "ca").says("Not signing", told)


def a_refusal_is_told_to_whoever_asked():
    with SignedSwarm() as swarm:
        swarm.signer.stop()
        swarm.signer.set_flags("--workers-only")
        swarm.signer.start()
        swarm.worker("w1")
        token = swarm.token("manager")
        result = swarm.refused("swarm-agent", "w2", "--join-addr",
                               swarm.address, "--join-token", token)
        expect(result.code == 1, "exit code %d" % result.code)
        result.says("this signer signs for workers alone")
        failed = [n for n in swarm.json("node", "ls")
                  if n["certificate"]["status"].get("state") == "FAILED"]
        expect(len(failed) == 1, failed)
        expect("swarm-signer: this signer signs for workers alone" in
               failed[0]["certificate"]["status"]["err"], failed)
        refused = [r for r in swarm.signer.records()
                   if r["outcome"] == "refused"]
        expect(len(refused) == 1 and refused[0]["role"] == "manager" and
               refused[0]["nodeId"] == failed[0]["id"], refused)


def who_waits_for_an_operator_can_be_stopped():
    with SignedSwarm("--approve-managers") as swarm:
        node = swarm.plan_manager("m2", "--join-addr", swarm.address,
                                  "--join-token", swarm.token("manager"),
                                  join=False)
        node.start()
        wait_for(lambda: "waits for its certificate" in node.text(),
                 "it says that it waits")
        node.stop()


def a_manager_is_what_an_operator_allows():
    with SignedSwarm("--approve-managers") as swarm:
        swarm.worker("w1")
        node = swarm.plan_manager("m2", "--join-addr", swarm.address,
                                  "--join-token", swarm.token("manager"),
                                  join=False)
        node.start()
        waiting, = wait_for(
            lambda: [r for r in swarm.signer.records()
                     if r["outcome"] == "refused"][:1], "it is refused")
        expect("swarm-signer allow " + waiting["nodeId"] in
               waiting["reason"], waiting)
        swarm.signer.tool("allow", waiting["nodeId"]).says("within 24 h")
        told = run(tool("swarm-signer"), "status", "--socket",
                   swarm.signer.socket)
        told.says("May become managers", waiting["nodeId"],
                  "approve managers   yes", "Nodes remembered: 2")
        told = run(tool("swarm-signer"), "status", "--format", "json",
                   "--socket", swarm.signer.socket)
        expect(json.loads(told.out)["allowed"] == [waiting["nodeId"]],
               told.out)
        swarm.wait_voter("m2")
        swarm.signer.tool("allow", waiting["nodeId"], "--withdraw", code=1)
        told = run(tool("swarm-signer"), "status", "--socket",
                   swarm.signer.socket)
        expect("May become" not in told.out, told.out)


def a_promotion_that_nobody_signs_is_taken_back():
    with SignedSwarm("--approve-managers") as swarm:
        swarm.worker("w1", program="swarmd")
        swarm.ctl("node", "promote", "w1")
        wait_for(lambda: any(r["outcome"] == "refused"
                             for r in swarm.signer.records()), "it is refused")
        swarm.ctl("node", "demote", "w1")
        node = swarm.nodes()["w1"]
        swarm.signer.tool("allow", node["id"])
        # Whatever is signed for it from now on is a worker's.
        swarm.ctl("cluster", "ca", "rotate")
        roles = [r["role"] for r in swarm.signer.records()
                 if r.get("nodeId") == node["id"] and r["outcome"] == "signed"]
        expect(len(roles) >= 2 and set(roles) == {"worker"}, roles)
        expect(swarm.node_state("w1") == "READY", "w1 is lost")


def another_managers_signer_takes_over():
    with SignedSwarm() as swarm:
        password = swarm.path("password")
        with open(password, "w") as f:
            f.write("between two machines\n")
        os.chmod(password, 0o600)
        transfer = ["--transfer-password-file", password]
        pem = swarm.path("root.pem")
        with open(pem, "w") as f:
            f.write(swarm.signer.tool("export", *transfer).out)
        second = Signer(swarm, "signer2")
        # Only the directory: the root comes from the first one.
        os.mkdir(second.state, 0o700)
        if USER:
            run("chown", USER, second.state)
        swarm.signer.tool("export", code=1).says(
            "give --transfer-password-file")
        second.tool("import", pem, code=1).says(
            "give --transfer-password-file")
        second.tool("import", pem, *transfer)
        expect(second.authorities()[0]["used"], "it is given away as new")
        swarm.daemons.append(second.start())

        swarm.signer = second
        m2 = swarm.add_manager("m2")
        swarm.add_manager("m3")
        expect(not os.path.getsize(second.state + "/signatures.log"),
               "it signed for a manager that does not lead")
        swarm.manager.stop()
        swarm.at("m2")
        swarm.leader()
        swarm.address = "127.0.0.1:%d" % m2.port
        swarm.worker("w1")
        issued = signed(second.records(), "SignNode")
        expect([r["nodeId"] for r in issued] == [swarm.nodes()["w1"]["id"]],
               issued)


def another_root_is_not_made_by_mistake():
    with Swarm(drained=True) as swarm:
        signer = Signer(swarm, "signer")
        signer.tool("init")
        one, = signer.authorities()
        result = signer.tool("init", code=1)
        result.says("there is a root already, %s" % one["fingerprint"][:16],
                    "--another")
        expect(signer.authorities() == [one], "a second one was made")
        signer.tool("init", "--another")
        expect(len(signer.authorities()) == 2, "none was made")


def errors_name_the_file():
    with Swarm(drained=True) as swarm:
        signer = Signer(swarm, "signer")
        signer.tool("init")
        path = swarm.path("garbage.pem")
        with open(path, "w") as f:
            f.write("garbage\n")
        os.chmod(path, 0o600)
        for words in (["import", path], ["trust", path],
                      ["init", "--another", "--cert", path, "--key", path]):
            signer.tool(*words, code=1).says(path + ": ")
        name = os.path.join(signer.state,
                            signer.authorities()[0]["fingerprint"] + ".pem")
        with open(name) as f:
            text = f.read()
        with open(name, "w") as f:
            f.write(text[:len(text) // 2])
        result = run(*signer.words)
        expect(result.code == 1, "exit code %d" % result.code)
        result.says(name, "it is damaged")


def open_files_are_a_reason_not_to_start():
    with Swarm(drained=True) as swarm:
        signer = Signer(swarm, "signer")
        signer.tool("init")
        os.chmod(signer.state, 0o755)
        result = run(*signer.words)
        expect(result.code == 1, "exit code %d" % result.code)
        result.says("is open to others (mode 0755)", "chmod go=")
        os.chmod(signer.state, 0o700)
        name = os.listdir(signer.state)[0]
        os.chmod(os.path.join(signer.state, name), 0o604)
        result = run(*signer.words)
        expect(result.code == 1, "exit code %d" % result.code)
        result.says("is open to others (mode 0604)")


def wrong_usage_is_told():
    cases = [
        (["bogus"], "unknown command: bogus"),
        (["--bogus"], "unknown flag"),
        (["--socket"], "flag needs a value"),
        (["import"], "import takes FILE"),
        (["list", "more"], "list takes no arguments"),
        (["--new-per-hour", "0"], "not a number from 1"),
        (["--roots-per-hour", "-1"], "not a number from 1"),
        (["--longest-validity", "90"], "not a time such as 90d"),
        (["--clock-skew", "-5m"], "not a time such as 90d"),
        (["init", "--cert", "file"], "one needs the other"),
        (["remove", "root.pem"], "not a fingerprint: root.pem"),
        (["export", "0" * 65], "not a fingerprint"),
        (["list", "--format", "xml"], "neither text nor json"),
        (["allow", "manager2"], "not the ID of a node"),
        (["--log-level", "loud"], "none of debug"),
    ]
    for words, text in cases:
        result = run(tool("swarm-signer"), *words)
        expect(result.code == 2, "%s: exit code %d" % (words, result.code))
        result.says(text)
    result = run(tool("swarm-signer"), "remove", "--help")
    expect(result.code == 0, "exit code %d" % result.code)
    result.says("Usage: swarm-signer remove [FLAGS] FINGERPRINT", "--force")
    expect("--socket" not in result.out, result.out)
    result = run(tool("swarm-signer"), "bogus", "--help")
    expect(result.code == 2, "exit code %d" % result.code)
    result = run(tool("swarm-signer"), "run", "--state-dir", "/nonexistent/x")
    expect(result.code == 1, "exit code %d" % result.code)
    result.says("swarm-signer init")


def the_sandbox_holds():
    words = [tool("swarm-signer"), "check-sandbox"]
    result = run(*words, *(["--user", USER] if USER else []))
    missing = [line for line in result.out.splitlines()
               if line.startswith("NOT DENIED")]
    if missing and all("no Landlock" in line for line in missing):
        print("             this kernel has no Landlock")
        return
    expect(result.code == 0 and not missing, result.out + result.err)
    result.says("denied       open a file outside",
                "denied       open a TCP socket",
                "denied       run a program", "denied       trace a process",
                "allowed      write in its own directory")


def the_socket_lets_in_who_is_named():
    if USER is None:
        print("             only root can be somebody else")
        return
    with Swarm(drained=True) as swarm:
        signer = Signer(swarm, "signer", "--socket-group", "daemon",
                        "--allow-user", "daemon")
        signer.tool("init")
        swarm.daemons.append(signer.start())
        mode = os.stat(signer.socket)
        expect(mode.st_mode & 0o777 == 0o660, oct(mode.st_mode))

        # Where the programs were built others may not look.
        program = shutil.copy(ASK, swarm.path("ask"))

        def ask(user, group):
            return subprocess.run(
                [program, signer.socket, "root", "aswarm"], text=True,
                capture_output=True, user=user, group=group, extra_groups=[],
                timeout=60)
        done = ask("daemon", "daemon")
        expect(done.returncode == 0 and "CERTIFICATE" in done.stdout,
               done.stderr)
        # In the group, so that the socket opens, but not the user.
        done = ask("games", "daemon")
        expect(done.returncode != 0, "a stranger was served")
        # Neither: the file system says no.
        done = ask("games", "games")
        expect(done.returncode != 0 and "ermission denied" in done.stderr,
               done.stderr)
        uids = {r["uid"] for r in signer.records()}
        expect(len(uids) == 1 and "0" not in uids, uids)


if __name__ == "__main__":
    main([
        founding_and_joining_go_through_the_signer,
        promotion_and_demotion_show_the_old_certificate,
        the_root_is_rotated_without_its_key_in_a_manager,
        a_swarm_that_has_its_key_moves_to_a_signer,
        who_joins_while_the_signer_is_away_waits,
        a_manager_that_lacks_its_signer_says_so,
        a_rotation_tells_that_its_signer_is_away,
        a_signer_that_has_lost_its_key_is_told_of,
        a_join_that_crashed_goes_on_where_it_was,
        a_refusal_is_told_to_whoever_asked,
        who_waits_for_an_operator_can_be_stopped,
        a_manager_is_what_an_operator_allows,
        a_promotion_that_nobody_signs_is_taken_back,
        another_managers_signer_takes_over,
        another_root_is_not_made_by_mistake,
        errors_name_the_file,
        open_files_are_a_reason_not_to_start,
        wrong_usage_is_told,
        the_sandbox_holds,
        the_socket_lets_in_who_is_named,
    ])
