"""Event notifications: which change of an object tells whom, in which words, and that it arrives."""
