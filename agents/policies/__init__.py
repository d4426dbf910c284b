"""Networks and distributions for sets of clients."""
