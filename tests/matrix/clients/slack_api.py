import sys

import slack_sdk

client = slack_sdk.WebClient(token="token", base_url=f"{sys.argv[1]}api/")
print("reached", client.api_test()["ok"])
