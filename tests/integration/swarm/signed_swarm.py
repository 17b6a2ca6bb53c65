# SPDX-License-Identifier: Apache-2.0

"""Swarms whose CA's key is with swarm-signer."""

import base64
import glob
import json
import os
import re
import subprocess

from swarm import Daemon, Swarm, expect, run, tool, wait_for


def other_user():
    """Root gives the signer a user of its own, as an operator would, where
    this machine has other users at all."""
    if os.geteuid() != 0:
        return None
    try:
        subprocess.run(["/bin/true"], user="nobody", group="nogroup",
                       extra_groups=[], check=True)
    except (OSError, LookupError, subprocess.SubprocessError):
        return None
    return "nobody"


USER = other_user()


class Signer(Daemon):
    """A swarm-signer with a directory of its own."""

    def __init__(self, swarm, name, *flags):
        self.name = name
        self.state = swarm.path(name)
        self.socket = swarm.path(name + ".run", "s")
        self.user = ["--user", USER] if USER else []
        super().__init__([], swarm.path(name + ".log"))
        self.set_flags(*flags)

    def set_flags(self, *flags):
        self.words = [tool("swarm-signer"), "run", "--state-dir", self.state,
                      "--socket", self.socket, *self.user, *flags]

    def tool(self, *words, code=0):
        result = run(tool("swarm-signer"), *words, "--state-dir", self.state,
                     *self.user)
        expect(result.code == code, "swarm-signer %s: %d: %s" %
               (" ".join(words), result.code, result.err))
        return result

    def start(self):
        # What is left of a socket is not taken for one that is served.
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        super().start()
        wait_for(lambda: os.path.exists(self.socket) or not self.running(),
                 "the signer serves")
        expect(self.running(), "the signer ended:\n" + self.text())
        return self

    def records(self):
        with open(os.path.join(self.state, "signatures.log")) as f:
            return [json.loads(line) for line in f]

    def authorities(self):
        return json.loads(self.tool("list", "--format", "json").out)[
            "authorities"]


class SignedSwarm(Swarm):
    """with SignedSwarm() as swarm: its manager was founded by a signer."""

    def __init__(self, *flags):
        super().__init__(drained=True)
        self.signer = Signer(self, "signer", *flags)

    def start_manager(self):
        self.signer.tool("init")
        self.daemons.append(self.signer)
        self.signer.start()
        return super().start_manager()

    def daemon(self, program, name, *flags):
        if program == "swarmd":
            flags += ("--signer", "unix:" + self.signer.socket)
        return super().daemon(program, name, *flags)


def key_of(state):
    """The private scalar and its DER, of the one authority in a directory."""
    path, = glob.glob(os.path.join(state, "*.pem"))
    with open(path) as f:
        text = f.read()
    body = re.search("-----BEGIN PRIVATE KEY-----\n(.*?)-----END", text,
                     re.S).group(1)
    der = base64.b64decode(body)
    at = der.index(b"\x02\x01\x01\x04\x20") + 5
    return der[at:at + 32], der, body, text


def traces_of(key):
    """What in a memory or a file would be the key, by name."""
    scalar, der, body, _ = key
    flat = body.replace("\n", "").encode()
    return {
        "scalar": scalar,
        "scalar, the other way round": scalar[::-1],
        "DER": der,
        "PEM": body.encode().strip(),
        # Lines of any length have this in them.
        "base 64": flat[40:60],
    }


def memory_of(pid):
    """All that can be read of a process; raises PermissionError."""
    with open("/proc/%d/maps" % pid) as maps, \
            open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if "r" not in rights or "[v" in line:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except (OSError, OverflowError, ValueError):
                continue


def found_in_memory(pid, key):
    found = set()
    for block in memory_of(pid):
        for name, trace in traces_of(key).items():
            if trace in block:
                found.add(name)
    return found


def found_in_files(folder, key):
    found = set()
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if not os.path.isfile(path) or os.path.islink(path):
                continue
            with open(path, "rb") as f:
                data = f.read()
            for what, trace in traces_of(key).items():
                if trace in data:
                    found.add(what)
    return found
