"""Speed of Lambent beside its floors and its peers. Prints; never judges, never a timed test.

Imports nothing of Lambent but `lambent.testing.running_server`: what is measured is the command, from outside.
"""
