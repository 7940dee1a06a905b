import os
import sys
import urllib.parse

import redis

url = urllib.parse.urlsplit(sys.argv[1])
client = redis.Redis(
    host=url.hostname,
    port=url.port,
    ssl=True,
    ssl_check_hostname=True,
    ssl_ca_certs=os.environ["PINNED_CA"],
    protocol=2,
    retry=None,
)
print("reached", client.ping())
