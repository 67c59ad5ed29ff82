"""How the project reads people's tables: cells, numbers, missing words, dates, names, and what two tables share.

`read.read_table` is the one function of the contract that opens a file; all else takes text and gives values. What
could be read two ways is decided by evidence in the file and said, or refused with a question; nothing is guessed in
silence.
"""
