#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the map, the headers and the shared library against each other.

usage: check_symbols.py INCLUDE_DIR MAP LIBRARY
"""

import pathlib
import re
import subprocess
import sys

def declared(include_dir):
    script = pathlib.Path(__file__).with_name("list_symbols.py")
    out = subprocess.run(
        [sys.executable, script, include_dir],
        check=True, capture_output=True, text=True,
    ).stdout
    return set(out.split())


def mapped(path):
    text = re.sub(r"/\*.*?\*/", "", pathlib.Path(path).read_text(), flags=re.S)
    return set(re.findall(r"\b(swk_\w+);", text))


def exported(library):
    out = subprocess.run(
        ["nm", "-D", "--defined-only", library],
        check=True, capture_output=True, text=True,
    ).stdout
    names = {line.split()[-1].split("@")[0] for line in out.splitlines()}
    return {name for name in names if not name.startswith("SWARMKIT_")}


def main():
    include_dir, map_path, library = sys.argv[1:]
    sets = {
        "headers": declared(include_dir),
        "map": mapped(map_path),
        "library": exported(library),
    }
    failed = False
    for one in sets:
        for other in sets:
            for name in sorted(sets[one] - sets[other]):
                print(f"{name}: in the {one}, but not in the {other}")
                failed = True
    print(f"{len(sets['headers'])} functions")
    if not failed:
        print("[       OK ] map_headers_and_library_agree")
    sys.exit(failed)


main()
