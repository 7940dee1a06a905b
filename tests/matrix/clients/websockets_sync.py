import sys

from websockets.sync.client import connect

with connect(sys.argv[1].replace("https", "wss"), close_timeout=1) as connection:
    print(connection.recv())
