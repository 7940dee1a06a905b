import ssl
import sys
import urllib.parse

import trio

url = urllib.parse.urlsplit(sys.argv[1])


async def main():
    stream = await trio.open_ssl_over_tcp_stream(url.hostname, url.port, ssl_context=ssl.create_default_context())
    await stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while b"reached" not in answer:
        answer += await stream.receive_some()
    print("reached")


trio.run(main)
