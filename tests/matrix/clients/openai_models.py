import sys

import openai

client = openai.OpenAI(api_key="key", base_url=sys.argv[1] + "v1", max_retries=0, timeout=20)
print(client.models.list().data[0].id)
