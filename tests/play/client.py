"""A page without a browser: a stream of events, and messages."""

from __future__ import annotations

import http.client
import json


class Client:
    """A page without a browser: a stream of events and messages."""

    def __init__(self, access):
        self.access = access
        self.stream = http.client.HTTPConnection("127.0.0.1", access.port, timeout=20)
        self.stream.request("GET", f"/events?token={access.token}")
        self.response = self.stream.getresponse()
        self.status = self.response.status
        if self.status == 200:
            self.page = self.event()[1]["page"]

    def event(self):
        name, data = self.response.readline(), self.response.readline()
        self.response.readline()
        return name.decode().split(": ")[1].strip(), json.loads(data.decode().removeprefix("data: "))

    def call(self, method, **arguments):
        body = json.dumps({"page": self.page, "method": method, "arguments": arguments})
        status, text = send(self.access, "POST", "/call", body, {"X-Portanet-Token": self.access.token})
        assert status == 200, text
        return json.loads(text)

    def close(self):
        self.response.close()
        self.stream.close()


def send(access, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", access.port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
