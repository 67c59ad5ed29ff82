"""How far a model trained on simulated mice is from the best that their appearance allows: the simulation knows it."""
