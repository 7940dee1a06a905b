import asyncio
import sys
import urllib.parse

import uvloop

url = urllib.parse.urlsplit(sys.argv[1])


async def main():
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=True)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    print((await reader.readuntil(b"reached")).decode().splitlines()[-1])
    writer.close()


uvloop.run(main())
