"""Everything between the socket and S3's operations: addresses, signatures in queries and forms, chunks, checksums."""
