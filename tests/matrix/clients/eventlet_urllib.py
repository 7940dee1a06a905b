import warnings

warnings.simplefilter("ignore")  # eventlet says that it is retired
import eventlet

eventlet.monkey_patch()

import sys
import urllib.request

print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())
