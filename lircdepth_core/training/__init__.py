"""Teaching the networks: configuration, loop, checkpoints, several processes."""
