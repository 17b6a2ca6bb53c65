#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generates the C of one .proto file with protobuf-c.

The shipped files are free of options for C, so that other languages compile
them without protobuf-c; the options are added here, to a copy of the tree.

usage: generate_c.py PROTO_DIR FILE OUT_DIR PROTOC [ARG...]
"""

import pathlib
import re
import subprocess
import sys
import tempfile

C_PACKAGES = {"raftpb": "swkpb.raft", "walpb": "swkpb.wal", "snappb": "swkpb.snap",
              "swarmkit.v1": "swkpb.rpc"}

OPTIONS = """
import "protobuf-c/protobuf-c.proto";
option (pb_c_file) = {{
  c_package: "{}"
  gen_pack_helpers: false
  gen_init_helpers: true
}};
"""


def with_options(text):
    def add(match):
        package = C_PACKAGES.get(match.group(1), "swkpb")
        return match.group(0) + OPTIONS.format(package)

    text, count = re.subn(r"^package ([^;]+);$", add, text, count=1, flags=re.M)
    if count != 1:
        raise SystemExit("no package line")
    return text


def main():
    proto_dir, name, out_dir, *protoc = sys.argv[1:]
    with tempfile.TemporaryDirectory() as tree:
        for source in pathlib.Path(proto_dir).rglob("*.proto"):
            target = pathlib.Path(tree, source.relative_to(proto_dir))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(with_options(source.read_text("utf-8")), "utf-8")
        command = [*protoc, f"--proto_path={tree}", "--proto_path=/usr/include"]
        subprocess.run([*command, f"--c_out={out_dir}", name], check=True)


main()
