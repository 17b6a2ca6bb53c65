#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Figures of a small swarm of real processes, a line each: name, value, unit.

A manager, drained, and two workers on loopback. usage: bench_swarm.py TOOLS_DIR
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TOOLS = pathlib.Path(sys.argv[1])
ROUNDS = 5


def figure(name, value, unit):
    print(f"{name:<48} {value:>10} {unit}", flush=True)


class Swarm:
    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.socket = str(self.dir / "swarmd.sock")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{s.getsockname()[1]}"
        self.processes = []

    def start(self, program, name, *flags):
        log = open(self.dir / f"{name}.log", "wb")
        process = subprocess.Popen(
            [TOOLS / program, "--state-dir", self.dir / name, "--hostname",
             name, "--cgroup-parent", f"bench-{os.getpid()}-{name}", *flags],
            stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def ctl(self, *words):
        return subprocess.run(
            [TOOLS / "swarmctl" / "swarmctl", "--socket", self.socket, *words],
            capture_output=True, text=True, check=True).stdout

    def ready(self):
        try:
            nodes = json.loads(self.ctl("--format", "json", "node", "ls"))
        except subprocess.CalledProcessError:
            return 0
        return sum(node.get("status", {}).get("state") == "READY"
                   for node in nodes)

    def running(self):
        tasks = json.loads(self.ctl("--format", "json", "task", "ls"))
        return [task for task in tasks
                if task.get("status", {}).get("state") == "RUNNING"]

    def wait_for(self, condition, what):
        end = time.monotonic() + 60
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"no {what} within a minute")
            time.sleep(0.005)

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(30)


def resident_kib(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    line = next(l for l in status.splitlines() if l.startswith("VmRSS"))
    return int(line.split()[1])


def time_create(swarm, count):
    """Milliseconds from the call until the last of count tasks runs."""
    start = time.monotonic()
    swarm.ctl("service", "create", "--name", "bench", "--replicas", str(count),
              "--detach", "--", "sleep", "1000")
    swarm.wait_for(lambda: len(swarm.running()) == count, f"{count} tasks")
    taken = (time.monotonic() - start) * 1000
    swarm.ctl("service", "rm", "bench", "--timeout", "60s")
    swarm.wait_for(lambda: not swarm.running(), "end of the tasks")
    return taken


def measure(swarm):
    manager = swarm.start("swarmd", "manager", "--listen-remote-api",
                          swarm.address, "--listen-control-api", swarm.socket)
    swarm.wait_for(lambda: swarm.ready() == 1, "manager")
    swarm.ctl("node", "drain", "manager")
    token = swarm.ctl("cluster", "token", "worker", "--quiet").strip()
    workers = [swarm.start("swarm-agent", name, "--join-addr", swarm.address,
                           "--join-token", token)
               for name in ("worker1", "worker2")]
    swarm.wait_for(lambda: swarm.ready() == 3, "workers")
    figure("idle swarm-agent, resident", resident_kib(workers[0]), "KiB")
    figure("idle swarmd (manager and agent), resident", resident_kib(manager),
           "KiB")
    for count in (1, 100):
        times = [time_create(swarm, count) for _ in range(ROUNDS)]
        figure(f"create to running, {count} tasks on 2 agents, median",
               round(statistics.median(times)), "ms")
        figure(f"create to running, {count} tasks on 2 agents, max",
               round(max(times)), "ms")


def sizes(directory):
    for program in ("swarmd", "swarm-agent", "swarmctl/swarmctl",
                    "swarm-shim/swarm-shim"):
        stripped = directory / "stripped"
        subprocess.run(["strip", "-o", stripped, TOOLS / program], check=True)
        figure(f"{program.split('/')[-1]}, stripped",
               round(stripped.stat().st_size / 1024), "KiB")


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="swarm-bench."))
    swarm = Swarm(directory)
    try:
        measure(swarm)
    finally:
        swarm.stop()
    sizes(directory)
    shutil.rmtree(directory, ignore_errors=True)


main()
