import os
import sys

import requests

print(requests.get(sys.argv[1], verify=os.environ["PINNED_CA"], timeout=20).text)
