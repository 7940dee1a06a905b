"""Runs in a frozen program before the program itself, in place of the `.pth` line."""

import truststore_autoinject

truststore_autoinject.activate()
