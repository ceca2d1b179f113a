"""Actions as Temporal activities: one class per service, one method per action. Thin."""
