"""What the platform knows: rules (pure) and repositories (SQL). Knows neither Temporal nor FastAPI."""
