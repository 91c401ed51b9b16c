"""Answers as bytes: unusual ones that RFC 9112 allows, and ones that it does not."""

from __future__ import annotations

OK = "HTTP/1.1 200 OK\r\n"
#: What each allowed answer says.
SAID = b'{"a":1}'
CHUNKS = b"3\r\n" + SAID[:3] + b"\r\n4\r\n" + SAID[3:] + b"\r\n0\r\n\r\n"


def sized(*lengths: str, head: str = OK, body: bytes = SAID) -> bytes:
    """An answer with a Content-Length, or several, or one that is none."""
    return (head + "".join(f"Content-Length: {each}\r\n" for each in lengths) + "\r\n").encode(
        "latin-1"
    ) + body


def chunked(*codings: str, head: str = OK, body: bytes = CHUNKS) -> bytes:
    """An answer with a Transfer-Encoding, or several."""
    fields = "".join(f"Transfer-Encoding: {each}\r\n" for each in codings or ("chunked",))
    return (head + fields + "\r\n").encode("latin-1") + body


#: Delimited so that the next answer may follow on the same connection.
ALLOWED = {
    "one length": sized("7"),
    "a length with zeros": sized("007"),
    "the same length twice": sized("7", "7"),
    "the same length in a list": sized("7, 7,\t7"),
    "white space around a length": sized("\t 7 \t"),
    "a value that goes on": sized("7", head=f"{OK}X-Long: a\r\n\tb\r\n \r\n c\r\n"),
    "a length that goes on": sized("\r\n 7"),
    "no reason": sized("7", head="HTTP/1.1 200\r\n"),
    "an empty reason": sized("7", head="HTTP/1.1 200 \r\n"),
    "a later minor version": sized("7", head="HTTP/1.9 200 OK\r\n"),
    "HTTP/1.0 that stays open": sized("7", head="HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"),
    "line ends without CR": sized("7").replace(b"\r\n", b"\n"),
    "99 fields": sized("7", head=OK + "X: 1\r\n" * 98),
    "a name as no token is": sized("7", head=f'{OK}a"(b): 1\r\n'),
    "an empty value": sized("7", head=f"{OK}X:\r\n"),
    "control characters": sized("7", head=f"{OK}X: \x0b\x0c\x1c\x85\x01\r\n"),
    "one chunk": chunked(body=b"7\r\n" + SAID + b"\r\n0\r\n\r\n"),
    "chunks": chunked(),
    "CHUNKED": chunked("CHUNKED"),
    "white space around the coding": chunked(" \tchunked \t"),
    "chunk extensions": chunked(body=b'7 ;a;b="c"\r\n' + SAID + b"\r\n0;d\r\n\r\n"),
    "zeros before a chunk size": chunked(body=b"00000007\r\n" + SAID + b"\r\n000\r\n\r\n"),
    "trailers": chunked(body=CHUNKS[:-2] + b"Expires: 0\r\nX: a\r\n b\r\n\r\n"),
}

#: Allowed, and the last answer on their connection.
LAST = {
    "chunks and a length": chunked(head=f"{OK}Content-Length: 3\r\n"),
    "chunks and a length that is none": chunked(head=f"{OK}Content-Length: x\r\n"),
    "Connection: close": sized("7", head=f"{OK}Connection: close\r\n"),
    "HTTP/1.0": sized("7", head="HTTP/1.0 200 OK\r\n"),
}

_LENGTHS = [
    *("", "+7", "-7", "7.0", "7e0", "0x7", "0_7", "7_", "7 7", "7;", '"7"', "seven", "\xb2"),
    *("\x0b7", "7\x85", "\uff17".encode().decode("latin-1"), "9" * 19, "9" * 5000),
    *("7, 8", "7,", ",7", "7,,7", "7, +7"),
]
_CODINGS = [
    *("gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked", "identity"),
    *("", "xchunked", "chunked;q=1", "chun ked", "\x0bchunked", "chunked\xa0"),
]
_SIZES = [
    *("", " 7", "7 ", "+7", "-7", "0x7", "0_7", "7h", "7,", '"7"', "\xb2", ";a", "000000007"),
    *("7;a\0", "7\r", "7;a\rb", "f" * 8 + "0", "f" * 100_000),
]

#: At odds with RFC 9112: where such an answer ends, two readers may see differently.
MALFORMED = {
    **{f"Content-Length {each[:20]!r}": sized(each) for each in _LENGTHS},
    "two lengths": sized("7", "8"),
    "two lengths, one of them none": sized("7", "+7"),
    **{f"Transfer-Encoding {each!r}": chunked(each) for each in _CODINGS},
    "two codings": chunked("chunked", "chunked"),
    "gzip, then chunked": chunked("gzip", "chunked"),
    "chunks in HTTP/1.0": chunked(head="HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"),
    **{
        f"chunk size {each[:20]!r}": chunked(
            body=each.encode("latin-1") + b"\r\n" + SAID + b"\r\n0\r\n\r\n"
        )
        for each in _SIZES
    },
    "a chunk size without CR": chunked(body=b"7\n" + SAID + b"\r\n0\r\n\r\n"),
    "no line end after a chunk": chunked(body=b"7\r\n" + SAID + b"0\r\n\r\n"),
    "another line end after a chunk": chunked(body=b"7\r\n" + SAID + b"\n\r0\r\n\r\n"),
    "a chunk longer than its size": chunked(body=b"6\r\n" + SAID + b"\r\n0\r\n\r\n"),
    "a chunk shorter than its size": chunked(body=b"8\r\n" + SAID + b"\r\n0\r\n\r\n"),
    "a trailer that is none": chunked(body=CHUNKS[:-2] + b"Expires 0\r\n\r\n"),
    "white space before a colon": sized("7", head=f"{OK}Transfer-Encoding : chunked\r\n"),
    "white space in a name": sized("7", head=f"{OK}X A: 1\r\n"),
    "white space before the first field": sized("7", head=f"{OK} X: 1\r\n"),
    "no colon": sized("7", head=f"{OK}X\r\n"),
    "no name": sized("7", head=f"{OK}: 1\r\n"),
    "CR in a value": sized("7", head=f"{OK}X: 1\rTransfer-Encoding: chunked\r\n"),
    "NUL in a value": sized("7", head=f"{OK}X: 1\0\r\n"),
    "60,000 spaces, and NUL": sized("7", head=f"{OK}X: 1\r\n{' ' * 60_000}\0\r\n"),
    "a name in another script": sized("7", head=f"{OK}\xe4: 1\r\n"),
    "a mailbox's first line": sized("7", head=f"{OK}From ada@people.example\r\n"),
}

#: Status lines that are none; http.client took all but the first three.
NO_STATUS_LINES = [
    *("220 mail.example ESMTP", "HTTP/2 200", "", "HTTP/1.1 +200 OK", "HTTP/1.1 2_0 OK"),
    *("HTTP/1.1 0200 OK", "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK", " HTTP/1.1 200 OK"),
    *("HTTP/0.9 200 OK", "HTTP/1.x 200 OK", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 O\0K"),
]
