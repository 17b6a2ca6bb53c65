# SPDX-License-Identifier: Apache-2.0

"""Data at rest: sealed logs, and managers that are locked."""

import os

from swarm import Swarm, exactly, expect, main, wait_for

LOCKED = 3  # how swarmd ends without the right key


def key_file(swarm, name="manager"):
    with open(swarm.path(name, "certificates", "swarm-node.key")) as f:
        return f.read()


def certificate(swarm, name="manager"):
    with open(swarm.path(name, "certificates", "swarm-node.crt")) as f:
        return f.read()


def header(swarm, header_name, name="manager"):
    for line in key_file(swarm, name).splitlines():
        if line.startswith(header_name + ": "):
            return line.split(": ", 1)[1]
    return None


def is_locked(swarm, name="manager"):
    return "BEGIN ENCRYPTED PRIVATE KEY" in key_file(swarm, name)


def is_settled(swarm, name="manager"):
    """No change of the log's key is under way, or due."""
    return (header(swarm, "raft-dek-pending", name) is None and
            header(swarm, "raft-dek-needs-rotation", name) is None)


def lock(swarm, *names):
    swarm.ctl("cluster", "update", "--autolock=true")
    for name in names or ("manager",):
        wait_for(lambda: is_locked(swarm, name), name + " is locked")
        wait_for(lambda: is_settled(swarm, name), name + " has another key")
    return unlock_key(swarm)


def unlock_key(swarm, *flags):
    return swarm.ctl("unlock-key", "-q", *flags).out.strip()


def key_path(swarm, key):
    path = swarm.path("unlock-key")
    with open(path, "w") as f:
        f.write(key + "\n")
    return path


def give(swarm, manager, key):
    """From now on the manager is started with this key."""
    path = key_path(swarm, key)
    if path not in manager.words:
        manager.words += ["--unlock-key-file", path]


NEEDS = "node is locked, and needs a valid unlock key"


def refused(manager):
    """Starts a manager with another key than its own."""
    before = len(manager.text())
    code = manager.start().wait()
    text = manager.text()[before:]
    expect(code == LOCKED, "exit code %d: %s" % (code, text))
    expect(NEEDS in text and "which the one given is not" in text,
           "not said: " + text)


def waits(swarm, manager):
    """Starts a locked manager without a key."""
    before = len(manager.text())
    manager.start()
    wait_for(lambda: "waits for the key" in manager.text()[before:],
             manager.name + " waits for its key")
    text = manager.text()[before:]
    expect(NEEDS in text and "swarmctl unlock" in text, "not said: " + text)


def unlock(swarm, key, code=0):
    return swarm.ctl("unlock", "--unlock-key-file", key_path(swarm, key),
                     code=code)


def write(swarm, name, data="note"):
    with open(swarm.path("data"), "w") as f:
        f.write(data)
    swarm.ctl("config", "create", "--file", swarm.path("data"), name)


def notes(swarm):
    return sorted(c["spec"]["annotations"]["name"]
                  for c in swarm.json("config", "ls"))


WRONG_KEY = "SWMKEY-1-" + "A" * 43


def a_locked_manager_waits_until_it_is_unlocked():
    with Swarm() as swarm:
        manager = swarm.manager
        write(swarm, "a")
        key = lock(swarm)
        manager.stop()
        before = key_file(swarm)
        waits(swarm, manager)
        swarm.ctl("config", "ls", code=1).says("this manager is locked",
                                               "swarmctl unlock")
        unlock(swarm, WRONG_KEY, code=5).says("which the one given is not")
        expect(key_file(swarm) == before, "the key file was changed")
        manager.stop()
        waits(swarm, manager)
        unlock(swarm, key)
        wait_for(lambda: swarm.leads(manager), "the manager leads")
        expect(notes(swarm) == ["a"], "the note is lost")
        expect(unlock_key(swarm) == key, "another key")
        unlock(swarm, key, code=1).says("this manager is not locked")
        swarm.wait_node("manager", "READY")


def a_locked_manager_starts_with_its_key():
    with Swarm(drained=True) as swarm:
        manager = swarm.manager
        write(swarm, "a")
        key = lock(swarm)
        manager.crash()
        before = key_file(swarm)
        give(swarm, manager, WRONG_KEY)
        refused(manager)
        expect(key_file(swarm) == before, "the key file was changed")
        give(swarm, manager, key)
        swarm.again(manager)
        expect(notes(swarm) == ["a"], "the note is lost")


def a_key_that_is_none_is_told_from_a_wrong_one():
    with Swarm(drained=True) as swarm:
        manager = swarm.manager
        manager.stop()
        for text in "", "SWMKEY-1-short", "SWMKEY-2-" + "A" * 43:
            give(swarm, manager, text)
            expect(manager.start().wait() == 1, "started with " + text)
        os.unlink(swarm.path("unlock-key"))
        expect(manager.start().wait() == 1, "started without the file")
        expect(swarm.path("unlock-key") in manager.text(), "not named")
        give(swarm, manager, WRONG_KEY)
        swarm.again(manager)  # it is not locked: nothing is tried


def a_manager_that_dies_with_its_key_unseen_is_not_lost():
    with Swarm(drained=True) as swarm:
        manager = swarm.manager
        result = swarm.ctl("cluster", "update", "--autolock=true")
        manager.crash()
        swarm.again(manager)  # without a key
        key = unlock_key(swarm)
        result.says("swarmctl unlock\n", key)
        wait_for(lambda: is_locked(swarm), "it is locked after all")
        swarm.ctl("unlock-key", "--rotate")
        manager.crash()
        give(swarm, manager, key)
        swarm.again(manager)
        renewed = unlock_key(swarm)
        expect(renewed != key, "the key was not renewed")
        wait_for(lambda: "has another unlock key" in manager.text(),
                 "it is under the new key")
        manager.crash()
        refused(manager)
        give(swarm, manager, renewed)
        swarm.again(manager)


def a_lock_replaces_what_lay_on_the_disk_in_clear():
    with Swarm(drained=True) as swarm:
        data_key = header(swarm, "raft-dek")
        old = certificate(swarm)
        lock(swarm)
        expect(header(swarm, "raft-dek") != data_key, "the key is in clear")
        wait_for(lambda: certificate(swarm) != old, "another certificate")
        expect(is_locked(swarm), "the new key is in clear")
        swarm.ctl("cluster", "update", "--autolock=false")
        wait_for(lambda: not is_locked(swarm), "it is unlocked")
        expect(header(swarm, "raft-dek") != data_key, "the key came back")
        expect(is_settled(swarm), "unlocking changes the log's key")
        swarm.manager.crash()
        swarm.again(swarm.manager)


def clear_texts(swarm, *texts, names=()):
    """Files below the managers' state that hold one of the texts. The audit
    log, which is for people to read, may name objects."""
    found = []
    for name in swarm.others():
        for place, _, files in os.walk(swarm.path(name)):
            for file in files:
                path = os.path.join(place, file)
                try:
                    with open(path, "rb") as f:
                        data = f.read()
                except FileNotFoundError:  # removed meanwhile
                    continue
                wanted = texts if "/audit/" in path else (*texts, *names)
                found += [path for t in wanted if t.encode() in data]
    return found


def nothing_of_the_log_is_on_the_disk_in_clear():
    with Swarm(drained=True) as swarm:
        swarm.ctl("cluster", "update", "--snapshot-interval", "10")
        write(swarm, "plain-config-name", "plain config data")
        with open(swarm.path("data"), "w") as f:
            f.write("plain secret data")
        swarm.ctl("secret", "create", "--file", swarm.path("data"),
                  "plain-secret-name")
        swarm.create_detached("plain-service-name")
        texts = ["plain config data", "plain secret data"]
        names = ["plain-config-name", "plain-secret-name",
                 "plain-service-name"]
        for i in range(20):
            write(swarm, "n%d" % i)
        wait_for(lambda: any(n.startswith("snapshot") for n in
                             os.listdir(swarm.path("manager", "raft"))),
                 "a snapshot")
        found = clear_texts(swarm, *texts, names=names)
        expect(found == [], "in clear: %s" % found)
        key = lock(swarm)
        swarm.manager.stop()
        token = "SWMTKN-"
        found = clear_texts(swarm, key, token, *texts, names=names)
        expect(found == [], "in clear: %s" % found)


def all_managers_are_locked_and_each_is_unlocked():
    with Swarm(drained=True) as swarm:
        swarm.add_manager("m2")
        key = lock(swarm, "manager", "m2")
        m3 = swarm.add_manager("m3")  # into a swarm that is locked
        wait_for(lambda: is_locked(swarm, "m3"), "m3 is locked")
        wait_for(lambda: is_settled(swarm, "m3"), "m3 has another key")
        write(swarm, "a")
        for name in "manager", "m2", "m3":
            swarm.named(name).crash()
        for name in "manager", "m2", "m3":
            waits(swarm, swarm.named(name))
            swarm.at(name)
            unlock(swarm, key)
        wait_for(lambda: exactly(swarm.voters(), 3), "three managers again")
        expect(notes(swarm) == ["a"], "the note is lost")


def a_manager_that_was_down_needs_the_key_of_its_time():
    with Swarm(drained=True) as swarm:
        m2 = swarm.add_manager("m2")
        swarm.add_manager("m3")
        old = lock(swarm, "manager", "m2", "m3")
        m2.stop()
        new = unlock_key(swarm, "--rotate")
        expect(new != old, "the key was not rotated")
        give(swarm, m2, new)
        refused(m2)
        give(swarm, m2, old)
        m2.start()
        swarm.wait_voter("m2")
        wait_for(lambda: "has another unlock key" in m2.text(),
                 "it learns the new key")
        m2.stop()
        refused(m2)
        give(swarm, m2, new)
        m2.start()
        swarm.wait_voter("m2")


def a_manager_that_is_demoted_is_locked_no_more():
    with Swarm(drained=True) as swarm:
        m2 = swarm.add_manager("m2")
        lock(swarm, "manager", "m2")
        wait_for(lambda: "has a new certificate" in m2.text(),
                 "a key that was never in clear")
        swarm.ctl("node", "demote", "m2")
        wait_for(lambda: not is_locked(swarm, "m2"), "m2 is unlocked")
        expect(header(swarm, "raft-dek", "m2") is None, "it kept a key")
        swarm.wait_node("m2", "READY")
        m2.stop()
        m2.start()
        swarm.wait_node("m2", "READY")
        swarm.ctl("node", "promote", "m2")
        swarm.wait_voter("m2")
        wait_for(lambda: is_locked(swarm, "m2"), "m2 is locked again")


if __name__ == "__main__":
    main([
        a_locked_manager_waits_until_it_is_unlocked,
        a_locked_manager_starts_with_its_key,
        a_key_that_is_none_is_told_from_a_wrong_one,
        a_manager_that_dies_with_its_key_unseen_is_not_lost,
    a_lock_replaces_what_lay_on_the_disk_in_clear,
        nothing_of_the_log_is_on_the_disk_in_clear,
        all_managers_are_locked_and_each_is_unlocked,
        a_manager_that_was_down_needs_the_key_of_its_time,
        a_manager_that_is_demoted_is_locked_no_more,
    ])
