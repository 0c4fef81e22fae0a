"""Listening sockets: bound before anything starts, and for the Unix socket for our own user alone.

Source: guarantees.md T4, T6, T10, T13; hazards.md 13, 35.
"""

import errno
import os
import socket
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import trio

from intermute.web.server.limits import ServerLimits

# Absent on macOS and BSD, where the kernel's own time limits have to do.
_TCP_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
_SO_PEERCRED: int | None = getattr(socket, "SO_PEERCRED", None)
_UCRED = struct.Struct("3i")
_IS_SERVED_PROBE_S = 1.0


class ListenError(OSError):
    """The address cannot be listened on; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as the kernel tells it; a header never changes it."""

    is_unix: bool
    uid: int | None = None
    pid: int | None = None

    def as_extension(self) -> dict[str, object]:
        """Return the value of `scope["extensions"]["intermute.peer"]`."""
        return {"transport": "unix" if self.is_unix else "tcp", "uid": self.uid, "pid": self.pid}


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """A bound, listening socket.

    Resources: `close` it; `serve` does. The file of a Unix socket is removed then, if it is still ours.
    """

    socket_listener: trio.SocketListener
    url: str
    is_unix: bool
    host: str | None = None
    """The address of a TCP listener, as the system knows it."""
    allowed_uids: frozenset[int] = frozenset()
    path: Path | None = None
    inode: int = 0

    def close(self) -> None:
        """Stop listening; may be called again, and only within `trio.run`."""
        self.socket_listener.socket.close()
        if self.path is not None:
            with suppress(OSError):
                if self.path.lstat().st_ino == self.inode:
                    self.path.unlink()

    def admit(self, sock: trio.socket.SocketType) -> Peer | None:
        """Return who the peer is, or None when a Unix peer belongs to another user."""
        if not self.is_unix:
            return Peer(is_unix=False)
        if _SO_PEERCRED is None:
            return Peer(is_unix=True)  # the file's mode 0600 is what keeps others out here.
        pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_PEERCRED, _UCRED.size))
        return Peer(is_unix=True, uid=uid, pid=pid) if uid in self.allowed_uids else None


def open_tcp_listener(host: str, port: int, *, limits: ServerLimits | None = None) -> Listener:
    """Listen on one TCP address; port 0 takes a free one, and the URL names it.

    Raises:
        ListenError: the name does not resolve, or the address is taken or not ours.
    """
    limits = limits or ServerLimits()
    try:
        family, kind, protocol, _, address = _resolve(host, port)
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _listen_error(f"{host}:{port}", error, "choose another --host") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # One family a socket: with both, an IPv4 peer shows as ::ffff:127.0.0.1, and "is it local" gets harder.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Accepted sockets inherit these (tcp(7)); the buffer's size must be set before the handshake.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _TCP_USER_TIMEOUT is not None:
            timeout_ms = int(limits.unacknowledged_timeout_s * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, timeout_ms)
        sock.bind(address)
        _listen(sock, limits)
    except OSError as error:
        sock.close()
        raise _listen_error(f"{host}:{port}", error, "stop the other server or choose another --port") from error
    bound_host, bound_port = sock.getsockname()[:2]
    shown = f"[{bound_host}]" if family == socket.AF_INET6 else bound_host
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    return Listener(listener, url=f"http://{shown}:{bound_port}", is_unix=False, host=bound_host)


def open_unix_listener(
    path: str | Path, *, limits: ServerLimits | None = None, allowed_uids: frozenset[int] | None = None
) -> Listener:
    """Listen on a Unix socket that our own user (and root) alone can reach.

    The directory is made with mode 0700 if it is absent. A socket file that nobody serves is replaced.

    Raises:
        ListenError: somebody serves there, the path is something else than a socket, or it is not writable or too long.
    """
    limits = limits or ServerLimits()
    path = Path(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_stale(path)
        # Linux gives the file the mode of the unbound socket, so there is no moment in which others may connect, and
        # no umask, which would be the whole process's. Elsewhere the chmod after it does the work.
        with suppress(OSError):
            os.fchmod(sock.fileno(), 0o600)
        sock.bind(str(path))
        path.chmod(0o600)
        inode = path.lstat().st_ino
        _listen(sock, limits)
    except OSError as error:
        sock.close()
        raise _listen_error(str(path), error, "stop the other server or choose another --socket") from error
    uids = frozenset({0, os.getuid()}) if allowed_uids is None else allowed_uids
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    return Listener(listener, url=f"unix:{path}", is_unix=True, allowed_uids=uids, path=path, inode=inode)


def _resolve(host: str, port: int) -> tuple[int, int, int, str, tuple[str, int]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # IPv4 first: "localhost" means 127.0.0.1 to every client in the field.
    family, kind, protocol, name, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, kind, protocol, name, (str(address[0]), int(address[1]))


def _listen(sock: socket.socket, limits: ServerLimits) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes)
    sock.settimeout(0)
    sock.listen(limits.accept_backlog)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "the path exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_IS_SERVED_PROBE_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _listen_error(address: str, cause: OSError, advice: str) -> ListenError:
    reason = cause.strerror or str(cause)
    return ListenError(cause.errno, f"cannot listen on {address}: {reason}; {advice}")
