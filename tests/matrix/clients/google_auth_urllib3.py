import sys

import google.auth.transport.urllib3

http = google.auth.transport.urllib3.AuthorizedHttp(None).http
print(google.auth.transport.urllib3.Request(http)(sys.argv[1], retries=False).data.decode())
