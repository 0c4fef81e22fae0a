"""What the rows of the original service's file say, in our terms. Pure: from cells to the inputs of our own operations.

Nothing in that file is trusted: a row becomes what a request could have asked for, or it is left out with the reason.
Source: contract.md 5, docs/decisions/0021-import.md.
"""
