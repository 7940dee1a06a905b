import poplib
import ssl
import sys
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
pop = poplib.POP3(url.hostname, url.port, timeout=20)
pop.stls(ssl.create_default_context())
print("reached", pop.capa())
