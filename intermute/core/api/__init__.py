"""The types of the interface, by area: commands, queries, and the views that answer them.

A command changes the project and goes through its actor; a query reads. Field names are the JSON names; a field that is
absent or `null` is None (contract.md 0.2). From these types come decoding, refusals and the OpenAPI document.
"""
