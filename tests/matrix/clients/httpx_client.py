import sys

import httpx

with httpx.Client() as client:
    print(client.get(sys.argv[1]).text)
