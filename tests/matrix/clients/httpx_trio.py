import sys

import httpx
import trio


async def main():
    async with httpx.AsyncClient() as client:
        print((await client.get(sys.argv[1])).text)


trio.run(main)
