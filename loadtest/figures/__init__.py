"""Single figures: start-up, lock table, claims, isolation, lists, the client's events, search. `python -m loadtest.figures`.

Older than the load test and beside it: some look inside the service's process, where a client cannot measure.
"""
