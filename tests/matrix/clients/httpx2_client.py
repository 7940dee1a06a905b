import sys

import httpx2

with httpx2.Client() as client:
    print(client.get(sys.argv[1]).text)
