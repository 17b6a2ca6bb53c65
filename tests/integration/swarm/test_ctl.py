# SPDX-License-Identifier: Apache-2.0

"""swarmctl: its words, its exit codes, and what scripts read from it."""

import json
import os
import re

from swarm import Failure, Swarm, expect, main, run, tool

COMMANDS = {
    "node": "ls inspect activate pause drain promote demote update rm",
    "service": "create update scale ls inspect ps rm",
    "task": "ls inspect rm",
    "cluster": "ls inspect update token unlock-key token+create token+ls "
               "token+rm ca ca+rotate ca+finish ca+abort",
    "secret": "create ls inspect rm",
    "config": "create ls inspect rm",
    "audit": "verify ls head",
}


def every_command_explains_itself():
    ctl = tool("swarmctl")
    top = run(ctl, "--help")
    expect(top.code == 0, "--help: exit code %d" % top.code)
    for group, names in COMMANDS.items():
        help_of_group = run(ctl, group, "--help")
        expect(help_of_group.code == 0, group)
        names = [name.replace("+", " ") for name in names.split()]
        listed = re.findall(r"^  %s (\S+(?: \S+)*)  " % group, top.out, re.M)
        expect(sorted(listed) == sorted(names),
               "%s has %s" % (group, listed))
        for name in names:
            help_of_group.says(name)
            for flag in ("--help", "-h"):
                result = run(ctl, group, *name.split(), flag)
                expect(result.code == 0 and result.err == "",
                       "%s %s: %d" % (group, name, result.code))
                result.says("Usage: swarmctl %s %s" % (group, name),
                            "Example:", "--help")
                for line in re.findall(r"^ +-.*", result.out, re.M):
                    expect(re.match(r".{37}  \S", line) or
                           re.fullmatch(r" +(-\w, )?--\S+( \S+)?", line),
                           "no column: " + line)
    flags = run(ctl, "service", "create", "--help").out
    for flag in ("--name", "--replicas", "--constraint", "--memory-limit",
                 "--cpu-limit", "--pids-limit", "--detach", "--secret"):
        expect(flag in flags, flag + " is not listed")


def wrong_usage_ends_with_2_and_a_hint():
    with Swarm() as swarm:
        for words in ([], ["nonsense"], ["node", "nonsense"], ["node"],
                      ["--format", "yaml", "node", "ls"],
                      ["node", "ls", "--nonsense"], ["node", "ls", "stray"],
                      ["node", "inspect"], ["node", "update", "manager",
                                            "--availability", "asleep"],
                      ["service", "create"],
                      ["service", "create", "--name", "x"],
                      ["service", "create", "--name", "x", "--replicas", "-1",
                       "--", "true"],
                      ["service", "create", "--name", "x", "--memory-limit",
                       "lots", "--", "true"],
                      ["service", "create", "--name", "x", "--mode", "odd",
                       "--", "true"],
                      ["service", "create", "--name", "x", "--constraint",
                       "zone", "--", "true"],
                      ["service", "scale", "x"], ["service", "scale", "x=y"],
                      ["cluster", "token", "king"],
                      ["cluster", "token", "create", "--role", "king"],
                      ["cluster", "token", "create", "--ttl", "soon"],
                      ["cluster", "token", "create", "--uses", "0"],
                      ["cluster", "token", "rm"],
                      ["cluster", "ca", "rotate", "--key", "x"],
                      ["cluster", "ca", "rotate", "--timeout", "soon"],
                      ["cluster", "ca", "rotate", "--external-ca", "url=x"],
                      ["cluster", "ca", "rotate", "--external-ca", "odd=x"],
                      ["cluster", "ca", "turn"],
                      ["cluster", "update", "--taskhistory", "few"]):
            result = swarm.ctl(*words, code=2)
            expect("--help" in result.err or "Usage" in result.out,
                   "%s: %r" % (words, result.err))
        expect(swarm.json("service", "ls") == [], "one was created")
        swarm.ctl("ca", "rotate", code=2).says("swarmctl cluster ca rotate")
        swarm.ctl("cluster", "ca", "turn", code=2).says(
            'unknown command "cluster ca turn"')
        swarm.ctl("cluster", "ca", "--help").says(
            "Further commands:\n  cluster ca rotate ")


def what_does_not_exist_ends_with_3_and_its_name():
    with Swarm(drained=True) as swarm:
        for words in (["node", "inspect"], ["node", "drain"], ["node", "rm"],
                      ["service", "inspect"], ["service", "ps"],
                      ["service", "update", "--force"], ["service", "rm"],
                      ["task", "inspect"], ["task", "rm"],
                      ["secret", "inspect"], ["secret", "rm"],
                      ["config", "inspect"], ["config", "rm"],
                      ["cluster", "inspect"]):
            result = swarm.ctl(*words, "no-such-thing", code=3)
            result.says("Error: %s no-such-thing not found" % words[0])
        swarm.ctl("service", "scale", "no-such-thing=3", code=3)
        swarm.ctl("service", "create", "--name", "x", "--secret",
                  "no-such-thing", "--", "true", code=3).says("no-such-thing")


def a_name_is_taken_once_in_any_case():
    with Swarm(drained=True) as swarm:
        swarm.create_detached("Web")
        for name in ("Web", "web", "WEB"):
            swarm.ctl("service", "create", "--detach", "--name", name, "--",
                      "true", code=4).says("name")
        for kind in ("secret", "config"):
            with open(swarm.path("data"), "w") as f:
                f.write("data")
            swarm.ctl(kind, "create", "--file", swarm.path("data"), "Name")
            swarm.ctl(kind, "create", "--file", swarm.path("data"), "Name",
                      code=4).says("Name")
        expect(len(swarm.json("service", "ls")) == 1, "not one service")


def names_come_before_ids_and_ambiguity_is_told():
    with Swarm(drained=True) as swarm:
        firsts = {}
        name = 0
        while True:  # until two IDs begin alike
            swarm.create_detached("s-%d" % name, count=0)
            name += 1
            ids = [s["id"] for s in swarm.json("service", "ls")]
            firsts = {i[0] for i in ids}
            if len(firsts) < len(ids):
                break
        first = next(c for c in sorted(firsts)
                     if sum(i[0] == c for i in ids) > 1)
        swarm.ctl("service", "inspect", first, code=1).says(
            "ambiguous", "whole ID")
        swarm.ctl("service", "inspect", ids[0])
        swarm.create_detached(first, count=0)
        found = swarm.json("service", "inspect", first)
        expect(found["spec"]["annotations"]["name"] == first,
               "the ID won over the name")


def without_a_manager_it_ends_with_6_and_says_what_to_do():
    result = run(tool("swarmctl"), "-s", "/tmp/swk-no/socket", "node", "ls")
    expect(result.code == 6, "exit code %d" % result.code)
    result.says("/tmp/swk-no/socket", "is swarmd running?")
    with Swarm(drained=True) as swarm:
        swarm.manager.crash()
        swarm.ctl("node", "ls", code=6).says(swarm.socket,
                                             "is swarmd running?")
        plain = swarm.path("plain")
        with open(plain, "w"):
            pass
        result = run(tool("swarmctl"), "-s", plain, "node", "ls")
        expect(result.code == 6, "exit code %d" % result.code)
        result.says(plain, "socket")


def what_is_listed_and_inspected_is_json():
    with Swarm() as swarm:
        swarm.create("web", "--label", "a=ä \"quoted\"\n", count=2)
        with open(swarm.path("data"), "wb") as f:
            f.write(b"\0\xff\n")
        for kind in ("secret", "config"):
            swarm.ctl(kind, "create", "--file", swarm.path("data"), "data")
        for kind in [k for k in COMMANDS if "inspect" in COMMANDS[k].split()]:
            found = swarm.json(kind, "ls")
            expect(isinstance(found, list) and found, kind + " ls: not a list")
            one = swarm.json(kind, "inspect", found[0]["id"])
            expect(one["id"] == found[0]["id"], kind + " inspect: " +
                   json.dumps(one))
            quiet = swarm.ctl(kind, "ls", "-q").out.split()
            expect(found[0]["id"] in quiet, kind + " ls -q lacks it")
            swarm.ctl(kind, "inspect", found[0]["id"]).says(found[0]["id"])
        expect(len(swarm.json("service", "ps", "web")) == 2, "not two tasks")
        labels = swarm.json("service", "inspect", "web")["spec"][
            "annotations"]["labels"]
        expect(labels == {"a": "ä \"quoted\"\n"}, "labels: %s" % labels)
        secret = swarm.ctl("--format", "json", "secret", "inspect", "data")
        expect("AP8K" not in secret.out, "a secret's data is shown")
        token = swarm.ctl("join-token", "-q", "worker").out.strip()
        expect(swarm.json("join-token", "worker") ==
               {"role": "worker", "joinToken": token}, "no token in JSON")
        expect("version" in swarm.json("version"), "no version in JSON")
        swarm.ctl("cluster", "update", "--autolock=true")
        key = swarm.ctl("unlock-key", "-q").out.strip()
        expect(swarm.json("unlock-key") == {"unlockKey": key},
               "no unlock key in JSON")


# Each command, as it is tried; "+" is a space in its name. Those that are given
# None print nothing, or read a manager's files and are tried elsewhere.
IN_JSON = {
    "node+ls": [],
    "node+inspect": ["w1"],
    "node+pause": ["w1"],
    "node+drain": ["w1"],
    "node+activate": ["w1"],
    "node+update": ["--label-add", "a=b", "w1"],
    "node+promote": ["w1"],
    "node+demote": ["w1"],
    "node+rm": ["--force", "w2"],
    "service+create": ["--name", "web", "--sign", "KEY", "--", "sleep", "99"],
    "service+update": ["--unsign", "--env", "A=1", "web"],
    "service+scale": ["web=2"],
    "service+ls": [],
    "service+inspect": ["web"],
    "service+ps": ["web"],
    "spec+keygen": ["--out", "NEW"],
    "spec+sign": ["--key", "KEY", "--any-swarm", "SPEC"],
    "spec+verify": ["--trust", "KEY.pub", "SIGNED"],
    "task+ls": [],
    "task+inspect": ["TASK"],
    "task+rm": ["TASK"],
    "service+rm": ["web"],
    "cluster+ls": [],
    "cluster+inspect": [],
    "cluster+update": ["--taskhistory", "7"],
    "cluster+token": ["worker"],
    "cluster+token+create": ["--uses", "1"],
    "cluster+token+ls": [],
    "cluster+token+rm": ["TOKEN"],
    "cluster+ca": [],
    "cluster+ca+rotate": ["--detach"],
    "cluster+ca+abort": [],
    "cluster+ca+finish": None,
    "cluster+unlock-key": [],
    "secret+create": ["--file", "DATA", "data"],
    "secret+ls": [],
    "secret+inspect": ["data"],
    "secret+rm": ["data"],
    "config+create": ["--file", "DATA", "data"],
    "config+ls": [],
    "config+inspect": ["data"],
    "config+rm": ["data"],
    "audit+verify": ["STATE"],
    "audit+ls": ["STATE"],
    "audit+head": ["STATE"],
    "join-token": ["manager"],
    "unlock-key": [],
    "unlock": None,
    "version": [],
}


def documents(text):
    """What a stream of JSON holds; at least one."""
    found = []
    while text.strip():
        value, end = json.JSONDecoder().raw_decode(text.lstrip())
        found.append(value)
        text = text.lstrip()[end:]
    expect(found, "no JSON")
    return found


MAPS = ("labels", "options", "blacklistedCertificates")


def keys_of(value):
    """All names of fields; those of maps are the user's."""
    if isinstance(value, list):
        for item in value:
            yield from keys_of(item)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key not in MAPS:
                yield from keys_of(inner)


def every_command_speaks_json():
    listed = re.findall(r"^  ([a-z-]+(?: [a-z-]+)*)  +\S",
                        run(tool("swarmctl"), "--help").out, re.M)
    expect(sorted(listed) == sorted(n.replace("+", " ") for n in IN_JSON),
           "to be tried, or not there: %s" % sorted(
               set(listed) ^ {n.replace("+", " ") for n in IN_JSON}))
    with Swarm() as swarm:
        w1 = swarm.plan_manager("w1")
        w1.words[-1] = swarm.token()
        w1.start()
        swarm.wait_node("w1", "READY")
        swarm.worker("w2").crash()
        swarm.ctl("cluster", "update", "--autolock=true")
        swarm.ctl("spec", "keygen", "--out", swarm.path("KEY"))
        with open(swarm.path("DATA"), "w") as f:
            f.write("data")
        texts = {name: swarm.path(name) for name in
                 ("KEY", "KEY.pub", "NEW", "SPEC", "SIGNED", "DATA")}
        texts["STATE"] = swarm.path("manager")
        for name, words in IN_JSON.items():
            if words is None:
                continue
            result = swarm.ctl(*name.split("+"), "--format", "json",
                               *(texts.get(w, w) for w in words))
            try:
                found = documents(result.out)
            except ValueError:
                raise Failure("%s is not JSON: %r" % (name, result.out))
            odd = [k for k in keys_of(found)
                   if not re.fullmatch("[A-Za-z][A-Za-z0-9]*", k)]
            expect(not odd, "%s has keys %s" % (name, odd))
            note(swarm, texts, name, found[0])


def note(swarm, texts, name, value):
    """What later commands are given, or wait for."""
    if name == "node+promote":
        swarm.wait_voter("w1")
    if name in ("service+inspect", "spec+sign"):
        with open(texts["SIGNED" if name == "spec+sign" else "SPEC"], "w") as f:
            json.dump(value, f)
    if name == "task+ls":
        texts["TASK"] = value[0]["id"]
    if name == "cluster+token+create":
        texts["TOKEN"] = value["token"]["id"]


def limits_of_flags_are_told():
    with Swarm(drained=True) as swarm:
        for count in ("0", "4294967296", "many"):
            swarm.ctl("cluster", "token", "create", "--uses", count,
                      code=2).says("from 1 to 4294967295")
        swarm.ctl("cluster", "token", "create", "--ttl", "0",
                  code=2).says("from 1s to 3650d")


def errors_name_what_was_typed():
    with Swarm() as swarm:
        swarm.worker("w1")
        ids = {name: node["id"] for name, node in swarm.nodes().items()}
        swarm.ctl("node", "rm", "w1", code=1).says(
            "node w1 (%s) is not down" % ids["w1"])
        swarm.ctl("node", "rm", ids["w1"], code=1).says(
            "node %s is not down" % ids["w1"], "--force removes it")
        swarm.ctl("node", "rm", "manager", code=1).says(
            "demote it before", "swarmctl node demote " + ids["manager"])
        swarm.ctl("node", "demote", "w1", code=1).says(
            "node w1 is a worker already")
        swarm.ctl("node", "activate", "w1", code=1).says(
            "node w1 is ACTIVE already")
        swarm.ctl("cluster", "ca", "rotate", "--detach", "--without",
                  "manager", code=1).says(
                      "node manager (%s) is a manager" % ids["manager"])
        said = swarm.ctl("service", "create", "--name", "web", "--",
                         *swarm.sleeper("web"))
        said.says("service web has converged")
        service = said.out.split()[0]
        swarm.ctl("service", "update", "--rollback", "web", code=1).says(
            "service web (%s) has no previous spec" % service)
        swarm.ctl("service", "scale", "web=1", code=1).says(
            "service web has 1 task already")


def the_socket_is_found_by_the_environment():
    with Swarm(drained=True) as swarm:
        os.environ["SWARM_SOCKET"] = swarm.socket
        try:
            expect(run(tool("swarmctl"), "node", "ls").code == 0, "not found")
        finally:
            del os.environ["SWARM_SOCKET"]


def a_change_that_changes_nothing_says_so():
    with Swarm() as swarm:
        swarm.create_detached("web")
        swarm.ctl("node", "activate", "manager", code=1).says("no changes")
        swarm.ctl("node", "update", "manager", code=1).says("no changes")
        swarm.ctl("cluster", "update", code=1).says("no changes")
        swarm.ctl("node", "demote", "manager", code=1).says("last manager")


main([
    every_command_explains_itself,
    wrong_usage_ends_with_2_and_a_hint,
    what_does_not_exist_ends_with_3_and_its_name,
    a_name_is_taken_once_in_any_case,
    names_come_before_ids_and_ambiguity_is_told,
    without_a_manager_it_ends_with_6_and_says_what_to_do,
    what_is_listed_and_inspected_is_json,
    every_command_speaks_json,
    limits_of_flags_are_told,
    errors_name_what_was_typed,
    the_socket_is_found_by_the_environment,
    a_change_that_changes_nothing_says_so,
])
