"""What a run has shown, as a file, a table and a page."""
