import sys

import requests

with requests.Session() as session:
    session.post(sys.argv[1], data={"field": "value"}, timeout=20)
    print(session.get(sys.argv[1], timeout=20).text)
