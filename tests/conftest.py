"""What holds for every test: signals are those of a terminal, however the tests were started."""

import signal

# A shell without job control starts `make test &` with SIGINT ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
