"""The engine of the load test: processes, connections, pace and references. It knows no scenario."""
