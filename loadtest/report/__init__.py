"""What a run saw, and how it is shown: the report's shape, its figures, the table, the page and the comparison.

Nothing here measures, opens a connection or reads a clock.
"""
