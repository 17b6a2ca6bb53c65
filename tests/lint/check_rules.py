#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that tests/README.md says which tests cite which rule of raft.

usage: check_rules.py SOURCE_ROOT [--rewrite]
"""

import collections
import pathlib
import re
import sys

ROW = re.compile(r"^\| R-([A-Z]{3}-\d+) \| ([^|]+) \| ([^|]*)\|$", re.M)
IN_TEXT = re.compile(r"\bR-([A-Z]{3}-\d+)\b")
IN_NAMES = re.compile(r"(?<![a-z])r_([a-z]{3}_\d+)_")
NO_TEST = "- "


def cited(path):
    found = set(IN_TEXT.findall(path.read_text(errors="replace")))
    for text in path.name, path.read_text(errors="replace"):
        found |= {rule.upper().replace("_", "-")
                  for rule in IN_NAMES.findall(text)}
    return found


def citations(tests):
    files = collections.defaultdict(list)
    for path in sorted(tests.rglob("*")):
        if path.suffix in (".c", ".h", ".py", ".txt") and \
                "lint" not in path.parts and path.name != "meson.build":
            for rule in cited(path):
                files[rule].append("`%s`" % path.relative_to(tests))
    return files


def main():
    tests = pathlib.Path(sys.argv[1]) / "tests"
    page = tests / "README.md"
    files = citations(tests)
    old = page.read_text()

    def row(match):
        rule, meaning = match[1], match[2]
        listed = ", ".join(files.pop(rule, [])) + " "
        return "| R-%s | %s | %s|" % (rule, meaning,
                                      NO_TEST if listed == " " else listed)

    new = ROW.sub(row, old)
    for rule in sorted(files):
        print("tests/README.md has no row for R-%s, cited in %s" %
              (rule, ", ".join(files[rule])))
    if "--rewrite" in sys.argv:
        page.write_text(new)
    elif new != old:
        print("tests/README.md is not up to date with what tests cite; run "
              "tests/lint/check_rules.py . --rewrite")
    ok = not files and (new == old or "--rewrite" in sys.argv)
    print("[       OK ] rules" if ok else "[  FAILED  ] rules")
    sys.exit(0 if ok else 1)


main()
