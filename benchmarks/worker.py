"""What is measured inside of the interpreter of one variant: `python worker.py`, the standard library alone.

Reads requests from standard input, one JSON object a line, `{"task": NAME, ...parameters}`, and answers each with one
JSON object. The driver keeps one such process for each variant and asks them in turn, so that all of them meet the same
weather. `python worker.py JSON` does one task without asking; that is what callgrind counts.

Times are nanoseconds: `wall` as the clock on the wall, `cpu` as this process's own share of it, which other programs
on the machine disturb less.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HOST = "localhost"
_VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


class Stopwatch:
    """Collects how long its `with` blocks take."""

    def __init__(self) -> None:
        self.wall: list[int] = []
        self.cpu: list[int] = []

    def __enter__(self) -> None:
        self._cpu = time.process_time_ns()
        self._wall = time.perf_counter_ns()

    def __exit__(self, *_: object) -> None:
        self.wall.append(time.perf_counter_ns() - self._wall)
        self.cpu.append(time.process_time_ns() - self._cpu)

    def result(self, **more: object) -> dict[str, object]:
        return {"wall": self.wall, "cpu": self.cpu, **more}


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# ---- in memory: no socket, no other process -------------------------------------------------------------------------

_server_contexts: dict[str, Any] = {}


def server_context(pem: str) -> Any:
    """A server's context, made once."""
    if pem not in _server_contexts:
        context = genuine_context(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        _server_contexts[pem] = context
    return _server_contexts[pem]


def genuine_context(protocol: int) -> Any:
    """A context of the standard library's own class, whatever stands in `ssl` by now."""
    (genuine,) = (base for base in ssl.SSLContext.__mro__ if (base.__module__, base.__name__) == ("ssl", "SSLContext"))
    return genuine.__new__(genuine, protocol)


def client_context(version: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if version is not None:
        context.minimum_version = context.maximum_version = _VERSIONS[version]
    return context


def handshake(context: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLObject:
    """One verified handshake in memory, and a byte each way. Returns the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=HOST)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, other]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
    client.write(b"?")
    other.read(1)
    other.write(b"!")
    client.read(1)
    return client


def ready(context: ssl.SSLContext) -> None:
    """Make a TLS object, as every connection does first: the last moment to load what a context trusts."""
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=HOST)


def contexts(count: int) -> dict[str, object]:
    """Make `count` contexts ready to verify and keep them: time for each, resident memory for each."""
    ready(ssl.create_default_context())  # what is done once per process is not the price of a context
    gc.collect()
    before = resident_bytes()
    kept, watch = [], Stopwatch()
    for _ in range(count):
        with watch:
            context = ssl.create_default_context()
            ready(context)
        kept.append(context)
    return watch.result(resident=(resident_bytes() - before) / count)


def first_contexts(count: int) -> dict[str, object]:
    """The first `count` contexts of this process, and all that is done once, in one figure."""
    kept, watch = [], Stopwatch()
    with watch:
        for _ in range(count):
            kept.append(ssl.create_default_context())
            ready(kept[-1])
    return watch.result()


def empty_contexts(count: int) -> dict[str, object]:
    """The floor of the above: contexts of the standard library that load nothing and could verify nobody."""
    ready(genuine_context(ssl.PROTOCOL_TLS_CLIENT))
    before = resident_bytes()
    kept, watch = [], Stopwatch()
    for _ in range(count):
        with watch:
            context = genuine_context(ssl.PROTOCOL_TLS_CLIENT)
            ready(context)
        kept.append(context)
    return watch.result(resident=(resident_bytes() - before) / count)


def fresh_handshakes(pem: str, version: str, count: int) -> dict[str, object]:
    """A new context for each of `count` handshakes."""
    server, watch = server_context(pem), Stopwatch()
    for _ in range(count):
        with watch:
            handshake(client_context(version), server)
    return watch.result()


_reused: dict[tuple[str, str], ssl.SSLContext] = {}


def reused_handshakes(pem: str, version: str, count: int) -> dict[str, object]:
    """`count` handshakes on one context, which this process keeps from one request to the next."""
    server, watch = server_context(pem), Stopwatch()
    context = _reused.get((pem, version))
    if context is None:
        context = _reused[pem, version] = client_context(version)
        handshake(context, server)
    for _ in range(count):
        with watch:
            handshake(context, server)
    return watch.result()


def unverified_handshakes(pem: str, version: str, count: int) -> dict[str, object]:
    """`count` handshakes on one context with CERT_NONE."""
    server, watch = server_context(pem), Stopwatch()
    context = client_context(version)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for _ in range(count):
        with watch:
            handshake(context, server)
    return watch.result()


def gated_handshakes(pem: str, version: str, count: int) -> dict[str, object]:
    """`count` handshakes on one delegated context whose verifier agrees at once: the price of the gate alone."""
    from truststore import _verify

    class Agreeing:
        name = "agreeing"

        def verify(self, chain: object, options: object) -> None:
            return None

        def roots(self) -> list[bytes]:
            return []

    previous = _verify.replace_verifier(Agreeing())
    try:
        server, watch = server_context(pem), Stopwatch()
        context = client_context(version)
        handshake(context, server)
        for _ in range(count):
            with watch:
                handshake(context, server)
        return watch.result()
    finally:
        _verify.replace_verifier(previous)  # type: ignore[arg-type]


def long_series(pem: str, version: str, count: int, seconds: float) -> dict[str, object]:
    """`count` connections on one context, or as many as there is time for: the time of each, and readings of memory.

    `reused_handshakes` goes on with that context.
    """
    context = _reused[pem, version] = client_context(version)
    return _series(lambda: context, pem, count, seconds)


def long_series_of_contexts(pem: str, version: str, count: int, seconds: float) -> dict[str, object]:
    """The same with a new context for each connection."""
    return _series(lambda: client_context(version), pem, count, seconds)


def _series(context: Callable[[], ssl.SSLContext], pem: str, count: int, seconds: float) -> dict[str, object]:
    """`resident` holds pairs: how many connections had been made, and the bytes of resident memory at that moment."""
    server = server_context(pem)
    # Written in full before the first connection: lists of numbers would grow by 80 bytes with each, which is more in
    # an hour than what is looked for.
    times, readings = array.array("q", range(count)), array.array("q", range(2 * 102))
    made = taken = 0
    end = time.monotonic() + seconds
    while True:
        finished = made == count or time.monotonic() > end
        if finished or made * 100 >= count * taken:
            gc.collect()
            readings[2 * taken], readings[2 * taken + 1] = made, resident_bytes()
            taken += 1
        if finished:
            break
        start = time.process_time_ns()
        handshake(context(), server)
        times[made] = time.process_time_ns() - start
        made += 1
    pairs = [(readings[2 * number], readings[2 * number + 1]) for number in range(taken)]
    return {"cpu": list(times[:made]), "resident": pairs}


# ---- over TCP, with the server in another process -------------------------------------------------------------------


def fetch(context: ssl.SSLContext, port: int, path: str, timeout: float = 120) -> int:
    """GET `path` on a connection of its own; the number of bytes that came."""
    received = 0
    buffer = bytearray(262144)
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname=HOST) as tls:
            tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            while size := tls.recv_into(buffer):
                received += size
    return received


def throughput(port: int, size: int) -> dict[str, object]:
    """Receive `size` bytes through one verified connection."""
    context, watch = ssl.create_default_context(), Stopwatch()
    fetch(context, port, "/hello")
    with watch:
        received = fetch(context, port, f"/bytes/{size}")
    if received < size:
        raise RuntimeError(f"{received} bytes came instead of {size}")
    return watch.result()


def threads(port: int, stalled_port: int | None, count: int, connections: int, patience: float) -> dict[str, object]:
    """`count` threads make `connections` connections each on one context; with `stalled_port`, while one more thread
    waits `patience` seconds for a server that does not answer. `wall` is the time of every healthy connection."""
    context = ssl.create_default_context()
    fetch(context, port, "/hello")
    durations: list[int] = []
    failures: list[str] = []

    def connect() -> None:
        for _ in range(connections):
            start = time.perf_counter_ns()
            try:
                fetch(context, port, "/hello")
            except OSError as error:
                failures.append(repr(error))
                return
            durations.append(time.perf_counter_ns() - start)

    stuck = _stuck_thread(context, stalled_port, patience) if stalled_port is not None else None
    healthy = [threading.Thread(target=connect) for _ in range(count)]
    start = time.perf_counter_ns()
    for thread in healthy:
        thread.start()
    for thread in healthy:
        thread.join()
    total = time.perf_counter_ns() - start
    if stuck is not None:
        stuck.join()
    if failures:
        raise RuntimeError(failures[0])
    return {"wall": durations, "total": total}


def _stuck_thread(context: ssl.SSLContext, port: int, patience: float) -> threading.Thread:
    """A thread that is inside a handshake which will not end before `patience` seconds have passed."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=patience)
    started = threading.Event()

    class Announcing(socket.socket):
        """Says when the handshake has begun: the first thing that `wrap_socket` asks of a socket is this."""

        def detach(self) -> int:
            started.set()
            return super().detach()

    announcing = Announcing(fileno=plain.detach())
    announcing.settimeout(patience)

    def wait() -> None:
        with contextlib.suppress(TimeoutError):
            context.wrap_socket(announcing, server_hostname=HOST).close()

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait()
    # From `detach` to the first read of the handshake are microseconds; the other threads take longer to start.
    return thread


def many_tasks(port: int, stalled_port: int, count: int) -> dict[str, object]:
    """`count` concurrent asyncio connections on one context, and one more to the server that does not answer."""
    context = ssl.create_default_context()

    async def one() -> int:
        start = time.perf_counter_ns()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)
        writer.write(f"GET /hello HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await reader.read()
        writer.close()
        await writer.wait_closed()
        return time.perf_counter_ns() - start

    async def everything() -> dict[str, object]:
        stuck = asyncio.ensure_future(
            asyncio.open_connection("127.0.0.1", stalled_port, ssl=context, server_hostname=HOST)
        )
        await one()
        start = time.perf_counter_ns()
        durations = await asyncio.gather(*(one() for _ in range(count)))
        total = time.perf_counter_ns() - start
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)
        return {"wall": list(durations), "total": total}

    return asyncio.run(everything())


def requests_get(url: str, count: int) -> dict[str, object]:
    """`count` times `requests.get(url)`, each with the session and the context that it makes for itself."""
    import requests

    watch = Stopwatch()
    for _ in range(count):
        with watch:
            requests.get(url, timeout=30).raise_for_status()
    return watch.result()


def httpx_get(url: str, count: int) -> dict[str, object]:
    """`count` times `httpx.get(url)`."""
    import httpx

    watch = Stopwatch()
    for _ in range(count):
        with watch:
            httpx.get(url, timeout=30).raise_for_status()
    return watch.result()


def program(command: list[str]) -> dict[str, object]:
    """Run another program to its end. `cpu` is what that used."""
    import resource  # Windows has none

    watch = Stopwatch()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with watch:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"error": lines[-1][:160]}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    watch.cpu = [int((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e9)]
    return watch.result()


# ---- talking to the driver ------------------------------------------------------------------------------------------

TASKS: dict[str, Callable[..., dict[str, object]]] = {
    task.__name__: task
    for task in (
        contexts,
        empty_contexts,
        first_contexts,
        fresh_handshakes,
        gated_handshakes,
        httpx_get,
        long_series,
        long_series_of_contexts,
        many_tasks,
        program,
        requests_get,
        reused_handshakes,
        threads,
        throughput,
        unverified_handshakes,
    )
}


def perform(request: dict[str, Any]) -> dict[str, object]:
    try:
        return TASKS[request.pop("task")](**request)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}


def main() -> None:
    if len(sys.argv) > 1:
        answer = perform(json.loads(sys.argv[1]))
        if "error" in answer:
            sys.exit(str(answer["error"]))
        return
    for line in sys.stdin:
        print(json.dumps(perform(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
