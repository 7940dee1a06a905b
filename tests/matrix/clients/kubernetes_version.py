import sys

import kubernetes

configuration = kubernetes.client.Configuration(host=sys.argv[1].rstrip("/"))
configuration.retries = False
print("reached", kubernetes.client.VersionApi(kubernetes.client.ApiClient(configuration)).get_code().git_version)
