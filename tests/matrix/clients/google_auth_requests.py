import sys

import google.auth.transport.requests

print(google.auth.transport.requests.Request()(sys.argv[1], timeout=20).data.decode())
