#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a swarm of three managers cannot be changed when its leader is
killed: from kill -9 until another manager has taken a change. A figure a line.

Needs SWARM_TOOLS, the directory with the programs. usage: bench_failover.py
[KILLS]
"""

import itertools
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..",
                                "integration", "swarm"))

from swarm import Swarm, exactly, wait_for  # noqa: E402

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 20


def figure(name, value, unit):
    print(f"{name:<48} {value:>10} {unit}", flush=True)


def kill_leader(swarm, number):
    """Milliseconds until a change is taken again."""
    old = swarm.leader()
    swarm.at(swarm.others(old)[0])
    start = time.monotonic()
    swarm.named(old).crash()
    names = (f"note{number}.{i}" for i in itertools.count())
    wait_for(lambda: swarm.try_ctl("config", "create", "--file",
                                   swarm.path("note"), next(names)).code == 0,
             "a change is taken")
    taken = (time.monotonic() - start) * 1000
    swarm.named(old).start()
    wait_for(lambda: exactly(swarm.voters(), 3), "three managers again")
    return taken


def main():
    with Swarm() as swarm:
        with open(swarm.path("note"), "w") as f:
            f.write("note")
        swarm.add_manager("m2")
        swarm.add_manager("m3")
        wait_for(lambda: exactly(swarm.voters(), 3), "three managers")
        times = sorted(kill_leader(swarm, i) for i in range(KILLS))
    what = f"leader killed, {KILLS} times, until a change is taken"
    figure(what + ", min", round(times[0]), "ms")
    figure(what + ", median", round(statistics.median(times)), "ms")
    figure(what + ", max", round(times[-1]), "ms")


main()
