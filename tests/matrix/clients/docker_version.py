import sys

import docker

client = docker.DockerClient(sys.argv[1].rstrip("/"), version="1.44", tls=docker.tls.TLSConfig(verify=True))
print("reached", client.version()["platform"])
