"""A server of raw sockets, for misbehaviour that a real server does not show."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import pytest


@dataclass
class Asked:
    """One request as it was received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int  # counts up per connection


@dataclass
class Raw:
    """Answers with the bytes that `reply` returns for a request; None drops the connection, b"" sends nothing."""

    url: str = ""
    reply: Callable[[Asked], bytes | None] = lambda asked: ok(b"{}")
    asked: list[Asked] = field(default_factory=list)


def ok(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return a complete response."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def read_request(reader: BinaryIO, number: int) -> Asked | None:
    line = reader.readline().decode("latin-1").split()
    if len(line) != 3:
        return None
    headers: dict[str, str] = {}
    while (header := reader.readline().decode("latin-1").strip()) != "":
        name, _, value = header.partition(":")
        headers[name.strip()] = value.strip()
    body = reader.read(int(headers.get("Content-Length", 0)))
    return Asked(line[0], line[1], headers, body, number)


def serve(connection: socket.socket, raw: Raw, number: int) -> None:
    with connection, connection.makefile("rb") as reader:
        try:
            while asked := read_request(reader, number):
                raw.asked.append(asked)
                answer = raw.reply(asked)
                if answer is None:
                    return
                connection.sendall(answer)
                if b"Connection: close" in answer:
                    return
        except (ConnectionError, TimeoutError):
            return


@pytest.fixture
def raw_servers() -> Iterator[Callable[[], Raw]]:
    """Return a function that starts another server on a loopback port."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []

    def start() -> Raw:
        listener = socket.create_server(("127.0.0.1", 0))
        raw = Raw(url=f"http://127.0.0.1:{listener.getsockname()[1]}/")

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.append(connection)
                thread = threading.Thread(target=serve, args=(connection, raw, len(connections)), daemon=True)
                threads.append(thread)
                thread.start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        listeners.append(listener)
        threads.append(thread)
        return raw

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for connection in connections:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
    for thread in threads:
        thread.join(5)


@pytest.fixture
def raw_server(raw_servers: Callable[[], Raw]) -> Raw:
    return raw_servers()
