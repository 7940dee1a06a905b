"""ctypes bindings: vendor names, fixed-width types, ownership notes. No policy; importable on every OS."""
