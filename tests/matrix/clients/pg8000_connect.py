import ssl
import sys
import urllib.parse

import pg8000.native

url = urllib.parse.urlsplit(sys.argv[1])
context = ssl.create_default_context()  # ssl_context=True would not verify at all
connection = pg8000.native.Connection("user", host=url.hostname, port=url.port, ssl_context=context, timeout=20)
print("reached", connection.parameter_statuses)
connection.close()
