"""`cageclock demo`: the whole main path on simulated cages, with a broker of its own, on any machine."""
