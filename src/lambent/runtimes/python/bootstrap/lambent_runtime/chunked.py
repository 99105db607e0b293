"""Bodies with `Transfer-Encoding: chunked`, which other implementations of the Runtime API send for large events."""


def read_chunked(data, receive):
    """(body, bytes after it), given what has been received and a function that receives more."""
    parts = []
    while True:
        line, data = _read_line(data, receive)
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            break
        while len(data) < size + 2:
            data += receive()
        parts.append(data[:size])
        data = data[size + 2 :]
    while line:
        line, data = _read_line(data, receive)
    return b"".join(parts), data


def _read_line(data, receive):
    end = data.find(b"\r\n")
    while end < 0:
        data += receive()
        end = data.find(b"\r\n")
    return data[:end], data[end + 2 :]
