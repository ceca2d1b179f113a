"""What dependency manifests declare, read as text: nothing is resolved, downloaded or run."""
