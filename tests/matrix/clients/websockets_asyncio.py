import asyncio
import sys

from websockets.asyncio.client import connect


async def main():
    async with connect(sys.argv[1].replace("https", "wss"), close_timeout=1) as connection:
        print(await connection.recv())


asyncio.run(main())
