import sys

import elasticsearch

client = elasticsearch.Elasticsearch(sys.argv[1].rstrip("/"), max_retries=0)
print("reached", client.cluster.health()["status"])
