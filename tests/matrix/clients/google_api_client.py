import sys

from googleapiclient.discovery import build

drive = build("drive", "v3", developerKey="key", client_options={"api_endpoint": sys.argv[1]})
print("reached", drive.about().get(fields="kind").execute()["kind"])
