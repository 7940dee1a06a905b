import sys

import aiohttp
import uvloop


async def main():
    async with aiohttp.ClientSession() as session, session.get(sys.argv[1]) as response:
        print(await response.text())


uvloop.run(main())
