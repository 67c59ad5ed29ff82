"""The device: photographs the cage, estimates age, keeps every reading, publishes it."""
