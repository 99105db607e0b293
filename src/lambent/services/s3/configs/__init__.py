"""What is configured of a bucket: one document of each kind, checked when it is put, acting where it has an effect."""
