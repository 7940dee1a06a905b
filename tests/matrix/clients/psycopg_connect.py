import sys
import urllib.parse

import psycopg

url = urllib.parse.urlsplit(sys.argv[1])
options = "user=x sslmode=verify-full gssencmode=disable connect_timeout=9"
try:
    psycopg.connect(f"host={url.hostname} port={url.port} {options}")
except psycopg.OperationalError as error:
    if "certificate" in str(error):
        raise
    print("reached", error)  # our server speaks no PostgreSQL: inside TLS, it closes
