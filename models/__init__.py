"""What crosses a boundary: contracts, errors, settings, tables. Imports nothing of TooLoo."""
