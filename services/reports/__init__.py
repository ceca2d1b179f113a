"""Reports as Markdown, HTML and JSON with charts, and the table that keeps them.

One package for each subject (`analysis`, `learner`, `cohort`), with the same files: `figures` derives numbers, `rules`
says what to make of them, `page` has charts and tiles, `report` puts the documents together.
"""
