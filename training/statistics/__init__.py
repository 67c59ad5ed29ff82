"""What the age gap is good for: associations, the ratio of ageing rates, survival, and the size of the next study."""
