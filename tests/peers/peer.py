"""What the peers have in common: how they are started, asked and ended. No rule of any system stands here.

A peer is given its options as one JSON object on the command line, takes a free port of 127.0.0.1, prints it as its first
line, and ends when its standard input does. Beside the system's own paths it answers whoever tests it under `/peer`:
GET shows what it holds and what it has refused, POST makes its people do something.
"""

import base64
import json
import os
import secrets
import socketserver
import sys
import threading
import urllib.parse
import wsgiref.simple_server


class Refused(Exception):
    """What a peer says no to, in its own words."""


def options():
    """The options on the command line."""
    return json.loads(sys.argv[1])


def body_of(environ):
    return environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))


def is_json(environ):
    """JSON in UTF-8 is what its header says, too."""
    kind, _, charset = environ.get("CONTENT_TYPE", "").lower().partition(";")
    return kind.strip() == "application/json" and charset.strip() in ("", "charset=utf-8")


def strict_json(data):
    """A JSON text in UTF-8, without names that stand twice and without what is no JSON."""

    def once(pairs):
        names = [name for name, _ in pairs]
        if len(names) != len(set(names)):
            raise Refused(f"a name stands twice in {names}")
        return dict(pairs)

    def none(word):
        raise Refused(f"{word} is no JSON")

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=none)
    except ValueError as error:
        raise Refused(f"no JSON in UTF-8: {error}") from error


def answer(start, status, value):
    """Answers with JSON."""
    start(status, [("Content-Type", "application/json; charset=utf-8")])
    return [json.dumps(value, ensure_ascii=False).encode()]


class Gateway:
    """A province's gateway: OAuth2 client credentials (RFC 6749, 4.4), and bearer tokens that are good for so many calls."""

    def __init__(self, client, secret, calls):
        self.client, self.secret, self.calls = client, secret, calls
        self.left = {}
        self.lost = 0

    def token(self, environ, start):
        form = urllib.parse.parse_qs(body_of(environ).decode(), strict_parsing=True, max_num_fields=8)
        given = {name: values[0] for name, values in form.items() if len(values) == 1}
        scheme, _, basic = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme == "Basic":
            given["client_id"], _, given["client_secret"] = base64.b64decode(basic).decode().partition(":")
        if environ.get("CONTENT_TYPE", "").partition(";")[0] != "application/x-www-form-urlencoded":
            return answer(start, "400 Bad Request", {"error": "invalid_request"})
        if given.get("grant_type") != "client_credentials":
            return answer(start, "400 Bad Request", {"error": "unsupported_grant_type"})
        if (given.get("client_id"), given.get("client_secret")) != (self.client, self.secret):
            return answer(start, "401 Unauthorized", {"error": "invalid_client"})
        token = secrets.token_urlsafe(24)
        self.left[token] = self.calls
        return answer(start, "200 OK", {"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    def is_open(self, environ):
        """Whether the caller bears a token that is still good."""
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme != "Bearer" or self.left.get(token, 0) == 0:
            self.lost += 1
            return False
        self.left[token] -= 1
        return True

    def shut(self, start):
        return answer(start, "401 Unauthorized", {"fault": {"code": 900901, "message": "Invalid Credentials"}})


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def serve(calls, shown, told):
    """Serves `calls`, a WSGI application, one call at a time; `shown()` and `told(value)` are what `/peer` does."""
    one_at_a_time = threading.Lock()

    def application(environ, start):
        with one_at_a_time:
            if environ["PATH_INFO"] != "/peer":
                return list(calls(environ, start))
            if environ["REQUEST_METHOD"] == "POST":
                told(json.loads(body_of(environ)))
            return answer(start, "200 OK", shown())

    server = wsgiref.simple_server.make_server("127.0.0.1", 0, application, Server, Quiet)
    print(server.server_port, flush=True)

    def wait_for_the_end():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    server.serve_forever()
