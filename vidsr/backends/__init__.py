"""What computes a network: one file per way of computing, one protocol (`base`) for all of them."""
