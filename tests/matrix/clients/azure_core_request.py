import sys

from azure.core import PipelineClient
from azure.core.rest import HttpRequest

with PipelineClient(sys.argv[1]) as client:
    response = client.send_request(HttpRequest("GET", sys.argv[1]))
    response.raise_for_status()
    print(response.text())
