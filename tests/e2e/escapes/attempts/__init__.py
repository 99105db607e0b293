"""Attempts to get out of a sandbox, a small function each: a program that runs outside, where it must succeed, and
inside, where it must be refused. Imports only the standard library, because it is copied into the code of a function.
"""
