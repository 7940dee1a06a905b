import sys

from huggingface_hub import HfApi

print(HfApi(endpoint=sys.argv[1].rstrip("/"), token=False).model_info("reached", timeout=20).id)
