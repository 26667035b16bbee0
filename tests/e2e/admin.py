"""The admin side of a broker under test, as a program on the network reaches it."""

import http.client
import json
from urllib.parse import quote, urlsplit

from broker import HANG

API = "/api/v1"


class Answer:
    """Status, headers and body of an answer."""

    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Admin:
    """A client of console and API with the token of the data directory."""

    def __init__(self, broker):
        self.url = urlsplit(next(line for line in broker.out.seen if line.startswith("console and API at ")).split()[4])
        self.token = (broker.data / "admin.token").read_text().strip()

    @property
    def host(self):
        return self.url.netloc.rstrip(",")

    def connection(self):
        return http.client.HTTPConnection(self.host, timeout=HANG)

    def ask(self, method, path, body=None, headers=None, token=True):
        """Asks anything; a body that is not bytes is sent as JSON."""
        connection = self.connection()
        given = {"Authorization": f"Bearer {self.token}"} if token else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            given["Content-Type"] = "application/json"
        given.update(headers or {})
        try:
            connection.request(method, path, body, given)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path):
        """What the API says at a path."""
        answer = self.ask("GET", API + path)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json

    def post(self, path, body):
        answer = self.ask("POST", API + path, body)
        assert answer.status in (200, 204), (path, answer.status, answer.body)
        return answer.json if answer.body else None

    def events(self, path):
        """A stream of server-sent events, which its user closes."""
        return Events(self, path)


class Events:
    """Server-sent events, each as (name, data)."""

    def __init__(self, admin, path):
        self.connection = admin.connection()
        self.connection.request("GET", API + path, headers={"Authorization": f"Bearer {admin.token}"})
        self.response = self.connection.getresponse()
        assert self.response.status == 200, (path, self.response.status, self.response.read())

    def next(self):
        name = None
        while line := self.response.readline():
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                return name, line[6:]
        return None

    def close(self):
        self.connection.sock and self.connection.sock.close()
        self.response.close()
        self.connection.close()


def in_path(text):
    """A text as one part of a path."""
    return quote(text, safe="")
