#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Acknowledged writes of 256 bytes to three managers, by 1, 16 and 256 clients
of the leader, beside what the disk syncs and what three etcd servers do under
the same load. Rounds take turns; medians are printed, a figure a line.

Needs SWARM_TOOLS, the directory with the programs, and LOAD, the program that
makes the load. Without etcd the lines about it are left out. usage:
bench_commits.py [ROUNDS [SECONDS]]
"""

import os
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..",
                                "integration", "swarm"))

from swarm import Swarm, exactly, free_port, wait_for  # noqa: E402

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 3
CLIENTS = (1, 16, 256)


def of(clients):
    return "%d client%s" % (clients, "" if clients == 1 else "s")


def figure(name, value, unit):
    print(f"{name:<52} {value:>10} {unit}", flush=True)


def sync_rate(path):
    """Writes of 512 bytes, each synced, per second."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    os.posix_fallocate(file, 0, 1 << 24)
    os.fsync(file)
    count = 0
    start = time.monotonic()
    while time.monotonic() < start + 1:
        os.pwrite(file, b"x" * 512, count * 512 % (1 << 24))
        os.fdatasync(file)
        count += 1
    took = time.monotonic() - start
    os.close(file)
    return count / took


class Etcd:
    """Three etcd servers, with certificates neither for clients nor peers."""

    def __init__(self, directory):
        self.directory = directory
        self.clients = [free_port() for _ in range(3)]
        peers = [free_port() for _ in range(3)]
        group = ",".join("e%d=http://127.0.0.1:%d" % (i, port)
                         for i, port in enumerate(peers))
        self.processes = [self.start(i, peers[i], group) for i in range(3)]

    def start(self, i, peer, group):
        client = "http://127.0.0.1:%d" % self.clients[i]
        peer = "http://127.0.0.1:%d" % peer
        with open(os.path.join(self.directory, "etcd%d.log" % i), "w") as log:
            return subprocess.Popen(
                ["etcd", "--name", "e%d" % i, "--data-dir",
                 os.path.join(self.directory, "etcd%d" % i),
                 "--listen-client-urls", client,
                 "--advertise-client-urls", client,
                 "--listen-peer-urls", peer,
                 "--initial-advertise-peer-urls", peer,
                 "--initial-cluster", group, "--log-level", "error"],
                stdout=log, stderr=log)

    def leader(self):
        """Address of the leader; None if there is none yet."""
        for port in self.clients:
            address = "127.0.0.1:%d" % port
            result = subprocess.run(
                ["etcdctl", "--endpoints", address, "endpoint", "status",
                 "-w", "fields"], capture_output=True, text=True, check=False,
                env={**os.environ, "ETCDCTL_API": "3"})
            fields = dict(line.split(" : ", 1)
                          for line in result.stdout.splitlines()
                          if " : " in line)
            leader = fields.get('"Leader"', "0")
            if leader != "0" and leader == fields.get('"MemberID"'):
                return address
        return None

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()


class Load:
    """What one kind of server took, by number of clients."""

    def __init__(self, kind):
        self.kind = kind
        self.rates = {clients: [] for clients in CLIENTS}
        self.halves = {clients: [] for clients in CLIENTS}
        self.tails = {clients: [] for clients in CLIENTS}

    def run(self, address, clients, prefix):
        result = subprocess.run(
            [os.environ["LOAD"], self.kind, address, str(clients),
             str(SECONDS), prefix], capture_output=True, text=True,
            check=False)
        if result.returncode != 0:
            sys.exit("load of %d clients on %s: %s" %
                     (clients, self.kind, result.stderr[-500:]))
        count, took, half, tail = result.stdout.split()
        self.rates[clients].append(int(count) / float(took))
        self.halves[clients].append(int(half))
        self.tails[clients].append(int(tail))

    def rate(self, clients):
        return statistics.median(self.rates[clients])

    def print(self):
        for clients in CLIENTS:
            what = "%s, 3 members, %s" % (self.kind, of(clients))
            figure(what, round(self.rate(clients)), "writes/s")
            figure(what + ", median",
                   round(statistics.median(self.halves[clients])), "us")
            figure(what + ", 99 %",
                   round(statistics.median(self.tails[clients])), "us")


def can_load_etcd():
    return shutil.which("etcd") and shutil.which("etcdctl") and \
        subprocess.run([os.environ["LOAD"], "etcd", "x", "1", "1", "x"],
                       capture_output=True, check=False).returncode != 3


def run(swarm, etcd):
    ours, theirs, syncs = Load("swarm"), Load("etcd"), []
    socket = swarm.path("control" if swarm.leader() == "manager"
                        else swarm.leader() + ".sock")
    for number in range(ROUNDS):
        for clients in CLIENTS:
            prefix = "r%d.%d" % (number, clients)
            syncs.append(sync_rate(swarm.path("syncs")))
            ours.run(socket, clients, prefix)
            if etcd:
                theirs.run(etcd.leader(), clients, prefix)
    figure("fdatasync of 512 bytes", round(statistics.median(syncs)),
           "syncs/s")
    ours.print()
    if etcd:
        theirs.print()
        for clients in CLIENTS:
            figure("swarm against etcd, " + of(clients),
                   round(ours.rate(clients) / theirs.rate(clients), 2),
                   "times")


def main():
    with Swarm(drained=True) as swarm:
        swarm.add_manager("m2")
        swarm.add_manager("m3")
        wait_for(lambda: exactly(swarm.voters(), 3), "three managers")
        if not can_load_etcd():
            run(swarm, None)
            return
        etcd = Etcd(swarm.dir)
        try:
            wait_for(etcd.leader, "an etcd server leads")
            run(swarm, etcd)
        finally:
            etcd.stop()


main()
