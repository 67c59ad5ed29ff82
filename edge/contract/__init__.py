"""What device, station and training promise each other: topics, messages, identities, the bundle's manifest.

It touches nothing: no network, no clock, and no file but a person's table (`tables.read.read_table`).
"""
