"""How a long-running program of ours meets its machine: readiness, secrets and TLS, the same on device and station."""
