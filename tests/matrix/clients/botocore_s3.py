import sys

import botocore.session
from botocore.config import Config

session = botocore.session.get_session()
session.set_credentials("key", "secret")
client = session.create_client(
    "s3",
    region_name="eu-central-1",
    endpoint_url=sys.argv[1],
    config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
)
client.head_bucket(Bucket="bucket")
print("reached")
