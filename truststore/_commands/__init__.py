"""The commands of `python -m truststore`. Nothing here is imported at startup, at `import ssl` or for a connection."""
