"""Stands in for setuptools while pip downloads a source distribution, so that its setup.py is never run."""
