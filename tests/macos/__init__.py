"""Tests of the macOS verifier, on a double of both frameworks."""
