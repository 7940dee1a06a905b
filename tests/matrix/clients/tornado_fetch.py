import asyncio
import sys

from tornado.httpclient import AsyncHTTPClient


async def main():
    response = await AsyncHTTPClient().fetch(sys.argv[1])
    print(response.body.decode())


asyncio.run(main())
