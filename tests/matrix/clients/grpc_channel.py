import sys
import urllib.parse

import grpc

url = urllib.parse.urlsplit(sys.argv[1])
channel = grpc.secure_channel(url.netloc, grpc.ssl_channel_credentials())
grpc.channel_ready_future(channel).result(timeout=4)
print("reached")
