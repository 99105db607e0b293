"""The words in which a failed function is reported, as pure functions.

Each returns the payload that the caller gets with HTTP 200 and `X-Amz-Function-Error: Unhandled`.
"""

import os
import re
import signal

import orjson

from lambent.aws.errors import FunctionFault
from lambent.environments.sandbox.ports import ProcessExit

_ERRNO = re.compile(r"\[Errno (\d+)\]")
_KNOWN_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")

# The texts of Go's syscall.Signal: Lambda's own supervisor is written in Go and prints those.
_SIGNAL_TEXT: dict[int, str] = {
    signal.SIGHUP: "hangup",
    signal.SIGINT: "interrupt",
    signal.SIGQUIT: "quit",
    signal.SIGILL: "illegal instruction",
    signal.SIGTRAP: "trace/breakpoint trap",
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGKILL: "killed",
    signal.SIGUSR1: "user defined signal 1",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGUSR2: "user defined signal 2",
    signal.SIGPIPE: "broken pipe",
    signal.SIGALRM: "alarm clock",
    signal.SIGTERM: "terminated",
}


def _fault(error_type: str, message: str) -> FunctionFault:
    return FunctionFault(error_type, orjson.dumps({"errorType": error_type, "errorMessage": message}))


def timed_out(request_id: str, timeout_s: float) -> FunctionFault:
    return _fault("Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {timeout_s:.2f} seconds")


def exited(request_id: str, end: ProcessExit, *, out_of_memory: bool) -> FunctionFault:
    error_type = "Runtime.OutOfMemory" if out_of_memory else "Runtime.ExitError"
    return _fault(error_type, f"RequestId: {request_id} Error: {exit_text(end, out_of_memory=out_of_memory)}")


def exit_text(end: ProcessExit, *, out_of_memory: bool) -> str:
    if out_of_memory:
        return "Runtime exited with error: signal: killed"
    if end.signal is not None:
        return f"Runtime exited with error: signal: {_SIGNAL_TEXT.get(end.signal, f'signal {end.signal}')}"
    if end.status:
        return f"Runtime exited with error: exit status {end.status}"
    return "Runtime exited without providing a reason"


def of_extension(error_type: str, request_id: str, text: str) -> FunctionFault:
    return _fault(error_type, f"RequestId: {request_id} Error: {text}")


def extension_exit_text(end: ProcessExit) -> str:
    if end.signal is not None:
        return f"signal: {_SIGNAL_TEXT.get(end.signal, f'signal {end.signal}')}"
    return f"exit status {end.status}" if end.status else "exit code 0"


def errno_text(number: int) -> str:
    """As Go prints it: like the C library, but without a capital letter."""
    text = os.strerror(number)
    return text[:1].lower() + text[1:]


def launch_text(program: str, failure: str) -> str | None:
    """Why a program was not started, as Go says it; None where `failure` names no error of the system."""
    found = _ERRNO.search(failure)
    return None if found is None else f"fork/exec {program}: {errno_text(int(found[1]))}"


def invalid_entrypoint(request_id: str, text: str) -> FunctionFault:
    return _fault("Runtime.InvalidEntrypoint", f"RequestId: {request_id} Error: {text}")


def response_too_large(limit_bytes: int) -> FunctionFault:
    error_type = "Function.ResponseSizeTooLarge"
    message = f"Response payload size exceeded maximum allowed payload size ({limit_bytes} bytes)."
    return FunctionFault(error_type, orjson.dumps({"errorMessage": message, "errorType": error_type}))


def invalid_response_mode(request_id: str) -> FunctionFault:
    return _fault("Runtime.InvalidResponseModeHeader", f"RequestId: {request_id} Error: Invalid response mode header")


def truncated_response(request_id: str) -> FunctionFault:
    return _fault("Runtime.TruncatedResponse", f"RequestId: {request_id} Error: Response was cut off by the runtime")


def reported_type(header: str | None) -> str:
    """The error type that logs and metrics show for what a runtime sent in `Lambda-Runtime-Function-Error-Type`."""
    if header and _KNOWN_TYPE.fullmatch(header):
        return header
    return "Function.Unknown" if header and header.startswith("Function.") else "Runtime.Unknown"
