import os
import sys
import urllib.parse

import paho.mqtt.client as mqtt

url = urllib.parse.urlsplit(sys.argv[1])
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.tls_set(ca_certs=os.environ["PINNED_CA"])
client.on_connect = lambda client, *_: (print("reached"), client.disconnect())
client.connect(url.hostname, url.port)
client.loop_forever()
