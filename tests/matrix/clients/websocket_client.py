import sys

import websocket

print(websocket.create_connection(sys.argv[1].replace("https", "wss"), timeout=20).recv())
