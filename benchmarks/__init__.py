"""Every performance claim as a program that prints ratios."""
