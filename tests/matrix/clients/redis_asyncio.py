import asyncio
import sys
import urllib.parse

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

url = urllib.parse.urlsplit(sys.argv[1])


async def main():
    retry = Retry(NoBackoff(), 0)
    client = redis.asyncio.Redis(
        host=url.hostname, port=url.port, ssl=True, ssl_check_hostname=True, protocol=2, retry=retry
    )
    print("reached", await client.ping())
    await client.aclose()


asyncio.run(main())
