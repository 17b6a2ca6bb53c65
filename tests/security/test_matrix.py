# SPDX-License-Identifier: Apache-2.0

"""Every method of the table, by everybody, on every listener.

What has to come of it follows from the table of methods (lib/wire/methods.c)
and from who calls; nothing here names a method but to say how it is called.
"""

import base64
import os
import shutil
import tempfile

from attack import (ATTACKER, DAY, DENIED, MANAGER, OK, ROLE_MANAGER,
                    ROLE_WORKER, SERVED_NOT, UNARY, UNAVAILABLE, UNSERVED,
                    WORKER, Attacked, Talk, attacker, methods, openssl)
from swarm import expect, main, wait_for

NOBODY = 65534
TABLE = methods()


class Outcome:
    """Counts what was tried, and keeps what was wrong."""

    def __init__(self):
        self.counts = {}
        self.wrong = []

    def add(self, where, who, method, answer, as_expected):
        key = (where, who)
        served, denied, wrong = self.counts.get(key, (0, 0, 0))
        if not as_expected:
            self.wrong.append("%s as %s: %s: %s" %
                              (where, who, method.path, answer))
        self.counts[key] = (served + (not answer.denied()),
                            denied + answer.denied(),
                            wrong + (not as_expected))

    def report(self):
        total = 0
        for (where, who), (served, denied, wrong) in self.counts.items():
            total += served + denied
            print("  %-10s %-34s %3d let in, %3d denied, %d wrong" %
                  (where, who, served, denied, wrong))
        print("  %d calls of %d methods" % (total, len(TABLE)))
        expect(not self.wrong, "\n".join(self.wrong))


def let_in(answer):
    """The call got past the check of who may make it."""
    return answer.status != "down" and not (
        answer.status == DENIED and answer.text.startswith("Permission denied"))


def remote_as_expected(method, role, answer):
    """role: one of ROLE_*; 0 for nobody; None for one that is cast out."""
    if method.roles == 0:
        return let_in(answer)
    if role is None or not role & method.roles:
        return answer.denied() and "Permission denied" in answer.text
    if method.remote == SERVED_NOT:
        return answer.status == UNSERVED
    return let_in(answer)


def local_as_expected(method, answer):
    """The administrator may do all that is offered, but be no node."""
    if method.roles & ROLE_WORKER:
        return answer.denied()
    if method.local == SERVED_NOT:
        return answer.status == UNSERVED
    return let_in(answer)


def try_all(talk, where, who, outcome, judge, **options):
    expect(talk.connected(), "%s as %s: %s" % (where, who, talk.greeting))
    for method in TABLE:
        wait = 5000 if method.kind == UNARY else 250
        answer = talk.call(method.path, wait=wait, **options)
        outcome.add(where, who, method, answer, judge(method, answer))


def with_subject(swarm, subject, *extensions):
    """A certificate with any subject and extensions, of the swarm's CA."""
    prefix = tempfile.mktemp(dir=swarm.dir, prefix="odd-")
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            prefix + ".key", "-out", prefix + ".csr", "-subj", subject)
    with open(prefix + ".ext", "w") as f:
        f.write("\n".join(extensions or (
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            "extendedKeyUsage=serverAuth,clientAuth")) + "\n")
    openssl("x509", "-req", "-in", prefix + ".csr", "-CA", swarm.ca + ".crt",
            "-CAkey", swarm.ca + ".key", "-set_serial", "77", "-days", "5",
            "-sha256", "-extfile", prefix + ".ext", "-out", prefix + ".crt")
    return [swarm.roots, prefix + ".crt", prefix + ".key"]


def by_a_worker(swarm, node, role):
    """A certificate that a worker has signed with its own key."""
    worker = swarm.issue("w-signer", WORKER)
    prefix = tempfile.mktemp(dir=swarm.dir, prefix="by-worker-")
    files = swarm.issue(node, role)
    # Of that identity, but signed by the worker's key.
    openssl("req", "-new", "-key", files[2], "-out", prefix + ".csr", "-subj",
            "/O=%s/OU=%s/CN=%s" % (swarm.id, role, node))
    openssl("x509", "-req", "-in", prefix + ".csr", "-CA", worker[1], "-CAkey",
            worker[2], "-set_serial", "78", "-days", "5", "-sha256", "-out",
            prefix + ".crt")
    with open(prefix + ".crt", "a") as chain, open(worker[1]) as above:
        chain.write(above.read())
    return [swarm.roots, prefix + ".crt", files[2]]


def a_removed(swarm, role, files=True, remove=True):
    """The certificate of a node that has joined and was removed, or its ID."""
    prefix = tempfile.mktemp(dir=swarm.dir, prefix="removed-")
    attacker("csr", prefix)
    with open(prefix + ".csr", "rb") as f:
        csr = base64.b64encode(f.read()).decode()
    with swarm.talk([swarm.roots]) as talk:
        answer = talk.call("NodeCA/IssueNodeCertificate", {
            "csr": csr, "token": swarm.token(role.split("-")[1])})
    expect(answer.status == OK, answer)
    node = answer.messages[0]["nodeId"]
    if remove:
        swarm.ctl("node", "rm", "--force", node)
    return swarm.issue(node, role) if files else node


def people(swarm):
    """Who calls through the network: name, files, and what they may be; the
    word "refused" for those that TLS does not let in."""
    leader = swarm.node_id("manager")
    worker = swarm.node_id("w1")
    foreign = swarm.foreign_ca()
    elsewhere = "otherswarm000000000000000"
    return [
        ("nobody", [swarm.roots], 0),
        ("a worker", swarm.issue(worker, WORKER), ROLE_WORKER),
        ("a manager", swarm.issue("ghostmanager", MANAGER), ROLE_MANAGER),
        ("a removed worker", a_removed(swarm, WORKER), None),
        ("a removed manager", a_removed(swarm, MANAGER), None),
        ("a worker of another swarm",
         swarm.issue(worker, WORKER, swarm=elsewhere), None),
        ("a manager of another swarm",
         swarm.issue(leader, MANAGER, swarm=elsewhere), None),
        ("a foreign CA's manager",
         swarm.issue(leader, MANAGER, ca=foreign), "refused"),
        ("a foreign CA's worker",
         swarm.issue(worker, WORKER, ca=foreign), "refused"),
        ("an expired manager",
         swarm.issue(leader, MANAGER, -10 * DAY, DAY), "refused"),
        ("an expired worker",
         swarm.issue(worker, WORKER, -10 * DAY, DAY), "refused"),
        ("a manager of tomorrow",
         swarm.issue(leader, MANAGER, 2 * DAY, DAY), "refused"),
        ("a manager by a worker's hand",
         by_a_worker(swarm, leader, MANAGER), "refused"),
        ("a server that is no client", with_subject(
            swarm, "/O=%s/OU=%s/CN=%s" % (swarm.id, MANAGER, leader),
            "extendedKeyUsage=serverAuth"), "refused"),
        # Names that are none: the call is anybody's.
        ("without a role", with_subject(
            swarm, "/O=%s/CN=%s" % (swarm.id, leader)), None),
        ("without a swarm", with_subject(
            swarm, "/OU=%s/CN=%s" % (MANAGER, leader)), None),
        ("without a name", with_subject(
            swarm, "/O=%s/OU=%s" % (swarm.id, MANAGER)), None),
        ("worker and manager", with_subject(
            swarm, "/O=%s/OU=%s/OU=%s/CN=%s" % (swarm.id, WORKER, MANAGER,
                                                worker)), None),
        ("of two swarms", with_subject(
            swarm, "/O=%s/O=%s/OU=%s/CN=%s" % (swarm.id, elsewhere, MANAGER,
                                               leader)), None),
        ("of two names", with_subject(
            swarm, "/O=%s/OU=%s/CN=%s/CN=%s" % (swarm.id, MANAGER, leader,
                                                worker)), None),
        ("of the CA's own name", with_subject(
            swarm, "/O=%s/OU=%s/CN=%s" % (swarm.id, "swarm-ca", leader)),
         None),
    ]


def everybody_gets_what_the_table_says():
    outcome = Outcome()
    with Attacked(drained=True) as swarm:
        swarm.worker("w1")
        second = swarm.add_manager("m2")
        ports = {"leader": swarm.port, "follower": second.port}
        for who, files, role in people(swarm):
            for where, port in ports.items():
                at = "tcp://127.0.0.1:%d" % port
                with swarm.talk(files, at=at) as talk:
                    if role == "refused":
                        expect(not talk.connected(), who + " is let in")
                        continue
                    try_all(talk, where, who, outcome,
                            lambda m, a, r=role: remote_as_expected(m, r, a))
        for where, path in (("leader", swarm.socket),
                            ("follower", swarm.path("m2.sock"))):
            with swarm.talk(at="ipc://" + path) as talk:
                try_all(talk, where, "root at the control socket", outcome,
                        local_as_expected)
        outcome.report()
        swarm.ctl("node", "ls")


def among_managers(method):
    return method.path.split("/")[1].rsplit(".", 1)[1] in ("Raft", "Health")


def a_demoted_manager_rules_no_more():
    """With a certificate from before, which is good to its end. Only the leader
    is sure of a node's role; others do nothing for it but pass its calls on,
    and listen to members of the group, by their numbers in it. None listens to
    a number that it made up."""
    outcome = Outcome()

    def judge(method, answer):
        return (remote_as_expected(method, ROLE_WORKER, answer) or
                among_managers(method) or not answer.messages and
                answer.status in (UNAVAILABLE, UNSERVED))

    with Attacked(drained=True) as swarm:
        swarm.worker("w1")
        second = swarm.add_manager("m2")
        worker = swarm.node_id("w1")
        files = swarm.issue(worker, MANAGER)
        for where, port in (("leader", swarm.port), ("follower", second.port)):
            with swarm.talk(files, at="tcp://127.0.0.1:%d" % port) as talk:
                try_all(talk, where, "a demoted manager", outcome, judge)
                answer = talk.call("Raft/ProcessRaftMessage", {"message": {
                    "type": "MsgHeartbeat", "to": 1, "from": 777, "term": 99}})
                expect(answer.denied() and "no manager any more" in
                       answer.text, "%s: it leads: %s" % (where, answer))
        with swarm.talk(files) as talk:
            for path in ("Control/ListNodes", "CA/GetUnlockKey",
                         "RaftMembership/Join"):
                answer = talk.call(path)
                expect(answer.denied() and "no manager any more" in
                       answer.text, answer)
            answer = talk.call("Control/ListNodes", node=swarm.node_id("m2"),
                               swarm=swarm.id, role=MANAGER, address="local")
            expect(answer.denied(), "it passes calls on: %s" % answer)
    outcome.report()


def whoever_claims_to_be_forwarded_is_refused():
    """The headers of a call that is passed on, said by those who may not pass
    any on, on both managers."""
    outcome = Outcome()
    with Attacked(drained=True) as swarm:
        swarm.worker("w1")
        second = swarm.add_manager("m2")
        claim = {"node": swarm.node_id("manager"), "swarm": swarm.id,
                 "role": MANAGER, "address": "local"}
        elsewhere = "otherswarm000000000000000"
        callers = [
            ("nobody", [swarm.roots]),
            ("a worker", swarm.issue(swarm.node_id("w1"), WORKER)),
            ("a manager of another swarm",
             swarm.issue("ghost", MANAGER, swarm=elsewhere)),
            ("a removed manager", a_removed(swarm, MANAGER)),
        ]
        for who, files in callers:
            for where, port in (("leader", swarm.port),
                                ("follower", second.port)):
                at = "tcp://127.0.0.1:%d" % port
                with swarm.talk(files, at=at) as talk:
                    try_all(talk, where, who + " as a manager", outcome,
                            refused_as_forwarder, **claim)
        outcome.report()


def refused_as_forwarder(method, answer):
    # A follower passes nothing on twice, without asking who it is.
    return not answer.messages and (
        answer.denied() or answer.status == UNAVAILABLE and
        "more than one redirect" in answer.text)


def a_manager_forwards_no_more_than_the_caller_may():
    outcome = Outcome()
    with Attacked(drained=True) as swarm:
        worker = swarm.node_id(swarm.worker("w1").name)
        removed = a_removed(swarm, MANAGER, files=False)
        good = {"node": worker, "swarm": swarm.id, "role": WORKER,
                "address": "192.0.2.7:99"}
        claims = [
            ("a worker", good, ROLE_WORKER),
            ("nobody", {"address": "192.0.2.7:99"}, 0),
            ("a removed node", dict(good, node=removed, role=MANAGER), None),
            ("one of another swarm", dict(good, role=MANAGER,
                                          swarm="other"), None),
            ("one of no swarm", {"node": worker, "role": MANAGER}, None),
            ("one without a role", dict(good, role=""), None),
            ("one of the CA's role", dict(good, role="swarm-ca"), None),
            ("one of both roles", dict(
                good, role="swarm-manager,swarm-worker"), None),
        ]
        for who, claim, role in claims:
            with swarm.as_manager() as talk:
                for method in TABLE:
                    if method.path.split("/")[1].endswith("Raft"):
                        continue  # among managers nothing is passed on
                    answer = talk.call(method.path, wait=250, **claim)
                    fine = (remote_as_expected(method, role, answer) or
                            "Health" in method.path)
                    outcome.add("leader", "for " + who, method, answer, fine)
        outcome.report()


def a_removed_manager_s_streams_are_cut():
    """Those of raft, which it had open before, at each manager."""
    with Attacked(drained=True) as swarm:
        second = swarm.add_manager("m2")
        node = a_removed(swarm, MANAGER, files=False, remove=False)
        files = swarm.issue(node, MANAGER)
        kept = []
        for port in (swarm.port, second.port):
            for path in ("Raft/StreamRaftMessage", "/swarmkit.v1.Raft/"
                         "StreamSnapshot", "Watch/Watch", "Logs/SubscribeLogs"):
                talk = swarm.talk(files, at="tcp://127.0.0.1:%d" % port)
                answer = talk.call(path, wait=300, open=True, keep=True)
                if answer.status == "open":
                    kept.append((path, talk))
                else:
                    talk.__exit__(None, None, None)
        expect(len(kept) >= 2, "no stream could be opened: %s" % kept)
        swarm.ctl("node", "rm", "--force", node)
        for path, talk in kept:
            wait_for(lambda: talk.call("poll", wait=100).status != "open",
                     path + " ends", 5)
            talk.__exit__(None, None, None)
        print("  %d streams were cut" % len(kept))


def nobody_else_uses_the_control_socket():
    if os.getuid() != 0:
        print("  skipped: only root can be somebody else")
        return
    with Attacked(drained=True) as swarm:
        program = swarm.path("attacker")
        shutil.copy(ATTACKER, program)
        os.chmod(program, 0o755)
        for mode in (None, 0o777):
            if mode is not None:
                os.chmod(swarm.socket, mode)
            with Talk("ipc://" + swarm.socket, program=program, user=NOBODY,
                      group=NOBODY, extra_groups=[]) as talk:
                expect(not talk.connected(), "somebody else is let in")
                answer = talk.call("Control/ListNodes")
                expect(answer.status == "down", answer)
        wait_for(lambda: "for its owner only" in swarm.manager.text(),
                 "the refusal is logged")
        swarm.ctl("node", "ls")


main([everybody_gets_what_the_table_says,
      a_demoted_manager_rules_no_more,
      whoever_claims_to_be_forwarded_is_refused,
      a_manager_forwards_no_more_than_the_caller_may,
      a_removed_manager_s_streams_are_cut,
      nobody_else_uses_the_control_socket])
