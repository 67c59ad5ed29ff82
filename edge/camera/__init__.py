"""Cameras behind one small Protocol: `picamera`, `replay`, `simulated`."""
