"""What device, station and training promise each other: topics, messages, identities, the bundle's manifest.

It touches nothing: no file, no network, no clock.
"""
