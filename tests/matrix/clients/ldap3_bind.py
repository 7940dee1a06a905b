import ssl
import sys
import urllib.parse

import ldap3

url = urllib.parse.urlsplit(sys.argv[1])
tls = ldap3.Tls(validate=ssl.CERT_REQUIRED)
server = ldap3.Server(url.hostname, url.port, use_ssl=True, tls=tls, get_info=ldap3.NONE, connect_timeout=20)
connection = ldap3.Connection(server, auto_bind=True)
print("reached", connection.bound)
connection.unbind()
