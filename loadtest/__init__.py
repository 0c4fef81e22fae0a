"""The load test: a black-box client that hammers the service and checks its promises; and figures of single parts."""
