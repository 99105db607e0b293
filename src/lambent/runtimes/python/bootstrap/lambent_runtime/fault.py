"""Errors that the runtime itself reports, with types of the `Runtime.` family."""


class Fault(Exception):
    def __init__(self, error_type, message, stack_trace=()):
        Exception.__init__(self, message)
        self.error_type = error_type
        self.message = message
        self.stack_trace = list(stack_trace)
