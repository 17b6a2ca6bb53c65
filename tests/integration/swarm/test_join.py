# SPDX-License-Identifier: Apache-2.0

"""Who is let into a swarm, and what those who are not are told."""

import os
import shutil

from swarm import Swarm, expect, main, wait_for


def changed(token, part):
    """The token with the part after so many dashes made another one."""
    parts = token.split("-")
    last = parts[part][-1]
    parts[part] = parts[part][:-1] + ("1" if last != "1" else "2")
    return "-".join(parts)


def a_join_without_a_valid_token_is_refused_with_the_reason():
    with Swarm(drained=True) as swarm, Swarm(drained=True) as other:
        token = swarm.token()
        cases = [
            ("a secret nobody has", changed(token, 3), "valid join token"),
            ("another root's digest", changed(token, 2),
             "not the one of the join token"),
            ("garbage", "garbage", "invalid join token"),
            ("another version", token.replace("-1-", "-9-", 1),
             "invalid join token"),
            ("another swarm's", other.token(),
             "not the one of the join token"),
        ]
        for i, (why, text, says) in enumerate(cases):
            result = swarm.refused("swarm-agent", "w%d" % i, "--join-addr",
                                   swarm.address, "--join-token", text)
            expect(result.code == 1, "%s: exit code %d" % (why, result.code))
            result.says(says)
            if why != "garbage":
                expect(text not in result.err, "the token is in the log")
        expect(len(swarm.json("node", "ls")) == 1, "a node was let in")


def a_void_token_is_refused():
    with Swarm(drained=True) as swarm:
        old = swarm.token()
        swarm.ctl("cluster", "token", "--rotate", "worker")
        expect(swarm.token() != old, "the token is the same")
        result = swarm.refused("swarm-agent", "w", "--join-addr",
                               swarm.address, "--join-token", old)
        expect(result.code == 1, "exit code %d" % result.code)
        result.says("valid join token", "swarmctl cluster token worker")
        swarm.worker("w1")


def refused_with(swarm, name, token, *says):
    result = swarm.refused("swarm-agent", name, "--join-addr", swarm.address,
                           "--join-token", token)
    expect(result.code == 1, "exit code %d" % result.code)
    result.says(*says)


def a_token_for_one_node_lets_in_one_node():
    with Swarm(drained=True) as swarm:
        made = swarm.json("cluster", "token", "create", "--uses", "1",
                          "--label", "zone=a", "--description", "rack 7")
        token = made["joinToken"]
        swarm.worker("w1", token=token)
        refused_with(swarm, "w2", token,
                     "the join token is used up: it let in 1 of 1 nodes")
        expect(len(swarm.json("node", "ls")) == 2, "a second node was let in")
        node = swarm.json("node", "inspect", "w1")
        expect(node["spec"]["annotations"]["labels"] == {"zone": "a"},
               "labels: %r" % node["spec"])
        swarm.ctl("node", "inspect", "w1").says("Join token",
                                                made["token"]["id"])
        shown = swarm.ctl("cluster", "token", "ls")
        shown.says("used up", "1/1", "zone=a", "rack 7")
        expect(token not in shown.out, "the token is shown again")
        listed = swarm.json("cluster", "token", "ls")
        expect([t["id"] for t in listed] == [made["token"]["id"]], listed)
        expect((listed[0]["role"], listed[0]["state"], listed[0]["usesMax"],
                listed[0]["labels"]) == ("worker", "used up", 1, {"zone": "a"}),
               listed)
        expect(made["token"]["state"] == "valid" and
               made["token"]["description"] == "rack 7", made)
        swarm.worker("w3")  # by the token without limits


def of_many_at_once_it_lets_in_just_as_many_as_it_says():
    with Swarm(drained=True) as swarm:
        token = swarm.json("cluster", "token", "create", "--uses",
                           "3")["joinToken"]
        daemons = [swarm.daemon("swarm-agent", "w%d" % i, "--hostname",
                                "w%d" % i, "--join-addr", swarm.address,
                                "--join-token", token) for i in range(6)]
        swarm.daemons += daemons
        for daemon in daemons:
            daemon.start()
        wait_for(lambda: sum(not d.running() for d in daemons) == 3,
                 "three are refused")
        for daemon in daemons:
            if not daemon.running():
                expect("is used up: it let in 3 of 3" in daemon.text(),
                       daemon.text())
        wait_for(lambda: sum(n.get("status", {}).get("state") == "READY"
                             for n in swarm.json("node", "ls")) == 4,
                 "three are in")
        expect(len(swarm.json("node", "ls")) == 4, "others are listed")


def a_token_ends_when_it_says_or_when_it_is_removed():
    with Swarm(drained=True) as swarm:
        short = swarm.ctl("cluster", "token", "create", "-q", "--ttl",
                          "1s").out.strip()
        removed = swarm.json("cluster", "token", "create", "--ttl", "24h",
                             "--role", "worker")
        wait_for(lambda: "expired" in swarm.ctl("cluster", "token", "ls").out,
                 "the token ends")
        refused_with(swarm, "w1", short, "the join token expired at 20")
        swarm.ctl("cluster", "token", "rm", removed["token"]["id"])
        refused_with(swarm, "w2", removed["joinToken"], "valid join token")
        swarm.ctl("cluster", "token", "rm", "no-such-token", code=3).says(
            "join token no-such-token not found")
        last = swarm.json("cluster", "token", "create")["token"]["id"]
        said = swarm.ctl("cluster", "token", "rm", "no-such-token", last[:9],
                         code=3)
        expect(said.out == last[:9] + "\n", "by the ID's beginning: " +
               said.out)
        expect(last not in swarm.ctl("cluster", "token", "ls", "-q").out,
               "it is still there")
        expect(len(swarm.json("node", "ls")) == 1, "a node was let in")


def a_fresh_worker_needs_a_token_and_an_address():
    with Swarm(drained=True) as swarm:
        result = swarm.refused("swarm-agent", "w", "--join-addr",
                               swarm.address)
        expect(result.code == 1, "exit code %d" % result.code)
        result.says("in no swarm yet", "join token")
        result = swarm.refused("swarm-agent", "w", "--join-token",
                               swarm.token())
        expect(result.code == 1, "exit code %d" % result.code)
        result.says("no manager is known", "address")


def an_agent_alone_refuses_to_be_a_manager():
    with Swarm(drained=True) as swarm:
        result = swarm.refused("swarm-agent", "swarm-agent", "--join-addr",
                               swarm.address, "--join-token",
                               swarm.token("manager"))
        expect(result.code == 1, "exit code %d" % result.code)
        result.says("manager", "token for workers")
        expect(not os.path.exists(
            swarm.path("swarm-agent", "certificates", "swarm-node.crt")),
            "a manager's certificate was kept")


def swarmd_with_a_token_joins_as_a_worker_and_stays_one():
    with Swarm(drained=True) as swarm:
        worker = swarm.worker("w1", program="swarmd")
        worker.stop()
        worker.words = [w for w in worker.words
                        if w not in ("--join-token", "--join-addr") and
                        not w.startswith("SWMTKN") and w != swarm.address]
        swarm.wait_node("w1", "DOWN")
        worker.start()
        swarm.wait_node("w1", "READY")


def who_is_in_already_says_that_it_needs_no_token():
    with Swarm(drained=True) as swarm:
        manager = swarm.add_manager("m2")
        worker = swarm.worker("w1")
        for node in (manager, worker):
            expect("the join token is not used" not in node.text(),
                   node.text())
            node.stop()
            node.start()
            wait_for(lambda: "the join token is not used: this is node" in
                     node.text(), node.name + " says so")
            expect("empty the state directory" not in node.text(),
                   node.text())
        worker.stop()
        worker.words = [changed(w, 2) if w.startswith("SWMTKN") else w
                        for w in worker.words]
        worker.start()
        wait_for(lambda: "the token is not one for its present root" in
                 worker.text(), "it says that the token is another swarm's")
        swarm.wait_node("w1", "READY")


def a_worker_of_another_swarm_is_refused_and_says_so():
    with Swarm(drained=True) as swarm, Swarm(drained=True) as other:
        worker = other.worker("stranger")
        worker.stop()
        os.remove(os.path.join(worker.state, "managers"))
        worker.words[worker.words.index(other.address)] = swarm.address
        worker.start()
        wait_for(lambda: "certificate" in worker.text() or
                 not worker.running(), "the stranger says why")
        expect(len(swarm.json("node", "ls")) == 1, "a node was let in")
        expect(swarm.address in worker.text(), "the manager is not named")
        if worker.running():
            worker.stop()


def damaged_credentials_are_refused_with_file_and_remedy():
    with Swarm(drained=True) as swarm:
        worker = swarm.worker("w1")
        stranger = swarm.worker("w2")
        worker.stop()
        stranger.stop()
        certificate = os.path.join(worker.state, "certificates",
                                   "swarm-node.crt")
        key = os.path.join(worker.state, "certificates", "swarm-node.key")
        for path, data in ((certificate, b"-----BEGIN CERTIFICATE-----\nAA"),
                           (key, b""), (key, None)):
            shutil.copy(path, swarm.path("kept"))
            if data is None:
                shutil.copy(os.path.join(stranger.state, "certificates",
                                         "swarm-node.key"), path)
            else:
                with open(path, "wb") as f:
                    f.write(data)
            worker.start()
            code = worker.wait()
            expect(code == 1, "%s: exit code %d" % (path, code))
            last = worker.text().splitlines()[-1]
            expect(os.path.join(worker.state, "certificates") in last,
                   "the place is not named: " + last)
            shutil.copy(swarm.path("kept"), path)
        worker.start()
        swarm.wait_node("w1", "READY")


main([
    a_join_without_a_valid_token_is_refused_with_the_reason,
    a_void_token_is_refused,
    a_token_for_one_node_lets_in_one_node,
    of_many_at_once_it_lets_in_just_as_many_as_it_says,
    a_token_ends_when_it_says_or_when_it_is_removed,
    a_fresh_worker_needs_a_token_and_an_address,
    an_agent_alone_refuses_to_be_a_manager,
    swarmd_with_a_token_joins_as_a_worker_and_stays_one,
    who_is_in_already_says_that_it_needs_no_token,
    a_worker_of_another_swarm_is_refused_and_says_so,
    damaged_credentials_are_refused_with_file_and_remedy,
])
