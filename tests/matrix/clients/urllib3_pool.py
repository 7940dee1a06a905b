import sys

import urllib3

print(urllib3.PoolManager(retries=False).request("GET", sys.argv[1]).data.decode())
