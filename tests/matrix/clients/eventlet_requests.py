import warnings

warnings.simplefilter("ignore")  # eventlet says that it is retired
import eventlet

eventlet.monkey_patch()

import sys

import requests

print(requests.get(sys.argv[1], timeout=20).text)
