"""What `make bench` measures: time as ratios in one run, memory, bytes, start-up, readings into the station."""
