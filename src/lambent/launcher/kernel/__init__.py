"""What the kernel offers and Python does not: thin, without state, and without knowing of sandboxes."""
