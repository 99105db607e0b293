"""STS: who one is, and keys for a time. Operations that are not here are the neighbour's."""
