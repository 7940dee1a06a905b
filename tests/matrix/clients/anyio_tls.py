import sys
import urllib.parse

import anyio

url = urllib.parse.urlsplit(sys.argv[1])


async def main():
    async with await anyio.connect_tcp(url.hostname, url.port, tls=True, tls_standard_compatible=False) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while b"reached" not in answer:
            answer += await stream.receive()
        print("reached")


anyio.run(main)
