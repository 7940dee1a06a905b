import ssl
import sys
import urllib.parse

import pika

url = urllib.parse.urlsplit(sys.argv[1])
options = pika.SSLOptions(ssl.create_default_context(), url.hostname)
parameters = pika.ConnectionParameters(url.hostname, url.port, ssl_options=options)
connection = pika.BlockingConnection(parameters)
print("reached", connection.is_open)
connection.close()
