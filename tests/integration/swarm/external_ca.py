# SPDX-License-Identifier: Apache-2.0

"""An external CA for tests: HTTPS, CFSSL's protocol, and openssl's program."""

import http.server
import json
import os
import ssl
import subprocess
import threading

from swarm import Swarm, expect, free_port

DAYS = 30  # of what it signs; nodes ask for 90


def openssl(*words, text=None):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True,
                          input=text)
    expect(done.returncode == 0, "openssl %s: %s" % (words[0], done.stderr))
    return done.stdout


class Root:
    """A root CA of an operator's, made before there is a swarm."""

    def __init__(self, folder):
        os.makedirs(folder)
        self.folder = folder
        self.key = os.path.join(folder, "root.key")
        self.cert = os.path.join(folder, "root.crt")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-out", self.key)
        openssl("req", "-x509", "-new", "-key", self.key, "-subj",
                "/CN=swarm-ca", "-days", "3650", "-addext",
                "keyUsage=critical,keyCertSign,cRLSign", "-out", self.cert)

    def sign(self, public_key, subject, names, days=DAYS):
        """A leaf for a public key, PEM."""
        at = os.path.join(self.folder, "extensions")
        with open(at, "w") as f:
            f.write("basicConstraints=critical,CA:FALSE\n"
                    "keyUsage=critical,digitalSignature,keyEncipherment\n"
                    "extendedKeyUsage=serverAuth,clientAuth\n"
                    "subjectAltName=%s\n" %
                    ",".join("DNS:" + n for n in names))
        key = os.path.join(self.folder, "subject.pub")
        with open(key, "w") as f:
            f.write(public_key)
        return openssl("x509", "-new", "-force_pubkey", key, "-subj", subject,
                       "-CA", self.cert, "-CAkey", self.key, "-days",
                       str(days), "-extfile", at)

    def sign_root(self, csr, is_ca=True):
        """Another root, by its request, PEM."""
        at = os.path.join(self.folder, "extensions")
        with open(at, "w") as f:
            f.write("basicConstraints=critical,CA:%s\n"
                    "keyUsage=critical,keyCertSign,cRLSign\n" %
                    ("TRUE" if is_ca else "FALSE"))
        return openssl("x509", "-req", "-CA", self.cert, "-CAkey", self.key,
                       "-CAcreateserial", "-days", "3650", "-extfile", at,
                       text=csr)

    def server(self, name):
        """Files of a server's certificate and key."""
        key = os.path.join(self.folder, name + ".key")
        cert = os.path.join(self.folder, name + ".crt")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-out", key)
        with open(cert, "w") as f:
            f.write(self.sign(openssl("pkey", "-in", key, "-pubout"),
                              "/CN=ca-server", [name]))
        return cert, key


class ExternalCA:
    """with ExternalCA(root) as ca: it answers at ca.url as ca.mood says."""

    def __init__(self, root, name="localhost"):
        self.root = root
        self.clients = root  # whose certificates it takes
        self.port = free_port()
        self.url = "https://localhost:%d/sign" % self.port
        self.mood = "sign"
        self.asked = []  # requests, each with who asked
        self.refused = 0  # connections that came to nothing
        self.files = root.server(name)
        self.server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, error, trace):
        self.stop()

    def start(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files)
        context.load_verify_locations(self.clients.cert)
        context.verify_mode = ssl.CERT_REQUIRED
        handler = type("Handler", (Handler,), {"ca": self})
        self.server = Server(("127.0.0.1", self.port), handler)
        self.server.ca = self
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True,
            do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def cross_sign(self, request):
        """As CFSSL does: only the extensions that are listed count."""
        csr = request["certificate_request"]
        openssl("req", "-verify", "-noout", text=csr)
        is_ca = any(e["id"] == [2, 5, 29, 19] and e["value"] == "30030101ff"
                    for e in request.get("extensions", []))
        return self.root.sign_root(csr, is_ca and self.mood != "leaf")

    def sign(self, request):
        if request["profile"] == "CA":
            return self.cross_sign(request)
        subject = request["subject"]
        name = subject["names"][0]
        ou = name["OU"]
        names = request["hosts"]
        if self.mood == "promote":
            ou, names = "swarm-manager", ["swarm-manager", subject["CN"],
                                          "swarm-ca"]
        days = 365 if self.mood == "long" else DAYS
        key = openssl("req", "-noout", "-pubkey",
                      text=request["certificate_request"])
        return self.root.sign(key, "/O=%s/OU=%s/CN=%s" %
                              (name["O"], ou, subject["CN"]), names, days)

    def answer(self, request):
        """Status and body."""
        if self.mood == "no":
            return 200, {"success": False, "result": None, "errors":
                         [{"code": 5100, "message": "not today"}],
                         "messages": []}
        if self.mood == "picky" and \
                request["subject"]["CN"] == self.asked[0][0]["subject"]["CN"]:
            return 400, {}
        if self.mood == "status":
            return 503, {}
        if self.mood == "down":
            return 503, "out of order"
        if self.mood == "garbage":
            return 200, "<html>"
        if self.mood == "large":
            return 200, {"padding": "x" * 300000}
        if self.mood == "empty":
            return 200, {"success": True, "result": {}}
        return 200, {"success": True, "errors": [], "messages": [],
                     "result": {"certificate": self.sign(request)}}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        self.ca.refused += 1


class Handler(http.server.BaseHTTPRequestHandler):
    ca = None
    timeout = 20

    def do_GET(self):
        self.send_error(503 if self.ca.mood == "down" else 405)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(body)
        who = {k: v for part in self.connection.getpeercert()["subject"]
               for k, v in part}
        self.ca.asked.append((request, who))
        status, answer = self.ca.answer(request)
        if not isinstance(answer, str):
            answer = json.dumps(answer)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass


class ExternalSwarm(Swarm):
    """A swarm of an operator's root, which names external CAs."""

    def __init__(self):
        super().__init__(drained=True)
        self.root = Root(self.path("root"))
        self.cas = [ExternalCA(self.root)]

    def start_manager(self):
        """The first certificate is signed by the key, which is there once."""
        folder = self.path("manager", "certificates")
        os.makedirs(folder, mode=0o700)
        os.chmod(self.path("manager"), 0o700)
        for source, name in ((self.root.cert, "swarm-root-ca.crt"),
                             (self.root.key, "swarm-root-ca.key")):
            with open(source) as f:
                text = f.read()
            with open(os.path.join(folder, name), "w") as f:
                os.chmod(f.name, 0o600)
                f.write(text)
        for ca in self.cas:
            ca.start()
        return super().start_manager()

    def daemon(self, program, name, *flags):
        if name == "manager":
            for ca in self.cas:
                flags += ("--external-ca", "protocol=cfssl,url=" + ca.url)
        return super().daemon(program, name, *flags)

    def __exit__(self, kind, error, trace):
        for ca in self.cas:
            ca.stop()
        super().__exit__(kind, error, trace)
