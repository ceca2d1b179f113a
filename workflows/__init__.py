"""Deterministic code only: no clock, no randomness, no set iteration, no I/O."""
