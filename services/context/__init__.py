"""The context service: loads Git repositories into an object store and measures what they contain."""
