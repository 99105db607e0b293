"""Rows of S3, as functions on a connection. All are called by transactions that somebody above them makes."""
