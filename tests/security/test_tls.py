# SPDX-License-Identifier: Apache-2.0

"""TLS as it looks from outside, and those who meddle with it."""

import base64
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

from attack import MANAGER, OK, WORKER, Attacked, openssl
from proxy import Proxy
from swarm import ALPN, expect, main, wait_for

SUITES = {"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256"}
PATIENCE_S = 20  # more than the manager has with a handshake


class Probe:
    """One handshake of openssl's client."""

    def __init__(self, swarm, *words, says="", alpn=True):
        words = ["openssl", "s_client", "-connect", swarm.address,
                 "-CAfile", swarm.roots, *words]
        if alpn:
            words += ["-alpn", ALPN]
        done = subprocess.run(words, capture_output=True, input=says.encode(),
                              timeout=PATIENCE_S)
        self.out = (done.stdout + done.stderr).decode(errors="replace")
        cipher = re.search(r"Cipher is (\S+)", self.out)
        self.cipher = cipher.group(1) if cipher else "(NONE)"
        protocol = re.search(r"New, (\S+), Cipher", self.out)
        self.protocol = protocol.group(1) if protocol else ""

    def accepted(self):
        return self.cipher != "(NONE)"

    def known(self):
        """This openssl can try it at all."""
        return not re.search(
            r"[Uu]nknown option|no cipher match|no protocols available|"
            r"wrong number|unknown protocol|Error with command|"
            r"Call to SSL_CONF_cmd|no suitable key|Extra arguments|"
            r"no ciphers available|unsupported protocol:.*statem_clnt",
            self.out)


class Tally:
    def __init__(self):
        self.refused = self.accepted = self.skipped = 0
        self.wrong = []

    def add(self, probe, what, expected):
        if not probe.known():
            self.skipped += 1
        elif probe.accepted() != expected:
            self.wrong.append("%s: %s\n%s" % (
                what, "let in" if probe.accepted() else "refused",
                probe.out[-1500:]))
        elif expected:
            self.accepted += 1
        else:
            self.refused += 1

    def report(self):
        print("  %d refused, %d accepted, %d not offered by this openssl" %
              (self.refused, self.accepted, self.skipped))
        expect(not self.wrong, "\n".join(self.wrong))
        expect(self.accepted > 0, "nothing was accepted: no probe counts")


def only_recent_versions_and_ciphers_are_accepted():
    tally = Tally()
    with Attacked(drained=True) as swarm:
        for version in ("-ssl3", "-tls1", "-tls1_1"):
            tally.add(Probe(swarm, version, "-cipher", "ALL@SECLEVEL=0"),
                      version, False)
        tally.add(Probe(swarm, "-tls1_2"), "1.2", True)
        newest = Probe(swarm)
        expect(newest.protocol in ("TLSv1.2", "TLSv1.3"), newest.out)
        names = openssl("ciphers", "-tls1_2",
                        "ALL:COMPLEMENTOFALL:eNULL:@SECLEVEL=0").split(":")
        for name in names:
            name = name.strip()
            if name.startswith("TLS_"):
                continue  # of 1.3
            tally.add(Probe(swarm, "-tls1_2", "-cipher",
                            name + ":@SECLEVEL=0"), name, name in SUITES)
        # The server's order, whatever the client's.
        first = set()
        for order in (sorted(SUITES), sorted(SUITES, reverse=True)):
            first.add(Probe(swarm, "-tls1_2", "-cipher",
                            ":".join(order)).cipher)
        expect(len(first) == 1 and first < SUITES, "order: %s" % first)
        for group in ("P-521", "P-384", "secp224r1", "ffdhe2048"):
            tally.add(Probe(swarm, "-tls1_2", "-groups", group), group, False)
        tally.add(Probe(swarm, "-tls1_2", "-groups", "P-256"), "P-256", True)
        for digest in ("SHA1", "SHA224"):
            tally.add(Probe(swarm, "-tls1_2", "-sigalgs", "ECDSA+" + digest,
                            "-cipher", "ALL:@SECLEVEL=0"), digest, False)
        swarm.ctl("node", "ls")
    tally.report()


def it_asks_for_certificates_and_never_negotiates_anew():
    with Attacked(drained=True) as swarm:
        probe = Probe(swarm, "-tls1_2")
        expect(probe.accepted(), probe.out)
        expect("Client Certificate Types" in probe.out, probe.out)
        expect("Compression: NONE" in probe.out, probe.out)
        expect("Verify return code: 0" in probe.out, probe.out)
        expect("ALPN protocol: " + ALPN in probe.out, probe.out)
        expect("TLS session ticket:" not in probe.out,
               "a ticket for a stranger")
        # R asks for it; were it granted there would be a second verification.
        process = subprocess.Popen(
            ["openssl", "s_client", "-connect", swarm.address, "-CAfile",
             swarm.roots, "-tls1_2", "-alpn", ALPN], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(0.3)
        process.stdin.write(b"R\n")
        process.stdin.flush()
        out = process.communicate(timeout=PATIENCE_S)[0].decode()
        expect("RENEGOTIATING" in out, out)
        after = out[out.index("RENEGOTIATING"):]
        expect("verify return" not in after and "depth=" not in after, after)
        wait_for(lambda: "negotiate anew" in swarm.manager.text(),
                 "it is hung up on")
        # Of another protocol, or none.
        for alpn in (["-alpn", "h2"], ["-alpn", "http/1.1"], []):
            connection = tls_to(swarm, alpn=alpn[1:])
            expect(connection is None or hung_up(connection), alpn)
        swarm.ctl("node", "ls")


def tls_to(swarm, files=None, alpn=(ALPN,), session=None, context=None):
    """A TLS connection of Python's; None if it is refused."""
    context = context or context_of(swarm, files, alpn)
    plain = socket.create_connection(("127.0.0.1", swarm.port), PATIENCE_S)
    try:
        return context.wrap_socket(plain, server_hostname="swarm-manager",
                                   session=session)
    except (ssl.SSLError, ConnectionError):
        plain.close()
        return None


def context_of(swarm, files=None, alpn=(ALPN,)):
    context = ssl.create_default_context(cafile=swarm.roots)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if files:
        context.load_cert_chain(files[1], files[2])
    return context


def hung_up(connection):
    """The server ends it, after whatever it had to say."""
    connection.settimeout(PATIENCE_S)
    try:
        while connection.recv(65536):
            pass
    except socket.timeout:
        return False
    except (ssl.SSLError, OSError):
        pass
    finally:
        connection.close()
    return True


def sessions_are_for_those_with_certificates():
    with Attacked(drained=True) as swarm:
        for files, reused in ((None, False),
                              (swarm.issue("someone", WORKER), True)):
            context = context_of(swarm, files)
            first = tls_to(swarm, context=context)
            session = first.session
            first.close()
            again = tls_to(swarm, context=context, session=session)
            expect(again.session_reused == reused, "reused: %s" % files)
            again.close()
        # Another manager knows nothing of this one's tickets.
        port = swarm.add_manager("m2").port
        plain = socket.create_connection(("127.0.0.1", port))
        elsewhere = context.wrap_socket(
            plain, server_hostname="swarm-manager", session=session)
        expect(not elsewhere.session_reused, "at another manager")
        elsewhere.close()
        # A certificate that ends soon has no session beyond its end.
        now = int(time.time())
        begin = now - now % 60 - 3600  # whole minutes are not rounded
        files = swarm.issue("short", WORKER, begin - now, now - begin + 5)
        context = context_of(swarm, files)
        first = tls_to(swarm, context=context)
        session = first.session
        first.close()
        again = tls_to(swarm, context=context, session=session)
        expect(again is not None and again.session_reused, "not reused")
        again.close()
        time.sleep(now + 7 - time.time())
        again = tls_to(swarm, context=context, session=session)
        expect(again is None, "an expired certificate is let in")


def garbage_right_behind_a_handshake_does_no_harm():
    """The end of the handshake, data and what is no record come at once, so
    that the connection has failed before it was ready."""
    with Attacked(drained=True) as swarm:
        context = context_of(swarm, swarm.issue("someone", WORKER))
        first = tls_to(swarm, context=context)
        session = first.session
        first.close()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, session=session,
                                  server_hostname="swarm-manager")
        with socket.create_connection(("127.0.0.1", swarm.port),
                                      PATIENCE_S) as connection:
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65536))
            expect(client.session_reused, "its end would wait for the server's")
            client.write(b"data")
            connection.sendall(outgoing.read() + b"what is no record")
            expect(hung_up(connection), "it goes on")
        expect(swarm.manager.running(), "it took the manager down")
        swarm.ctl("node", "ls")


def a_connection_ends_with_its_certificate():
    with Attacked(drained=True) as swarm:
        now = int(time.time())
        begin = now - now % 60 - 3600  # whole minutes are not rounded
        short = [swarm.issue("short-%d" % i, MANAGER, begin - now,
                             now - begin + 5) for i in range(2)]
        with swarm.talk(short[0]) as busy, swarm.talk(short[1]) as idle, \
                swarm.as_manager() as other:
            for talk in (busy, idle, other):
                expect(talk.call("Control/ListNodes").status == OK,
                       "not let in")
            stream = idle.call("Raft/StreamRaftMessage", wait=100, open=True,
                               keep=True)
            expect(stream.status == "open", stream)
            time.sleep(now + 6.5 - time.time())
            for talk in (busy, idle):
                answer = talk.call("Control/ListNodes")
                expect(answer.status == "down", "it goes on: %s" % answer)
            expect(other.call("Control/ListNodes").status == OK,
                   "another one ended")


RAW = {
    "SSL 2": bytes.fromhex("802e0100020015000000100100800200800300800400800500"
                           "800600407007") + b"c" * 16,
    "SSL 2 hello of TLS 1.2": bytes.fromhex(
        "802b0103030012000000100000c02b00c02cc009c00ac02300c024") + b"c" * 16,
    "plain text": b"hello swarm\n" * 10,
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(30),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a frame of ours": struct.pack("<IIBBH", 16, 0, 1, 0, 1) + b"swarmrpc" +
    struct.pack("<II", 65536, 16),
    "an alert": bytes.fromhex("15030300020100"),
    "records without content": bytes.fromhex("1603030000") * 20000,
    "data before any handshake": bytes.fromhex("1703030010") + b"d" * 16,
    "a heartbeat": bytes.fromhex("18030300030140 00".replace(" ", "")),
    "a record of 64 KiB": bytes.fromhex("160303ffff") + b"x" * 65535,
    "a message of 16 MiB": bytes.fromhex("1603033fff01ffffff") + b"x" * 16379,
    "change cipher spec": bytes.fromhex("140303000101") * 3000,
}


def what_is_no_tls_gets_no_answer():
    with Attacked(drained=True) as swarm:
        for why, data in RAW.items():
            with socket.create_connection(("127.0.0.1", swarm.port),
                                          PATIENCE_S) as connection:
                got = b""
                try:
                    connection.sendall(data)
                    while True:
                        more = connection.recv(65536)
                        if not more:
                            break
                        got += more
                except socket.timeout:
                    expect(False, "%s: it waits for ever" % why)
                except OSError:
                    pass
            # Nothing, or an alert, which is of 7 bytes.
            expect(len(got) <= 7 and got[:1] in (b"", b"\x15"),
                   "%s: %r" % (why, got[:40]))
            expect(swarm.manager.running(), why)
        swarm.ctl("node", "ls")
        print("  %d kinds of bytes" % len(RAW))


def chains_that_are_too_much_are_refused():
    with Attacked(drained=True) as swarm:
        plain = swarm.issue("someone", MANAGER)
        prefix = swarm.path("huge")
        config = prefix + ".conf"
        with open(config, "w") as f:
            f.write("[req]\ndistinguished_name=d\n[d]\n[v]\n"
                    "nsComment=%s\n" % ("x" * 40000))
        openssl("req", "-x509", "-newkey", "rsa:4096", "-nodes", "-keyout",
                prefix + ".key", "-out", prefix + ".crt", "-days", "3",
                "-config", config, "-extensions", "v",
                "-subj", "/O=%s/OU=%s/CN=x" % (swarm.id, MANAGER))
        with open(plain[1]) as f:
            leaf = f.read()
        with open(prefix + ".crt") as f:
            huge = f.read()
        with open(swarm.roots) as f:
            root = f.read()
        cases = {
            "a chain of twelve": leaf + root * 11,
            "a chain of 60": leaf + root * 60,
            "with large ones of RSA behind it": leaf + huge * 2,
        }
        start = time.monotonic()
        for why, chain in cases.items():
            with open(prefix + ".pem", "w") as f:
                f.write(chain)
            process = subprocess.run(
                ["openssl", "s_client", "-connect", swarm.address, "-CAfile",
                 swarm.roots, "-alpn", ALPN, "-cert", plain[1], "-key",
                 plain[2], "-cert_chain", prefix + ".pem"], input=b"",
                capture_output=True, timeout=PATIENCE_S)
            expect(swarm.manager.running(), why)
            expect(process.returncode is not None, why)
        self_signed = subprocess.run(
            ["openssl", "s_client", "-connect", swarm.address, "-alpn", ALPN,
             "-cert", prefix + ".crt", "-key", prefix + ".key"], input=b"",
            capture_output=True, timeout=PATIENCE_S)
        expect(b"alert" in self_signed.stderr or self_signed.returncode != 0,
               self_signed.stderr)
        expect(time.monotonic() - start < 30, "they cost too much")
        swarm.ctl("node", "ls")


# -- On the wire --------------------------------------------------------------

def create(talk, name, **options):
    return talk.call("Control/CreateSecret", {"spec": {
        "annotations": {"name": name},
        "data": base64.b64encode(b"something").decode()}}, **options)


def secrets(swarm):
    return sorted(s["spec"]["annotations"]["name"]
                  for s in swarm.json("secret", "ls"))


def flipped(record):
    return record[:-1] + bytes([record[-1] ^ 1])


def recorded_and_altered_records_do_nothing():
    """The client's third record of data is the call: the first two greet and
    open it at most, so each of the first four is tried."""
    with Attacked(drained=True) as swarm:
        files = swarm.issue("ghost", MANAGER)
        with Proxy(swarm.port) as proxy:
            with swarm.talk(files, at=proxy.at) as talk:
                expect(create(talk, "once").status == OK, "through a proxy")
                sent = proxy.sent
        expect(secrets(swarm) == ["once"], secrets(swarm))
        # All of it again, into another connection.
        for part in (sent, sent[:len(sent) // 2], sent + sent):
            with socket.create_connection(("127.0.0.1", swarm.port),
                                          PATIENCE_S) as connection:
                connection.sendall(part)
                connection.shutdown(socket.SHUT_WR)
                hung_up(connection)
        expect(secrets(swarm) == ["once"], "a replay was carried out")
        kept = []
        meddlers = {
            "twice": lambda record, n, at: record * 2 if n == at else record,
            "altered": lambda record, n, at: flipped(record) if n == at
            else record,
            "left out": lambda record, n, at: b"" if n == at else record,
            "cut off": lambda record, n, at: None if n == at else record,
            "cut in two": lambda record, n, at: record[:len(record) // 2]
            if n == at else None if n > at else record,
            "an earlier one": lambda record, n, at: kept[0] if n == at and
            n > 0 else (kept.append(record) or record),
        }
        for why, meddle in meddlers.items():
            for at in range(4):
                kept.clear()
                name = "%s-%d" % (why.replace(" ", "-"), at)
                with Proxy(swarm.port, lambda record, n: meddle(
                        record, n, at)) as proxy:
                    with swarm.talk(files, at=proxy.at) as talk:
                        if talk.connected():
                            create(talk, name, wait=300)
                found = secrets(swarm)
                expect(found.count(name) <= 1, found)
                expect(swarm.manager.running(), name)
        # Whoever leaves out or alters what carries the call stops it.
        found = secrets(swarm)
        print("  carried out before it was meddled with: %s" %
              ", ".join(n for n in found if n != "once"))
        for name in ("altered-0", "altered-1", "left-out-0", "left-out-1",
                     "cut-off-0", "cut-in-two-0"):
            expect(name not in found, name)


def another_server_in_between_is_found_out():
    """A worker that passes for a manager, with its own good certificate."""
    with Attacked(drained=True) as swarm:
        files = swarm.issue("liar", WORKER)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files[1], files[2])
        context.set_alpn_protocols([ALPN])
        listener = socket.create_server(("127.0.0.1", 0))
        seen = []

        def serve():
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as tls:
                    seen.append(tls.recv(1000))
            except (ssl.SSLError, OSError) as error:
                seen.append(error)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        at = "tcp://127.0.0.1:%d" % listener.getsockname()[1]
        with swarm.talk(swarm.issue("m", MANAGER), at=at) as talk:
            expect(not talk.connected(), "the client trusts a worker")
            expect("certificate" in talk.greeting.text, talk.greeting)
        thread.join(PATIENCE_S)
        listener.close()
        expect(not isinstance(seen[0], bytes) or seen[0] == b"",
               "it was told something")


main([only_recent_versions_and_ciphers_are_accepted,
      it_asks_for_certificates_and_never_negotiates_anew,
      sessions_are_for_those_with_certificates,
      garbage_right_behind_a_handshake_does_no_harm,
      a_connection_ends_with_its_certificate,
      what_is_no_tls_gets_no_answer,
      chains_that_are_too_much_are_refused,
      recorded_and_altered_records_do_nothing,
      another_server_in_between_is_found_out])
