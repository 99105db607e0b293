"""The escape suite: what a function must not be able to do, tried from inside every kind of sandbox."""
