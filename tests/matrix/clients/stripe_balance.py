import sys

import stripe

stripe.api_key = "sk_test_key"
stripe.api_base = sys.argv[1].rstrip("/")
stripe.max_network_retries = 0
print("reached", stripe.Balance.retrieve().object)
