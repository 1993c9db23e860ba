"""Requests that are odd and allowed, and how long a head and a target may be."""
import pytest

from test_wire import BODY, GOOD, post

# RFC 9112 lets a server take these or refuse them; either way the next request begins where it should.
ODD = {
    "folded header": b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
    "bare LF": b"GET /livez HTTP/1.1\nHost: localhost\n\n",
    "LF at the head's end": b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\n",
    "bare LF in chunks": post(b"%x\n%s\n0\n\n" % (len(BODY), BODY), b"Transfer-Encoding: chunked"),
    "tab before an encoding": post(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), b"Transfer-Encoding:\tchunked"),
    "encoding in capitals": post(b"%X\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), b"Transfer-Encoding: CHUNKED"),
    "open quote in an extension": post(b'%x;a="b\r\n%s\r\n0\r\n\r\n' % (len(BODY), BODY), b"Transfer-Encoding: chunked"),
    "zeros before a size": post(b"0000%x\r\n%s\r\n000\r\n\r\n" % (len(BODY), BODY), b"Transfer-Encoding: chunked"),
    "length in a trailer": post(b"%x\r\n%s\r\n0\r\nContent-Length: 5\r\n\r\n" % (len(BODY), BODY), b"Transfer-Encoding: chunked"),
    "encoding in a trailer": post(b"%x\r\n%s\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n" % (len(BODY), BODY),
                                  b"Transfer-Encoding: chunked"),
    "empty lines first": b"\r\n\r\n" + GOOD,
    "two blanks": GOOD.replace(b" /", b"  /"),
    "a GET with a body": GOOD[:-2] + b"Content-Length: 5\r\n\r\nabcde",
    "absolute target": GOOD.replace(b"/livez", b"http://localhost/livez"),
    "foreign target": GOOD.replace(b"/livez", b"http://evil.example/livez"),
    "TRACE": GOOD.replace(b"GET", b"TRACE"),
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CONNECT": b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "upgrade": GOOD[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "NUL in a path": GOOD.replace(b"livez", b"livez\0/../metrics"),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_requests_do_not_shift_the_next(server, what):
    with server.wire(3) as wire:
        wire.send(ODD[what] + GOOD.replace(b"livez", b"nothing-here") + GOOD)
        first = wire.reply()
        assert first.status in (200, 400, 404, 405)
        if first.status == 400:
            assert wire.is_closed() and b" 200 " not in wire.held
            return
        assert (wire.reply().status, wire.reply().body) == (404, b"ok\n")
        wire.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            wire.more()
        assert not wire.held


@pytest.mark.parametrize("head, status", [
    (b"X: " + b"a" * 7000 + b"\r\n", 200), (b"X: " + b"a" * 9000 + b"\r\n", 431),
    (b"".join(b"X%d: a\r\n" % i for i in range(90)), 200), (b"".join(b"X%d: a\r\n" % i for i in range(300)), 431)])
def test_how_long_a_head_may_be(server, head, status):
    with server.wire(3) as wire:
        wire.send(GOOD[:-2] + head + b"\r\n")
        assert wire.reply().status == status


@pytest.mark.parametrize("n, status", [(7000, 200), (9000, 414), (70000, 414)])
def test_how_long_a_target_may_be(server, n, status):
    with server.wire(3) as wire:
        wire.send(GOOD.replace(b"livez", b"livez?" + b"a" * n))
        assert wire.reply().status == status


def test_between_both_limits_nothing_odd_comes(server):
    """Heads that just fit leave no room for an answer's: it is 200, 414, 431, or the connection closes; at times
    libmicrohttpd 0.9.75 leaves that to the time limit for heads. The server goes on."""
    for n in range(7000, 9000, 61):
        with server.wire(1) as wire:
            wire.send(GOOD.replace(b"livez", b"livez?" + b"a" * n))
            try:
                assert wire.reply().status in (200, 414, 431), n
            except (EOFError, ConnectionResetError, TimeoutError):
                pass
    assert server.get("/livez").status == 200
