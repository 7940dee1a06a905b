import os
import sys
import urllib.parse

import pymysql

url = urllib.parse.urlsplit(sys.argv[1])
verified = {"ssl_ca": os.environ["PINNED_CA"], "ssl_verify_cert": True, "ssl_verify_identity": True}
connection = pymysql.connect(host=url.hostname, port=url.port, user="user", connect_timeout=20, **verified)
print("reached", connection.get_server_info())
connection.close()
