import sys
import urllib.parse

import pymongo

url = urllib.parse.urlsplit(sys.argv[1])
client = pymongo.MongoClient(
    f"mongodb://{url.netloc}/?tls=true&directConnection=true", serverSelectionTimeoutMS=3000, retryReads=False
)
print("reached", client.admin.command("ping"))
