import sys

import httplib2

_, content = httplib2.Http(timeout=20).request(sys.argv[1])
print(content.decode())
