import sys

import anthropic

client = anthropic.Anthropic(api_key="key", base_url=sys.argv[1].rstrip("/"), max_retries=0, timeout=20)
print(client.models.list().data[0].id)
