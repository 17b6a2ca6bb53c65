# SPDX-License-Identifier: Apache-2.0

"""Certificates a second through swarm-signer, with 64 requests under way.

usage: bench_signer.py SWARM_SIGNER SIGNER_ASK
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

SECONDS = "3"


def figure(*words):
    return subprocess.run(words, check=True, text=True,
                          capture_output=True).stdout.strip()


def main():
    program, ask = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="swk-bench-")
    state = os.path.join(folder, "keys")
    path = os.path.join(folder, "socket")
    words = [program, "run", "--state-dir", state, "--socket", path,
             "--new-per-hour", "10000000", "--log-level", "error"]
    subprocess.run([program, "init", "--state-dir", state], check=True,
                   stdout=subprocess.DEVNULL)
    signer = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        while not os.path.exists(path) and signer.poll() is None:
            time.sleep(0.01)
        print("signer, in process: %s certificates/s" %
              figure(ask, "", "bare", "bench", SECONDS))
        print("signer, through swarm-signer: %s certificates/s" %
              figure(ask, path, "load", "bench", SECONDS))
    finally:
        signer.terminate()
        signer.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
