import sys
import urllib.parse

import sentry_sdk

url = urllib.parse.urlsplit(sys.argv[1])
sentry_sdk.init(f"https://key@{url.netloc}/1", debug=True, auto_enabling_integrations=False)
lost = []
sentry_sdk.get_client().transport.on_dropped_event = lost.append
sentry_sdk.capture_message("hello")
sentry_sdk.flush(timeout=20)
if lost:
    sys.exit(f"lost: {lost}")
print("reached")
