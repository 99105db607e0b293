"""Runs Lambda handlers: gets events from the Runtime API, calls the handler, posts what it returns or raises.

Start-up is most of a cold start, so the modules of the plain path import only built-in modules and `os`; what few
functions need (logging, tracebacks, odd JSON) is in modules of its own, imported when it is needed.
"""
