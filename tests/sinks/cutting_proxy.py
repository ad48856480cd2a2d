"""A TCP proxy before ClickHouse that cuts connections: before the request, or before the answer."""

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

HOST = "127.0.0.1"


class CuttingProxy:
    """Cuts a share of the answers, and everything while `closed`."""

    def __init__(self, target_url: str, cut_share: float = 0.0, seed: int = 1) -> None:
        target = urlsplit(target_url)
        self._target = (target.hostname or HOST, target.port or 80)
        self._dice = random.Random(seed)
        self._listener = socket.create_server((HOST, 0))
        self.cut_share = cut_share
        self.closed = False
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.closed:
                client.close()
                continue
            server = socket.create_connection(self._target)
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answers, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not self.closed and (data := client.recv(1 << 16)):
                server.sendall(data)
        _close(client, server)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if self.closed or self._dice.random() < self.cut_share:
                    self.cuts += 1
                    break
                client.sendall(data)
        _close(client, server)


@contextmanager
def cutting_proxy(target_url: str, cut_share: float = 0.0) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(target_url, cut_share)
    try:
        yield proxy
    finally:
        proxy.stop()


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
