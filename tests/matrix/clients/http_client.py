import http.client
import sys
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=20)
connection.request("GET", "/")
print(connection.getresponse().read().decode())
