#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The authority of examples/ca.c, judged by the openssl command line: chains,
fields, connections, and a rotation of the root.

usage: test_ca.py CA OPENSSL
"""

import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

CA, OPENSSL = sys.argv[1:3]
TIMEOUT = 20


def run(*args, fails=False, text=""):
    """What a program says; both outputs if it shall fail."""
    done = subprocess.run([str(arg) for arg in args], input=text, text=True,
                          capture_output=True, timeout=TIMEOUT)
    if fails:
        assert done.returncode != 0, args
        return done.stdout + done.stderr
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout


def ca(*args, **options):
    return run(CA, *args, **options)


class Cluster:
    """An authority with some nodes, all in one directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.authority = self.directory / "authority"
        ca("init", self.authority, "somebody")
        self.save_roots("roots")

    def path(self, name):
        return self.directory / name

    def save_roots(self, name):
        self.path(name).write_text(ca("roots", self.authority))

    def token(self, role):
        return ca("token", self.authority, role).strip()

    def request(self, node):
        self.path(f"{node}.key").write_text(ca("key"))
        self.path(f"{node}.csr").write_text(
            ca("request", self.path(f"{node}.key")))
        return self.path(f"{node}.csr")

    def join(self, node, role):
        chain = ca("issue", self.authority, self.token(role), node,
                   self.request(node))
        self.path(f"{node}.crt").write_text(chain)

    def renew(self, node):
        chain = ca("renew", self.authority, self.path(f"{node}.crt"),
                   self.request(node))
        self.path(f"{node}.crt").write_text(chain)

    def verify(self, node, roots="roots", fails=False):
        chain = self.path(f"{node}.crt")
        return run(OPENSSL, "verify", "-x509_strict", "-purpose", "sslserver",
                   "-CAfile", self.path(roots), "-untrusted", chain, chain,
                   fails=fails)

    def connect(self, server, client, server_roots="roots",
                client_roots="roots", fails=False):
        """openssl's client and server with these nodes' certificates."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [OPENSSL, "s_server", "-accept", f"127.0.0.1:{port}", "-naccept",
             "1", "-quiet", "-Verify", "3", "-verify_return_error",
             "-CAfile", self.path(server_roots)]
            + self.own(server),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        try:
            wait_for(port, process)
            return run(OPENSSL, "s_client", "-connect", f"127.0.0.1:{port}",
                       "-tls1_2", "-verify_return_error", "-verify_hostname",
                       "swarm-manager", "-CAfile", self.path(client_roots),
                       *self.own(client), fails=fails)
        finally:
            process.kill()
            process.wait()

    def own(self, node):
        chain = self.path(f"{node}.crt")
        return ["-cert", chain, "-cert_chain", chain, "-key",
                self.path(f"{node}.key")]


def wait_for(port, process):
    """Until the port is listened on; a connection would use up the server's."""
    wanted = f"0100007F:{port:04X}"
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines():
            fields = line.split()
            if fields[1] == wanted and fields[3] == "0A":
                return
        time.sleep(0.02)
    raise AssertionError("openssl s_server does not listen")


def openssl_verifies_chains_of_both_roles(cluster):
    cluster.join("worker1", "worker")
    cluster.join("manager1", "manager")
    assert "OK" in cluster.verify("worker1")
    assert "OK" in cluster.verify("manager1")


def certificates_say_what_the_authority_decided(cluster):
    text = run(OPENSSL, "x509", "-noout", "-text", "-in",
               cluster.path("manager1.crt"))
    for pattern in (
            r"Signature Algorithm: ecdsa-with-SHA256",
            r"Issuer: CN = swarm-ca\n",
            r"Subject: O = somebody, OU = swarm-manager, CN = manager1\n",
            r"NIST CURVE: P-256",
            r"Digital Signature, Key Encipherment\n",
            r"TLS Web Server Authentication, TLS Web Client Authentication\n",
            r"CA:FALSE",
            r"DNS:swarm-manager, DNS:manager1, DNS:swarm-ca\n"):
        assert re.search(pattern, text), (pattern, text)
    root = run(OPENSSL, "x509", "-noout", "-text", "-in",
               cluster.path("roots"))
    for pattern in (r"Subject: CN = swarm-ca\n", r"CA:TRUE",
                    r"Certificate Sign, CRL Sign"):
        assert re.search(pattern, root), (pattern, root)


def names_in_a_request_do_not_count(cluster):
    request = cluster.path("hostile.csr")
    run(OPENSSL, "req", "-new", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
        cluster.path("hostile.key"), "-out", request, "-subj",
        "/CN=manager1/OU=swarm-manager/O=elsewhere", "-addext",
        "basicConstraints=critical,CA:TRUE", "-addext",
        "subjectAltName=DNS:swarm-manager,DNS:swarm-ca")
    chain = ca("issue", cluster.authority, cluster.token("worker"), "modest",
               request)
    text = run(OPENSSL, "x509", "-noout", "-text", text=chain)
    assert "O = somebody, OU = swarm-worker, CN = modest" in text
    assert "CA:FALSE" in text and "CA:TRUE" not in text
    assert "DNS:swarm-worker, DNS:modest\n" in text


def requests_with_other_keys_are_refused(cluster):
    request = cluster.path("rsa.csr")
    run(OPENSSL, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout",
        cluster.path("rsa.key"), "-out", request, "-subj", "/CN=x")
    said = ca("issue", cluster.authority, cluster.token("worker"), "x",
              request, fails=True)
    assert said.startswith("ca: x: "), said


def tokens_that_admit_nobody_are_refused(cluster):
    said = ca("issue", cluster.authority, cluster.token("worker") + "0", "x",
              cluster.path("worker1.csr"), fails=True)
    assert "the token admits nobody" in said


def openssl_connects_to_managers_alone(cluster):
    assert "Verification: OK" in cluster.connect("manager1", "worker1")
    assert "hostname mismatch" in cluster.connect("worker1", "manager1",
                                                  fails=True)


def root_rotates_while_everybody_talks(cluster):
    ca("rotate", cluster.authority, "begin")
    assert ca("roots", cluster.authority) == cluster.path("roots").read_text()
    cluster.renew("manager1")
    said = ca("rotated", cluster.authority, cluster.path("worker1.crt"),
              fails=True)
    assert said == "no\n"
    assert ca("rotated", cluster.authority,
              cluster.path("manager1.crt")) == "yes\n"
    # One has renewed, the other has not, and both trust the old root.
    assert "OK" in cluster.verify("manager1")
    cluster.connect("manager1", "worker1")
    cluster.renew("worker1")
    cluster.connect("manager1", "worker1")

    ca("rotate", cluster.authority, "finish")
    cluster.save_roots("new-roots")
    for node in ("manager1", "worker1"):
        assert "OK" in cluster.verify(node, "new-roots")
    # Roots are replaced one node after the other.
    cluster.connect("manager1", "worker1", server_roots="new-roots")
    cluster.connect("manager1", "worker1", client_roots="new-roots")
    cluster.connect("manager1", "worker1", "new-roots", "new-roots")
    cluster.renew("worker1")
    assert "OK" in cluster.verify("worker1", "new-roots")
    cluster.verify("worker1", "roots", fails=True)


def nodes_verify_as_openssl_does(cluster):
    said = ca("verify", cluster.path("new-roots"),
              cluster.path("worker1.crt"))
    assert said == "worker worker1 of somebody\n", said
    ca("verify", cluster.path("roots"), cluster.path("worker1.crt"),
       fails=True)


def main():
    tests = [
        openssl_verifies_chains_of_both_roles,
        certificates_say_what_the_authority_decided,
        names_in_a_request_do_not_count,
        requests_with_other_keys_are_refused,
        tokens_that_admit_nobody_are_refused,
        openssl_connects_to_managers_alone,
        root_rotates_while_everybody_talks,
        nodes_verify_as_openssl_does,
    ]
    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(directory)
        for test in tests:
            print(f"[ RUN      ] {test.__name__}", flush=True)
            test(cluster)
            print(f"[       OK ] {test.__name__}", flush=True)


main()
