import ssl
import sys
import urllib.parse

import pymysql

url = urllib.parse.urlsplit(sys.argv[1])
context = ssl.create_default_context()
connection = pymysql.connect(host=url.hostname, port=url.port, user="user", connect_timeout=20, ssl=context)
print("reached", connection.get_server_info())
connection.close()
