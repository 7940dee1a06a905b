"""For PYTHONPATH: starts the hook where truststore-auto is not installed. See `truststore_startup`."""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
_startup = os.path.dirname(_here)
sys.path.insert(0, _startup)
try:
    import truststore_startup
except Exception:  # not readable, or uninstalled while we start
    truststore_startup = None
finally:
    sys.path.remove(_startup)

if truststore_startup is not None:
    truststore_startup.activate()
    truststore_startup.run_shadowed(_here)
