"""The benchmark: a black-box client of the service, and one look inside the lock table."""
