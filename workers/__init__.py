"""One worker process per service."""
