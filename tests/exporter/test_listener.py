"""A real listener and its enemies: slow heads, many connections, huge heads, strangers without a certificate."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time

import pytest
import trustme
import yaml
from topmast_exporter import listener
from topmast_exporter.at_once import MAX_HEADS, AtOnce
from topmast_exporter.guard import Guard, WebFile
from topmast_exporter.web import TEXT


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"in"})


class Running:
    """One listener in a thread of its own."""

    def __init__(self, web, short_way=None):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.socket.getsockname()[1]
        self.server = listener.server(Guard(app, web), web, short_way)
        self.thread = threading.Thread(target=asyncio.run, args=(self.server.serve(sockets=[self.socket]),))
        self.thread.start()

    def stop(self):
        self.server.should_exit = True
        self.thread.join(20)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def get(self, context=None):
        """Return the first bytes of an answer, b"" when there is none."""
        with self.connect() as plain:
            used = plain if context is None else context.wrap_socket(plain, server_hostname="localhost")
            with used:
                try:
                    used.sendall(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
                    return used.recv(1_000)
                except (ConnectionError, ssl.SSLError):
                    return b""


@pytest.fixture
def start():
    started = []

    def run(web=None, **options):
        one = Running(web or WebFile(None), **options)
        started.append(one)
        return one

    yield run
    for one in started:
        one.stop()


@pytest.fixture
def impatient():
    kept = listener.BoundedProtocol.request_seconds
    listener.BoundedProtocol.request_seconds = 0.2
    yield
    listener.BoundedProtocol.request_seconds = kept


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /metrics HTTP/1.1\r\nx: ", id="half a head"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\nGET / HTTP/1.1\r\nx: ", id="half a second head"),
    ],
)
def test_a_client_that_says_nothing_whole_is_hung_up_on(start, said):
    one = start()
    with one.connect() as slow:
        slow.sendall(said)
        try:
            while slow.recv(1_000):
                pass
        except ConnectionResetError:
            pass  # this is how

    assert one.get().startswith(b"HTTP/1.1 200")


def test_ten_thousand_connections_leave_room_for_the_one_that_asks(start):
    one = start()
    held = []
    for _ in range(10_000):
        held.append(one.connect())
        if len(held) > 400:  # this process's own limit of files
            held.pop(0).close()

    answer = one.get()
    connections = len(one.server.server_state.connections)
    for each in held:
        each.close()

    assert answer.startswith(b"HTTP/1.1 200")
    assert connections <= listener.MAX_CONNECTIONS


def test_a_huge_head_is_refused_and_not_kept(start):
    one = start()
    with one.connect() as client:
        answer = b""
        try:
            client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 2_000_000)
            answer = client.recv(1_000)
        except ConnectionError:
            pass  # refused before everything was sent

    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert one.get().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01", id="TLS on a plain port"),
        pytest.param(b"GET\r\n\r\n", id="no path"),
        pytest.param(b"\0" * 1_000, id="zeroes"),
    ],
)
def test_what_is_not_http_is_answered_or_hung_up_on(start, garbage):
    one = start()
    with one.connect() as client:
        client.sendall(garbage + b"\r\n\r\n")
        answer = client.recv(1_000)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert one.get().startswith(b"HTTP/1.1 200")


def echo_of(received):
    """Return the bodies of the answers."""
    return [part.rpartition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 ")[1:]]


def ask(one, *said, wait_for):
    """Send bytes, one part after the other; return what was answered until it holds `wait_for` bodies."""
    received = b""
    with one.connect() as client:
        for part in said:
            client.sendall(part)
        while received.count(b"HTTP/1.1 200") < wait_for or not received.endswith(b"in"):
            some = client.recv(65_536)
            if not some:
                break
            received += some
    return received


POST = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([POST + b"\r\nabcd"], id="at once"),
        pytest.param([POST, b"\r\n", b"ab", b"cd"], id="in parts"),
        pytest.param(
            [POST + b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n\r\nabcd"],
            id="would rather speak HTTP/2, as Java's client",
        ),
        pytest.param(
            [b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\nx: y\r\n\r\n"],
            id="in chunks, with a trailer",
        ),
    ],
)
def test_a_request_is_answered_however_it_is_sent(start, said):
    one = start()

    received = ask(one, *said, wait_for=1)

    assert echo_of(received) == [b"in"]


def test_requests_sent_without_waiting_are_answered_in_order(start):
    one = start()

    received = ask(one, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n" * 5, wait_for=5)

    assert echo_of(received) == [b"in"] * 5


def test_one_that_sends_without_end_and_waits_for_nothing_is_hung_up_on(start):
    one = start()
    with one.connect() as flood, contextlib.suppress(ConnectionError):
        flood.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n" * 5_000)
        while flood.recv(65_536):
            pass

    assert one.get().startswith(b"HTTP/1.1 200")


class Taker:
    """Takes everything at once, and knows what it was shown."""

    def __init__(self):
        self.heads = []
        self.bodies = []

    def way(self):
        return AtOnce(b"/", self.admit, self.take)

    def admit(self, headers):
        self.heads.append(dict(headers))
        return "admitted"

    def take(self, admitted, body, reply):
        assert admitted == "admitted"
        self.bodies.append(body)
        reply(200, b"shortly, then in", TEXT, ())
        return True


@pytest.mark.parametrize(
    ("said", "bodies"),
    [
        pytest.param([POST + b"\r\nabcd"], [b"shortly, then in"], id="whole"),
        pytest.param([(POST + b"\r\nabcd") * 3], [b"shortly, then in"] * 3, id="three at once"),
        pytest.param([POST, b"\r\nabcd"], [b"shortly, then in"], id="the body with the end of the head"),
        pytest.param([POST + b"\r\n", b"abcd"], [b"in"], id="the body later"),
        pytest.param([POST.replace(b"POST / ", b"POST /x ") + b"\r\nabcd"], [b"in"], id="somewhere else"),
        pytest.param([POST.replace(b"POST", b"PUT") + b"\r\nabcd"], [b"in"], id="another method"),
    ],
)
def test_what_comes_whole_goes_the_short_way(start, said, bodies):
    one = start(short_way=Taker().way())
    with one.connect() as client:
        for part in said:
            client.sendall(part)
            time.sleep(0.05)  # a part is what arrives by itself
        received = b""
        while received.count(b"HTTP/1.1 200") < len(bodies) or not received.endswith(b"in"):
            received += client.recv(65_536)

    assert echo_of(received) == bodies


def say(client, said, count=1):
    """Send bytes; return the bodies of so many answers."""
    client.sendall(said)
    received = b""
    while received.count(b"HTTP/1.1 200") < count or not received.endswith(b"in"):
        some = client.recv(65_536)
        if not some:
            break
        received += some
    return echo_of(received)


def test_a_head_that_comes_again_is_not_read_again(start):
    taker = Taker()
    one = start(short_way=taker.way())
    with one.connect() as client, one.connect() as another:
        for each in (client, another):
            for body in (b"abcd", b"efgh"):
                assert say(each, POST + b"\r\n" + body) == [b"shortly, then in"]

    assert taker.bodies == [b"abcd", b"efgh"] * 2
    assert taker.heads == [{b"host": b"localhost", b"content-length": b"4"}]


@pytest.mark.parametrize(
    ("said", "bodies"),
    [
        pytest.param(POST + b"x: y\r\n\r\nefgh", [b"efgh"], id="another header"),
        pytest.param((POST + b"\r\nefgh") * 2, [b"efgh", b"efgh"], id="two at once"),
        pytest.param(b"\r\n" + POST + b"\r\nefgh", [b"efgh"], id="behind an empty line"),
        pytest.param(
            POST.replace(b"4", b"7") + b"\r\n\r\n\r\nabc", [b"\r\n\r\nabc"], id="an end of a head in the body"
        ),
    ],
)
def test_any_other_is_read(start, said, bodies):
    taker = Taker()
    one = start(short_way=taker.way())
    with one.connect() as client:
        say(client, POST + b"\r\nabcd")
        assert say(client, said, len(bodies)) == [b"shortly, then in"] * len(bodies)

    assert taker.bodies == [b"abcd", *bodies]
    assert len(taker.heads) == 1 + len(bodies)


def test_the_body_of_one_request_is_never_taken_for_another(start):
    taker = Taker()
    one = start(short_way=taker.way())
    known = POST + b"\r\nabcd"
    with one.connect() as client:
        say(client, known)
        # the application answers without reading the body, which comes then, alone
        head = b"POST /x HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
        assert say(client, head % (2 * len(known))) == [b"in"]
        client.sendall(known)
        time.sleep(0.1)  # it arrives by itself
        client.sendall(known)
        time.sleep(0.1)

        assert say(client, known.replace(b"abcd", b"efgh")) == [b"shortly, then in"]

    assert taker.bodies == [b"abcd", b"efgh"]


def test_heads_in_memory_are_bounded(start):
    taker = Taker()
    one = start(short_way=taker.way())
    with one.connect() as client:
        for number in range(MAX_HEADS + 5):
            say(client, POST + b"x: %d\r\n\r\nabcd" % number)
        say(client, POST + b"x: %b\r\n\r\nabcd" % (b"y" * 2_000))

    assert len(one.server.config.http_protocol_class.heads._known) == 5


def test_who_is_being_answered_is_not_silent_and_who_is_silent_is_hung_up_on(start, monkeypatch):
    monkeypatch.setattr(listener, "KEEP_ALIVE_SECONDS", 2)
    taker = Taker()

    def slowly(admitted, body, reply):
        if body == b"slow":
            asyncio.get_running_loop().call_later(3, reply, 200, b"at last, in", TEXT, ())
            return True
        return taker.take(admitted, body, reply)

    one = start(short_way=AtOnce(b"/", taker.admit, slowly))
    with one.connect() as client:
        answered = say(client, POST + b"\r\nabcd") + say(client, POST + b"\r\nslow")
        left = client.recv(100)

    assert answered == [b"shortly, then in", b"at last, in"]
    assert left == b""


def test_a_web_configuration_is_asked_first(start, tmp_path):
    path = tmp_path / "web.config.yml"
    path.write_text("{}")
    one = start(WebFile(path), short_way=Taker().way())

    assert echo_of(ask(one, POST + b"\r\nabcd", wait_for=1)) == [b"in"]


@pytest.mark.parametrize(
    "smuggled",
    [
        pytest.param(b"content-length: 4\r\ntransfer-encoding: chunked", id="two lengths"),
        pytest.param(b"content-length: 4\r\ncontent-length: 5", id="two numbers"),
        pytest.param(b"content-length: +4", id="a sign"),
        pytest.param(b"transfer-encoding: chunked, identity", id="chunked is not the last"),
        pytest.param(b" folded: yes", id="a folded line"),
    ],
)
def test_a_request_that_two_readers_would_read_differently_is_refused(start, smuggled):
    one = start()
    with one.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\n" + smuggled + b"\r\n\r\nabcd")
        answer = client.recv(1_000)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def secured(tmp_path, authority):
    """Return a function that writes a web.config.yml with TLS and these options."""

    def write(**options):
        pair = authority.issue_cert("localhost")
        pair.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        pair.private_key_pem.write_to_path(tmp_path / "key.pem")
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        path = tmp_path / "web.config.yml"
        path.write_text(
            yaml.safe_dump({"tls_server_config": {"cert_file": "cert.pem", "key_file": "key.pem", **options}})
        )
        return WebFile(path)

    return write


def trusting(authority, name=None):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if name is not None:
        authority.issue_cert(name).configure_cert(context)
    return context


def test_tls_serves_who_speaks_it_and_nobody_else(start, secured, authority):
    one = start(secured())

    assert one.get(trusting(authority)).startswith(b"HTTP/1.1 200")
    assert not one.get().startswith(b"HTTP/1.1 200")


def test_certificates_may_stand_in_the_file_itself(start, tmp_path, authority):
    pair = authority.issue_cert("localhost")
    section = {
        "cert": pair.cert_chain_pems[0].bytes().decode(),
        "key": pair.private_key_pem.bytes().decode(),
        "client_ca": authority.cert_pem.bytes().decode(),
        "client_auth_type": "RequireAndVerifyClientCert",
    }
    (tmp_path / "web.config.yml").write_text(yaml.safe_dump({"tls_server_config": section}))
    one = start(WebFile(tmp_path / "web.config.yml"))

    assert one.get(trusting(authority, "prometheus.example")).startswith(b"HTTP/1.1 200")
    assert one.get(trusting(authority)) == b""
    assert [path.name for path in tmp_path.iterdir()] == ["web.config.yml"]  # no copy of the key beside it


def test_tls_below_the_minimum_is_refused(start, secured, authority):
    one = start(secured(min_version="TLS13"))
    old = trusting(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(ssl.SSLError):
        one.get(old)
    assert one.get(trusting(authority)).startswith(b"HTTP/1.1 200")


def test_a_client_certificate_is_asked_for_verified_and_looked_at(start, secured, authority):
    one = start(
        secured(
            client_ca_file="ca.pem",
            client_auth_type="RequireAndVerifyClientCert",
            client_allowed_sans=["prometheus.example"],
        )
    )

    assert one.get(trusting(authority, "prometheus.example")).startswith(b"HTTP/1.1 200")
    assert one.get(trusting(authority, "stranger.example")) == b""
    assert one.get(trusting(authority)) == b""
    stranger = trusting(authority)
    trustme.CA().issue_cert("prometheus.example").configure_cert(stranger)
    assert one.get(stranger) == b""


def test_a_renewed_certificate_is_used_without_a_restart(start, secured, authority):
    web = secured()
    one = start(web)
    one.get(trusting(authority))
    secured()  # another pair at the same place
    web._seen = ()
    one.get(trusting(authority))  # the request that notices

    with one.connect() as plain, trusting(authority).wrap_socket(plain, server_hostname="localhost") as used:
        shown = used.getpeercert(binary_form=True)

    assert ssl.DER_cert_to_PEM_cert(shown) == (web._path.parent / "cert.pem").read_text()
