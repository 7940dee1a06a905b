import sys
import urllib.request
import warnings

from gevent import monkey

warnings.simplefilter("ignore")  # gevent rightly says that this is late; many programs are
monkey.patch_all()

print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())
