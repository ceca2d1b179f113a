"""Client of the HTTP API: what the commands that speak to a running platform share."""
