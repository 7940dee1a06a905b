import sys

import curl_cffi

print(curl_cffi.get(sys.argv[1], timeout=20).text)
