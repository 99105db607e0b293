"""S3 of our own: objects as files, everything that is known of them as rows. `service` shows the parts."""
