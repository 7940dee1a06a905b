import ssl
import sys
import urllib.parse

import kombu

url = urllib.parse.urlsplit(sys.argv[1])
tls = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": url.hostname}
with kombu.Connection(f"amqps://{url.netloc}", ssl=tls, connect_timeout=20) as connection:
    connection.connect()
    print("reached", connection.connected)
