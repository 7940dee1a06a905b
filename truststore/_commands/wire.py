"""A connection under a deadline and a limit of bytes, and what can come between us and a peer."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

# A handshake with a chain of ten large certificates stays below 50 KB; OpenSSL's own limit for a chain is 100 KB.
_LARGEST_INPUT = 400_000  # bytes, in all


class ObstacleError(Exception):
    """The peer could not be judged. `topic` is a word of `_explain.TOPICS`; the text says what happened."""

    def __init__(self, topic: str, text: str) -> None:
        super().__init__(text)
        self.topic = topic


class Wire:
    """A connected socket under the probe's deadline and limit."""

    def __init__(self, connection: socket.socket, deadline: float, seconds: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._seconds = seconds
        self._budget = _LARGEST_INPUT
        self.start = b""  # the first bytes of the peer since `watch()`
        self.doing = "waiting for the peer"

    def watch(self, doing: str) -> None:
        """Name what happens from now on, for messages, and forget what the peer has said so far."""
        self.doing, self.start = doing, b""

    def send(self, data: bytes) -> None:
        self._use_remaining_time()
        try:
            self._connection.sendall(data)
        except TimeoutError:
            raise self._too_late() from None
        except OSError as error:
            raise ObstacleError("closed", f"while {self.doing}: {error.strerror or error}") from None

    def receive(self, size: int = 16_384) -> bytes:
        """At most `size` bytes; empty at the end of what the peer has to say."""
        self._use_remaining_time()
        try:
            data = self._connection.recv(size)
        except TimeoutError:
            raise self._too_late() from None
        except OSError as error:
            raise ObstacleError("closed", f"while {self.doing}: {error.strerror or error}") from None
        self._budget -= len(data)
        if self._budget < 0:
            raise ObstacleError("too-much", f"more than {_LARGEST_INPUT} bytes while {self.doing}")
        if len(self.start) < 512:
            self.start += data[: 512 - len(self.start)]
        return data

    def _use_remaining_time(self) -> None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise self._too_late()
        self._connection.settimeout(remaining)

    def _too_late(self) -> ObstacleError:
        heard = f"after {len(self.start)} bytes of it" if self.start else "without a byte from the peer"
        return ObstacleError("timeout", f"{self._seconds:g} seconds passed while {self.doing}, {heard}")

    def close(self) -> None:
        self._connection.close()
