#!/usr/bin/env python3
"""A back end as people write them for SRS and nginx-rtmp: it says yes to token=good.

backend.py LOG [SECRET [PORT]]: prints its port; LOG gets a line of JSON a request.  What the path holds
decides how it behaves: /srs (with /srs-plain, /srs-201), /nginx, /json, /slow, /silent, /redirect, /down (twice an
event), /gone.
"""
import hashlib, hmac, http.server, json, sys, time, urllib.parse

log, secret = open(sys.argv[1], "a"), (sys.argv[2] if len(sys.argv) > 2 else "").encode()
downs = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def signed(self, body):
        got = dict(p.split("=", 1) for p in self.headers.get("Lv-Signature", "t=0,v1=").split(","))
        want = hmac.new(secret, got["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        return got["v1"] == want and abs(time.time() - int(got["t"])) < 60

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urllib.parse.urlsplit(self.path).path
        form = self.headers["Content-Type"] == "application/x-www-form-urlencoded"
        facts = urllib.parse.parse_qs(body.decode(), keep_blank_values=True) if form else json.loads(body)
        known = {"path": path, "type": self.headers["Content-Type"], "facts": facts,
                 "signed": self.signed(body), "id": self.headers.get("Lv-Delivery")}
        log.write(json.dumps(known) + "\n")
        log.flush()
        if path == "/slow":
            time.sleep(4)
        if path == "/silent":
            time.sleep(60)
        if path == "/redirect":
            return self.answer(302, Location="/srs")
        if path == "/down":
            downs[body] = downs.get(body, 0) + 1
            return self.answer(503 if downs[body] < 3 else 200, b"0")
        if path == "/gone":
            return self.answer(410)
        if path == "/json":
            good = facts.get("query", "token=good") == "token=good"
            return self.answer(200, json.dumps({"allow": good, "reason": "no subscription"}).encode())
        if form:
            return self.answer(200 if facts.get("token") == ["good"] else 404)
        good = facts["action"] not in ("on_publish", "on_play") or facts["param"] == "?token=good"
        if path == "/srs-plain":
            return self.answer(200, b"0" if good else b"1")
        return self.answer(201 if path == "/srs-201" else 200, json.dumps({"code": 0 if good else 403}).encode())


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3]) if len(sys.argv) > 3 else 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
