# SPDX-License-Identifier: Apache-2.0

"""Swarms whose certificates an external CA signs."""

import os

from external_ca import DAYS, ExternalCA, ExternalSwarm, Root, openssl
from swarm import expect, main, run, tool, wait_for


def states(swarm):
    return [n.get("certificate", {}).get("status", {}).get("state")
            for n in swarm.json("node", "ls")]


def join(swarm, name):
    worker = swarm.daemon("swarm-agent", name, "--hostname", name,
                          "--join-addr", swarm.address, "--join-token",
                          swarm.token())
    swarm.daemons.append(worker)
    worker.start()
    return worker


def refused(swarm, name):
    """A worker that gets no certificate, and what it is told."""
    result = swarm.refused("swarm-agent", name, "--join-addr", swarm.address,
                           "--join-token", swarm.token())
    expect(result.code == 1, "exit code %d" % result.code)
    return result


def nodes_get_their_certificates_from_it():
    with ExternalSwarm() as swarm:
        ca, = swarm.cas
        swarm.worker("w1")
        swarm.add_manager("m2")
        expect(len(ca.asked) == 2, ca.asked)
        nodes = swarm.nodes()
        for (request, who), name, role in zip(
                ca.asked, ("w1", "m2"), ("swarm-worker", "swarm-manager")):
            node = nodes[name]["id"]
            subject = request["subject"]
            expect(subject["CN"] == node, request)
            expect(subject["names"][0]["OU"] == role, request)
            hosts = [role, node] + ["swarm-ca"] * (name == "m2")
            expect(request["hosts"] == hosts, request)
            # By the manager's own certificate, for its own swarm.
            expect(who["organizationalUnitName"] == "swarm-manager" and
                   who["commonName"] == nodes["manager"]["id"] and
                   who["organizationName"] == subject["names"][0]["O"], who)
        crt = swarm.path("w1", "certificates", "swarm-node.crt")
        end = openssl("x509", "-noout", "-checkend", str((DAYS - 1) * 86400),
                      "-in", crt)
        expect("will not expire" in end, end)
        swarm.ctl("cluster", "inspect").says(ca.url)


def waits(swarm):
    """Why nodes wait for their certificates."""
    certificates = [n.get("certificate", {}) for n in swarm.json("node", "ls")]
    return [c["status"]["err"] for c in certificates
            if c["status"]["state"] == "PENDING"]


def who_joins_while_it_is_away_waits():
    with ExternalSwarm() as swarm:
        ca, = swarm.cas
        ca.stop()
        worker = join(swarm, "w1")
        wait_for(lambda: "certificates have to wait" in swarm.manager.text(),
                 "the manager tells that it waits")
        wait_for(lambda: any(ca.url in why for why in waits(swarm)),
                 "its record tells")
        expect(worker.running(), worker.text())
        swarm.ctl("node", "ls").says("WAITING")
        ca.start()
        swarm.wait_node("w1", "READY")
        expect("WAITING" not in swarm.ctl("node", "ls").out, "it waits")
        expect(len(ca.asked) == 1, ca.asked)


def why_it_does_not_sign_is_told_and_told_anew():
    with ExternalSwarm() as swarm:
        ca, = swarm.cas
        shown = swarm.ctl("cluster", "ca").out
        expect("external CA " + ca.url in shown and
               "Not signing" not in shown and "the key is in" not in shown,
               shown)
        expect(swarm.json("cluster", "ca")["notSigning"] is None, "it fails")
        ca.stop()
        worker = join(swarm, "w1")
        wait_for(lambda: "Not signing" in swarm.ctl("cluster", "ca").out,
                 "it is told")
        swarm.ctl("cluster", "ca").says("Not signing", ca.url, "(since ",
                                        "1 certificate waits)")
        trouble = swarm.json("cluster", "ca")["notSigning"]
        expect(trouble["waiting"] == 1 and trouble["why"] and
               trouble["since"].endswith("Z"), trouble)
        other = "https://localhost:1/sign"
        swarm.ctl("cluster", "update", "--external-ca",
                  "protocol=cfssl,url=" + other)
        wait_for(lambda: "still have to wait: " + other in
                 swarm.manager.text(), "the manager tells the other reason")
        swarm.ctl("cluster", "ca").says("Not signing", other)
        expect(ca.url not in swarm.ctl("cluster", "ca").out, "the old one")
        wait_for(lambda: other in worker.text(), "so does who joins")
        # A refusal of the request alone is another kind.
        ca.start()
        ca.mood = "picky"
        swarm.ctl("cluster", "update", "--external-ca",
                  "protocol=cfssl,url=" + ca.url)
        wait_for(lambda: "HTTP status 400" in swarm.manager.text(), "it is told")
        shown = swarm.ctl("cluster", "ca").out
        expect("Held back" in shown and "HTTP status 400" in shown and
               "Not signing" not in shown, shown)
        expect(swarm.json("cluster", "ca")["heldBack"]["waiting"] == 1, shown)
        # Whoever signs now need not wait for the end of a pause.
        swarm.ctl("cluster", "update", "--external-ca", "none")
        swarm.wait_node("w1", "READY")
        shown = swarm.ctl("cluster", "ca").out
        expect("the key is in the swarm's log" in shown and
               "Held back" not in shown and ca.url not in shown, shown)


def what_nobody_waits_for_any_more_is_not_shown():
    with ExternalSwarm() as swarm:
        ca, = swarm.cas
        ca.stop()
        worker = join(swarm, "w1")
        wait_for(lambda: "Not signing" in swarm.ctl("cluster", "ca").out and
                 waits(swarm), "it is told")
        worker.crash()
        gone, = [n["id"] for n in swarm.json("node", "ls") if n.get(
            "certificate", {})["status"]["state"] == "PENDING"]
        swarm.ctl("node", "rm", "--force", gone)
        # Whether it is back nobody will find out.
        wait_for(lambda: "Not signing" not in swarm.ctl("cluster", "ca").out,
                 "it is not shown any more")
        swarm.ctl("cluster", "ca").says(ca.url)


def answers_that_make_no_sense_are_asked_for_again():
    with ExternalSwarm() as swarm:
        ca, = swarm.cas
        # Ten seconds between two of them: one join meets all.
        moods = ["status", "garbage", "large"]
        ca.mood = moods[0]
        join(swarm, "w1")
        for number, mood in enumerate(moods):
            ca.mood = mood
            wait_for(lambda: len(ca.asked) > number, "it is asked again")
            wait_for(lambda: "PENDING" in states(swarm), "a certificate waits")
            ca.mood = (moods + ["sign"])[number + 1]
        swarm.wait_node("w1", "READY")


def a_request_that_it_refuses_waits_alone():
    with ExternalSwarm() as swarm:
        ca, = swarm.cas
        ca.mood = "picky"  # with whoever comes first
        join(swarm, "w1")
        wait_for(lambda: "has to wait" in swarm.manager.text(),
                 "the manager tells that it waits")
        swarm.worker("w2")
        wait_for(lambda: "PENDING" in states(swarm), "a certificate waits")
        ca.mood = "sign"
        swarm.wait_node("w1", "READY")


def a_no_of_its_is_final_and_told():
    with ExternalSwarm() as swarm:
        ca, = swarm.cas
        ca.mood = "no"
        refused(swarm, "w1").says("the external CA says: not today")
        expect(len(ca.asked) == 1, ca.asked)
        expect(states(swarm).count("FAILED") == 1, states(swarm))
        swarm.ctl("node", "ls").says("REFUSED")
        ca.mood = "empty"
        refused(swarm, "w2").says("holds no certificate")
        ca.mood = "sign"
        swarm.worker("w3")


def a_wrong_certificate_is_not_let_in():
    with ExternalSwarm() as swarm:
        ca, = swarm.cas
        ca.mood = "promote"
        refused(swarm, "w1").says("grants another role")
        ca.mood = "long"
        refused(swarm, "w2").says("valid for longer than was asked for")
        found = [n for n in swarm.json("node", "ls")
                 if n["certificate"]["status"].get("state") == "FAILED"]
        expect(len(found) == 2 and
               not any(n["certificate"].get("certificate") for n in found),
               found)


def the_next_one_is_asked_if_the_first_is_away():
    with ExternalSwarm() as swarm:
        first, = swarm.cas
        with ExternalCA(swarm.root) as second:
            swarm.ctl("cluster", "update",
                      "--external-ca", "protocol=cfssl,url=" + first.url,
                      "--external-ca", "protocol=cfssl,url=" + second.url)
            first.stop()
            swarm.worker("w1")
            expect(len(second.asked) == 1 and not first.asked, first.asked)
            first.start()
            swarm.worker("w2")
            expect(len(first.asked) == 1 and len(second.asked) == 1,
                   second.asked)
            # Without any, the key of the swarm signs again.
            swarm.ctl("cluster", "update", "--external-ca", "none")
            swarm.worker("w3")
            expect(len(first.asked) == 1 and len(second.asked) == 1,
                   first.asked)


def servers_of_other_roots_or_names_are_not_asked():
    with ExternalSwarm() as swarm:
        ca, = swarm.cas
        ca.stop()
        join(swarm, "w1")
        wait_for(lambda: "certificates have to wait" in swarm.manager.text(),
                 "it is away")
        other = ExternalCA(swarm.root, name="another.example")
        other.port, other.url = ca.port, ca.url
        with other:  # of the swarm's root, but for another host
            # A change of the cluster has it tried at once.
            swarm.ctl("cluster", "update", "--certexpiry", "2000h")
            wait_for(lambda: other.refused, "its certificate is refused")
            expect(not other.asked, other.asked)
        third = ExternalCA(Root(os.path.join(swarm.root.folder, "stranger")))
        third.port, third.url = ca.port, ca.url
        with third:
            swarm.ctl("cluster", "update", "--certexpiry", "2100h")
            wait_for(lambda: third.refused, "its certificate is refused")
            expect(not third.asked, third.asked)
        wait_for(lambda: "PENDING" in states(swarm), "a certificate waits")
        ca.start()
        swarm.wait_node("w1", "READY")


def without_key(swarm):
    """The swarm's key is taken away; who signs is the CA alone."""
    swarm.ctl("cluster", "ca", "rotate", "--detach", "--cert",
              swarm.root.cert, "--external-ca",
              "protocol=cfssl,url=" + swarm.cas[0].url)


def rotation(swarm):
    return swarm.json("cluster", "ca")["rotation"]


def its_root_is_followed_by_one_of_the_swarms_own():
    with ExternalSwarm() as swarm:
        ca, = swarm.cas
        swarm.worker("w1")
        swarm.add_manager("m2")
        without_key(swarm)
        ca.asked.clear()
        swarm.ctl("cluster", "ca", "rotate", "--timeout", "120s")
        expect(rotation(swarm) is None, rotation(swarm))
        (request, who), = ca.asked
        expect(request["profile"] == "CA" and request["hosts"] == [] and
               request["subject"] == {"CN": "swarm-ca", "names": []}, request)
        expect("PRIVATE KEY" not in str(request), request)
        expect(who["organizationalUnitName"] == "swarm-manager", who)
        # Nobody needs the CA any more, nor asks it.
        ca.stop()
        shown = swarm.ctl("cluster", "ca").out
        expect("Signed by external CA" not in " ".join(shown.split()) and
               "the key is in the swarm's log" in shown, shown)
        swarm.ctl("cluster", "ca").says("Not asked", "external CA " + ca.url,
                                        "another root: sha256:")
        found = swarm.json("cluster", "ca")["externalCaRoots"]
        expect([(c["url"], c["signs"]) for c in found] == [(ca.url, False)],
               found)
        swarm.worker("w3")
        for name in ("manager", "m2", "w1", "w3"):
            folder = swarm.path(name, "certificates")
            root = os.path.join(folder, "swarm-root-ca.crt")
            wait_for(lambda: "swarm-ca" in openssl("x509", "-noout", "-subject",
                                                   "-in", root) and
                     open(root).read() != open(swarm.root.cert).read(),
                     "%s has the new root" % name)
            openssl("verify", "-no-CApath", "-no-CAstore", "-CAfile", root,
                    os.path.join(folder, "swarm-node.crt"))
        expect(len(ca.asked) == 1, ca.asked)


def a_cross_certificate_that_does_not_serve_changes_nothing():
    with ExternalSwarm() as swarm:
        ca, = swarm.cas
        without_key(swarm)
        for mood, why in (("leaf", "it is not that of a CA"),
                          ("no", "the external CA says: not today"),
                          ("empty", "holds no certificate"),
                          ("status", "HTTP status 503")):
            ca.mood = mood
            result = swarm.try_ctl("cluster", "ca", "rotate")
            expect(result.code != 0, mood)
            result.says("unable to generate a cross-signed certificate", why)
            expect(rotation(swarm) is None, rotation(swarm))
        ca.mood = "sign"
        swarm.worker("w1")


def no_root_of_another_external_ca_follows():
    with ExternalSwarm() as swarm:
        without_key(swarm)
        other = Root(os.path.join(swarm.root.folder, "other"))
        second = ExternalCA(other)
        second.clients = swarm.root
        with second:
            first, = swarm.cas
            result = swarm.try_ctl(
                "cluster", "ca", "rotate", "--cert", other.cert,
                "--external-ca", "protocol=cfssl,url=" + first.url,
                "--external-ca", "protocol=cfssl,url=%s,cacert=%s" %
                (second.url, other.cert))
        expect(result.code != 0, result.out)
        result.says("rotating from one external CA to a different external CA "
                    "is not supported")
        expect(rotation(swarm) is None, rotation(swarm))


def a_root_without_key_is_that_of_the_cas_that_are_named():
    with ExternalSwarm() as swarm:
        # Before, the key is the swarm's.
        swarm.ctl("cluster", "update", "--external-ca", "none")
        other = Root(os.path.join(swarm.root.folder, "other"))
        second = ExternalCA(other)
        second.clients = swarm.root
        rotate = ("cluster", "ca", "rotate", "--cert", other.cert)
        named = "protocol=cfssl,url=" + second.url
        # What is said to be of the present root is not asked for the next.
        result = swarm.try_ctl(*rotate, "--external-ca",
                               named + ",cacert=" + swarm.root.cert)
        expect(result.code != 0, result.out)
        result.says("no external CA that is named signs for the desired CA "
                    "certificate")
        with second:
            second.mood = "down"
            result = swarm.try_ctl(*rotate, "--external-ca", named)
            expect(result.code != 0, result.out)
            result.says("valid, reachable external CA", "HTTP status 503")
            expect(rotation(swarm) is None, rotation(swarm))
            # It is there, but signs nothing yet.
            second.mood = "status"
            swarm.ctl(*rotate, "--detach", "--external-ca", named)
            found = swarm.json("cluster", "ca")["externalCaRoots"]
            expect([(c["url"], c["signs"]) for c in found] ==
                   [(second.url, True)], found)
            wait_for(lambda: "its certificate waits to be signed: " +
                     second.url + ": HTTP status 503" in
                     swarm.ctl("cluster", "ca").out, "it is told")
            second.mood = "picky"
            swarm.ctl("cluster", "update", "--certexpiry", "2000h")
            wait_for(lambda: "or held back: " + second.url + ": HTTP status 400"
                     in swarm.ctl("cluster", "ca").out, "it is told")
            shown = " ".join(swarm.ctl("cluster", "ca").out.split())
            expect(shown.index("Signed by the manager that leads") <
                   shown.index("Next root CA") <
                   shown.index("Signed by external CA " + second.url), shown)


def bad_settings_are_refused():
    with ExternalSwarm() as swarm:
        for text, why in (
                ("url=https://x", "protocol=cfssl"),
                ("protocol=cfssl", "url="),
                ("protocol=acme,url=https://x", "only protocol"),
                ("protocol", "KEY=VALUE"),
                ("protocol=cfssl,url=http://x", "begins with https://"),
                ("protocol=cfssl,url=https://x,cacert=/etc/hostname",
                 "not a certificate"),
                ("protocol=cfssl,url=https://x,cacert=/no/such/file",
                 "No such file")):
            for words in (("update",), ("ca", "rotate", "--detach")):
                swarm.ctl("cluster", *words, "--external-ca", text,
                          code=2).says("--external-ca", why)
            founder = run(tool("swarmd"), "--state-dir", swarm.path("new"),
                          "--external-ca", text)
            expect(founder.code == 2, "%s: %d" % (text, founder.code))
            founder.says(why)
        expect(swarm.json("cluster", "ca")["rotation"] is None, "it rotates")


if __name__ == "__main__":
    main([nodes_get_their_certificates_from_it,
          who_joins_while_it_is_away_waits,
          why_it_does_not_sign_is_told_and_told_anew,
          what_nobody_waits_for_any_more_is_not_shown,
          answers_that_make_no_sense_are_asked_for_again,
          a_request_that_it_refuses_waits_alone,
          a_no_of_its_is_final_and_told,
          a_wrong_certificate_is_not_let_in,
          the_next_one_is_asked_if_the_first_is_away,
          servers_of_other_roots_or_names_are_not_asked,
          its_root_is_followed_by_one_of_the_swarms_own,
          a_cross_certificate_that_does_not_serve_changes_nothing,
          no_root_of_another_external_ca_follows,
          a_root_without_key_is_that_of_the_cas_that_are_named,
          bad_settings_are_refused])
