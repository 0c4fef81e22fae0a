"""The command line: serve, init, demo, doctor, version."""
