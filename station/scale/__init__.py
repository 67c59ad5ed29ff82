"""The printed card that measures the scale of a picture."""
