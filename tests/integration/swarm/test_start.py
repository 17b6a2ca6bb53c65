# SPDX-License-Identifier: Apache-2.0

"""What keeps a manager from starting, and what it comes through."""

import glob
import os
import shutil

from swarm import Swarm, expect, free_port, main


def attempt(swarm, name, listen=None, control=None):
    """Another swarmd, which is to give up."""
    result = swarm.refused(
        "swarmd", name, "--listen-remote-api",
        listen or "127.0.0.1:%d" % free_port(), "--listen-control-api",
        control or swarm.path(name + ".control"))
    expect(result.code == 1, "exit code %d" % result.code)
    return result


def a_first_manager_starts_without_a_complaint():
    with Swarm() as swarm:
        text = swarm.manager.text()
        expect("no session" not in text and "no manager is known" not in text,
               text)


def a_place_that_cannot_hold_the_state_is_named():
    with Swarm(drained=True) as swarm:
        with open(swarm.path("file"), "w"):
            pass
        attempt(swarm, "file").says(swarm.path("file"), "no directory")
        daemon = swarm.daemon("swarmd", "below")
        for place in (swarm.path("file", "below"), "/proc/below"):
            daemon.words[daemon.words.index("--state-dir") + 1] = place
            expect(daemon.start().wait() == 1, "started in " + place)
            expect(place in daemon.text(), place + " is not named")


def an_address_in_use_is_named():
    with Swarm(drained=True) as swarm:
        attempt(swarm, "other", listen=swarm.address).says(
            swarm.address, "in use")
        attempt(swarm, "third", control=swarm.socket).says(
            swarm.socket, "in use")
        attempt(swarm, "fourth", listen="no.such.host.invalid:1").says(
            "no.such.host.invalid")
        attempt(swarm, "fifth", listen="127.0.0.1:99999").says(
            "127.0.0.1:99999")
        swarm.ctl("node", "ls")


def a_state_directory_has_one_owner():
    with Swarm() as swarm:
        other = swarm.daemon("swarmd", "manager", "--listen-remote-api",
                             "127.0.0.1:%d" % free_port(),
                             "--listen-control-api", swarm.path("other"))
        other.log = swarm.path("other.log")
        code = other.start().wait()
        expect(code == 1, "exit code %d" % code)
        expect("process %d" % swarm.manager.process.pid in other.text() and
               swarm.path("manager") in other.text(),
               "not said: " + other.text())
        worker = swarm.worker("w1")
        again = swarm.daemon("swarm-agent", "w1")
        again.log = swarm.path("again.log")
        code = again.start().wait()
        expect(code == 1, "exit code %d" % code)
        expect("process %d" % worker.process.pid in again.text() and
               worker.state in again.text(), "not said: " + again.text())
        expect(swarm.node_state("w1") == "READY", "the first is disturbed")


def a_control_socket_of_a_dead_manager_is_taken_over():
    with Swarm(drained=True) as swarm:
        swarm.manager.crash()
        expect(os.path.exists(swarm.socket), "no socket was left")
        swarm.again(swarm.manager)
        swarm.ctl("node", "ls")


def a_file_in_the_place_of_the_control_socket_is_kept():
    with Swarm(drained=True) as swarm:
        path = swarm.path("precious")
        with open(path, "w") as f:
            f.write("precious")
        attempt(swarm, "other", control=path).says(path)
        with open(path) as f:
            expect(f.read() == "precious", "the file was overwritten")


def the_control_socket_is_for_its_owner_alone():
    with Swarm(drained=True) as swarm:
        mode = os.stat(swarm.socket).st_mode & 0o777
        expect(mode == 0o600, "its mode is %o" % mode)


def wrong_flags_end_with_a_hint():
    with Swarm(drained=True) as swarm:
        for flags, says in ((["--no-such"], "--no-such"),
                            (["--log-level", "loud"], "loud"),
                            (["--state-dir"], "--state-dir"),
                            (["stray"], "stray")):
            for program in ("swarmd", "swarm-agent"):
                daemon = swarm.daemon(program, "flags")
                daemon.log = swarm.path("%s%s.log" % (program, len(says)))
                daemon.words += flags
                code = daemon.start().wait()
                expect(code == 2, "%s: exit code %d" % (flags, code))
                expect(says in daemon.text() and "--help" in daemon.text(),
                       "not said: " + daemon.text())


def a_manager_of_a_foreign_certificate_does_not_start():
    with Swarm(drained=True) as swarm, Swarm(drained=True) as other:
        swarm.manager.stop()
        other.manager.stop()
        mine = swarm.path("manager", "certificates")
        shutil.copytree(mine, swarm.path("kept"))
        for name in ("swarm-node.crt", "swarm-root-ca.crt"):
            shutil.copy(other.path("manager", "certificates", name), mine)
            code = swarm.manager.start().wait()
            expect(code == 1, "exit code %d" % code)
            last = swarm.manager.text().splitlines()[-1]
            expect(mine in last, "the place is not named: " + last)
            shutil.copy(swarm.path("kept", name), mine)
        swarm.again(swarm.manager)
        swarm.stop()


# -- The log ------------------------------------------------------------------

HEAD_SIZE = 16384  # of a segment; records follow


def segments(swarm):
    return sorted(glob.glob(swarm.path("manager", "raft", "log-*")))


def written(path):
    """Bytes of a log up to the last that is not 0."""
    with open(path, "rb") as f:
        return len(f.read().rstrip(b"\0"))


def a_torn_tail_of_the_log_is_cut_off():
    with Swarm(drained=True) as swarm:
        swarm.create_detached("kept")
        swarm.manager.crash()
        with open(segments(swarm)[-1], "r+b") as f:
            f.seek(written(f.name))
            f.write(b"\x01\x02\x03\x04\x05\x06\x07")  # a write cut short
        swarm.again(swarm.manager)
        swarm.ctl("service", "inspect", "kept")
        swarm.create_detached("after")
        swarm.manager.crash()
        swarm.again(swarm.manager)
        swarm.ctl("service", "inspect", "after")


def a_record_cut_short_at_the_end_takes_only_itself():
    with Swarm(drained=True) as swarm:
        for i in range(4):
            swarm.create_detached("s%d" % i, count=0)
        swarm.manager.stop()
        path = segments(swarm)[-1]
        os.truncate(path, written(path) - 3)
        swarm.again(swarm.manager)
        names = {s["spec"]["annotations"]["name"]
                 for s in swarm.json("service", "ls")}
        expect({"s0", "s1", "s2"} <= names, "services are lost: %s" % names)


def a_damaged_log_is_refused_with_place_and_remedy():
    with Swarm(drained=True) as swarm:
        for i in range(5):
            swarm.create_detached("s%d" % i)
        swarm.manager.stop()
        path = segments(swarm)[-1]
        shutil.copy(path, swarm.path("kept"))
        middle = (HEAD_SIZE + written(path)) // 2
        with open(path, "r+b") as f:
            f.seek(middle)
            byte = f.read(1)[0]
            f.seek(middle)
            f.write(bytes([byte ^ 0x10]))
        code = swarm.manager.start().wait()
        expect(code == 1, "exit code %d" % code)
        last = swarm.manager.text().splitlines()[-1]
        expect(path in last, "the file is not named: " + last)
        expect("offset" in last, "the offset is not named: " + last)
        expect("backup" in last or "restore" in last,
               "no remedy is named: " + last)
        with open(path, "rb") as f:
            f.seek(middle)
            expect(f.read(1)[0] == byte ^ 0x10, "the file was changed")
        shutil.copy(swarm.path("kept"), path)
        swarm.again(swarm.manager)
        expect(len(swarm.json("service", "ls")) == 5, "services are lost")


def a_log_that_lost_what_was_acknowledged_is_not_taken_for_an_old_one():
    with Swarm(drained=True) as swarm:
        swarm.create_detached("kept")
        swarm.manager.stop()
        shutil.rmtree(swarm.path("manager", "raft"))
        code = swarm.manager.start().wait()
        expect(code == 1, "exit code %d" % code)
        expect(swarm.path("manager") in swarm.manager.text().splitlines()[-1],
               "the place is not named: " + swarm.manager.text()[-500:])


main([
    a_first_manager_starts_without_a_complaint,
    a_place_that_cannot_hold_the_state_is_named,
    an_address_in_use_is_named,
    a_state_directory_has_one_owner,
    a_control_socket_of_a_dead_manager_is_taken_over,
    a_file_in_the_place_of_the_control_socket_is_kept,
    the_control_socket_is_for_its_owner_alone,
    wrong_flags_end_with_a_hint,
    a_manager_of_a_foreign_certificate_does_not_start,
    a_torn_tail_of_the_log_is_cut_off,
    a_record_cut_short_at_the_end_takes_only_itself,
    a_damaged_log_is_refused_with_place_and_remedy,
    a_log_that_lost_what_was_acknowledged_is_not_taken_for_an_old_one,
])
