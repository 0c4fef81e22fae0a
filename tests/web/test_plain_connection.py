"""The plain lane of a connection: what it takes, what it leaves, and that nobody can tell the two apart (issue 7)."""

import json
import random

import h11
import pytest
import trio
import trio.testing
from guarded_server import HEAD, Running, ToyLane, get, post, resident_bytes, running, toy_app, upgrade
from hypothesis import given
from hypothesis import strategies as st

from intermute.web.server import ServerLimits
from intermute.web.server.heads import read_plain
from intermute.web.server.wire import Wire

QUICK = ServerLimits(
    head_timeout_s=0.2, idle_timeout_s=0.2, body_timeout_s=0.2, send_timeout_s=0.3, linger_timeout_s=0.2,
    farewell_timeout_s=0.2, graceful_timeout_s=0.3,
)  # fmt: skip
BY_LANE = b" by lane"
NOT_PLAIN = {
    "another version": b"GET /health HTTP/1.0\r\n" + HEAD + b"\r\n",
    "chunks": b"POST /echo HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "an escape in the path": get("/%68ealth"),
    "an absolute target": b"GET http://127.0.0.1/health HTTP/1.1\r\n" + HEAD + b"\r\n",
    "an empty segment": get("//health"),
    "a slash at the end": get("/health/"),
    "dots": get("/./health"),
    "another method": b"OPTIONS /health HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a method in small letters": b"get /health HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a body on a GET": b"GET /health HTTP/1.1\r\n" + HEAD + b"Content-Length: 2\r\n\r\nhi",
    "another connection option": get("/health", "Connection: keep-alive, x"),
    "an upgrade": get("/health", "Upgrade: h2c", "Connection: Upgrade"),
    "two hosts": get("/health", "Host: b"),
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two lengths": post("/echo", b"hi", "Content-Length: 2"),
    "both lengths": post("/echo", b"hi", "Transfer-Encoding: chunked"),
    "a length with a sign": b"POST /echo HTTP/1.1\r\n" + HEAD + b"Content-Length: +2\r\n\r\nhi",
    "a large body": post("/echo", b"x" * (ServerLimits().plain_body_bytes + 1)),
    "bytes beyond ASCII": b"GET /health HTTP/1.1\r\n" + HEAD + b"X-A: \xff\r\n\r\n",
    "a bare line feed": b"GET /health HTTP/1.1\n" + HEAD + b"\r\n",
    "a bare carriage return": b"GET /health HTTP/1.1\r\n" + HEAD + b"X-A: a\rb\r\n\r\n",
    "a folded line": b"GET /health HTTP/1.1\r\n" + HEAD + b"X-A: a\r\n b\r\n\r\n",
    "a space before the colon": b"GET /health HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
    "two spaces": b"GET  /health HTTP/1.1\r\n" + HEAD + b"\r\n",
    "an empty line before": b"\r\n" + get("/health"),
    "a fragment": get("/health#x"),
    "too many fields": get("/health", *(f"X-{number}: x" for number in range(101))),
    "a long head": get("/health", f"X-A: {'x' * 17_000}"),
    "a NUL": get("/health", "X-A: a\0b"),
    "expecting to go on": post("/echo", b"hi", "Expect: 100-continue"),
}  # fmt: skip
"""What is not plain, or is to be refused for its form; the lane knows all of these paths."""


async def first_answer(server: Running, data: bytes) -> tuple[int, bytes]:
    """Send this on a new connection; return status and body of what comes first, an interim answer aside."""
    client = await server.connect()
    answer = await client.ask(data)
    if answer.status == 100:
        answer = await client.answer()
    return answer.status, answer.body


@pytest.mark.parametrize("name", NOT_PLAIN)
async def test_what_is_not_plain_is_answered_as_if_there_were_no_lane(name: str) -> None:
    """Every byte of it goes to the careful lane, so the answer is the one of a server that has no other."""
    async with running(toy_app(), lanes=ToyLane()) as both, running(toy_app()) as alone:
        assert await first_answer(both, NOT_PLAIN[name]) == await first_answer(alone, NOT_PLAIN[name])
        assert not (await first_answer(both, NOT_PLAIN[name]))[1].endswith(BY_LANE)
        assert (await first_answer(both, get("/health")))[1] == BY_LANE  # The control: this path is the lane's.
        assert both.events == []


async def test_plain_request_is_answered_by_the_lane() -> None:
    """Status, type, length, date and the lane's own fields; without a body no word about one."""
    async with running(toy_app(), lanes=ToyLane()) as server:
        client = await server.connect()

        found = await client.ask(post("/echo", b"hi"))
        nothing = await client.ask(get("/nothing"))

        assert (found.status, found.body) == (200, b"hi" + BY_LANE)
        assert {**found.fields, "date": ""} == {
            "content-type": "text/plain",
            "content-length": "10",
            "x-path": "/echo",
            "date": "",
        }
        assert found.fields["date"].endswith(" GMT")
        assert (nothing.status, set(nothing.fields)) == (204, {"date"})


async def test_head_reaches_the_lane_as_it_was_sent() -> None:
    """Names in small letters, values without the space around them, fields that come twice as two, the query untouched."""
    async with running(toy_app(), lanes=ToyLane()) as server:
        client = await server.connect()

        found = await client.ask(get("/seen?a=1&a=%20&b", "X-A:  one two\t", "x-a:", "CONNECTION: Keep-Alive"))

        expected = [["host", "127.0.0.1"], ["x-a", "one two"], ["x-a", ""], ["connection", "Keep-Alive"]]
        assert json.loads(found.body) == ["a=1&a=%20&b", expected]


async def test_connection_goes_from_lane_to_lane() -> None:
    """Plain requests, then one that is not, then a WebSocket, all on one connection, in order."""
    async with running(toy_app(), lanes=ToyLane()) as server:
        client = await server.connect()

        for _ in range(3):
            assert (await client.ask(get("/health"))).body == BY_LANE
        assert (await client.ask(get("/%68ealth"))).body == b"ok"
        assert (await client.ask(get("/health"))).body == b"ok"  # Whoever once needed care is served with it.
        assert (await client.ask(upgrade("/ws"))).status == 101


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    """Many in one packet, plain ones and at their end one that is not."""
    async with running(toy_app(), lanes=ToyLane()) as server:
        client = await server.connect()

        await client.send(
            b"".join(post("/echo", str(n).encode()) for n in range(50)) + get("/%68ealth") + get("/health")
        )

        assert [(await client.answer()).body for _ in range(52)] == [
            *(str(n).encode() + BY_LANE for n in range(50)), b"ok", b"ok",
        ]  # fmt: skip


async def test_requests_sent_ahead_do_not_keep_the_loop() -> None:
    """Who sends a thousand at once is answered beside the others, and not before them."""
    lane = ToyLane()
    async with running(toy_app(), lanes=lane) as server:
        greedy = await server.connect()
        others = [
            await server.connect() for _ in range(30)
        ]  # In one round of the loop some come before it, some after.
        for other in others:
            assert (await other.ask(get("/health"))).body == BY_LANE
        async with trio.open_nursery() as nursery:
            nursery.start_soon(greedy.send, get("/health?ahead") * 1_000)
            for other in others:
                nursery.start_soon(other.send, get("/health?other"))

        assert [(await other.answer()).body for other in others] == [BY_LANE] * 30
        last = max(at for at, asked in enumerate(lane.asked) if asked == "/health?other")
        assert lane.asked[:last].count("/health?ahead") < 100
        assert [(await greedy.answer()).status for _ in range(1_000)] == [200] * 1_000


@pytest.mark.parametrize("seed", range(5))
async def test_packets_may_be_cut_anywhere(seed: int) -> None:
    """Where the bytes of requests are cut into packets changes no answer."""
    chance = random.Random(seed)
    data = (
        post("/echo", b"one")
        + get("/health")
        + post("/echo", b"\r\n\r\nGET /large?9 HTTP/1.1\r\n\r\n")
        + get("/nothing")
    )
    async with running(toy_app(), lanes=ToyLane()) as server:
        client = await server.connect()
        cuts = sorted(chance.sample(range(1, len(data)), 12))

        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            await client.send(data[start:end])
            await trio.testing.wait_all_tasks_blocked(0.001)

        found = [await client.answer() for _ in range(4)]
        assert [each.status for each in found] == [200, 200, 200, 204]
        assert found[0].body == b"one" + BY_LANE
        assert found[2].body == b"\r\n\r\nGET /large?9 HTTP/1.1\r\n\r\n" + BY_LANE


async def test_quiet_connection_is_ended() -> None:
    """At once after the idle time, whether or not something was asked before; nothing is said."""
    async with running(toy_app(), QUICK, lanes=ToyLane()) as server:
        fresh, used = await server.connect(), await server.connect()
        assert (await used.ask(get("/health"))).body == BY_LANE

        assert (await fresh.end(), await used.end()) == (b"", b"")


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"GET /health HTTP/1.1\r\nHo", "head_timeout"), (post("/echo", b"hello")[:-1], "body_timeout")],
)
async def test_slow_request_is_refused(data: bytes, code: str) -> None:
    """A head or a body that does not come is 408, and the connection ends."""
    async with running(toy_app(), QUICK, lanes=ToyLane()) as server:
        client = await server.connect()
        await client.send(get("/health"))
        await client.answer()

        refused = await client.ask(data)

        assert (refused.status, refused.error, refused.fields["connection"]) == (408, code, "close")
        assert await client.end() == b""


async def test_trickle_does_not_move_the_deadline() -> None:
    """A byte now and then keeps no half request alive."""
    async with running(toy_app(), QUICK, lanes=ToyLane()) as server:
        client = await server.connect()

        async def trickle() -> None:
            for each in get("/health"):
                await client.stream.send_all(bytes([each]))
                await trio.sleep(0.05)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ignoring_the_end, trickle)
            assert (await client.answer()).error == "head_timeout"
            nursery.cancel_scope.cancel()


async def _ignoring_the_end(work: object) -> None:
    try:
        await work()  # type: ignore[operator]
    except trio.BrokenResourceError:
        return


async def test_answer_takes_its_time() -> None:
    """Deadlines are the client's; a long wait for an answer is none of them, and the idle time begins after it."""
    gate = trio.Event()
    async with running(toy_app(), QUICK, lanes=ToyLane(gate)) as server:
        client = await server.connect()
        await client.send(get("/slow"))
        await trio.sleep(QUICK.idle_timeout_s + QUICK.body_timeout_s)
        gate.set()

        assert (await client.answer()).body == BY_LANE
        assert (await client.ask(get("/health"))).body == BY_LANE


async def test_client_that_leaves_is_not_worked_for() -> None:
    """Its answer is given up where it waits; the next client is served."""
    lane = ToyLane(trio.Event())
    async with running(toy_app(), lanes=lane) as server:
        client = await server.connect()
        await client.send(get("/slow"))
        await trio.testing.wait_all_tasks_blocked()
        assert not lane.left.is_set()

        await client.send(get("/health"))  # What was sent ahead is no reason to stay.
        client.stream.socket.close()
        with trio.fail_after(5):
            await lane.left.wait()

        assert (await first_answer(server, get("/health")))[1] == BY_LANE


async def test_what_comes_while_an_answer_takes_long_is_answered_next() -> None:
    """Whoever watches for the peer's leaving reads on, and what it has read is not lost: plain, cut, and not plain."""
    gate = trio.Event()
    async with running(toy_app(), lanes=ToyLane(gate)) as server:
        client = await server.connect()
        await client.send(get("/slow"))
        await trio.sleep(3 * ServerLimits().look_interval_s)
        await client.send(post("/echo", b"next")[:-2])
        await trio.testing.wait_all_tasks_blocked(0.01)
        gate.set()
        assert (await client.answer()).body == BY_LANE
        await client.send(b"xt" + get("/%68ealth"))

        assert [(await client.answer()).body for _ in range(2)] == [b"next" + BY_LANE, b"ok"]


async def test_close_is_granted() -> None:
    """`Connection: close` is answered with it, and the connection ends; what was sent after it is not looked at."""
    async with running(toy_app(), lanes=ToyLane()) as server:
        client = await server.connect()

        found = await client.ask(get("/health", "Connection: close") + get("/health"))

        assert (found.body, found.fields["connection"]) == (BY_LANE, "close")
        assert await client.end() == b""


async def test_stop_finishes_what_is_in_hand() -> None:
    """The answer says that it is the last one; who asks for nothing is sent home at once."""
    gate = trio.Event()
    async with running(toy_app(), lanes=ToyLane(gate)) as server:
        busy, quiet = await server.connect(), await server.connect()
        assert (await quiet.ask(get("/health"))).body == BY_LANE
        await busy.send(get("/slow"))
        await trio.testing.wait_all_tasks_blocked()

        server.stop.set()
        assert await quiet.end() == b""
        gate.set()

        found = await busy.answer()
        assert (found.body, found.fields["connection"]) == (BY_LANE, "close")
        assert await busy.end() == b""


async def test_crash_of_the_lane_costs_its_connection() -> None:
    """It is logged once, and others go on."""
    async with running(toy_app(), lanes=ToyLane()) as server:
        bystander, client = await server.connect(), await server.connect()
        assert (await bystander.ask(get("/health"))).body == BY_LANE

        await client.send(get("/crash"))
        await client.end()

        assert server.events == ["connection.failed"]
        assert (await bystander.ask(get("/health"))).body == BY_LANE


async def test_reader_that_stalls_is_aborted() -> None:
    """An answer that nobody takes ends the connection, and is told of once."""
    async with running(toy_app(), QUICK, lanes=ToyLane()) as server:
        client = await server.connect()
        await client.send(get("/large?50000000"))

        with trio.fail_after(5):
            await server.logged("connection.stalled")
        assert (await first_answer(server, get("/health")))[1] == BY_LANE


async def test_what_is_sent_ahead_is_bounded() -> None:
    """While an answer is being worked on, no more than a bound of what comes is held."""
    async with running(toy_app(), lanes=ToyLane(trio.Event())) as server:
        client = await server.connect()
        await client.send(get("/slow"))
        before_bytes = resident_bytes()

        with trio.move_on_after(0.5):
            while True:
                await client.stream.send_all(b"x" * 1_000_000)

        assert resident_bytes() - before_bytes < 16_000_000


async def test_wire_that_was_aborted_has_nothing_more() -> None:
    """Whether the reader waits at that time or comes back to it later, it hears the end and no error."""
    left, right = trio.socket.socketpair()
    wire = Wire(left, ServerLimits())
    heard: list[bytes] = []

    async def read() -> None:
        heard.append(await wire.receive_next())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        wire.abort()
    await read()

    assert heard == [b"", b""]
    assert wire.send_now(b"late") == b"late"
    right.close()


@given(st.binary(max_size=200), st.integers(0, 120))
def test_parser_takes_only_what_h11_reads_the_same(noise: bytes, at: int) -> None:
    """Whatever is put into a good head: it is not plain, or it means to the careful parser what it means to this one."""
    good = post("/echo?a=b", b"", "Content-Type: application/json", "X-A: b")
    head = good[:at] + noise + good[at:]
    end = head.find(b"\r\n\r\n") + 4
    found = read_plain(head[:end])
    if found is None:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head[:end])
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    target = found.path + (f"?{found.query}" if "?" in request.target.decode() else "")
    assert (found.method, target) == (request.method.decode(), request.target.decode())
    assert [(name.decode(), value.decode()) for name, value in request.headers] == list(found.fields.pairs)


def test_good_head_is_plain() -> None:
    """The control of the test above."""
    found = read_plain(post("/echo?a=b", b"xyz", "Connection: close")[:-3])
    assert found is not None
    assert (found.path, found.query) == ("/echo", "a=b")
    assert (found.fields.body_bytes, found.fields.closes) == (3, True)
