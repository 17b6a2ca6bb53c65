# SPDX-License-Identifier: Apache-2.0

"""A swarm whose CA key the attacker's author holds, and who may call it.

The authority is made before the first manager starts, which takes it over; so
any certificate can be made that the swarm itself would never have issued.
"""

import json
import os
import shutil
import subprocess

from swarm import Failure, Swarm, expect

ATTACKER = os.environ.get("SWARM_ATTACKER") or os.path.normpath(os.path.join(
    os.path.dirname(__file__), "../../build/tests/security/attacker"))
MANAGER, WORKER = "swarm-manager", "swarm-worker"
DAY = 24 * 3600
PACKAGE = "/docker.swarmkit.v1."

# As of lib/base/roles.h and lib/wire/methods.h.
ROLE_WORKER, ROLE_MANAGER = 1, 2
SERVED_NOT, SERVED_LEADER, SERVED_HERE = range(3)
UNARY = 0

# Statuses of gRPC.
OK, INVALID, NOT_FOUND, DENIED = 0, 3, 5, 7
EXHAUSTED, UNSERVED, UNAVAILABLE = 8, 12, 14


def attacker(*words):
    done = subprocess.run([ATTACKER, *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure("attacker %s: %s" % (" ".join(words), done.stderr))
    return done.stdout


class Method:
    def __init__(self, line):
        fields = line.split("\t")
        self.path = fields[0]
        self.kind, self.roles, self.remote, self.local, self.flags = (
            int(f) for f in fields[1:])

    @property
    def name(self):
        return self.path.rsplit(".", 1)[1]


def methods():
    return [Method(line) for line in attacker("methods").splitlines()]


class Answer:
    """What came of one call."""

    def __init__(self, status, text, messages):
        self.status = status  # a number, "open" or "down"
        self.text = text
        self.messages = messages

    def denied(self):
        return self.status == DENIED and not self.messages

    def __repr__(self):
        return "%s %s (%d messages)" % (self.status, self.text,
                                        len(self.messages))


class Talk:
    """A connection of the attacking program; see talk.c."""

    def __init__(self, address, files=(), program=ATTACKER, **more):
        self.process = subprocess.Popen(
            [program, "talk", address, *files], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **more)
        self.greeting = self.read()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait(30)
        said = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        if error[0] is None and self.process.returncode != 0:
            raise Failure("attacker: %d %s" % (self.process.returncode, said))

    def connected(self):
        """TLS is up and the manager has greeted."""
        return self.greeting.status == OK

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure("attacker: " + self.process.stderr.read())
        status, count, text = line.rstrip("\n").split("\t", 2)
        messages = [json.loads(self.process.stdout.readline())
                    for _ in range(int(count))]
        return Answer(int(status) if status.isdigit() else status, text,
                      messages)

    def call(self, path, request="", **options):
        """request is a dict, or text as of talk.c."""
        words = ";".join(k if v is True else "%s=%s" % (k, v)
                         for k, v in options.items())
        if isinstance(request, dict):
            request = json.dumps(request)
        if not path.startswith("/") and path != "poll":
            path = PACKAGE + path
        self.process.stdin.write("%s\t%s\t%s\n" % (path, words, request))
        self.process.stdin.flush()
        return self.read()


class Attacked(Swarm):
    """A swarm, its authority, and certificates for anybody."""

    def __enter__(self):
        place = self.path("manager", "certificates")
        os.makedirs(place)
        os.chmod(self.path("manager"), 0o700)
        self.root = os.path.join(place, "swarm-root-ca")
        attacker("root", self.root)
        # The manager removes the key from there once the log has it.
        self.ca = self.path("ca")
        for suffix in (".crt", ".key"):
            shutil.copy(self.root + suffix, self.ca + suffix)
        super().__enter__()
        self.roots = self.ca + ".crt"
        self.id = self.json("cluster", "inspect")["id"]
        return self

    def issue(self, node, role, begin=0, length=DAY, swarm=None, ca=None):
        """Roots, chain and key of whoever; begin is seconds from now."""
        Swarm._count += 1
        prefix = self.path("identity-%d" % Swarm._count)
        ca = ca or self.ca
        attacker("issue", ca + ".crt", ca + ".key", node, swarm or self.id,
                 role, str(begin), str(length), prefix)
        return [self.roots, prefix + ".crt", prefix + ".key"]

    def foreign_ca(self):
        Swarm._count += 1
        prefix = self.path("foreign-%d" % Swarm._count)
        attacker("root", prefix)
        return prefix

    def node_id(self, name):
        return self.nodes()[name]["id"]

    def talk(self, files=(), at=None, **more):
        """As whoever the files say, with the manager's port or a path."""
        if at is None:
            at = "tcp://" + self.address
        return Talk(at, files, **more)

    def as_manager(self):
        """A manager that the swarm has never heard of, but its CA has."""
        return self.talk(self.issue("ghostmanager", MANAGER))


def openssl(*words, text=None):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True,
                          input=text)
    expect(done.returncode == 0, "openssl %s: %s" % (" ".join(words),
                                                     done.stderr))
    return done.stdout
