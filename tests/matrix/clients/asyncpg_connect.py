import asyncio
import sys
import urllib.parse

import asyncpg

url = urllib.parse.urlsplit(sys.argv[1])


async def main():
    connection = await asyncpg.connect(f"postgresql://user@{url.netloc}/db", ssl=True, timeout=20)
    print("reached", connection.get_server_version())
    await connection.close()


asyncio.run(main())
