"""The workstation: from pictures and a table of animals to a signed, quantised bundle."""
