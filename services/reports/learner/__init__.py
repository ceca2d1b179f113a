"""The report of one learner."""
