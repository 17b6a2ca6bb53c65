#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three processes of the example raft_kv: writes, a leader that is killed,
members that come back, and one that comes back to a snapshot.

usage: test_raft_kv.py RAFT_KV
"""

import pathlib
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time

TIMEOUT = 10


class Member:
    """A process, and its answers as they come."""

    def __init__(self, program, number, ports, directory):
        self.number = number
        self.process = subprocess.Popen(
            [program, str(number), *map(str, ports), str(directory)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.answers = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.answers.put(line.rstrip("\n"))

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answers.get(timeout=TIMEOUT)

    def status(self):
        words = self.ask("status").split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=TIMEOUT) == 0


class Group:
    def __init__(self, program, directory):
        self.program = program
        self.directory = directory
        self.ports = free_ports(3)
        self.members = {}

    def start(self, number):
        self.members[number] = Member(
            self.program, number, self.ports,
            pathlib.Path(self.directory) / f"member{number}")

    def kill(self, number):
        self.members.pop(number).kill()

    def leader(self):
        """A member that says that it leads, and answers a read."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            for number, member in self.members.items():
                if (member.status()["leader"] == number
                        and not member.ask("get nothing").startswith("l")):
                    return member
            time.sleep(0.05)
        raise AssertionError("no leader")

    def set(self, key, value):
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            if self.leader().ask(f"set {key} {value}") == "ok":
                return
        raise AssertionError(f"{key} could not be set")

    def get(self, number, key):
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            answer = self.members[number].ask(f"get {key}")
            if answer == "none":
                return None
            if answer.startswith("value "):
                return answer[len("value "):]
            time.sleep(0.05)
        raise AssertionError(f"{key} could not be read")

    def await_applied(self, number, index):
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            if self.members[number].status()["applied"] >= index:
                return
            time.sleep(0.05)
        raise AssertionError(f"member {number} does not catch up")


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def reads_see_writes_on_every_member(group):
    group.set("color", "green")
    group.set("shape", "round and flat")
    group.set("color", "blue")
    for number in group.members:
        assert group.get(number, "color") == "blue"
        assert group.get(number, "shape") == "round and flat"
        assert group.get(number, "size") is None


def a_follower_names_the_leader(group):
    leader = group.leader()
    for number, member in group.members.items():
        if member is not leader:
            group.await_applied(number, leader.status()["applied"])
            assert member.ask("set a b") == f"leader {leader.number}"


def a_killed_leader_is_replaced_and_comes_back(group):
    first = group.leader().number
    group.kill(first)
    group.set("while", "it was away")
    second = group.leader()
    assert second.number != first
    group.start(first)
    assert group.get(first, "while") == "it was away"
    assert group.get(first, "color") == "blue"


def who_is_far_behind_gets_a_snapshot(group):
    """Entries are kept for it as long as it is taken for active."""
    leader = group.leader()
    away = leader.number % 3 + 1
    group.kill(away)
    last = leader.status()["applied"]
    end = time.monotonic() + TIMEOUT
    while group.leader().status()["first"] <= last + 1:
        assert time.monotonic() < end, group.leader().status()
        group.set("key8", f"value{last}")
    group.set("key9", "value249")
    status = group.leader().status()
    assert status["snapshot"] > last, (status, last)
    group.start(away)
    assert group.get(away, "key9") == "value249"
    assert group.members[away].status()["snapshot"] >= status["snapshot"]


def all_is_there_after_all_were_killed(group):
    for number in list(group.members):
        group.kill(number)
    for number in (1, 2, 3):
        group.start(number)
    group.leader()
    for number in (1, 2, 3):
        assert group.get(number, "color") == "blue"
        assert group.get(number, "key9") == "value249"


def members_stop_when_their_commands_end(group):
    for member in group.members.values():
        member.stop()
    group.members.clear()


def main():
    tests = [
        reads_see_writes_on_every_member,
        a_follower_names_the_leader,
        a_killed_leader_is_replaced_and_comes_back,
        who_is_far_behind_gets_a_snapshot,
        all_is_there_after_all_were_killed,
        members_stop_when_their_commands_end,
    ]
    with tempfile.TemporaryDirectory() as directory:
        group = Group(sys.argv[1], directory)
        try:
            for number in (1, 2, 3):
                group.start(number)
            for test in tests:
                print(f"[ RUN      ] {test.__name__}", flush=True)
                test(group)
                print(f"[       OK ] {test.__name__}", flush=True)
        finally:
            for member in group.members.values():
                member.kill()


main()
