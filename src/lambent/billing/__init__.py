"""What AWS would have charged."""
