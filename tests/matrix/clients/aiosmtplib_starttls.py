import asyncio
import sys
import urllib.parse

import aiosmtplib

url = urllib.parse.urlsplit(sys.argv[1])


async def main():
    async with aiosmtplib.SMTP(hostname=url.hostname, port=url.port, start_tls=True, timeout=20) as smtp:
        print("reached", await smtp.noop())


asyncio.run(main())
