"""Definitions, runs and their record."""
