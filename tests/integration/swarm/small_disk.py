# SPDX-License-Identifier: Apache-2.0

"""Disks that are soon full."""

import os

from swarm import run


class SmallDisk:
    """with SmallDisk(path) as disk: that directory is on a disk of its own."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        done = run("mount", "-t", "tmpfs", "-o", "size=256k,mode=700",
                   "swk-small", self.path)
        self.is_there = done.code == 0
        return self

    def fill(self):
        with open(os.path.join(self.path, "ballast"), "wb", 0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass

    def free(self):
        os.unlink(os.path.join(self.path, "ballast"))

    def __exit__(self, kind, error, trace):
        if self.is_there:
            run("umount", "-l", self.path)
