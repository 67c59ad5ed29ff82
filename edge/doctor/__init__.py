"""`cageclock doctor`: one line for each thing a device needs, and what to do about each failure."""
