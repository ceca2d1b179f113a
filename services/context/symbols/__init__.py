"""Symbols of source files: pure functions of their bytes, by tree-sitter's grammars and queries of our own."""

from services.context.symbols.definitions import Kind, Symbol, symbols_of
from services.context.symbols.grammars import LANGUAGES, MAX_BYTES, SECONDS

__all__ = ["LANGUAGES", "MAX_BYTES", "SECONDS", "Kind", "Symbol", "symbols_of"]
