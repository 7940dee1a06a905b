import sys

import boto3
from botocore.config import Config

client = boto3.client(
    "s3",
    aws_access_key_id="key",
    aws_secret_access_key="secret",
    region_name="eu-central-1",
    endpoint_url=sys.argv[1],
    config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
)
client.head_bucket(Bucket="bucket")
print("reached")
