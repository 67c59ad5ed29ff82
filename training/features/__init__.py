"""Route `features`: a table of numbers per reading, a light regressor, figures by animal."""
