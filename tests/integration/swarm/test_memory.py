# SPDX-License-Identifier: Apache-2.0

"""Secrets stay out of core dumps, command lines and other users' reach."""

import base64
import os
import shutil
import struct
import subprocess
import sys

from swarm import (Swarm, exactly, expect, main, run, tool, wait_for, workloads)

PAYLOAD = b"a payload that is nowhere else %d" % os.getpid()
NOBODY = 65534
PT_LOAD = 1  # of an ELF file's segments


def core_of(swarm, daemon):
    """What a debugger that root starts writes down of a process."""
    done = run("gcore", "-o", swarm.path("core"), str(daemon.process.pid))
    expect(done.code == 0, "gcore: " + done.err)
    path = swarm.path("core.%d" % daemon.process.pid)
    with open(path, "rb") as f:
        content = f.read()
    os.unlink(path)
    return memory_of(content)


def memory_of(core):
    """The segments of memory. Registers are written whatever the process asks
    for, with the last words that were copied through them."""
    place, count = (struct.unpack_from("<Q", core, 32)[0],
                    struct.unpack_from("<H", core, 56)[0])
    memory = b""
    for i in range(count):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", core,
                                                         place + 56 * i)
        if kind == PT_LOAD:
            memory += core[offset:offset + size]
    return memory


def plant_secrets(swarm):
    """Puts secrets into a manager, and returns what must not be found."""
    with open(swarm.path("payload"), "wb") as f:
        f.write(PAYLOAD)
    swarm.ctl("secret", "create", "--file", swarm.path("payload"), "s1")
    swarm.ctl("cluster", "update", "--autolock=true", "default")
    unlock_key = swarm.ctl("cluster", "unlock-key", "-q").out.strip()
    digits = unlock_key.rsplit("-", 1)[1].replace(".", "/").replace("_", "+")
    with open(swarm.path("manager", "certificates", "swarm-root-ca.crt"),
              "rb") as f:
        root = f.read().splitlines()[2]
    return {
        "a secret's payload": PAYLOAD,
        "the unlock key": base64.b64decode(digits + "=" * (-len(digits) % 4)),
        "the join token": swarm.token().rsplit("-", 1)[1].encode(),
        "the root certificate": root,
    }


def found_in(core, secrets):
    return sorted(what for what, content in secrets.items() if content in core)


def no_secret_is_in_an_image_of_a_manager():
    with Swarm() as swarm:
        secrets = plant_secrets(swarm)
        found = found_in(core_of(swarm, swarm.manager), secrets)
        expect(not found, "found in the image: %s" % found)


def with_core_dumps_they_are_so_the_test_can_see_them():
    with Swarm() as swarm:
        swarm.manager.stop()
        swarm.manager.words.append("--core-dumps")
        swarm.again(swarm.manager)
        secrets = plant_secrets(swarm)
        found = found_in(core_of(swarm, swarm.manager), secrets)
        expect(found == sorted(secrets), "found only %s" % found)


def no_secret_of_a_task_is_in_an_image_of_its_agent():
    with Swarm(drained=True) as swarm:
        worker = swarm.worker("w1")
        swarm.create("web", "--env", "PASSWORD=" + PAYLOAD.decode())
        found = found_in(core_of(swarm, worker), {"a payload": PAYLOAD})
        expect(not found, "found in the image: %s" % found)


def a_join_token_is_not_on_the_command_line():
    with Swarm() as swarm:
        token = swarm.token()
        for program in "swarm-agent", "swarmd":
            node = swarm.worker(program, *(
                [] if program == "swarm-agent" else
                ["--listen-remote-api", "127.0.0.1:0",
                 "--listen-control-api", swarm.path("w.sock")]),
                program=program, token=token)
            with open("/proc/%d/cmdline" % node.process.pid, "rb") as f:
                words = f.read()
            expect(b"--join-token" in words, "it is another process")
            expect(token.encode() not in words, "the token shows")


def workloads_may_dump_as_ever():
    with Swarm() as swarm:
        pid = swarm.create("web")[0]
        with open("/proc/%d/coredump_filter" % pid) as f:
            expect(int(f.read(), 16) == 0x33, "the filter is inherited")
        with open("/proc/%d/limits" % pid) as f:
            limit = next(line.split()[4:6] for line in f
                         if line.startswith("Max core"))
        expect(limit[0] == limit[1], "the limit is inherited: %s" % limit)


def a_common_user_s_node_works_as_well():
    """Its files in /proc are root's then."""
    for path in tool("swarmd"), tool("swarm-shim"):
        if os.geteuid() != 0 or not shutil.which("setpriv") or \
                run("setpriv", "--reuid=%d" % NOBODY, "--clear-groups", "test",
                    "-x", path).code != 0:
            print("skipped: there is no other user to be")
            return
    with Swarm() as swarm:
        name = "common"
        os.mkdir(swarm.path(name), 0o700)
        os.chown(swarm.path(name), NOBODY, NOBODY)
        worker = swarm.daemon("swarm-agent", name, "--hostname", name,
                              "--join-addr", swarm.address, "--join-token",
                              swarm.token())
        worker.words = ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY,
                        "--clear-groups"] + worker.words
        swarm.daemons.append(worker)
        worker.start()
        swarm.wait_node(name, "READY")
        swarm.ctl("node", "drain", "manager")
        pid = swarm.create("web")[0]
        expect(os.stat("/proc/%d" % pid).st_uid == NOBODY, "another's process")
        worker.stop()  # and finds its tasks again
        worker.start()
        swarm.wait_node(name, "READY")
        swarm.wait_live("web", 1)
        expect(workloads(swarm.mark("web")) == [pid], "it was restarted")
        swarm.ctl("service", "rm", "web")
        wait_for(lambda: exactly(workloads(swarm.mark("web")), 0),
                 "the task ends")


if not shutil.which("gcore") or \
        subprocess.run(["gcore", "-v"], capture_output=True,
                       check=False).returncode not in (0, 1, 2):
    print("skipped: no gcore")
    sys.exit(77)


def allocated_kib(pid):
    """What of malloc's areas is resident: the heap, and the arenas, which
    begin at multiples of 64 MiB."""
    found, counts = 0, False
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                start = int(words[0].split("-")[0], 16)
                counts = words[-1] == "[heap]" or (
                    len(words) == 5 and start % (64 << 20) == 0)
            elif words[0] == "Rss:" and counts:
                found += int(words[1])
    return found


def an_idle_agent_keeps_little_memory():
    with Swarm(drained=True) as swarm:
        # It would have all that was ever allocated written to.
        perturb = os.environ.pop("MALLOC_PERTURB_", None)
        found = allocated_kib(swarm.worker("w1").process.pid)
        if perturb is not None:
            os.environ["MALLOC_PERTURB_"] = perturb
        expect(found < 350, "it keeps %d KiB" % found)


main([
    no_secret_is_in_an_image_of_a_manager,
    with_core_dumps_they_are_so_the_test_can_see_them,
    no_secret_of_a_task_is_in_an_image_of_its_agent,
    a_join_token_is_not_on_the_command_line,
    workloads_may_dump_as_ever,
    a_common_user_s_node_works_as_well,
    an_idle_agent_keeps_little_memory,
])
