"""The command line `./tooloo`: the local stack, tests and checks, and a client of the HTTP API."""
