"""The Runtime API over one keep-alive connection.

The result of an invocation and the request for the next one leave in one write (HTTP pipelining): it halves the
system calls and the switches of a warm invocation, and any HTTP/1.1 server understands it. A raw socket, because
`http.client` and `socket` would take longer to import than everything else here.
"""

from _socket import AF_UNIX, IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY, getaddrinfo, socket

_NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n"
_POST = b"POST /2018-06-01/runtime/%s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n"
_ONE_WRITE_BYTES = 65536


class RuntimeApiError(Exception):
    """The Runtime API refused a request or is gone; the process cannot go on."""


class RuntimeApi:
    def __init__(self, address, line=None):
        """`line`: the name of a socket that leads to the same API for less than TCP, for events and their results."""
        self._line = line
        host, _, port = address.rpartition(":")
        # As bytes: text would make getaddrinfo import the IDNA codec, a third of our start-up.
        self._address = (host.strip("[]").encode(), int(port)) if host else (address.encode(), 80)
        self._host = address.encode()
        self._next = _NEXT % self._host
        self._socket = None
        self._received = b""
        self._result = None

    def next(self):
        """(headers with lower-case names, body) of the next event, after sending the result of the last one."""
        retried = False
        while True:
            sent = answered = False
            try:
                if self._socket is None and not self._connect_to_line():
                    self._connect()
                if self._result is None:
                    self._socket.sendall(self._next)
                else:
                    self._send_result()
                    sent = True
                    status, headers, body = self._read_response()
                    answered = True
                    self._result = None
                    self._check_posted(status, body, retried)
                    if headers.get("connection", "").lower() == "close":
                        self.disconnect()
                        continue
                status, headers, body = self._read_response()
            except (ConnectionError, EOFError) as error:
                # A server may close an idle connection at the moment we use it again; once is not a failure.
                self.disconnect()
                if retried:
                    raise RuntimeApiError("the Runtime API closed the connection: %s" % error) from None
                retried = not (sent and answered)
                continue
            if status != 200:
                raise RuntimeApiError("Failed to get next invocation: %d %s" % (status, body[:500]))
            if headers.get("connection", "").lower() == "close":
                self.disconnect()
            return headers, body

    def ask_for_restore(self):
        """Without waiting for the answer, which comes to a process that has no connections."""
        self._connect()
        self._socket.sendall(b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: %s\r\n\r\n" % self._host)

    def restore_next(self):
        """Under SnapStart: returns in the restored process."""
        self.ask_for_restore()
        status, _, body = self._read_response()
        self.disconnect()
        if status != 200:
            raise RuntimeApiError("Failed to get the restore: %d %s" % (status, body[:500]))

    def respond(self, request_id, body, content_type, headers=b""):
        """Keep the result; it is sent together with the request for the next event."""
        path = b"invocation/%s/response" % request_id.encode()
        self._result = self._request(path, body, b"Content-Type: %s\r\n%s" % (content_type, headers))

    def fail(self, request_id, body, xray_cause):
        path = b"invocation/%s/error" % request_id.encode()
        headers = b"Content-Type: application/json\r\n"
        if xray_cause:
            headers += b"Lambda-Runtime-Function-XRay-Error-Cause: %s\r\n" % xray_cause
        self._result = self._request(path, body, headers)

    def post(self, path, body, error_type):
        """One request of its own, for init/error and restore/error. Raises RuntimeApiError unless it is accepted."""
        header = b"Lambda-Runtime-Function-Error-Type: %s\r\n" % error_type.encode()
        try:
            self.disconnect()
            self._connect()
            self._socket.sendall(b"".join(self._request(path, body, b"Content-Type: application/json\r\n" + header)))
            status, _, answer = self._read_response()
        except (ConnectionError, EOFError) as error:
            raise RuntimeApiError("the Runtime API closed the connection: %s" % error) from None
        if status != 202:
            raise RuntimeApiError("Failed to post %s: %d %s" % (path.decode(), status, answer[:500]))

    def _request(self, path, body, headers):
        return _POST % (path, self._host, headers, len(body)), body

    @staticmethod
    def _check_posted(status, body, again):
        # 413: the platform has answered the caller, and the environment stays. After a connection that was lost the
        # first copy of the result may have arrived, so that the second is refused.
        if 200 <= status < 300 or status == 413 or (again and status in (400, 403)):
            return
        raise RuntimeApiError("Failed to post invocation response: %d %s" % (status, body[:500]))

    def _send_result(self):
        head, body = self._result
        if len(body) <= _ONE_WRITE_BYTES:
            self._socket.sendall(head + body + self._next)
        else:
            self._socket.sendall(head)
            self._socket.sendall(body)
            self._socket.sendall(self._next)

    def _connect_to_line(self):
        if self._line is None:
            return False
        connection = socket(AF_UNIX, SOCK_STREAM)
        try:
            connection.connect(b"\0" + self._line.encode())
        except OSError:
            # A copy of a process that was saved may go on where there is none.
            connection.close()
            self._line = None
            return False
        self._socket, self._received = connection, b""
        return True

    def _connect(self):
        family, kind, protocol, _, address = getaddrinfo(self._address[0], self._address[1], 0, 1)[0]
        self._socket = socket(family, kind, protocol)
        self._socket.connect(address)
        self._socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._received = b""

    def disconnect(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _receive(self):
        data = self._socket.recv(_ONE_WRITE_BYTES)
        if not data:
            raise EOFError("no answer")
        return data

    def _read_response(self):
        """(status, headers, body) of the next response of the connection."""
        data = self._received
        end = data.find(b"\r\n\r\n")
        while end < 0:
            data += self._receive()
            end = data.find(b"\r\n\r\n")
        lines = data[:end].decode("utf-8", "surrogateescape").split("\r\n")
        rest = data[end + 4 :]
        status = int(lines[0][9:12])
        headers = {}
        for i in range(1, len(lines)):
            name, _, value = lines[i].partition(":")
            headers[name.lower()] = value.strip()
        if "transfer-encoding" in headers:
            from lambent_runtime.chunked import read_chunked

            body, self._received = read_chunked(rest, self._receive)
            return status, headers, body
        length = int(headers.get("content-length", 0))
        missing = length - len(rest)
        if missing <= 0:
            self._received = rest[length:]
            return status, headers, rest[:length]
        self._received = b""
        return status, headers, self._read_large(rest, length)

    def _read_large(self, start, length):
        body = bytearray(length)
        view = memoryview(body)
        have = len(start)
        view[:have] = start
        while have < length:
            count = self._socket.recv_into(view[have:])
            if not count:
                raise EOFError("the event was cut off")
            have += count
        return bytes(body)
