"""The server of all measurements over TCP: `python -I -S server.py PEM`, the standard library alone, one process.

Prints the port of a web server on 127.0.0.1 that answers `/hello`, `/bytes/N` and what lies below `/files/`, and the
port of a second one that accepts connections and never says a word. Ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys

_CHUNK = b"\0" * 262144


async def serve(pem: str, folder: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
            await _respond(writer, path, folder)
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError):
            pass  # clients may go whenever they like

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context, backlog=1024)
    stalled = await asyncio.start_server(stall, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], stalled.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _respond(writer: asyncio.StreamWriter, path: str, folder: str) -> None:
    if path.startswith("/bytes/"):
        size = int(path[len("/bytes/") :])
        writer.write(_head(size))
        while size > 0:
            writer.write(_CHUNK[:size])
            size -= len(_CHUNK)
            await writer.drain()
        return
    body, kind = b"hello", "text/plain"
    if path.startswith("/files/"):
        name = os.path.basename(path)
        if name:
            with open(os.path.join(folder, name), "rb") as file:
                body, kind = file.read(), "application/octet-stream"
        else:
            links = "".join(f'<a href="/files/{name}">{name}</a>' for name in sorted(os.listdir(folder)))
            body, kind = f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html"
    writer.write(_head(len(body), kind) + body)
    await writer.drain()


def _head(size: int, kind: str = "application/octet-stream") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
