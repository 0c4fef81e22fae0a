"""The bounds of the HTTP server, one place, with unit and reason.

Decided here: how long a connection may take for each step and how much it may hold. Nothing in the server waits or
buffers without one of these. Tests pass small values; the program passes the defaults.
"""

from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Every bound of one server; immutable, so that connections can share it."""

    # Connections. 17.6 KiB each when idle (measured with stock Hypercorn): 4,096 are 70 MiB, and well below the usual
    # 1,048,576 descriptors of a service; a developer's shell with 1,024 meets EMFILE first, which is survived.
    connections_max: int = 4096
    # Of those, from one address of another machine: a sixteenth, so that one stranger cannot shut the others out.
    connections_per_address_max: int = 256
    # Connections over the bound that are being told 503 at the same time; beyond it they are closed without a word.
    refusals_max: int = 64
    # What such a client is asked to wait. Connections end within seconds, so a short wait is honest.
    retry_after_s: int = 1
    # Length of the kernel's accept queue; the kernel caps it at net.core.somaxconn (4,096 on current Linux).
    accept_backlog: int = 2048

    # Request head: 5 s is generous for 16 KiB on any link; 100 fields is what large browsers and proxies stay below.
    head_timeout_s: float = 5.0
    head_limit_bytes: int = 16 * KIB
    head_fields_max: int = 100
    # A quiet keep-alive connection. Between 5 and 7 s by requirement.
    idle_timeout_s: float = 6.0
    # How often connections of the plain lane are looked at, so how late their timeouts may be. Also the time after which
    # somebody watches whether the peer of a slow answer is still there.
    look_interval_s: float = 0.1
    # The whole request body, but for the time in which the application lets it wait (guarantees.md T9).
    body_timeout_s: float = 15.0

    # The body of a plain request (plain.py): what agents send, and one read from the socket; larger ones come by the other way.
    plain_body_bytes: int = 64 * KIB

    # One read from the socket. Also the most that is held of requests sent ahead of their turn.
    receive_bytes: int = 64 * KIB
    # Events handed to the application and not yet taken; reading stops when either bound is met.
    unread_events_max: int = 16
    unread_limit_bytes: int = 128 * KIB
    # A WebSocket whose application does not take its messages for so long is closed with 1008.
    unread_timeout_s: float = 5.0

    # Without a byte leaving for so long the connection is aborted (guarantee G12).
    send_timeout_s: float = 5.0
    send_piece_bytes: int = 64 * KIB
    # Kernel memory a client that never reads can hold; the default autotunes to 4 MiB.
    send_buffer_bytes: int = 256 * KIB
    # Sent and not acknowledged for so long: the kernel gives the peer up (TCP_USER_TIMEOUT), for hosts that vanished.
    unacknowledged_timeout_s: float = 20.0

    # WebSocket input. Ours is a push service: clients have almost nothing to say.
    message_limit_bytes: int = 64 * KIB
    # Frames of one message. The original's library sends two; 256 lets a 64 KiB message come in quarters of a KiB.
    fragments_max: int = 256
    # Pings and pongs: a bucket of this size, refilled at this rate; over it the connection is closed with 1008.
    control_frames_burst: int = 50
    control_frames_per_s: float = 10.0
    # Silence after which the server pings, so that a vanished host meets the bound above.
    ping_interval_s: float = 20.0

    # After our last byte: how long and how much is read and dropped, so that a close does not destroy our answer
    # (a close with unread input sends a reset, which overtakes data in flight).
    linger_timeout_s: float = 1.0
    linger_limit_bytes: int = 1024 * KIB
    # What the application may do after its peer has gone, before it is cancelled.
    farewell_timeout_s: float = 5.0
    # From the stop signal to the abort of whatever is still open.
    graceful_timeout_s: float = 3.0
