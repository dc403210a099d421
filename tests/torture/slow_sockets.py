"""Sockets that hold a server up in four ways: `python -m tests.torture.slow_sockets HOST PORT N`.

A quarter of them says nothing, one sends its request letter by letter, one sends a body that never
ends, and one asks for a big file and reads a few bytes a second. What the server closes is opened
again at once, so that all of them are there all the time, until stdin ends. Prints what it saw as
JSON.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from dataclasses import dataclass, field

KINDS = ("silent", "trickled", "endless", "unread")
PAUSE_S = 1.0
_TARGET = "/models/mlp-128-64/tfjs/graph/group1-shard1of1.bin"
_REQUESTS = {
    "silent": b"",
    "trickled": b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"a" * 4000,
    "endless": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 4000,
    # More than the system's own buffers take off the server.
    "unread": f"GET {_TARGET} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 12,
}
_AT_ONCE = {"silent": 0, "trickled": 1, "endless": 70, "unread": 4000}
"""Bytes to send in the first step; then one a step."""


@dataclass
class Slow:
    """One socket and how far it is."""

    kind: str
    connection: socket.socket
    sent: int = 0
    due: float = field(default_factory=time.monotonic)

    def step(self) -> bool:
        """Go on a little; False where the server closed it."""
        request = _REQUESTS[self.kind]
        self.due = time.monotonic() + PAUSE_S
        try:
            if self.sent < len(request):
                count = 1 if self.sent else _AT_ONCE[self.kind]
                self.sent += self.connection.send(request[self.sent : self.sent + count])
            # Whoever reads nothing else learns here that the server has closed.
            return self.connection.recv(64) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False


def start(kind: str, address: tuple[str, int]) -> Slow:
    """A new one."""
    connection = socket.socket()
    # A small window: what is sent waits at the server, not here.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60)
    connection.connect(address)
    connection.setblocking(False)
    return Slow(kind, connection)


def hold(address: tuple[str, int], count: int) -> dict[str, int]:
    """Hold that many until stdin ends; says how many were opened, and how many times anew."""
    slow = [start(KINDS[number % len(KINDS)], address) for number in range(count)]
    print("held", flush=True)
    again = 0
    # All but the unread ones have something to read only when the server answers or closes.
    heard = select.poll()
    places = {}

    def listen(number: int) -> None:
        if slow[number].kind != "unread":
            places[slow[number].connection.fileno()] = number
            heard.register(slow[number].connection, select.POLLIN)

    for number in range(count):
        listen(number)
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        now = time.monotonic()
        called = {places[descriptor] for descriptor, _ in heard.poll(0)}
        for number, one in enumerate(slow):
            if (number in called or one.due <= now) and not one.step():
                if one.kind != "unread":
                    heard.unregister(one.connection)
                one.connection.close()
                slow[number] = start(one.kind, address)
                listen(number)
                again += 1
    for one in slow:
        one.connection.close()
    return {"sockets": count, "opened again": again}


if __name__ == "__main__":
    host, port, count = sys.argv[1:]
    print(json.dumps(hold((host, int(port)), int(count))))
