"""Intermute: the service that lets coding agents on one code base see each other."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("intermute")
except PackageNotFoundError:  # A source tree that was never installed still has to say who it is.
    __version__ = "0.0.0+source"
