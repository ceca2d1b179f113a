"""The report of a code analysis."""
