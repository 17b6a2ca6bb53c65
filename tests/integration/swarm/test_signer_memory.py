# SPDX-License-Identifier: Apache-2.0

"""Where the key of the CA is: in the memory of the signer, and nowhere else.

The search is shown to find: a manager that signs by itself does have the key.
"""

import os
import sys

from signed_swarm import (Signer, SignedSwarm, found_in_memory, key_of,
                          memory_of)
from swarm import Swarm, expect, main, wait_for

SKIPPED = 77


class OwnRoot(Swarm):
    """A manager that signs by itself, with a root whose key is known."""

    def start_manager(self):
        maker = Signer(self, "maker")
        maker.tool("init")
        self.key = key_of(maker.state)
        text = self.key[3]
        at = text.index("-----BEGIN CERTIFICATE")
        split = text.index("-----BEGIN PRIVATE KEY")
        folder = self.path("manager", "certificates")
        os.makedirs(folder)
        os.chmod(self.path("manager"), 0o700)
        for name, part in (("crt", text[at:split]), ("key", text[split:])):
            with open(os.path.join(folder, "swarm-root-ca." + name), "w") as f:
                f.write(part)
            os.chmod(f.name, 0o600)
        return super().start_manager()


def the_key_is_in_a_manager_that_signs_by_itself():
    with OwnRoot(drained=True) as swarm:
        swarm.worker("w1")
        found = found_in_memory(swarm.manager.process.pid, swarm.key)
        print("             found: %s" % ", ".join(sorted(found)))
        expect(found, "the search finds nothing")


def the_key_is_in_no_manager_that_signs_through_a_signer():
    with SignedSwarm() as swarm:
        old, = swarm.signer.authorities()
        keys = [key_of(swarm.signer.state)]
        swarm.worker("w1")
        swarm.add_manager("m2")
        swarm.ctl("cluster", "ca", "rotate").says("is rotated")
        swarm.signer.tool("remove", old["fingerprint"])
        keys.append(key_of(swarm.signer.state))
        expect(keys[0] != keys[1], "the key is the same")
        for manager in (swarm.manager, swarm.named("m2")):
            for key in keys:
                found = found_in_memory(manager.process.pid, key)
                expect(not found, "%s has the key: %s" % (manager.name, found))
        try:
            found = found_in_memory(swarm.signer.process.pid, keys[1])
        except PermissionError:  # it lets itself be read by root alone
            print("             the signer's memory cannot be read")
        else:
            expect(found, "the search does not find it in the signer")
            # It runs on, without the key that was removed.
            wait_for(lambda: any(r["outcome"] == "removed"
                                 for r in swarm.signer.records()),
                     "the signer drops the key")
            found = found_in_memory(swarm.signer.process.pid, keys[0])
            expect(not found, "the signer has the old key: %s" % found)


def can_read_others():
    """Whether this user may look into processes that do not want it."""
    with Swarm(drained=True) as swarm:
        try:
            next(memory_of(swarm.manager.process.pid))
        except PermissionError as error:
            print("cannot read the memory of processes: %s" % error)
            return False
    return True


if __name__ == "__main__":
    if not can_read_others():
        sys.exit(SKIPPED)
    main([
        the_key_is_in_a_manager_that_signs_by_itself,
        the_key_is_in_no_manager_that_signs_through_a_signer,
    ])
