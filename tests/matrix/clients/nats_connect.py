import asyncio
import sys
import urllib.parse

import nats

url = urllib.parse.urlsplit(sys.argv[1])


async def main():
    connection = await nats.connect(f"tls://{url.netloc}", allow_reconnect=False, connect_timeout=20)
    await connection.flush()
    print("reached")
    await connection.close()


asyncio.run(main())
