"""The facade: HTTP in front of services and workflows. It checks rights, calls and answers; it decides no more."""
