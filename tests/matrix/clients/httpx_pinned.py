import os
import ssl
import sys

import httpx

context = ssl.create_default_context(cafile=os.environ["PINNED_CA"])
print(httpx.get(sys.argv[1], verify=context).text)
