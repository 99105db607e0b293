"""Events and results as JSON, with the rules of Lambda's runtime and without importing `json`.

Lambda's Python runtime uses `simplejson`: named tuples become objects, bytes become text, decimals become numbers. The
plain types go straight through the C functions behind `json`; anything else goes to `odd_json`.
"""

import os
from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner
from marshal import dumps as check_plain

from lambent_runtime.fault import Fault


def escapes_non_ascii():
    return not os.environ.get("AWS_EXECUTION_ENV", "").endswith(("3.12", "3.13", "3.14", "3.15"))


class _ScannerOptions:
    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = None


def _refuse_constant(name):
    raise ValueError(name)


_ScannerOptions.parse_constant = staticmethod(_refuse_constant)
_scan = make_scanner(_ScannerOptions)


def decode(body):
    """The event of a body that is JSON. Raises Fault Runtime.UnmarshalError."""
    try:
        text = body.decode().strip(" \t\n\r")
        event, end = _scan(text, 0)
        if end == len(text):
            return event
    except (ValueError, StopIteration, RecursionError, SystemError):
        # SystemError: Python 3.11 and older fail to make their JSONDecodeError while `json` is not imported.
        pass
    from lambent_runtime.odd_json import decode_or_explain

    return decode_or_explain(body)


def _bytes_as_text(value):
    if type(value) is bytes:
        return value.decode()
    raise TypeError


def _make_encode(ascii_only):
    text = encode_basestring_ascii if ascii_only else encode_basestring
    encode = make_encoder(None, _bytes_as_text, text, None, ": ", ", ", False, False, True)
    join = "".join

    def encode_result(result):
        """The JSON text of a result. Raises what the encoder of Lambda's runtime would raise."""
        try:
            # Refuses subclasses (named tuples among them) at C speed, and structures that contain themselves.
            check_plain(result, 2)
            return join(encode(result, 0))
        except (ValueError, TypeError, UnicodeError, RecursionError):
            from lambent_runtime.odd_json import encode_odd

            return encode_odd(result, ascii_only)

    return encode_result


encode = _make_encode(escapes_non_ascii())


def encode_response(result):
    """(bytes or text, content type) of what a handler returned. Raises Fault Runtime.MarshalError."""
    if isinstance(result, bytes):
        return result, b"application/unknown"
    try:
        return encode(result), b"application/json"
    except Exception as error:
        raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % (error,)) from None
