#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the manual of each tool has every flag that its help lists, and
none that no tool has.

usage: check_flags.py MAN_DIRECTORY TOOL...
"""

import os
import pathlib
import re
import subprocess
import sys

# "-s, --socket PATH", or "-s --socket=PATH", at the beginning of a line.
FLAG = re.compile(r"^ +(?:-\w,? +)?--([a-z][a-z0-9-]*)", re.M)
# A command in the list of those: its name, two spaces, what it is for.
COMMAND = re.compile(r"^ {2,4}([a-z][a-z-]*(?: [a-z-]+)*)(?: \[?[A-Z].*?)?  ",
                     re.M)


def help_of(tool, words=()):
    done = subprocess.run([tool, *words, "--help"], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=60)
    return done.stdout if done.returncode == 0 else ""


def flags_of(tool):
    """Each flag, with the commands that have it."""
    top = help_of(tool)
    found = {}
    for name in [""] + COMMAND.findall(top):
        text = help_of(tool, name.split()) if name else top
        for flag in FLAG.findall(text):
            found.setdefault(flag, []).append(name)
    return found


def manual(folder, name):
    pages = list(pathlib.Path(folder).glob(name + ".[0-9]"))
    return pages[0].read_text().replace("\\-", "-") if pages else ""


def stale(page, known):
    """Flags that a manual names and no tool has."""
    return sorted(set(re.findall("--([a-z][a-z0-9-]*)", page)) - known)


def main():
    folder, *tools = sys.argv[1:]
    ok = True
    known = {flag for tool in tools for flag in flags_of(tool)}
    for tool in tools:
        name = os.path.basename(tool)
        page = manual(folder, name)
        flags = flags_of(tool)
        if "help" not in flags:
            print("%s --help lists no flags" % name)
            ok = False
        for flag, commands in sorted(flags.items()):
            if not re.search("--%s(?![a-z0-9-])" % flag, page):
                print("the manual of %s lacks --%s%s" %
                      (name, flag, " of " + ", ".join(commands)
                       if commands[0] else ""))
                ok = False
        for flag in stale(page, known):
            print("the manual of %s has --%s, which no tool knows" %
                  (name, flag))
            ok = False
    print("[       OK ] flags" if ok else "[  FAILED  ] flags")
    sys.exit(0 if ok else 1)


main()
