"""What every request passes, outermost first: requests, codec origin, errors, authentication, limits. Pure ASGI."""
