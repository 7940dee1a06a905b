from gevent import monkey

monkey.patch_all()

import sys

import requests

print(requests.get(sys.argv[1], timeout=20).text)
