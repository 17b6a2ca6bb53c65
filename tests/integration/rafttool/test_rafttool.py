# SPDX-License-Identifier: Apache-2.0

"""swarm-rafttool on the state of real managers: what it shows, what it refuses,
and a swarm that goes on with what it exported."""

import base64
import json
import os
import stat
import sys

from swarm import Swarm, expect, main, run, tool, wait_for, workloads

SECRET = "hunter2-of-the-secret"
CONFIG = "hunter2-of-the-config"
VARIABLE = "hunter2-of-the-variable"
HIDDEN = (SECRET, CONFIG, VARIABLE)
KINDS = ("node", "service", "network", "task", "cluster", "secret", "resource",
         "extension", "config", "volume")
HEAD = 16 * 1024  # of a segment of the log


def raft(*words, code=0):
    result = run(tool("swarm-rafttool"), *words)
    expect(result.code == code, "swarm-rafttool %s: exit code %d, not %d: %s" %
           (" ".join(words), result.code, code, result.err or result.out))
    return result


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def fill(swarm, *flags):
    """Objects of several kinds, with something to hide in each."""
    swarm.ctl("secret", "create", "token", "--file",
              write(swarm.path("secret"), SECRET))
    swarm.ctl("config", "create", "setup", "--file",
              write(swarm.path("config"), CONFIG))
    return swarm.create("web", "--env", "PASSWORD=" + VARIABLE, *flags, count=2)


def base64_of(text):
    """What is the same in base 64 whatever follows."""
    return base64.b64encode(text.encode())[:len(text) // 3 * 4].decode()


def hides(text):
    for word in HIDDEN:
        expect(word not in text, "%r is shown" % word)
        expect(base64_of(word) not in text, "%r is shown in base 64" % word)
    key = "-----BEGIN PRIVATE KEY-----"
    expect(key not in text and base64_of(key) not in text,
           "a private key is shown")
    expect("SWMTKN-1-" not in text, "a join token is shown")


def files_of(top):
    """Every file with its content, to tell whether anything changed."""
    found = {}
    for place, _, names in os.walk(top):
        for name in names:
            path = os.path.join(place, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as f:
                    found[os.path.relpath(path, top)] = f.read()
    return found


def log_of(state):
    """The file of the log that holds entries."""
    names = [n for n in sorted(os.listdir(os.path.join(state, "raft")))
             if n.startswith("log-")]
    expect(names, "there is no log")
    return os.path.join(state, "raft", names[-1])


def flip(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 0x10]))


class Stopped:
    """with Stopped() as (swarm, dir): objects were made, the manager ended."""

    def __init__(self, *flags):
        self.flags = flags
        self.swarm = Swarm()

    def __enter__(self):
        swarm = self.swarm.__enter__()
        try:
            fill(swarm, *self.flags)
            swarm.manager.crash_with_tasks()
        except BaseException:
            self.swarm.__exit__(*sys.exc_info())
            raise
        return swarm, swarm.path("manager")

    def __exit__(self, *error):
        self.swarm.__exit__(*error)


def every_command_explains_itself():
    raft(code=2)
    raft("--help").says("Usage: swarm-rafttool", "dump-wal", "Exit status")
    raft("--version").says("swarm-rafttool ")
    raft("-h").says("Usage: swarm-rafttool")
    raft("dump-everything", code=2).says("unknown command")
    raft("--everything", code=2).says("unknown flag")
    for command in ("dump-wal", "dump-snapshot", "dump-object", "verify",
                    "decrypt", "export", "import"):
        raft(command, "--help").says("Usage: swarm-rafttool " + command,
                                     "--state-dir", "Exit status", "Example")
        raft(command, "-h").says("Usage: swarm-rafttool " + command)
    raft("dump-wal", "--start", "0", code=2).says("no index")
    raft("dump-wal", "--start", "5", "--end", "3", code=2).says("before")
    raft("dump-wal", "--format", "yaml", code=2).says("neither table nor json")
    raft("dump-wal", "--name", "x", code=2).says("unknown flag")
    raft("dump-wal", "more", code=2).says("unexpected argument")
    raft("dump-object", code=2).says("an argument is missing", "TYPE")
    raft("decrypt", code=2).says("--output")
    raft("import", "x.json", code=2).says("--state-dir")


def a_directory_without_a_state_is_told():
    raft("dump-wal", "--state-dir", "/nonexistent", code=4).says(
        "no state of a manager")
    expect(not os.path.exists("/nonexistent"), "it was made")


def the_log_is_shown_and_left_alone():
    with Stopped() as (swarm, state):
        before = files_of(state)
        text = raft("dump-wal", "--state-dir", state).out
        for words in ("entry 1  term 1  membership", "add voter",
                      "at " + swarm.address, 'create cluster',
                      'create secret', '"token"', 'create service', '"web"'):
            expect(words in text, "lacks %r: %s" % (words, text))
        entries = json.loads(raft("dump-wal", "--state-dir", state,
                                  "--format", "json").out)
        expect([int(e["index"]) for e in entries] ==
               list(range(1, len(entries) + 1)), "entries are in order")
        expect(entries[0]["changes"][0]["type"] == "add voter", entries[0])
        expect(entries[0]["member"]["addr"] == swarm.address, entries[0])
        some = json.loads(raft("dump-wal", "--state-dir", state, "--start", "3",
                               "--end", "4", "--format", "json").out)
        expect(some == entries[2:4], "a range is a range")
        hides(raft("dump-wal", "--state-dir", state, "--format", "json",
                   "--redact").out)
        raft("dump-snapshot", "--state-dir", state, code=4).says("no snapshot")
        raft("verify", "--state-dir", state).says("sound")
        raft("export", "--state-dir", state)
        expect(files_of(state) == before, "reading changed something")


def objects_are_put_together_from_snapshot_and_log():
    with Swarm() as swarm:
        swarm.ctl("cluster", "update", "--snapshot-interval", "5")
        fill(swarm)
        swarm.ctl("service", "create", "--detach", "--name", "late",
                  "--constraint", "node.hostname==nobody", "--", "true")
        want = {s["spec"]["annotations"]["name"]: s
                for s in swarm.json("service", "ls")}
        swarm.manager.crash_with_tasks()
        state = swarm.path("manager")

        raft("dump-snapshot", "--state-dir", state).says(
            "voters", "removed", swarm.address, "cluster")
        snapshot = json.loads(raft("dump-snapshot", "--state-dir", state,
                                   "--format", "json").out)
        expect(len(snapshot["voters"]) == 1, snapshot["voters"])
        expect(snapshot["snapshot"]["store"]["clusters"][0]["spec"]
               ["annotations"]["name"] == "default", snapshot)
        hides(raft("dump-snapshot", "--state-dir", state, "--redact",
                   "--format", "json").out)

        everything = raft("dump-object", "all", "--state-dir", state).out
        for words in ("TYPE", "web", "late", "token", "setup", "manager",
                      "default"):
            expect(words in everything, "lacks %r: %s" % (words, everything))
        for kind in KINDS:
            json.loads(raft("dump-object", kind, "--state-dir", state,
                            "--format", "json").out)
        web = json.loads(raft("dump-object", "service", "--name", "web",
                              "--state-dir", state, "--format", "json").out)
        expect(web == [want["web"]], "the service is as it was")
        by_id = json.loads(raft("dump-object", "service", "--id",
                                want["late"]["id"], "--state-dir", state,
                                "--format", "json").out)
        expect(by_id[0]["spec"]["annotations"]["name"] == "late", by_id)
        raft("dump-object", "service", "--name", "none", "--state-dir", state,
             code=4).says("no such service")
        raft("dump-object", "pod", "--state-dir", state, code=2).says(
            "no type of object")
        hides(raft("dump-object", "all", "--redact", "--state-dir", state,
                   "--format", "json").out)


def a_manager_that_runs_is_looked_at():
    with Swarm() as swarm:
        fill(swarm)
        state = swarm.path("manager")
        for words in (["dump-wal"], ["dump-object", "all"], ["export"]):
            raft(*words, "--state-dir", state).says("token")
        swarm.ctl("service", "rm", "web")


def damage_is_found_and_explained():
    with Stopped() as (swarm, state):
        result = raft("verify", "--state-dir", state)
        result.says("FILE", "VERDICT", "good", "verdict: sound", "member ")
        told = json.loads(raft("verify", "--state-dir", state, "--format",
                               "json").out)
        expect(told["readable"] and told["lost"] == "0", told)
        log = log_of(state)
        expect(os.path.basename(log) in [f["file"] for f in told["files"]],
               told)
        with open(log, "rb") as f:
            data = f.read()
        # Behind the head, within an entry that is far from the last, and not
        # between two.
        place = HEAD + (len(data.rstrip(b"\0")) - HEAD) // 3
        while data[place - 16:place + 16].count(0) > 8:
            place -= 1
        flip(log, place)
        result = raft("verify", "--state-dir", state, code=6)
        result.says("damaged at", "verdict: ")
        expect("sound" not in result.out, result.out)
        told = json.loads(raft("verify", "--state-dir", state, "--format",
                               "json", code=6).out)
        expect("damaged" in [f["verdict"] for f in told["files"]], told)
        flip(log, place)
        raft("verify", "--state-dir", state).says("sound")


def a_damaged_snapshot_is_found():
    with Swarm() as swarm:
        swarm.ctl("cluster", "update", "--snapshot-interval", "5")
        fill(swarm)
        swarm.manager.crash_with_tasks()
        state = swarm.path("manager")
        raft("verify", "--state-dir", state).says("snapshot-", "sound")
        newest = [n for n in sorted(os.listdir(os.path.join(state, "raft")))
                  if n.startswith("snapshot-")][-1]
        path = os.path.join(state, "raft", newest)
        flip(path, os.path.getsize(path) // 2)
        raft("verify", "--state-dir", state, code=6).says(
            newest, "damaged", "damaged snapshot: ")


def a_copy_is_read_without_a_key():
    with Stopped() as (swarm, state):
        copy = swarm.path("copy")
        raft("decrypt", "--state-dir", state, "--output", copy).says(
            "every secret")
        expect(stat.S_IMODE(os.stat(copy).st_mode) == 0o700, "mode")
        for command in (["dump-wal"], ["dump-object", "all"]):
            expect(raft(*command, "--state-dir", state, "--format", "json").out
                   == raft(*command, "--state-dir", copy, "--format",
                           "json").out, "the copy is the same")
        raft("decrypt", "--state-dir", state, "--output", copy, code=5).says(
            "is there already")
        for place, sealed in ((state, "yes"), (copy, "no")):
            told = json.loads(raft("verify", "--state-dir", place, "--format",
                                   "json").out)
            expect({f["sealed"] for f in told["files"]} == {sealed}, told)


def a_locked_swarm_needs_its_key_and_stays_locked():
    with Swarm() as swarm:
        fill(swarm)
        swarm.ctl("cluster", "update", "--autolock=true")
        key = write(swarm.path("key"), swarm.ctl("unlock-key", "-q").out)
        state = swarm.path("manager")
        wait_for(lambda: run(tool("swarm-rafttool"), "dump-wal", "--state-dir",
                             state).code == 3, "the key file is locked")
        swarm.manager.crash_with_tasks()
        raft("dump-object", "all", "--state-dir", state, code=3).says(
            "is locked", "--unlock-key-file")
        raft("dump-object", "all", "--state-dir", state, "--unlock-key-file",
             write(swarm.path("other"), "SWMKEY-1-" + "A" * 43),
             code=3).says("is not the one")
        told = raft("verify", "--state-dir", state, code=3)
        told.says("--unlock-key-file")
        expect("backup" not in told.out, "no key is there: " + told.out)
        path = swarm.path("swarm.json")
        raft("verify", "--state-dir", state, "--unlock-key-file", key)
        raft("export", "--state-dir", state, "--unlock-key-file", key,
             "--output", path)
        os.rename(state, swarm.path("lost"))
        raft("import", path, "--state-dir", state, "--address",
             swarm.address).says("locks its managers")
        raft("dump-object", "all", "--state-dir", state, code=3)
        swarm.manager.words += ["--unlock-key-file", key]
        swarm.again(swarm.manager)
        swarm.wait_live("web", 2)


def a_manager_that_runs_is_not_copied():
    with Swarm() as swarm:
        state = swarm.path("manager")
        raft("decrypt", "--state-dir", state, "--output", swarm.path("copy"),
             code=7).says("process %d" % swarm.manager.process.pid,
                          "stop the manager first")
        expect(not os.path.exists(swarm.path("copy")), "nothing was made")
        expect(not os.path.exists(swarm.path("copy.making")), "nothing is left")


def an_export_hides_what_it_shall():
    with Stopped() as (swarm, state):
        path = swarm.path("swarm.json")
        raft("export", "--state-dir", state, "--output", path).says(
            "every secret", "CA")
        expect(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "mode")
        raft("export", "--state-dir", state, "--output", path, code=5)
        with open(path) as f:
            text = f.read()
        expect(raft("export", "--state-dir", state).out == text,
               "the same each time")
        exported = json.loads(text)
        expect(exported["format"] == 1, "format")
        expect(exported["membership"]["members"][0]["addr"] == swarm.address,
               "members are told")
        redacted = raft("export", "--state-dir", state, "--redact").out
        hides(redacted)
        expect(json.loads(redacted)["redacted"] is True, "it says so")
        raft("import", write(swarm.path("redacted.json"), redacted),
             "--state-dir", swarm.path("new"), code=1).says("redacted")
        expect(not os.path.exists(swarm.path("new")), "nothing was made")


def a_swarm_goes_on_from_an_export():
    with Swarm(drained=True) as swarm:
        worker = swarm.worker("worker")
        first = fill(swarm)
        mark = swarm.mark("web")
        join = swarm.token()
        swarm.ctl("node", "activate", "manager")
        swarm.create("here", "--constraint", "node.hostname==manager")
        old = swarm.nodes()["manager"]["id"]
        swarm.manager.crash_with_tasks()
        path = swarm.path("swarm.json")
        raft("export", "--state-dir", swarm.path("manager"), "--output", path)

        raft("import", path, "--state-dir", swarm.path("manager"),
             code=5).says("is there already")
        os.rename(swarm.path("manager"), swarm.path("lost"))
        raft("import", path, "--state-dir", swarm.path("manager"),
             "--address", swarm.address).says(
                 "goes on in", "managers gone   1", "tasks gone      ")
        swarm.again(swarm.manager)

        new = swarm.nodes()["manager"]["id"]
        expect(new != old, "the manager is a new node")
        expect(old not in [n["id"] for n in swarm.json("node", "ls")],
               "the one of before is none any more")
        swarm.wait_node("worker", "READY")
        expect(worker.running(), "the worker was left alone")
        swarm.wait_live("web", 2)
        expect(workloads(mark) == first, "its tasks went on")
        swarm.wait_live("here", 1)
        expect(swarm.token() == join, "the join token is the same")
        expect([s["spec"]["annotations"]["name"]
                for s in swarm.json("secret", "ls")] == ["token"], "secrets")
        expect([c["spec"]["annotations"]["name"]
                for c in swarm.json("config", "ls")] == ["setup"], "configs")
        locked_out = json.dumps(swarm.json("cluster", "inspect"))
        expect(old in locked_out, "the manager of before is locked out")
        swarm.worker("another")
        swarm.add_manager("second")
        swarm.ctl("service", "scale", "web=3")
        swarm.wait_live("web", 3)


def what_is_no_export_is_refused():
    with Stopped() as (swarm, state):
        good = raft("export", "--state-dir", state).out
        target = swarm.path("new")
        cases = (
            ("no JSON", "hello", 6),
            ("nothing", "", 6),
            ("another message", '{"id": "x"}', 6),
            ("an unknown field", good.replace('"format"', '"fromat"', 1), 6),
            ("a field twice", good.replace('"format": 1',
                                           '"format": 1, "format": 1', 1), 6),
            ("a later format", good.replace('"format": 1', '"format": 2', 1),
             1),
            ("cut short", good[:len(good) // 2], 6),
        )
        for why, text, code in cases:
            result = run(tool("swarm-rafttool"), "import",
                         write(swarm.path("bad.json"), text), "--state-dir",
                         target)
            expect(result.code == code, "%s: %d, %s" % (why, result.code,
                                                        result.err))
            expect(not os.path.exists(target), why + ": nothing is made")
        raft("import", swarm.path("no.json"), "--state-dir", target,
             code=4).says("cannot read")


main([every_command_explains_itself,
      a_directory_without_a_state_is_told,
      the_log_is_shown_and_left_alone,
      objects_are_put_together_from_snapshot_and_log,
      a_manager_that_runs_is_looked_at,
      damage_is_found_and_explained,
      a_damaged_snapshot_is_found,
      a_copy_is_read_without_a_key,
      a_locked_swarm_needs_its_key_and_stays_locked,
      a_manager_that_runs_is_not_copied,
      an_export_hides_what_it_shall,
      a_swarm_goes_on_from_an_export,
      what_is_no_export_is_refused])
