# SPDX-License-Identifier: Apache-2.0

"""A worker that lies: what it may say of others, and what it gets to know.

Its nodes have certificates and no agent; the tests speak for them, so every
byte that a manager sends them is seen.
"""

import base64
import json

from attack import (DENIED, EXHAUSTED, INVALID, MANAGER, NOT_FOUND, OK,
                    UNSERVED, WORKER, Attacked, attacker, openssl)
from swarm import expect, main, wait_for

PAYLOAD = "payload-of-"
REPORTABLE = {"ACCEPTED", "PREPARING", "READY", "STARTING", "RUNNING",
              "COMPLETE", "SHUTDOWN", "FAILED", "REJECTED"}
STATES = {"NEW": 0, "PENDING": 64, "ASSIGNED": 192, "ACCEPTED": 256,
          "PREPARING": 320, "READY": 384, "STARTING": 448, "RUNNING": 512,
          "COMPLETE": 576, "SHUTDOWN": 640, "FAILED": 704, "REJECTED": 768,
          "REMOVE": 800, "ORPHANED": 832}


def encoded(text):
    return base64.b64encode(text.encode()).decode()


class Node:
    """A worker that is no machine: a registered session, and what came."""

    def __init__(self, swarm, name, port=None):
        self.swarm = swarm
        self.name = name
        self.at = "tcp://127.0.0.1:%d" % (port or swarm.port)
        prefix = swarm.path("node-" + name)
        attacker("csr", prefix)
        with open(prefix + ".csr", "rb") as f:
            csr = base64.b64encode(f.read()).decode()
        with swarm.talk([swarm.roots]) as talk:
            answer = talk.call("NodeCA/IssueNodeCertificate",
                               {"csr": csr, "token": swarm.token()})
        expect(answer.status == OK, answer)
        self.id = answer.messages[0]["nodeId"]
        self.files = swarm.issue(self.id, WORKER)
        self.talks = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for talk in self.talks:
            talk.__exit__(*error)

    def talk(self):
        talk = self.swarm.talk(self.files, at=self.at)
        expect(talk.connected(), talk.greeting)
        self.talks.append(talk)
        return talk

    def register(self):
        """Opens its streams and keeps them; seen is all that came."""
        self.session_talk = self.talk()
        answer = self.session_talk.call(
            "Dispatcher/Session",
            {"description": {"hostname": self.name,
                             "platform": {"os": "linux",
                                          "architecture": "x86_64"},
                             "resources": {"nanoCpus": "4000000000",
                                           "memoryBytes": "4000000000"}}},
            messages=1, keep=True)
        expect(answer.status == "open" and answer.messages, answer)
        self.session = answer.messages[0]["sessionId"]
        self.seen = answer.messages
        self.assignments_talk = self.talk()
        answer = self.assignments_talk.call(
            "Dispatcher/Assignments", {"sessionId": self.session}, messages=1,
            keep=True)
        expect(answer.status == "open", answer)
        self.seen += answer.messages
        self.other = self.talk()
        return self

    def poll(self, wait=300):
        for talk in (self.session_talk, self.assignments_talk):
            self.seen += talk.call("poll", wait=wait).messages

    def beat(self):
        answer = self.call("Dispatcher/Heartbeat", {"sessionId": self.session})
        expect(answer.status == OK, answer)

    def call(self, path, request="", **options):
        return self.other.call(path, request, **options)

    def report(self, task, state, session=None, **more):
        status = dict({"state": state}, **more)
        return self.call("Dispatcher/UpdateTaskStatus", {
            "sessionId": session or self.session,
            "updates": [{"taskId": task, "status": status}]})

    def text(self):
        return json.dumps(self.seen)

    def tasks(self):
        return {change["assignment"]["task"]["id"]
                for message in self.seen
                for change in message.get("changes", [])
                if "task" in change.get("assignment", {})}

    def has(self, payload):
        """Whether it was sent, as text or as bytes in JSON."""
        text = self.text()
        return payload in text or encoded(payload) in text


def listen(nodes):
    """To all of them, and lets none fall silent."""
    for node in nodes:
        node.beat()
        node.poll(100)


def file_of(swarm, name, text):
    path = swarm.path(name)
    with open(path, "w") as f:
        f.write(text)
    return path


def run_service_for(swarm, node):
    """A service on that node alone, with a secret and a config of its own."""
    for kind in ("secret", "config"):
        swarm.ctl(kind, "create", "%s-%s" % (kind, node.name), "--file", file_of(
            swarm, "%s-%s" % (kind, node.name),
            "%s%s-%s" % (PAYLOAD, kind, node.name)))
    swarm.ctl("service", "create", "--detach", "--name", "s-" + node.name,
              "--secret", "secret-" + node.name,
              "--config", "config-" + node.name,
              "--env", "PASSWORD=%senv-%s" % (PAYLOAD, node.name),
              "--constraint", "node.id==" + node.id, "--", "sleep", "1000")


def stored_task(swarm, task):
    return swarm.json("task", "inspect", task)


def payloads(node):
    return ["%s%s-%s" % (PAYLOAD, kind, node.name)
            for kind in ("secret", "config", "env")]


def a_worker_receives_nothing_that_is_not_its_own():
    with Attacked(drained=True) as swarm, \
            Node(swarm, "victim") as victim, Node(swarm, "liar") as liar, \
            Node(swarm, "idle") as idle:
        swarm.ctl("cluster", "update", "--heartbeatperiod", "10s")
        for node in (victim, liar, idle):
            node.register()
        for node in (victim, liar):
            run_service_for(swarm, node)
        # Nobody uses these.
        swarm.ctl("secret", "create", "unused", "--file", file_of(
            swarm, "unused", PAYLOAD + "unused"))
        everybody = (victim, liar, idle)
        wait_for(lambda: listen(everybody) or
                 victim.tasks() and liar.tasks(), "both have a task", 10)
        listen(everybody)
        listen(everybody)
        for node in (victim, liar):
            for payload in payloads(node):
                expect(node.has(payload), "%s lacks %s" % (node.name, payload))
        for node, other in ((victim, liar), (liar, victim), (idle, victim),
                            (idle, liar)):
            for word in payloads(other) + [other.id, PAYLOAD + "unused"]:
                expect(not node.has(word), "%s got %s" % (node.name, word))
            expect(not node.tasks() & other.tasks(), "tasks of another")
        # And nothing that only managers know.
        tokens = [swarm.token("worker"), swarm.token("manager")]
        with open(swarm.ca + ".key") as f:
            tokens.append(f.read())
        for node in (victim, liar, idle):
            for word in tokens:
                expect(not node.has(word), node.name + " got a key or token")
            expect("unlockKeys" not in node.text(), "unlock keys")
        # What is not used any more is taken away.
        swarm.ctl("service", "rm", "--detach", "s-liar")
        liar.report(liar.tasks().pop(), "SHUTDOWN")
        wait_for(lambda: listen(everybody) or any(
            c.get("action") == "REMOVE" and "secret" in c["assignment"]
            for m in liar.seen for c in m.get("changes", [])),
            "the secret is taken back", 10)
        print("  %d messages read, %d payloads looked for in each" %
              (sum(len(n.seen) for n in (victim, liar, idle)), 7))


def a_worker_speaks_for_itself_alone():
    tried = 0
    with Attacked(drained=True) as swarm, \
            Node(swarm, "victim") as victim, Node(swarm, "liar") as liar:
        swarm.ctl("cluster", "update", "--heartbeatperiod", "10s")
        victim.register()
        liar.register()
        run_service_for(swarm, victim)
        wait_for(lambda: victim.poll(200) or victim.tasks(),
                 "the victim has its task", 10)
        task = victim.tasks().pop()
        victim.beat()
        liar.beat()

        # The session of another, with its ID well known.
        of_another = [
            ("Dispatcher/Heartbeat", {}),
            ("Dispatcher/Assignments", {}),
            ("Dispatcher/Tasks", {}),
            ("Dispatcher/UpdateTaskStatus",
             {"updates": [{"taskId": task, "status": {"state": "FAILED"}}]}),
            ("Dispatcher/UpdateVolumeStatus", {}),
        ]
        for path, request in of_another:
            for session in (victim.session, "", "nonsense", "x" * 5000):
                answer = liar.call(path, dict(request, sessionId=session))
                expect(answer.status in (INVALID, NOT_FOUND, DENIED,
                                         UNSERVED) and not answer.messages,
                       "%s: %s" % (path, answer))
                tried += 1

        # To resume the session of another only makes one's own anew.
        answer = liar.talk().call("Dispatcher/Session",
                                  {"sessionId": victim.session}, wait=400)
        for message in answer.messages:
            expect(message["node"]["id"] == liar.id, "another's node")
            expect(message["sessionId"] != victim.session, "its session")
        liar.register()
        victim.beat()

        # Task of another in one's own session; all of the call is refused.
        before = stored_task(swarm, task)
        for state in STATES:
            answer = liar.report(task, state, message="lie")
            expect(answer.status == DENIED, "%s: %s" % (state, answer))
            tried += 1
        # Of none.
        for other in ("", "nonsense", "x" * 1000, swarm.id):
            answer = liar.report(other, "FAILED")
            expect(answer.status in (OK, INVALID, NOT_FOUND, DENIED), answer)
            tried += 1
        after = stored_task(swarm, task)
        expect(before["status"] == after["status"], "a lie was believed")

        # Logs, networks: of others; on no account served for them.
        for path, request in [
                ("LogBroker/ListenSubscriptions", {}),
                ("LogBroker/PublishLogs", {"subscriptionId": "x"}),
                ("ResourceAllocator/AttachNetwork", ""),
                ("ResourceAllocator/AttachNetwork", {"containerId": "x"}),
                ("ResourceAllocator/DetachNetwork", {"attachmentId": task})]:
            answer = liar.call(path, request)
            expect(answer.status not in (OK, "open", "down"), answer)
            tried += 1
        victim.beat()
        expect(stored_task(swarm, task)["status"] == before["status"],
               "a lie was believed")
        print("  %d lies told" % tried)


def a_worker_reports_no_more_than_it_may_of_its_own():
    with Attacked(drained=True) as swarm, Node(swarm, "liar") as liar:
        swarm.ctl("cluster", "update", "--heartbeatperiod", "10s")
        liar.register()
        run_service_for(swarm, liar)
        wait_for(lambda: liar.poll(200) or liar.tasks(), "it has its task", 10)
        task = liar.tasks().pop()
        for state, number in STATES.items():
            if state in REPORTABLE:
                continue
            liar.beat()
            liar.report(task, state)
        for number in (1, -1, 555, 100000):
            liar.report(task, number)
        swarm.ctl("node", "ls")
        expect(stored_task(swarm, task)["status"]["state"] == "ASSIGNED",
               "a state that is the manager's")
        # Texts are cut, or the call is refused.
        liar.beat()
        liar.report(task, "RUNNING", message="m" * 500000, err="e" * 500000)
        wait_for(lambda: stored_task(swarm, task)["status"]["state"] in
                 ("RUNNING", "ASSIGNED"), "the report is dealt with")
        size = len(json.dumps(stored_task(swarm, task)))
        expect(size < 100000, "a status of %d bytes is stored" % size)
        # Not back, once it is further.
        liar.beat()
        liar.report(task, "FAILED")
        wait_for(lambda: stored_task(swarm, task)["status"]["state"] ==
                 "FAILED", "it failed")
        liar.report(task, "RUNNING")
        swarm.ctl("node", "ls")
        expect(stored_task(swarm, task)["status"]["state"] == "FAILED",
               "from an end state back")
        # Volumes that there are not, and what is no report at all.
        for request in ({"updates": [{"id": "none", "unpublished": True}]},
                        {"updates": [{}]}, {"updates": [{}] * 1000},
                        {"updates": [{"id": "v" * 100000}]}):
            answer = liar.call("Dispatcher/UpdateVolumeStatus",
                               dict(request, sessionId=liar.session))
            expect(answer.status != "down", answer)
        answer = liar.call("Dispatcher/UpdateTaskStatus", {
            "sessionId": liar.session, "updates": [{}] * 1000})
        expect(answer.status != "down", answer)
        # A description that is no machine's.
        for description in ({"hostname": "h" * 300000},
                            {"resources": {"nanoCpus": "-1"}},
                            {"resources": {"memoryBytes": "-5"}},
                            {"engine": {"labels": {str(i): "x" * 100
                                                   for i in range(5000)}}},
                            {"engine": {"plugins": [
                                {"type": "Volume", "name": "v%d" % i}
                                for i in range(9000)]}}):
            answer = liar.talk().call("Dispatcher/Session",
                                      {"description": description}, wait=300)
            expect(answer.status not in ("open", OK), answer)
        swarm.ctl("node", "ls")


def a_worker_does_not_swell_what_managers_store():
    with Attacked(drained=True) as swarm:
        follower = swarm.add_manager("m2")
        swarm.ctl("cluster", "update", "--heartbeatperiod", "10s")
        with Node(swarm, "liar") as liar:
            liar.register()
            swarm.ctl("service", "create", "--detach", "--replicas", "2",
                      "--constraint", "node.id==" + liar.id, "--name", "two",
                      "--", "sleep", "1000")
            wait_for(lambda: liar.poll(200) or len(liar.tasks()) == 2,
                     "it has its tasks", 10)
            # Two bytes on the wire for each port, and far more in memory.
            for count in (1, 1000):
                status = {"state": "RUNNING",
                          "portStatus": {"ports": [{}] * count}}
                answer = liar.call("Dispatcher/UpdateTaskStatus", {
                    "sessionId": liar.session,
                    "updates": [{"taskId": task, "status": status}
                                for task in liar.tasks()]})
                expect(answer.status == EXHAUSTED, answer)
            for task in liar.tasks():
                expect(stored_task(swarm, task)["status"]["state"] ==
                       "ASSIGNED", "what was refused is stored")
                answer = liar.report(task, "RUNNING", portStatus={})
                expect(answer.status == OK, answer)
                wait_for(lambda: stored_task(swarm, task)["status"]["state"] ==
                         "RUNNING", "an honest report is taken")
            expect(follower.running(), "the other manager has stopped")
            expect("m2" in swarm.voters(), "the other manager is gone")


def a_worker_gets_a_certificate_for_itself_alone():
    with Attacked(drained=True) as swarm, \
            Node(swarm, "victim") as victim, Node(swarm, "liar") as liar:
        leader = swarm.node_id("manager")
        prefix = swarm.path("lie")
        names = ["/O=%s/OU=%s/CN=%s" % (swarm.id, MANAGER, leader),
                 "/O=%s/OU=%s/CN=%s" % (swarm.id, WORKER, victim.id)]
        talk = liar.talk()
        for name in names:
            from attack import openssl
            openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                    prefix + ".key", "-out", prefix + ".csr", "-subj", name,
                    "-addext", "subjectAltName=DNS:swarm-manager,DNS:swarm-ca",
                    "-addext", "basicConstraints=critical,CA:TRUE")
            with open(prefix + ".csr") as f:
                csr = f.read()
            # With each token, too: it has a certificate already.
            for token in ("", swarm.token("manager"), swarm.token("worker")):
                answer = talk.call("NodeCA/IssueNodeCertificate", {
                    "csr": encoded(csr), "token": token, "role": "MANAGER"})
                expect(answer.status == OK, answer)
                expect(answer.messages[0]["nodeId"] == liar.id,
                       "a certificate of another: %s" % answer.messages)
                check_issued(swarm, liar, prefix, csr)
        swarm.ctl("node", "ls")


def check_issued(swarm, node, prefix, csr):
    """What the CA has signed for the node names it, as a worker."""
    def issued():
        found = swarm.json("node", "inspect", node.id)["certificate"]
        return (found if found.get("status", {}).get("state") == "ISSUED" and
                found.get("csr") == encoded(csr) else None)

    certificate = wait_for(issued, "the certificate is issued")
    from attack import openssl
    with open(prefix + ".crt", "w") as f:
        f.write(base64.b64decode(certificate["certificate"]).decode())
    text = openssl("x509", "-in", prefix + ".crt", "-noout", "-subject",
                   "-ext", "subjectAltName,basicConstraints", "-nameopt",
                   "RFC2253")
    expect("CN=%s" % node.id in text and "OU=%s" % WORKER in text and
           "O=%s" % swarm.id in text, text)
    for word in (MANAGER, "swarm-ca", "CA:TRUE"):
        expect(word not in text, text)


def a_removed_worker_is_cut_off():
    with Attacked(drained=True) as swarm:
        second = swarm.add_manager("m2")
        swarm.ctl("cluster", "update", "--heartbeatperiod", "10s")
        with Node(swarm, "gone") as gone, \
                Node(swarm, "far", second.port) as far:
            for node in (gone, far):
                node.register()
                run_service_for(swarm, node)
                wait_for(lambda: node.poll(200) or node.tasks(),
                         "it has its task", 10)
                swarm.ctl("node", "rm", "--force", node.id)
                for talk in (node.session_talk, node.assignments_talk):
                    wait_for(lambda: talk.call("poll", wait=200).status !=
                             "open", "its streams end", 5)
                answer = node.call("Dispatcher/Heartbeat",
                                   {"sessionId": node.session})
                expect(answer.status in (DENIED, "down"), answer)
                for path in ("Dispatcher/Session", "Dispatcher/Assignments"):
                    answer = node.talk().call(path, {
                        "sessionId": node.session} if "Ass" in path else "")
                    expect(answer.status == DENIED, answer)


main([a_worker_receives_nothing_that_is_not_its_own,
      a_worker_speaks_for_itself_alone,
      a_worker_reports_no_more_than_it_may_of_its_own,
      a_worker_does_not_swell_what_managers_store,
      a_worker_gets_a_certificate_for_itself_alone,
      a_removed_worker_is_cut_off])
