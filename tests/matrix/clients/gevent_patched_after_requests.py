import sys
import warnings

import requests
from gevent import monkey

warnings.simplefilter("ignore")  # gevent rightly says that this is late; many programs are
monkey.patch_all()

print(requests.get(sys.argv[1], timeout=20).text)
