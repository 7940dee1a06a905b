import sys

import certifi
import pycurl

curl = pycurl.Curl()
curl.setopt(pycurl.URL, sys.argv[1])
curl.setopt(pycurl.CAINFO, certifi.where())
curl.perform()
