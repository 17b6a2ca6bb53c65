# SPDX-License-Identifier: Apache-2.0

"""A swarm of real processes on this machine, and a plain runner of tests.

Everything of a swarm lives in a temporary directory and listens on free ports
of the loopback interface. This process is the subreaper of what it starts, so
that workloads that outlive their agent stay its descendants, and are found and
ended by process id, whatever a test left behind.
"""

import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

PATIENCE_S = 60  # never waited in full where things work
ALPN = "swarmkit/1"  # what nodes and managers speak within TLS
PAUSE_S = 0.02
PR_SET_CHILD_SUBREAPER = 36
# Of the build that meson tests, else of the usual one.
TOOLS = os.environ.get("SWARM_TOOLS") or os.path.normpath(
    os.path.join(os.path.dirname(__file__), "../../../build/tools"))


class Failure(AssertionError):
    """What a test expected did not come true."""


def expect(condition, text):
    if not condition:
        raise Failure(text)


def wait_for(condition, what, patience=PATIENCE_S):
    """Polls until the condition holds, and returns what it returned."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("not in %d s: %s" % (patience, what))
        reap()
        time.sleep(PAUSE_S)


# -- Processes ----------------------------------------------------------------

_started = set()  # what subprocess waits for itself
_starting = threading.Lock()


class _Process(subprocess.Popen):
    """One whose end is never taken by reap(), as subprocess would then believe
    that it had ended well; whichever thread starts it."""

    def __init__(self, *args, **kwargs):
        with _starting:
            super().__init__(*args, **kwargs)
            _started.add(self.pid)


subprocess.Popen = _Process  # for subprocess.run(), too


def _stat(pid):
    """State letter and parent of a process, or None if it is gone."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return fields[0], int(fields[1])
    except (OSError, IndexError):
        return None


def processes():
    """State and parent by process id."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = _stat(int(name))
            if stat:
                found[int(name)] = stat
    return found


def reap():
    """Waits for orphans that ended, as init would."""
    me = os.getpid()
    for pid, (state, parent) in processes().items():
        if parent != me or state != "Z":
            continue
        with _starting:
            if pid not in _started:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass


def alive(pid):
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def descendants(of):
    table = processes()
    found = []
    below = {of}
    while below:
        below = {p for p, (_, parent) in table.items() if parent in below}
        found += below
    return [p for p in found if table[p][0] not in "ZX"]


def end_descendants():
    """Kills all that this process started, down to the last one."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        pids = descendants(os.getpid())
        if not pids:
            reap()
            return
        for pid in pids:
            kill(pid)
        reap()
        time.sleep(PAUSE_S)
    raise Failure("processes do not end: %s" % pids)


def workloads(mark):
    """Process ids whose last argument is the mark; see Swarm.sleeper()."""
    found = []
    for pid in descendants(os.getpid()):
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                words = f.read().rstrip(b"\0").split(b"\0")
        except OSError:
            continue
        if words[-1] == mark.encode():
            found.append(pid)
    return sorted(found)


_ports = []  # held for this process's life


def free_port():
    """One that stays free while nobody listens there, as after a crash: below
    those that the system gives to connections, and of no other test."""
    while True:
        port = random.randrange(12000, 32000)
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind("\0swarmkit-test-port-%d" % port)
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
            _ports.append(held)
            return port
        except OSError:
            held.close()


class Result:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def says(self, *texts):
        for text in texts:
            expect(text in self.err or text in self.out,
                   "lacks %r: %r" % (text, self.err or self.out))
        return self


def run(*words, patience=PATIENCE_S):
    done = subprocess.run(words, capture_output=True, text=True,
                          errors="replace", timeout=patience,
                          stdin=subprocess.DEVNULL)
    return Result(done)


def tool(name):
    for path in (os.path.join(TOOLS, name), os.path.join(TOOLS, name, name)):
        if os.path.isfile(path):
            return path
    raise Failure("no program %s in %s" % (name, TOOLS))


class Daemon:
    """A swarmd or a swarm-agent, with what it logged."""

    def __init__(self, words, log):
        self.words = words
        self.log = log
        self.process = None

    def start(self):
        with open(self.log, "ab") as f:
            self.process = subprocess.Popen(self.words, stderr=f, stdout=f,
                                            stdin=subprocess.DEVNULL)
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def wait(self, patience=PATIENCE_S):
        wait_for(lambda: not self.running(),
                 "%s ends" % self.words[0], patience)
        return self.process.returncode

    def stop(self):
        """As an administrator stops it; it has to end well."""
        self.process.send_signal(signal.SIGTERM)
        code = self.wait()
        expect(code == 0, "%s ended by SIGTERM with %d:\n%s" %
               (self.words[0], code, self.text()[-3000:]))

    def crash(self):
        self.process.kill()
        self.wait()

    def crash_with_tasks(self):
        """As if its machine had lost its power."""
        pids = self.shims() + [self.process.pid]
        for pid in pids:
            for below in descendants(pid):
                kill(below)
            kill(pid)
        self.wait()

    def shims(self):
        """The shims of its tasks, which work in its state directory."""
        found = []
        for pid in descendants(os.getpid()):
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    name = f.read().split(b"\0")[0]
                place = os.readlink("/proc/%d/cwd" % pid)
            except OSError:
                continue
            if (os.path.basename(name) == b"swarm-shim" and
                    place.startswith(self.state + "/")):
                found.append(pid)
        return found


# -- Swarms -------------------------------------------------------------------

class Swarm:
    """with Swarm() as swarm: a manager runs, and is the leader."""

    _count = 0

    def __init__(self, drained=False):
        self.dir = tempfile.mkdtemp(prefix="swk-")
        os.chmod(self.dir, 0o755)
        self.port = free_port()
        self.address = "127.0.0.1:%d" % self.port
        self.socket = self.path("control")
        self.drained = drained
        self.daemons = []
        self.groups = []
        self.manager = None

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def __enter__(self):
        try:
            self.manager = self.start_manager()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.stop()
            else:
                self.show_logs()
        finally:
            end_descendants()
            for daemon in self.daemons:
                if daemon.process is not None:
                    daemon.process.wait()
            self.remove_groups()
            shutil.rmtree(self.dir, ignore_errors=True)

    def stop(self):
        """Workers first, all in good order: a leak is an error here."""
        for daemon in reversed(self.daemons):
            if daemon.running():
                daemon.stop()

    def show_logs(self):
        for daemon in self.daemons:
            print("---- %s\n%s" % (" ".join(daemon.words),
                                   daemon.text()[-4000:]))
        sys.stdout.flush()

    def remove_groups(self):
        for group in self.groups:
            for top in ("", "unified", *self.controllers()):
                tree = os.path.join("/sys/fs/cgroup", top, group)
                for place, _, _ in os.walk(tree, topdown=False):
                    try:
                        os.rmdir(place)
                    except OSError:
                        pass

    @staticmethod
    def controllers():
        try:
            return [d for d in os.listdir("/sys/fs/cgroup")
                    if os.path.isdir("/sys/fs/cgroup/" + d)]
        except OSError:
            return []

    def group(self):
        """A cgroup that no other node of this machine has."""
        Swarm._count += 1
        name = "swk-it-%d-%d" % (os.getpid(), Swarm._count)
        self.groups.append(name)
        return name

    def daemon(self, program, name, *flags):
        daemon = Daemon([tool(program), "--state-dir", self.path(name),
                         "--cgroup-parent", self.group(), *flags],
                        self.path(name + ".log"))
        daemon.state = self.path(name)
        daemon.name = name
        return daemon

    def start_manager(self):
        manager = self.daemon("swarmd", "manager", "--hostname", "manager",
                              "--listen-remote-api", self.address,
                              "--listen-control-api", self.socket)
        self.daemons.append(manager)
        self.again(manager)
        if self.drained:
            self.ctl("node", "drain", "manager")
        return manager

    # -- Managers in plural

    def add_manager(self, name, *flags):
        """Another manager, which is a voter when this returns."""
        manager = self.plan_manager(name, *flags)
        manager.start()
        self.wait_voter(name)
        return manager

    def plan_manager(self, name, *flags, join=True):
        port = free_port()
        manager = self.daemon("swarmd", name, "--hostname", name,
                              "--listen-remote-api", "127.0.0.1:%d" % port,
                              "--listen-control-api",
                              self.path(name + ".sock"), *flags)
        if join:
            manager.words += ["--join-addr", self.address, "--join-token",
                              self.token("manager")]
        manager.port = port
        self.daemons.append(manager)
        return manager

    def at(self, name):
        """From now on swarmctl asks this manager."""
        self.socket = self.path("control" if name == "manager"
                                else name + ".sock")

    def voters(self):
        """Names of the managers that lead or are reachable, the leader
        first; [] if nobody leads."""
        found = []
        result = self.try_ctl("--format", "json", "node", "ls")
        for node in json.loads(result.out) if result.code == 0 else []:
            status = node.get("managerStatus", {})
            name = node.get("description", {}).get("hostname")
            if status.get("leader"):
                found.insert(0, name)
            elif status.get("reachability") == "REACHABLE":
                found.append(name)
        return found

    def leader(self):
        return wait_for(self.voters, "somebody leads")[0]

    def wait_voter(self, name):
        wait_for(lambda: name in self.voters(), name + " is a manager")

    def wait_led_by_another(self, name):
        wait_for(lambda: (self.voters() or [name])[0] != name,
                 "another than %s leads" % name)

    def named(self, name):
        return next(d for d in self.daemons if d.name == name)

    def others(self, *names):
        """Managers that are none of these."""
        return [d.name for d in self.daemons if "swarmd" in d.words[0] and
                d.name not in names]

    def again(self, manager):
        """Starts a manager, and waits until it leads and runs tasks."""
        manager.start()
        wait_for(lambda: self.leads(manager), "the manager leads")
        self.wait_node("manager", "READY")

    def leads(self, manager):
        expect(manager.running(), "the manager ended:\n" + manager.text())
        return self.try_ctl("cluster", "inspect").code == 0

    def token(self, role="worker"):
        return self.ctl("cluster", "token", "-q", role).out.strip()

    def worker(self, name, *flags, program="swarm-agent", token=None):
        worker = self.daemon(program, name, "--hostname", name,
                             "--join-addr", self.address,
                             "--join-token", token or self.token(), *flags)
        self.daemons.append(worker)
        worker.start()
        self.wait_node(name, "READY")
        return worker

    def refused(self, program, name, *flags):
        """Runs a program that has to give up, and returns what it said."""
        daemon = self.daemon(program, name, *flags)
        daemon.start()
        self.daemons.append(daemon)
        code = daemon.wait()
        done = subprocess.CompletedProcess(daemon.words, code, "",
                                           daemon.text())
        return Result(done)

    # -- swarmctl

    def try_ctl(self, *words):
        return run(tool("swarmctl"), "-s", self.socket, *words)

    def ctl(self, *words, code=0):
        result = self.try_ctl(*words)
        expect(result.code == code, "swarmctl %s: exit code %d, not %d: %s" %
               (" ".join(words), result.code, code, result.err or result.out))
        return result

    def json(self, *words):
        return json.loads(self.ctl("--format", "json", *words).out)

    def nodes(self):
        """What is known of each node, by its host name; of two that have
        the same, the last."""
        return {n.get("description", {}).get("hostname", n["id"]): n
                for n in self.json("node", "ls")}

    def node_state(self, name):
        return self.nodes().get(name, {}).get("status", {}).get("state")

    def wait_node(self, name, state):
        wait_for(lambda: self.node_state(name) == state,
                 "node %s is %s" % (name, state))

    def tasks(self, service):
        return self.json("service", "ps", "--all", service)

    def live(self, service):
        """Tasks that run and are to run."""
        return [t for t in self.tasks(service)
                if t.get("desiredState") == "RUNNING" and
                state_of(t) == "RUNNING"]

    def wait_live(self, service, count, patience=PATIENCE_S):
        return wait_for(lambda: exactly(self.live(service), count),
                        "%d tasks of %s run" % (count, service), patience)

    def mark(self, name):
        return "%s-%s" % (os.path.basename(self.dir), name)

    def sleeper(self, name):
        """A command that runs for ever, and by which workloads() finds it."""
        return ["sh", "-c", "while :; do read -r x < $1; done", "sh",
                self.fifo(), self.mark(name)]

    def fifo(self):
        """What a workload waits at; nobody ever writes."""
        path = self.path("never")
        if not os.path.exists(path):
            os.mkfifo(path)
        return path

    def create_detached(self, name, *flags, count=1):
        self.ctl("service", "create", "--detach", "--name", name,
                 "--replicas", str(count), "--restart-delay", "0s", *flags,
                 "--", *self.sleeper(name))

    def create(self, name, *flags, count=1):
        self.ctl("service", "create", "--name", name, "--replicas",
                 str(count), "--restart-delay", "0s",
                 "--stop-grace-period", "1s", *flags, "--",
                 *self.sleeper(name))
        return workloads(self.mark(name))


def state_of(task):
    return task.get("status", {}).get("state")


def pid_of(task):
    return task["status"]["container"]["pid"]


def exactly(found, count):
    """For wait_for(): a list of that many, also of none."""
    return (found or [None]) if len(found) == count else None


# -- The runner ---------------------------------------------------------------

def main(tests):
    """Runs the tests in turn and prints what cmocka would print."""
    wanted = sys.argv[1:]
    failed = []
    tests = [t for t in tests if not wanted or t.__name__ in wanted]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    print("[==========] Running %d test(s)." % len(tests))
    for test in tests:
        print("[ RUN      ] %s" % test.__name__, flush=True)
        start = time.monotonic()
        try:
            test()
        except Exception:  # the next test is run all the same
            traceback.print_exc(file=sys.stdout)
            failed.append(test.__name__)
            print("[  FAILED  ] %s" % test.__name__, flush=True)
        else:
            print("[       OK ] %s" % test.__name__, flush=True)
        print("             %.1f s" % (time.monotonic() - start), flush=True)
    print("[  PASSED  ] %d test(s)." % (len(tests) - len(failed)))
    sys.exit(1 if failed else 0)
