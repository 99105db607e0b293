"""Handlers that look at, or change, the process around them."""

import atexit
import os
import signal
import sys
import time

print("imported")
COUNT = [0]


def context(event, context):
    return {
        "aws_request_id": context.aws_request_id,
        "function_name": context.function_name,
        "function_version": context.function_version,
        "invoked_function_arn": context.invoked_function_arn,
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "log_group_name": context.log_group_name,
        "log_stream_name": context.log_stream_name,
        "tenant_id": context.tenant_id,
        "repr": repr(context),
        "type": type(context).__name__,
        "remaining": 55_000 < context.get_remaining_time_in_millis() <= 60_000,
        "remaining_type": type(context.get_remaining_time_in_millis()).__name__,
        "w3c": context.w3c(),
        "public": sorted(name for name in dir(context) if not name.startswith("_")),
    }


def client_context(event, context):
    client = context.client_context
    return {
        "custom": client.custom,
        "env": client.env,
        "app_title": client.client.app_title if client.client is not None else None,
        "installation_id": client.client.installation_id if client.client is not None else None,
        "repr": repr(client)[:20],
        "w3c": context.w3c(),
    }


def identity(event, context):
    return [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id]


def late(event, context):
    return context.get_remaining_time_in_millis()


def log_method(event, context):
    context.log("plain text without a line end")
    context.log({"not": "text"})
    context.log("\n")


def trace_id(event, context):
    return os.environ.get("_X_AMZN_TRACE_ID")


def change_environment(event, context):
    before = dict(os.environ)
    os.environ["ADDED"] = "x"
    os.environ.pop("AWS_LAMBDA_FUNCTION_NAME", None)
    return ["ADDED" in before, context.function_name]


def change_directory(event, context):
    before = os.getcwd()
    os.chdir("/")
    return before == os.environ["LAMBDA_TASK_ROOT"]


def change_directory_and_fail(event, context):
    os.chdir("/")
    raise ValueError("elsewhere")


def prints(event, context):
    print("one", "two", flush=True)
    print("unfinished", end="")
    print(" line")
    sys.stdout.write("written\n")
    sys.stdout.writelines(["a\n", "b\n"])
    print("to stderr", file=sys.stderr)
    os.write(1, b"from the descriptor\n")
    return sys.stdout.write("x\n")


def prints_unicode(event, context):
    print("\u00e9\u2028\U0001f600")


def close_stdout(event, context):
    sys.stdout.close()
    return "closed"


def close_stdout_and_fail(event, context):
    sys.stdout.close()
    raise ValueError("nobody hears")


def replace_stdout(event, context):
    import io

    sys.stdout = io.StringIO()
    print("swallowed")
    return "replaced"


def module_state(event, context):
    COUNT[0] += 1
    return COUNT[0]


def registers_atexit(event, context):
    atexit.register(print, "at exit")
    sys.exit(4)


def handles_signal(event, context):
    seen = []
    signal.signal(signal.SIGUSR1, lambda *args: seen.append(1))
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0)
    return seen


def exit_builtin(event, context):
    exit(6)


def main_module(event, context):
    main = sys.modules["__main__"]
    return [main.__name__, __name__, hasattr(main, "__file__")]


def child_process(event, context):
    import subprocess

    code = "import sys, os; print(len(sys.argv), 'LAMBDA_TASK_ROOT' in os.environ)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def forks(event, context):
    pid = os.fork()
    if pid == 0:
        os._exit(5)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
