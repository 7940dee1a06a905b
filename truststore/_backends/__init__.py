"""Policy, one module per verifier: bytes and values in, nothing or an exception out. None of them sees a context."""
