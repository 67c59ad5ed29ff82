"""The report of `evaluate`: one file a question, each returns a Section."""
