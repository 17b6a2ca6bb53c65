# SPDX-License-Identifier: Apache-2.0

"""A plugin that supplies secrets, for tests: Docker's protocol on a socket."""

import base64
import http.server
import json
import os
import socketserver
import threading
import time


class SecretPlugin:
    """with SecretPlugin(dir, name) as plugin: it answers as plugin.answer, a
    function of the request, says."""

    def __init__(self, folder, name, implements="secretprovider"):
        self.path = os.path.join(folder, name + ".sock")
        self.implements = implements
        self.asked = []  # requests
        self.answer = lambda request: {"Value": b"geheim"}
        self.delay = 0
        self.server = None

    def __enter__(self):
        plugin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def address_string(self):
                return "socket"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.reply(plugin.serve(self.path, body))

            def reply(self, answer):
                text = json.dumps(answer).encode()
                self.send_response(200 if answer is not None else 404)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                try:
                    self.wfile.write(text)
                except OSError:
                    pass  # whoever asked has no more time

        class Server(socketserver.ThreadingMixIn,
                     socketserver.UnixStreamServer):
            daemon_threads = True

        self.server = Server(self.path, Handler)
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        os.unlink(self.path)

    def serve(self, call, body):
        if call == "/Plugin.Activate":
            return {"Implements": [self.implements]}
        if call != "/SecretProvider.GetSecret":
            return None
        request = json.loads(body)
        self.asked.append(request)
        time.sleep(self.delay)
        answer = dict(self.answer(request))
        if "Value" in answer:
            answer["Value"] = base64.b64encode(answer["Value"]).decode()
        return answer
