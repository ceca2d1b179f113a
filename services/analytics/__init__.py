"""Activity events and what follows from them: metrics, mastery, streaks, badges."""
