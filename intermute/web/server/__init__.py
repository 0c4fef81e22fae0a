"""The HTTP server: guarded connections around Hypercorn's streams. Knows nothing of what is served.

`serve` and the listeners are what the rest uses; decisions/0005-guarded-hypercorn.md says why it is ours.
"""

from intermute.web.server.heads import HeadFields, PlainHead
from intermute.web.server.limits import ServerLimits
from intermute.web.server.listeners import Listener, ListenError, open_tcp_listener, open_unix_listener
from intermute.web.server.plain import Answering, Lane, Opening, PlainReply
from intermute.web.server.push import Ending, PushSocket, text_frame
from intermute.web.server.serving import LaneFor, serve

__all__ = [
    "Answering",
    "Ending",
    "HeadFields",
    "Lane",
    "LaneFor",
    "ListenError",
    "Listener",
    "Opening",
    "PlainHead",
    "PlainReply",
    "PushSocket",
    "ServerLimits",
    "open_tcp_listener",
    "open_unix_listener",
    "serve",
    "text_frame",
]
