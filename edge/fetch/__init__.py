"""The fetcher brings a wished bundle over HTTP(S) into the inbox; it has the network, no camera and no secret."""
