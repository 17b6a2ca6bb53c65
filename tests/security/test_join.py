# SPDX-License-Identifier: Apache-2.0

"""Joining with whatever is no good token, and what strangers may ask."""

import base64
import hashlib

from attack import (DENIED, INVALID, MANAGER, OK, WORKER, Attacked, attacker,
                    openssl)
from swarm import expect, main, wait_for

REFUSAL = "A valid join token is necessary to join this cluster"


def request(swarm, name="joiner"):
    prefix = swarm.path(name)
    attacker("csr", prefix)
    with open(prefix + ".csr") as f:
        return f.read()


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def swapped(text, at, new):
    return text[:at] + new + text[at + len(new):]


def bad_tokens(swarm, other):
    """All that are like the good ones, but are none."""
    worker, manager = swarm.token("worker"), swarm.token("manager")
    head, one, digest, secret = worker.split("-")
    last = "0" if worker[-1] != "0" else "1"
    return {
        "none": "",
        "one letter": "S",
        "half of it": worker[:len(worker) // 2],
        "one digit less": worker[:-1],
        "one digit more": worker + "0",
        "another last digit": worker[:-1] + last,
        "another first digit": swapped(worker, len(head) + 3, "z"),
        "upper case": worker.upper(),
        "with a space": worker + " ",
        "with a line": worker + "\\n",
        "without its secret": "-".join((head, one, digest)),
        "secret of zeros": "-".join((head, one, digest, "0" * 25)),
        "version 0": "-".join((head, "0", digest, secret)),
        "version 2": "-".join((head, "2", "0", digest, secret)),
        "for FIPS": "-".join((head, "2", "1", digest, secret)),
        "its parts exchanged": "-".join((head, one, secret, digest)),
        "both secrets": worker + "-" + manager.split("-")[3],
        "a worker's and a manager's": worker + manager,
        "of another swarm": other.token("manager"),
        "the digest of this, the secret of the other": "-".join(
            (head, one, digest, other.token("worker").split("-")[3])),
        "very long": worker * 200,
        "the ID of the swarm": swarm.id,
    }


def join(talk, csr, token, **more):
    return talk.call("NodeCA/IssueNodeCertificate",
                     dict({"csr": encoded(csr), "token": token}, **more))


def only_the_very_tokens_let_in():
    with Attacked(drained=True) as swarm, Attacked(drained=True) as other:
        second = swarm.add_manager("m2")
        csr = request(swarm)
        tried = 0
        tokens = bad_tokens(swarm, other)
        for port in (swarm.port, second.port):
            at = "tcp://127.0.0.1:%d" % port
            with swarm.talk([swarm.roots], at=at) as talk:
                for why, token in tokens.items():
                    for role in ("WORKER", "MANAGER"):
                        answer = join(talk, csr, token, role=role)
                        expect(answer.status == INVALID and
                               not answer.messages, "%s: %s" % (why, answer))
                        expect(REFUSAL in answer.text, answer)
                        tried += 1
        expect(len(swarm.nodes()) == 2, "a node has joined")
        # A worker's token makes a worker, whatever it asks for.
        with swarm.talk([swarm.roots]) as talk:
            answer = join(talk, csr, swarm.token("worker"), role="MANAGER")
            expect(answer.status == OK, answer)
            node = answer.messages[0]["nodeId"]
        found = wait_for(lambda: issued(swarm, node), "it is issued")
        expect(found.get("role", "WORKER") == "WORKER", found)
        # The old ones are of no use once they were changed.
        for role in ("worker", "manager"):
            before = swarm.token(role)
            swarm.ctl("cluster", "token", "--rotate", role)
            expect(before != swarm.token(role), "it is the same")
            with swarm.talk([swarm.roots]) as talk:
                answer = join(talk, csr, before)
                expect(answer.status == INVALID, answer)
                expect(join(talk, csr, swarm.token(role)).status == OK,
                       "the new one")
            tried += 1
        print("  %d tokens refused" % tried)


def issued(swarm, node):
    found = swarm.json("node", "inspect", node)["certificate"]
    return found if found.get("status", {}).get("state") == "ISSUED" else None


def requests_that_are_none_get_no_certificate():
    with Attacked(drained=True) as swarm:
        token = swarm.token("worker")
        good = request(swarm)
        rsa, small, odd = (swarm.path(n) for n in ("rsa", "small", "odd"))
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout",
                rsa + ".key", "-out", rsa, "-subj", "/CN=x")
        openssl("req", "-new", "-newkey", "rsa:1024", "-nodes", "-keyout",
                small + ".key", "-out", small, "-subj", "/CN=x")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:secp256k1", "-nodes", "-keyout",
                odd + ".key", "-out", odd, "-subj", "/CN=x")
        lines = good.splitlines()
        lines[2] = lines[2][::-1]
        texts = {
            "nothing": "", "a word": "hello", "half": good[:200],
            "damaged": "\n".join(lines), "zeros": "\0" * 500,
            "a certificate": open(swarm.roots).read(),
            "a key": open(swarm.ca + ".key").read(),
            "two": good + good, "large": "x" * 60000,
            "deep": "".join("-----BEGIN CERTIFICATE REQUEST-----\n"
                            for _ in range(1000)),
        }
        for name in (rsa, small, odd):
            with open(name) as f:
                texts[name] = f.read()
        nodes = []
        with swarm.talk([swarm.roots]) as talk:
            for why, text in texts.items():
                answer = join(talk, text, token)
                expect(answer.status in (OK, INVALID, 8), "%s: %s" %
                       (why, answer))
                if answer.status == OK:
                    nodes.append(answer.messages[0]["nodeId"])
            expect(swarm.manager.running(), "the manager ended")
            answer = join(talk, good, token)
            expect(answer.status == OK, answer)
        wait_for(lambda: issued(swarm, answer.messages[0]["nodeId"]),
                 "a good one is issued still")
        for node in nodes:
            found = swarm.json("node", "inspect", node)["certificate"]
            if found.get("status", {}).get("state") != "ISSUED":
                continue
            with open(swarm.path("got"), "wb") as f:
                f.write(base64.b64decode(found["certificate"]))
            text = openssl("x509", "-in", swarm.path("got"), "-noout",
                           "-text")
            expect("P-256" in text, "an odd key was signed: " + text)


def a_stranger_learns_nothing_of_nodes():
    """But for the roots, and for what became of a request that it can name; nor
    does another worker, nor a manager that was removed."""
    with Attacked(drained=True) as swarm:
        second = swarm.add_manager("m2")
        swarm.worker("w1")
        csr = request(swarm)
        with swarm.talk([swarm.roots]) as talk:
            answer = join(talk, csr, swarm.token())
            expect(answer.status == OK, answer)
        joined = answer.messages[0]["nodeId"]
        known = [swarm.node_id(n) for n in ("manager", "m2", "w1")]
        raw = hashlib.sha256(csr.encode()).digest()
        digest, most, other = (base64.b64encode(d).decode()
                               for d in (raw, raw[:31], bytes(32)))
        liar = swarm.issue("liar", WORKER)
        with swarm.talk([swarm.roots]) as talk:
            answer = join(talk, request(swarm, "removed"),
                          swarm.token("manager"))
        removed = answer.messages[0]["nodeId"]
        swarm.ctl("node", "rm", "--force", removed)
        removed = swarm.issue(removed, MANAGER)
        for port in (swarm.port, second.port):
            at = "tcp://127.0.0.1:%d" % port
            for files in ([swarm.roots], liar, removed):
                with swarm.talk(files, at=at) as talk:
                    for node in known + [joined]:
                        for named in (None, "", other, most, digest):
                            check_status(talk, node, named,
                                         node == joined and named == digest)
                    answer = talk.call("NodeCA/NodeCertificateStatus",
                                       {"nodeId": ""})
                    expect(answer.status == INVALID, answer)


def check_status(talk, node, named, allowed):
    request = {"nodeId": node}
    if named is not None:
        request["csrDigest"] = named
    answer = talk.call("NodeCA/NodeCertificateStatus", request, wait=5000)
    expect((answer.status == OK) == allowed, "%s %s: %s" %
           (node, named, answer))
    if not allowed:
        expect(answer.status in (DENIED, INVALID) and not answer.messages,
               answer)


def a_token_s_digest_is_checked_by_who_joins():
    """A node that joins must not trust a swarm that is not the token's."""
    with Attacked(drained=True) as swarm, Attacked(drained=True) as other:
        for role, program in (("worker", "swarm-agent"),
                              ("manager", "swarmd")):
            result = swarm.refused(
                program, "deceived-" + role, "--hostname", "deceived",
                "--join-addr", other.address, "--join-token",
                swarm.token(role))
            expect(result.code != 0, "it joined a strange swarm")
            result.says("fingerprint")
        expect("deceived" not in other.nodes(), "it told its token")


main([only_the_very_tokens_let_in,
      requests_that_are_none_get_no_certificate,
      a_stranger_learns_nothing_of_nodes,
      a_token_s_digest_is_checked_by_who_joins])
