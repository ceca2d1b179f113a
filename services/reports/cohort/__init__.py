"""The report of all learners, by when they began."""
