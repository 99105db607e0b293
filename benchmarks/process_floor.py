"""Floor of a cold start: a bare `python -I -S` that connects to a socket and says hello. No sandbox, no HTTP."""

import socket
import subprocess
import time
from collections.abc import Iterator

HELLO = "import socket,sys\ns=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\ns.sendall(b'hello')\n"


def starts_ms(interpreter: str, count: int, pause_s: float = 0.05) -> Iterator[float]:
    """Milliseconds from spawn to the first byte, `count` times, with quiet time between."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        port = str(listener.getsockname()[1])
        for _ in range(count):
            time.sleep(pause_s)
            begun = time.perf_counter()
            with subprocess.Popen([interpreter, "-I", "-S", "-c", HELLO, port], stdin=subprocess.DEVNULL) as process:
                connection, _address = listener.accept()
                with connection:
                    connection.settimeout(10)
                    connection.recv(16)
                    yield (time.perf_counter() - begun) * 1000
                process.wait(timeout=10)
