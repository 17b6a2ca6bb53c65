# SPDX-License-Identifier: Apache-2.0

"""Swarms with several managers: joining, leaving, failing over."""

import os
import re
import shutil
import signal
import socket
import ssl
import time

from swarm import (ALPN, Swarm, exactly, expect, main, wait_for, workloads)


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


def managers_join_and_each_answers():
    with Swarm() as swarm:
        three(swarm)
        write(swarm, "a")
        for name in "m2", "m3", "manager":
            swarm.at(name)
            expect(notes(swarm) == ["a"], name + " does not know the note")
        swarm.at("m3")
        write(swarm, "b")
        swarm.at("manager")
        expect(notes(swarm) == ["a", "b"], "what m3 wrote is missing")


def the_leader_is_killed_and_the_service_goes_on():
    with Swarm(drained=True) as swarm:
        three(swarm)
        swarm.ctl("node", "drain", "m2")
        swarm.ctl("node", "drain", "m3")
        swarm.worker("w1")
        before = swarm.create("web", count=3)
        old = swarm.leader()
        swarm.at(swarm.others(old)[0])
        swarm.named(old).crash()
        swarm.wait_led_by_another(old)
        swarm.ctl("service", "scale", "web=4")
        after = wait_for(lambda: exactly(workloads(swarm.mark("web")), 4),
                         "a fourth process")
        expect(set(before) <= set(after), "processes were restarted")
        swarm.named(old).start()
        swarm.wait_voter(old)
        swarm.at(old)
        swarm.wait_live("web", 4)


def a_leader_that_hangs_loses_nothing_that_was_acknowledged():
    with Swarm() as swarm:
        three(swarm)
        expected = []
        for i in range(10):
            write(swarm, "before-%d" % i)
            expected.append("before-%d" % i)
        old = swarm.leader()
        swarm.at(swarm.others(old)[0])
        swarm.named(old).process.send_signal(signal.SIGSTOP)
        try:
            swarm.wait_led_by_another(old)
            for i in range(5):
                write(swarm, "after-%d" % i)
                expected.append("after-%d" % i)
        finally:
            swarm.named(old).process.send_signal(signal.SIGCONT)
        swarm.wait_voter(old)
        for name in "manager", "m2", "m3":
            swarm.at(name)
            expect(notes(swarm) == sorted(expected), name + " lacks notes")


def connect_as(swarm, daemon, manager):
    """A connection with a node's certificate, which does nothing with it."""
    files = [os.path.join(daemon.state, "certificates", name)
             for name in ("swarm-root-ca.crt", "swarm-node.crt",
                          "swarm-node.key")]
    with open(files[2]) as f:
        lines = [line for line in f if ":" not in line]
    with open(swarm.path("bare.key"), "w") as f:
        f.writelines(line for line in lines if line.strip())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_alpn_protocols([ALPN])
    context.load_verify_locations(files[0])
    context.load_cert_chain(files[1], swarm.path("bare.key"))
    port = getattr(manager, "port", None) or int(swarm.address.split(":")[1])
    plain = socket.create_connection(("127.0.0.1", port), timeout=5)
    return context.wrap_socket(plain)


def is_open(connection):
    connection.settimeout(0.01)
    try:
        while connection.recv(65536) != b"":
            pass
        return False
    except (TimeoutError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def a_removed_worker_is_cut_off_by_every_manager():
    with Swarm(drained=True) as swarm:
        three(swarm)
        worker, other = swarm.worker("w1"), swarm.worker("w2")
        names = "manager", "m2", "m3"
        removed = [connect_as(swarm, worker, swarm.named(n)) for n in names]
        kept = [connect_as(swarm, other, swarm.named(n)) for n in names]
        expect(all(is_open(c) for c in removed + kept), "not connected")
        swarm.ctl("node", "rm", "--force", "w1")
        begun = time.monotonic()
        wait_for(lambda: not any(is_open(c) for c in removed),
                 "the connections are closed")
        expect(time.monotonic() - begun < 5, "not at once")
        expect(all(is_open(c) for c in kept), "another's are closed, too")
        wait_for(lambda: "this node was removed from the swarm" in
                 worker.text(), "the worker is told")
        swarm.wait_node("w2", "READY")


def all_managers_restart_together():
    with Swarm() as swarm:
        three(swarm)
        write(swarm, "a")
        for name in "manager", "m2", "m3":
            swarm.named(name).crash()
        for name in "manager", "m2", "m3":
            swarm.named(name).start()
        wait_for(lambda: exactly(swarm.voters(), 3), "three managers again")
        expect(notes(swarm) == ["a"], "the note is lost")


def a_leader_that_stops_hands_over():
    with Swarm() as swarm:
        three(swarm)
        old = swarm.leader()
        swarm.at(swarm.others(old)[0])
        swarm.named(old).stop()
        begun = time.monotonic()
        swarm.wait_led_by_another(old)
        took = time.monotonic() - begun
        expect(took < 10, "nobody led for %.1f s" % took)
        expect("leads the swarm no more" in swarm.named(old).text(),
               "it did not hand over")


def without_a_quorum_nothing_is_written_and_it_is_said():
    with Swarm() as swarm:
        three(swarm)
        swarm.named("m2").crash()
        swarm.named("m3").crash()
        wait_for(lambda: "does not have a leader" in
                 swarm.try_ctl("node", "ls").err, "it is said")
        swarm.named("m2").start()
        wait_for(lambda: exactly(swarm.voters(), 2), "two managers")
        write(swarm, "a")


def a_worker_is_promoted_and_demoted():
    with Swarm() as swarm:
        node = swarm.plan_manager("m2", join=False)
        node.words += ["--join-addr", swarm.address, "--join-token",
                       swarm.token()]
        node.start()
        swarm.wait_node("m2", "READY")
        expect("m2" not in swarm.voters(), "a worker votes")
        swarm.ctl("node", "promote", "m2")
        swarm.wait_voter("m2")
        swarm.at("m2")
        write(swarm, "a")
        swarm.at("manager")
        swarm.ctl("node", "demote", "m2")
        wait_for(lambda: swarm.voters() == ["manager"], "one manager")
        wait_for(lambda: not any(
            n.startswith("raft") for n in os.listdir(swarm.path("m2"))),
            "its log is removed")
        expect(node.running(), "it ended: " + node.text())
        swarm.wait_node("m2", "READY")
        swarm.ctl("node", "promote", "m2")
        swarm.wait_voter("m2")


def the_leader_is_demoted():
    with Swarm() as swarm:
        three(swarm)
        # Who answers loses the lead by it, perhaps before the answer is known.
        swarm.ctl("node", "demote", "manager")
        swarm.at("m2")
        wait_for(lambda: sorted(swarm.voters()) == ["m2", "m3"],
                 "two managers are left")
        write(swarm, "a")
        expect(swarm.manager.running(), "it ended")


def the_last_manager_is_not_demoted():
    with Swarm() as swarm:
        result = swarm.ctl("node", "demote", "manager", code=1)
        expect("last manager" in result.err, "not said: " + result.err)


def a_manager_without_which_there_is_no_quorum_is_not_demoted():
    with Swarm() as swarm:
        three(swarm)
        swarm.named("m3").crash()
        wait_for(lambda: "m3" not in swarm.voters(), "m3 is unreachable")
        result = swarm.ctl("node", "demote", "m2", code=1)
        expect("quorum" in result.err, "not said: " + result.err)
        swarm.ctl("node", "demote", "m3")
        wait_for(lambda: exactly(swarm.voters(), 2), "two managers")


def killed_as_it_joins(swarm, name):
    """A manager that has its number, and nothing else yet."""
    manager = swarm.plan_manager(name)
    manager.start()
    while "joined the managers' group" not in manager.text():
        expect(manager.running(), manager.text())
    manager.crash()
    return manager


def a_manager_that_is_killed_as_it_joins_becomes_one():
    with Swarm(drained=True) as swarm:
        manager = killed_as_it_joins(swarm, "m2")
        manager.start()
        swarm.wait_voter("m2")


def a_manager_that_was_removed_as_it_joined_joins_anew():
    with Swarm(drained=True) as swarm:
        manager = killed_as_it_joins(swarm, "m2")
        swarm.ctl("node", "demote", "m2")
        wait_for(lambda: exactly(swarm.voters(), 1), "one manager")
        swarm.ctl("node", "promote", "m2")
        manager.start()
        swarm.wait_voter("m2")
        expect("cannot go on with its log" in manager.text(), manager.text())


def a_manager_that_lost_its_log_joins_anew():
    with Swarm() as swarm:
        three(swarm)
        write(swarm, "a")
        swarm.named("m2").crash()
        shutil.rmtree(swarm.path("m2", "raft"))
        swarm.named("m2").start()
        wait_for(lambda: exactly(swarm.voters(), 3), "three managers again")
        swarm.at("m2")
        expect(notes(swarm) == ["a"], "the note is lost")


def managers_that_missed_much_get_a_snapshot():
    with Swarm() as swarm:
        three(swarm)
        swarm.ctl("cluster", "update", "--snapshot-interval", "20",
                  "--log-entries-kept", "5")
        shown = swarm.ctl("cluster", "inspect").out
        expect(re.search(r"Snapshot interval +20 entries\n", shown) and
               re.search(r"Log entries kept +5\n", shown), shown)
        swarm.named("m2").crash()
        wait_for(lambda: "m2" not in swarm.voters(), "m2 is missed")
        time.sleep(2)  # until nothing is kept for it any more
        for i in range(60):
            write(swarm, "note%02d" % i)
        swarm.named("m2").start()
        swarm.wait_voter("m2")
        swarm.add_manager("m4")
        wait_for(lambda: exactly(swarm.voters(), 4), "four managers")
        for name in "m2", "m4":
            wait_for(lambda: "took the leader's snapshot" in
                     swarm.named(name).text(), name + " takes a snapshot in")
            swarm.at(name)
            expect(len(notes(swarm)) == 60, name + " lacks notes")


def a_manager_is_reached_at_another_of_its_addresses_by_name():
    with Swarm() as swarm:
        swarm.add_manager("m2")
        manager = swarm.plan_manager("m3")
        # Nobody listens at the first one.
        manager.words += ["--advertise-remote-api",
                          "127.0.0.1:1,localhost:%d" % manager.port]
        manager.start()
        swarm.wait_voter("m3")
        swarm.named("m2").crash()
        write(swarm, "a")  # which takes the third one
        swarm.named("m3").crash()
        manager.start()
        swarm.wait_voter("m3")
        write(swarm, "b")


def who_joins_tries_all_addresses_of_the_leader():
    with Swarm() as swarm:
        swarm.manager.stop()
        # Nobody listens at the first one; the others are the same.
        swarm.manager.words += ["--advertise-remote-api",
                                "127.0.0.1:1,localhost,localhost:%d" %
                                swarm.port]
        swarm.again(swarm.manager)
        swarm.add_manager("m2")
        write(swarm, "a")
        result = swarm.refused("swarmd", "bad", "--listen-remote-api",
                               "127.0.0.1:0", "--listen-control-api",
                               swarm.path("bad.sock"),
                               "--advertise-remote-api", "host:http")
        expect(result.code == 1 and "a port is" in result.err, result.err)


def a_manager_moves_to_another_address():
    with Swarm() as swarm:
        three(swarm)
        node = swarm.named("m2")
        node.stop()
        at = node.words.index("--listen-remote-api") + 1
        node.words[at] = "127.0.0.1:0"
        node.start()
        wait_for(lambda: any(
            n.get("managerStatus", {}).get("addr", "").split(":")[-1] not in
            ("", str(node.port)) and n["description"]["hostname"] == "m2" and
            n["managerStatus"].get("reachability") == "REACHABLE"
            for n in swarm.json("node", "ls")), "the others know its address")


main([
    managers_join_and_each_answers,
    the_leader_is_killed_and_the_service_goes_on,
    a_leader_that_hangs_loses_nothing_that_was_acknowledged,
    a_removed_worker_is_cut_off_by_every_manager,
    all_managers_restart_together,
    a_leader_that_stops_hands_over,
    without_a_quorum_nothing_is_written_and_it_is_said,
    a_worker_is_promoted_and_demoted,
    the_leader_is_demoted,
    the_last_manager_is_not_demoted,
    a_manager_without_which_there_is_no_quorum_is_not_demoted,
    a_manager_that_is_killed_as_it_joins_becomes_one,
    a_manager_that_was_removed_as_it_joined_joins_anew,
    a_manager_that_lost_its_log_joins_anew,
    managers_that_missed_much_get_a_snapshot,
    a_manager_is_reached_at_another_of_its_addresses_by_name,
    who_joins_tries_all_addresses_of_the_leader,
    a_manager_moves_to_another_address,
])
