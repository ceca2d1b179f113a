"""The local stack: starting, watching and stopping every process TooLoo consists of."""
