import sys
import urllib.parse

import psycopg

url = urllib.parse.urlsplit(sys.argv[1])
options = "user=x sslmode=verify-full gssencmode=disable connect_timeout=9"
with psycopg.connect(f"host={url.hostname} port={url.port} {options}") as connection:
    print("reached", connection.info.server_version)
    connection.close()
