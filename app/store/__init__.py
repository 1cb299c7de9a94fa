"""The questions: one file per noun; a .sql beside it when the query is a sentence."""
