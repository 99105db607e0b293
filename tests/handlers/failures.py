"""Handlers that raise, exit or crash, each in its own way."""

import os
import signal
import sys
import threading


class CustomError(Exception):
    pass


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Abort(BaseException):
    pass


def _fail():
    raise CustomError("deep down", 42)


def raises(event, context):
    _fail()


def without_message(event, context):
    raise ValueError


def several_lines(event, context):
    raise ValueError("first\n  second\n\nthird \u00e9 \u2028")


def chained(event, context):
    try:
        {}["missing"]
    except KeyError as error:
        raise CustomError("while handling") from error


def key_error(event, context):
    return event["missing"]


def unprintable(event, context):
    raise Unprintable


def os_error(event, context):
    os.stat("/does/not/exist")


def recursion(event, context):
    return recursion(event, context)


def group(event, context):
    raise ExceptionGroup("several", [ValueError("a"), TypeError("b")])


def generated_code(event, context):
    exec(compile("def inner():\n    raise ValueError('generated')\ninner()", "<generated>", "exec"))


def wrong_arguments(event):
    return 1


not_callable = 5


def class_body(event, context):
    class Broken:
        raise TypeError("in a class")


def in_library(event, context):
    import json

    json.loads("{")


def exit_zero(event, context):
    sys.exit()


def exit_three(event, context):
    sys.exit(3)


def exit_text(event, context):
    sys.exit("goodbye")


def os_exit(event, context):
    os._exit(7)


def killed(event, context):
    os.kill(os.getpid(), signal.SIGKILL)


def segmentation(event, context):
    os.kill(os.getpid(), signal.SIGSEGV)


def aborted(event, context):
    os.abort()


def base_exception(event, context):
    raise Abort("not an Exception")


def keyboard_interrupt(event, context):
    raise KeyboardInterrupt


def generator_exit(event, context):
    raise GeneratorExit("odd")


def stop_iteration(event, context):
    next(iter([]))


def surrogate_message(event, context):
    raise ValueError("\ud800")


def in_thread(event, context):
    thread = threading.Thread(target=_fail)
    thread.start()
    thread.join()
    return "went on"


def every_other(event, context):
    if event % 2:
        raise CustomError(event)
    return event


class Callable:
    def __call__(self, event, context):
        return "called"

    def method(self, event, context):
        return "method"

    @staticmethod
    def static(event, context):
        return "static"


instance = Callable()
bound = instance.method
built_in = len
