import sys

import niquests

print(niquests.get(sys.argv[1], timeout=20).text)
