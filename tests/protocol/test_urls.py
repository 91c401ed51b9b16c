from __future__ import annotations

import itertools
import re
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_parjar.protocol.urls import (
    MAX_RETURN_PATH,
    MAX_URL_LENGTH,
    check_endpoint,
    is_loopback,
    parse_return_path,
    without_default_port,
)
from tests.support.errors import invalid
from tests.support.untrusted import bounded

# Hosts with ports.


@pytest.mark.parametrize(
    ("scheme", "netloc", "short"),
    [
        ("https", "op.example:443", "op.example"),
        ("http", "op.example:80", "op.example"),
        ("https", "[::1]:443", "[::1]"),
        ("https", "op.example:80", "op.example:80"),
        ("http", "op.example:443", "op.example:443"),
        ("https", "op.example:4433", "op.example:4433"),
        ("https", "op.example", "op.example"),
        ("ftp", "op.example:443", "op.example:443"),
        ("", "", ""),
    ],
)
def test_a_default_port_is_left_out(scheme: str, netloc: str, short: str) -> None:
    assert without_default_port(scheme, netloc) == short


# A provider's endpoints.


@pytest.mark.parametrize(
    "url",
    [
        "https://op.example",
        "https://op.example/",
        "https://op.example:8443/a/b;c?d=e&f=%2F%2f#".rstrip("#"),
        "HTTPS://OP.EXAMPLE/",
        "https://[2001:db8::1]:8443/x",
        "https://192.0.2.1/",
        "https://xn--bcher-kva.example/!$&'()*+,;=:@~",
        "http://localhost:9000/x",
        "http://127.0.0.1:9000/x",
        "http://127.255.0.1/x",
        "http://[::1]:9000/x",
    ],
)
def test_a_good_endpoint(url: str) -> None:
    assert check_endpoint(url, allow_http=False) == url
    assert check_endpoint(url, allow_http=True) == url


@pytest.mark.parametrize("url", [None, 5, b"https://op.example", ["https://op.example"], "", True])
def test_no_url_at_all(url: object) -> None:
    with invalid():
        check_endpoint(url, allow_http=True)


def test_a_url_is_so_long_and_no_longer() -> None:
    assert MAX_URL_LENGTH == 2048
    url = "https://op.example/".ljust(MAX_URL_LENGTH, "x")
    assert check_endpoint(url, allow_http=False) == url
    with invalid():
        check_endpoint(url + "x", allow_http=False)


@pytest.mark.parametrize(
    "character",
    [*map(chr, range(0x21)), *'\\"<>^`{|}', "\x7f", "\x80", "\xa0", "é", "\u2028", "\uffff"]
    + ["😀", "\U0010ffff", "\ud800", "。", "／"],
)
@pytest.mark.parametrize(
    "url", ["{}https://op.example/x", "https://op{}.example/x", "https://a/{}"]
)
def test_a_character_that_no_url_has(url: str, character: str) -> None:
    with invalid():
        check_endpoint(url.format(character), allow_http=True)


@pytest.mark.parametrize(
    "url", ["https://op.example:x/", "https://op.example:65536/", "https://op.example:-1/"]
)
def test_a_port_that_cannot_be_read(url: str) -> None:
    with invalid():
        check_endpoint(url, allow_http=True)


def test_where_plain_http_depends_on_the_issuer_that_is_named() -> None:
    with pytest.raises(ValueError) as caught:
        check_endpoint("http://127.0.0.1/", allow_http=False, allow_loopback=False)
    assert "issuer" in str(caught.value)
    with pytest.raises(ValueError) as caught:
        check_endpoint("http://op.example/", allow_http=False)
    assert "issuer" not in str(caught.value)


@pytest.mark.parametrize("label", ["a" * 63, "xn--" + "a" * 59, "1", "a_b", "-"])
def test_a_label_of_a_host(label: str) -> None:
    for host in (label, f"{label}.example", f"op.{label}.", f"{label}.{label}"):
        url = f"https://{host}/"
        assert check_endpoint(url, allow_http=False) == url


@pytest.mark.parametrize(
    "host", ["op..example", ".example", ".", "op.example..", "a" * 64, f"op.{'a' * 64}.example"]
)
def test_a_label_that_cannot_be_looked_up(host: str) -> None:
    """RFC 1035 section 2.3.4: a label has 1 to 63 characters."""
    with invalid("host"):
        check_endpoint(f"https://{host}/", allow_http=True)
    with invalid():
        check_endpoint(f"http://user@{host}:80/", allow_http=True)


def test_a_host_that_cannot_be_read() -> None:
    for url in ("https://[::1/", "https://op]/", "https://[::1"):
        with pytest.raises(ValueError):
            check_endpoint(url, allow_http=True)


@pytest.mark.parametrize(
    "url",
    [
        *("op.example", "//op.example/x", "/x", "x", "https:", "https://", "https:///x"),
        *("https:op.example", "https:/op.example", "https://:443/", "https://?x", "https://@/"),
        *("ftp://op.example/", "javascript://op.example/%0aalert(1)", "data:text/html,x"),
        *("file:///etc/passwd", "httpss://op.example/", "http+unix://x/", "ws://localhost/"),
    ],
)
def test_no_https_url(url: str) -> None:
    with invalid():
        check_endpoint(url, allow_http=True)


@pytest.mark.parametrize(
    "url",
    [
        *("http://op.example/x", "HTTP://op.example/x", "http://192.0.2.1/", "http://10.0.0.1/"),
        *("http://localhost.evil.example/", "http://127.0.0.1.evil.example/", "http://0.0.0.0/"),
        *("http://[::]/", "http://2130706433/", "http://0x7f.1/", "http://localhost@evil.example/"),
    ],
)
def test_plain_http(url: str) -> None:
    with invalid():
        check_endpoint(url, allow_http=False)
    if "@" not in url:
        assert check_endpoint(url, allow_http=True) == url


@pytest.mark.parametrize("user", ["ada@", "ada:x@", ":x@", "@", ":@", "a@b@", "%40@"])
def test_a_user_name_or_password(user: str) -> None:
    for scheme in ("https", "http"):
        with invalid():
            check_endpoint(f"{scheme}://{user}localhost/x", allow_http=False)


@pytest.mark.parametrize("fragment", ["#", "#x", "?x#y"])
def test_a_fragment(fragment: str) -> None:
    with invalid():
        check_endpoint(f"https://op.example/x{fragment}", allow_http=False)


@bounded
@given(st.text() | st.text("htps:/[]@#?.%\\019a ", max_size=30).map("https://".__add__))
def test_any_url_is_read_or_has_one_error(url: str) -> None:
    try:
        checked = check_endpoint(url, allow_http=False)
    except ValueError:
        return
    assert checked == url
    assert url.lower().startswith("https://")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host) is True


@pytest.mark.parametrize(
    "host",
    [
        *("", "LOCALHOST", "localhost.", "localhost.example", "op.example", "128.0.0.1", "::2"),
        *("0.0.0.0", "::", "127.1", "127.0.0.1.", "0177.0.0.1", "[::1]", "10.0.0.1"),
    ],
)
def test_no_loopback(host: str) -> None:
    assert is_loopback(host) is False


# Return paths. First an independent reading of where a browser would go.

SITE = "https://site.example"


def stays_on_site(reference: str) -> bool:
    """Whether a browser at this site that follows a reference stays there.

    The basic URL parser of the WHATWG URL standard, as far as it decides on the host: nothing of
    `urllib.parse` is used.
    """
    text = reference.strip("".join(map(chr, range(0x21))))
    text = text.replace("\t", "").replace("\n", "").replace("\r", "")
    text = text.replace("\\", "/")  # a special scheme's parser takes the one for the other
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text)
    if scheme is not None:
        rest = text[scheme.end() :]
        # "https:path" is relative to an https base; with any slash at all a host follows
        return scheme[1].lower() == "https" and not rest.startswith("/")
    return not text.startswith("//")


def path_a_browser_asks_for(reference: str) -> str:
    """The path after a browser has put together its dot segments (WHATWG URL, path state)."""
    path = re.split(r"[?#]", reference.replace("\\", "/"), maxsplit=1)[0]
    segments: list[str] = []
    for segment in path.split("/")[1:]:
        plain = re.sub("%2e", ".", segment, flags=re.I)
        if plain == "..":
            del segments[-1:]
        elif plain != ".":
            segments.append(segment)
    return "/" + "/".join(segments)


def assert_harmless(path: str) -> None:
    """What an accepted path must be under every reading, also once and twice decoded."""
    assert path.isascii() and path.isprintable() and " " not in path
    assert urlsplit(urljoin(f"{SITE}/a/b?c", path))[:2] == ("https", "site.example")
    for reading in (path, unquote(path), unquote(unquote(path))):
        assert reading.startswith("/")
        assert stays_on_site(reading)
        assert stays_on_site(path_a_browser_asks_for(reading))
        joined = urlsplit(urljoin(f"{SITE}/a/b?c", path))
        assert f"{joined.scheme}://{joined.netloc}" == SITE


def test_the_second_reading_knows_an_attack() -> None:
    for attack in ("//evil", "/\\evil", "\\\\evil", "/\t/evil", " //evil", "https://evil", "x:y"):
        assert not stays_on_site(attack)
    for harmless in ("/", "/a//b", "a", "?x", "#x", "https:a", "/https://evil"):
        assert stays_on_site(harmless)
    assert not stays_on_site(path_a_browser_asks_for("/.//evil"))
    assert not stays_on_site(path_a_browser_asks_for("/a/%2e%2E//evil"))


GOOD = [
    "/",
    "/me",
    "/me/",
    "/a/b/c.html",
    "/a;b=c/d",
    "/~ada/@home",
    "/search?q=a+b&page=2",
    "/?",
    "/?next=//evil.example",
    "/?next=https://site.example/x",
    "/?a=../../b",
    "/?q=%0d%0a%00",
    "/me#top",
    "/me?x#//y",
    "/#",
    "/a%20b",
    "/caf%C3%A9",
    "/%E2%98%83",
    "/100%25",
    "/a:b",
    "/https:x",
    "/...",
    "/.well-known/x",
    "/a..b/..c/d..",
    "/!$&'()*+,;=:@-._~",
    "/a[1]",
    "/%",
    "/%zz",
]


@pytest.mark.parametrize("path", GOOD)
def test_a_good_return_path(path: str) -> None:
    assert parse_return_path(path) == path
    assert_harmless(path)


def test_a_return_path_is_so_long_and_no_longer() -> None:
    assert MAX_RETURN_PATH == 1024
    path = "/".ljust(MAX_RETURN_PATH, "x")
    assert parse_return_path(path) == path
    assert parse_return_path(path + "x") is None


@pytest.mark.parametrize("value", [None, "", 5, True, b"/me", ["/me"], {"/me": 1}, ("/me",)])
def test_text_that_is_no_path(value: object) -> None:
    assert parse_return_path(value) is None


HOSTS = ("evil.example", "evil.example/site.example", "site.example@evil.example", "[::1]")

#: What stands before a host to make a browser, a proxy or a parser leave the site.
LEADS = (
    # slashes and backslashes
    *("//", "///", "////", "/\\", "/\\/", "\\", "\\\\", "\\/", "/\\\\", "//\\", "\\/\\/", "/x//"),
    # encoded once and twice
    *("/%2f", "/%2F", "/%2f/", "/%5c", "/%5C/", "%2f%2f", "%2f/", "/%252f", "/%252F/", "/%255c"),
    *("/%2f%2f", "/%5c%5c", "/%25%32%66", "/%5%63", "/x/%2f", "/x%2f/", "/%2e%2f/"),
    # white space and control characters, plain and encoded
    *(f"/{char}/" for char in map(chr, [*range(0x21), 0x7F, 0x80, 0x85, 0xA0, 0x2028, 0x3000])),
    *(f"{char}//" for char in "\t\n\r\v\f \x00\x1f\xa0\ufeff\u200b"),
    *(f"/%{code:02x}/" for code in [*range(0x20), 0x7F]),
    *(f"/%25{code:02x}/" for code in (0, 9, 10, 13, 0x7F)),
    *("/%c2%80/", "/%C2%85/", "/%0d%0aLocation:%20//", "/\r\nLocation: //"),
    # dot segments
    *("/.//", "/..//", "/./", "/../", "/x/..//", "/x/../", "/%2e//", "/%2e%2e//", "/.%2e/"),
    *(
        "/%2e/",
        "/%2E%2e/",
        "/%252e%252e/",
        "/.%252e/",
        "/%2e%2f/",
        "/..%2f",
        "/..%5c",
        "/x/%2e%2e/",
    ),
    # schemes
    *("http://", "https://", "HTTPS://", "https:", "https:/", "http:///", "ftp://", "//http://"),
    *("javascript:", "JavaScript://%0a", "java\tscript:", "data:text/html,", "vbscript:", "blob:"),
    *("file:///", "about:", "mailto:", "ws://", "x-app://", "://", ":", ":/", "https:\\\\"),
    # users and hosts
    *(
        "//site.example@",
        "https://site.example@",
        "https://site.example:x@",
        "@",
        ".",
        "",
        "x",
        "?",
    ),
    *("//user:pass@", "https://site.example.", "//%40", "/\\@", "#", "?//", "#//", ";//", "*//"),
    # letters that some parser normalises to a slash, a dot or a colon
    *("/\uff0f", "\uff0f\uff0f", "/\u2044", "/\u2215", "/\u29f8", "\u3002/", "/\ufe68", "/\ufe55/"),
    *("/\u00ad/", "/\u180e/", "/\u202e/", "/\U0001f600", "/\ud800/", "/\ufffd/"),
    # characters that a URL has not
    *('/"', "/<", "/>", "/^", "/`", "/{", "/|", "/}", "/<script>", '/"><script>alert(1)</script>'),
)


def hostile_paths() -> list[str]:
    tails = ("", "/", "/..", "%2f..", "?site.example", "#site.example")
    combined = (lead + host + tail for lead, host, tail in itertools.product(LEADS, HOSTS, tails))
    return list(dict.fromkeys(combined))


@pytest.mark.parametrize("lead", LEADS, ids=ascii)
def test_a_lead_that_may_leave_the_site(lead: str) -> None:
    assert parse_return_path(f"{lead}evil.example") is None


def test_no_hostile_return_path_is_accepted() -> None:
    paths = hostile_paths()
    assert len(paths) > 4000
    assert [path for path in paths if parse_return_path(path) is not None] == []


@pytest.mark.parametrize(
    "tail", ["/..", "/../", "/./", "/%2e%2e", "//", "/a%2f/b", "/%5c", "/a\\b"]
)
def test_also_further_down(tail: str) -> None:
    assert parse_return_path(f"/me{tail}") is None


@pytest.mark.parametrize(
    "character", [*map(chr, range(0x21)), "\x7f", "\xa0", "é", "😀", *'\\"<>^`{|}']
)
def test_a_raw_character_that_no_url_has_anywhere(character: str) -> None:
    for path in ("/{}", "/a{}b", "/a?{}", "/a#{}", "/a?b={}", "/a{}", "{}/a"):
        assert parse_return_path(path.format(character)) is None


@pytest.mark.parametrize("layers", [0, 1])
def test_encoded_controls_are_refused_and_their_neighbours_are_not(layers: int) -> None:
    percent = "%" + "25" * layers
    for code in range(0x80):
        path = f"/a{percent}{code:02x}b"
        refused = code < 0x20 or code == 0x7F or chr(code) == "\\"
        assert (parse_return_path(path) is None) == refused, path
    for code in range(0x80, 0x100):
        path = "/a" + "".join(f"{percent}{byte:02x}" for byte in chr(code).encode()) + "b"
        assert (parse_return_path(path) is None) == (code < 0xA0), path


def test_a_third_layer_of_encoding_is_not_decoded() -> None:
    assert parse_return_path("/%25252f/x") == "/%25252f/x"


_LETTERS = st.sampled_from(
    [*"/\\.:?#@%;&=abAB09 \t\n\r\0", "%2f", "%5C", "%2e", "%25", "%09", "evil"]
)


@bounded
@given(
    st.text() | st.lists(_LETTERS, max_size=20).map("".join) | st.text("/\\.%25fcFC\t", max_size=12)
)
def test_every_accepted_path_stays_on_the_site(text: str) -> None:
    for value in (text, f"/{text}"):
        path = parse_return_path(value)
        assert path in (None, value)
        if path is not None:
            assert_harmless(path)
