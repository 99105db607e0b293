"""What custom runtimes find at `/var/lang`: nothing but this."""
