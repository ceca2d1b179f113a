"""Reports: an `Analysis` as Markdown, HTML and JSON with charts, and the table that keeps them."""
