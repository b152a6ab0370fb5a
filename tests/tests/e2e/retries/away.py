"""A repository's folder over plain HTTP on a free loopback port, which is printed; the first N requests find nobody: 503."""

import http.server
import sys

AWAY = int(sys.argv[1])


class Handler(http.server.SimpleHTTPRequestHandler):
    asked = 0

    def log_message(self, *args):
        pass

    def do_GET(self):
        Handler.asked += 1
        if Handler.asked > AWAY:
            return super().do_GET()
        self.send_error(503)


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
