"""JSON of values that are not the plain types, as `simplejson` writes it: the slow path of `event`."""

import json
from decimal import Decimal

from lambent_runtime.fault import Fault


class _Number(str):
    """Text that goes into the JSON as it is."""


def decode_or_explain(body):
    """The event, or Fault with the reason; for what the fast path did not take."""
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except Exception as error:
        raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % (error,)) from None


def _no_constant(name):
    raise ValueError("Expecting value: line 1 column 1 (char 0)")


def encode_odd(value, ascii_only):
    escape = json.encoder.encode_basestring_ascii if ascii_only else json.encoder.encode_basestring

    def text(value):
        return str.__str__(value) if type(value) is _Number else escape(value)

    encode = json.encoder.c_make_encoder(None, _refuse, text, None, ": ", ", ", False, False, True)
    return "".join(encode(_plain(value, set()), 0))


def _refuse(value):
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def _plain(value, parents):
    """Lists, dicts and scalars of the same meaning. `parents` are the ids of the containers that hold the value."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, bytes):
        return value.decode()
    as_dict = None if isinstance(value, (list, dict)) else getattr(value, "_asdict", None)
    if callable(as_dict):
        as_dict = as_dict()
        if not isinstance(as_dict, dict):
            raise TypeError("_asdict() must return a dict, not %s" % type(as_dict).__name__)
    elif isinstance(value, Decimal):
        # A float has no signalling NaN, and no JSON has one.
        return float("nan") if value.is_nan() else _Number(value)
    elif not isinstance(value, (list, tuple, dict)):
        _refuse(value)
    if id(value) in parents:
        raise ValueError("Circular reference detected")
    parents.add(id(value))
    if as_dict is not None or isinstance(value, dict):
        items = (as_dict if as_dict is not None else value).items()
        plain = {_plain_key(key): _plain(item, parents) for key, item in items}
    else:
        plain = [_plain(item, parents) for item in value]
    parents.discard(id(value))
    return plain


def _plain_key(key):
    if isinstance(key, bytes):
        return key.decode()
    if key is None or isinstance(key, (str, int, float)):
        return key
    raise TypeError("keys must be str, int, float, bool or None, not %s" % type(key).__name__)
