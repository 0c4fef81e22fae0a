"""The seven domain entities: what they are made of and what may happen to them, as data.

`kinds` has one definition for each; SQL, decoding, routes, events and documentation come from it. Source: issue 4,
contract.md 9.
"""
