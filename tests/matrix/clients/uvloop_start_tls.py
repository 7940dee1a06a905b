import asyncio
import ssl
import sys
import urllib.parse

import uvloop

url = urllib.parse.urlsplit(sys.argv[1])


class Client(asyncio.Protocol):
    def __init__(self):
        self.answer = b""
        self.done = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        self.answer += data
        if b"reached" in self.answer and not self.done.done():
            self.done.set_result("reached")


async def main():
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_connection(Client, url.hostname, url.port)
    transport = await loop.start_tls(transport, client, ssl.create_default_context(), server_hostname=url.hostname)
    transport.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    print(await client.done)
    transport.close()


uvloop.run(main())
