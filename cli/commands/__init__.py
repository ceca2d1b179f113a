"""One module per sub-command, or per group of them."""
