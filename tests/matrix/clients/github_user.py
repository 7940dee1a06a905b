import sys

import github

client = github.Github(base_url=sys.argv[1].rstrip("/"), retry=None)
print("reached", client.get_user("reached").login)
