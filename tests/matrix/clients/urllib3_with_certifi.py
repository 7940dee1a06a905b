import sys

import certifi
import urllib3

print(urllib3.PoolManager(ca_certs=certifi.where(), retries=False).request("GET", sys.argv[1]).data.decode())
