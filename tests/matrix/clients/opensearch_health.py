import sys

import opensearchpy

client = opensearchpy.OpenSearch(sys.argv[1].rstrip("/"), verify_certs=True, max_retries=0)
print("reached", client.cluster.health()["status"])
