"""Every bound of the service, with its unit and the reason for the number.

Pattern limits live beside the dialect they bound (`pattern_syntax`), socket limits in `web/server/limits.py`. A limit that a
client can meet is named in the refusal it causes.
"""

from typing import Final

# Bodies and pages
BODY_BYTES_MAX: Final = 1024 * 1024  # contract.md 0.2: the original's cap where it has one; here for every body.
BODY_DEPTH_MAX: Final = 32  # levels of arrays and objects; our own deepest input has five (guarantees.md T11).
BODY_VALUES_MAX: Final = 10_000  # values in one body; with more, objects of Python cost ten times what the bytes do.
BODY_VALUES_OF_SYMBOLS_MAX: Final = (
    100_000  # values in one upload of symbols; as many as its own limits allow, and some.
)
BODY_INTEGER_MAX: Final = 2**53 - 1  # what every JSON reader takes for the same number (RFC 8259, section 6).
PAGE_DEFAULT: Final = 100  # rows; the original's inbox page.
PAGE_MAX: Final = 1000  # rows; the original's largest page. At 1 KiB a row a page stays near 1 MiB.
PAGE_CHARS_MAX: Final = (
    4 * 1024 * 1024
)  # characters; then a page ends early. 250 MiB stopped the loop for 1 s (measured).
LIST_DEFAULT: Final = (
    1000  # rows; for lists that the original never paged, so that an old client rarely needs a second one.
)
THREADS_DEFAULT: Final = 50  # rows; the original's thread page.
STALE_ACKS_DEFAULT: Final = 20  # rows; the original's.

# Text
ADDRESS_CHARS_MAX: Final = 256  # characters; an id has 36, a name is a line at most.
LINE_CHARS_MAX: Final = 1024  # characters; subjects, reasons, status texts: one line that a person reads.
BODY_CHARS_MAX: Final = 256 * 1024  # characters of one message; guarantees.md T11.
RECIPIENTS_MAX: Final = 1000  # addresses in to, cc and bcc together; one commit writes them all.
BROADCASTS_MAX: Final = 10  # broadcasts of one sender within the next span; contract.md 1.6.
BROADCASTS_SPAN_S: Final = 60  # seconds; as above.
TOPIC_LOOK_MAX: Final = 2_000  # messages looked at for one page of a topic; 15 us each that the caller may not see.
SEARCH_CHARS_MAX: Final = 256  # characters of a search; as an address, for want of a better reason.
SEARCH_WORDS_MAX: Final = 16  # words and phrases of a search; each is a walk through the index.
SEARCH_MATCHES_MAX: Final = (
    1_000  # matches ranked for a search, the newest; 1 to 3 ms among 100,000 messages (measured).
)
SEARCH_DEFAULT: Final = (
    10  # messages found; what an agent reads at once, and half of what a search costs is showing them.
)
SEARCH_PAGE_MAX: Final = 50  # messages found; the words around each match are looked up in up to 256 KiB of text.
SNIPPET_WORDS: Final = 24  # words shown around a match; two lines.
METADATA_KEYS_MAX: Final = 64  # keys of an agent or a message.
METADATA_CHARS_MAX: Final = 8192  # characters of one metadata value.
AGENT_METADATA_CHARS_MAX: Final = 16 * 1024  # characters of all metadata of one agent: it is kept in memory.
CAPABILITIES_MAX: Final = 64  # words an agent may say of itself.
ATTACHMENTS_MAX: Final = 50  # names and paths, never contents.

# Entities
ENTITY_TEXT_CHARS_MAX: Final = (
    64 * 1024
)  # characters of one text of an entity; each change of it is in the log as well.
ENTITY_WORDS_MAX: Final = 200  # texts in one list of an entity, and steps of a journey; more is a document of its own.
CUJ_LINKS_MAX: Final = 1000  # features of one journey; they are listed at once.
DEPENDENCIES_WALK_MAX: Final = 2000  # tasks looked at for a circle in one request; about 20 ms. A guess, revisit.
CLAIMS_PER_AGENT_MAX: Final = 100  # tasks that one agent may have claimed; they are kept in memory.
CAPABILITY_SETS_MAX: Final = 1000  # different sets of capabilities that waiting tasks need; each is a look-up.
ORPHANS_SHOWN_MAX: Final = 100  # orphaned entities named in one answer and one event; the rest are counted.
ORPHANS_IN_HEADER_MAX: Final = 20  # orphaned entities named in a header; with the next limit at most 4 KiB of it.
ORPHAN_NAME_CHARS_MAX: Final = 200  # characters of one of them there; a longer one is only counted.
TREE_ROWS_MAX: Final = 5000  # entities of one kind in a tree; then it says that it is cut. About 2 MiB of JSON.

# Reservations
TTL_DEFAULT_S: Final = 30 * 60  # seconds; contract.md 6.1.
TTL_MAX_S: Final = 24 * 60 * 60  # seconds; contract.md 6.1; longer wishes are clamped and the answer says so.
TTL_REQUEST_MAX: Final = 2**31  # units; above it the number is a mistake, not a wish (guarantees.md T25).
RESERVATIONS_PER_AGENT_MAX: Final = (
    200  # active reservations; issue 2. Two hundred paths is a refactoring, more is a squatter.
)
TARGETS_PER_REQUEST_MAX: Final = 100  # patterns in one request; bounds one decision to a few milliseconds.
ALTERNATIVES_PER_REQUEST_MAX: Final = 256  # brace alternatives in one request; reading 64 takes 4 ms (measured).
LOOKUP_STEPS_MAX: Final = 20_000  # names tried in the lock table for one request; about 40 ms (2 us each, measured).
CONFLICTS_SHOWN_MAX: Final = 30  # conflicts in one answer, the most telling first; 35 us each (measured).
WARNINGS_SHOWN_MAX: Final = 20  # warnings in one answer; a file with a hundred claimed symbols warns of each.
RELATION_STATES_MAX: Final = 5_000  # states searched for one request; about 20 ms (2 to 4 us each, measured).
INTENTS_PER_AGENT_MAX: Final = 100  # active intents; half as many as reservations, on which most of them ride.
INTENT_TTL_DEFAULT_S: Final = 60 * 60  # seconds an intent without a reservation lasts; claims.md 7.
UPLOAD_FILES_MAX: Final = 500  # files in one upload of symbols; with the next two it is read in some 30 ms.
UPLOAD_SYMBOLS_MAX: Final = 5_000  # symbols in one upload.
UPLOAD_CALLS_MAX: Final = 5_000  # calls in one upload.
INDEX_FILES_MAX: Final = 10_000  # files of one project's symbol index.
INDEX_SYMBOLS_MAX: Final = 200_000  # symbols of one project's index; 20 for each file.
INDEX_CALLS_MAX: Final = 50_000  # calls of one project's index; their graph is built in 0.3 s (measured).
INDEX_GRAPH_BYTES_MAX: Final = (
    50_000_000  # bytes of memory for the graph, estimated high: 23 to 43 MB for calls of any shape (measured).
)
WAITERS_PER_PROJECT_MAX: Final = 128  # wishes in the queue; each arrival may look up what all of them wait for.
WAITERS_PER_AGENT_MAX: Final = 8  # wishes of one agent in the queue; it can work on one at a time. A guess, revisit.
WAIT_OBSTACLES_MAX: Final = 100  # claims in the way of one waiter; who waits for more will hardly see them all end.
WAIT_LOOKUP_STEPS_MAX: Final = 2_000  # names tried for one waiter; 128 of them are 0.5 s when one thing ends for all.
WAIT_SECONDS_MAX: Final = 3600  # seconds a place in the queue is kept; longer than most leases last.
WANTED_EVENTS_MAX: Final = 10  # holders told of one waiter, or of one contested grant; a guess, revisit.
WANTED_EVERY_S: Final = 30  # seconds before a holder is told again that the same agent wants the same thing.
FORCE_SILENCE_MIN_S: Final = 60  # seconds; below it an agent that says a word a minute, as advised, would look silent.
REQUESTS_UNREAD_MAX: Final = 100  # unread requests for one reservation; more say nothing new. A guess, revisit.
FORECAST_LOOKUP_STEPS_MAX: Final = 20_000  # names and claims tried on the loop for one plan; 20 ms (measured).
FORECAST_RELATION_STATES_MAX: Final = 20_000  # states searched for one plan; up to 0.1 s, and not on the loop.
FORECAST_FINDINGS_MAX: Final = 1_000  # findings of all steps of one plan; some 0.5 MB of answer.
FORECAST_PAIRS_SHOWN_MAX: Final = 500  # pairs of one plan in its answer; nobody reads more.
BLAST_CLAIMS_MAX: Final = 2_000  # live claims that one plan's blast radius looks at; gathering them takes 1 ms.
BLAST_STEPS_MAX: Final = 200_000  # calls and symbols looked at for one plan; 0.15 s (measured), and not on the loop.
RECONCILE_CLAIMS_MAX: Final = 5_000  # live claims that are compared between branches at once.
RECONCILE_LOOKUP_STEPS_MAX: Final = 30_000  # names tried to compare branches; 0.05 s, with many globs 0.4 s (measured).
RECONCILE_FINDINGS_MAX: Final = 5_000  # findings that weights are summed from; 0.1 s, of globs 0.3 s (measured).
RESTART_GRACE_S: Final = 60  # seconds a lease or a live agent keeps at least after a restart; guarantees.md G8.

# Requests that are applied once
FENCES_MAX: Final = (
    20  # reservations that one request names in If-Reservation-Token; a change rests on one or two. A guess.
)
IDEMPOTENCY_KEY_CHARS_MAX: Final = 255  # characters; as others allow, and a UUID has 36.
REPLY_KEPT_S: Final = 24 * 60 * 60  # seconds a reply is kept for a repeat at least; guarantees.md G4.
FORGET_EVERY_S: Final = 10 * 60  # seconds; by so much a reply may be kept longer, so that many are forgotten at once.
FORGET_MAX: Final = 1_000  # replies forgotten in one commit; 20 to 50 ms, in the writer's thread (measured).
KEPT_REPLY_BYTES_MAX: Final = (
    256 * 1024
)  # bytes of a reply that is kept; what is longer is long texts of the asker. A guess, revisit.
KEPT_REPLIES_MAX: Final = 1_000_000  # replies of one project: ten a second all day. At 1 KiB each it is 1 GiB of disk.

# Contacts
CONTACTS_PER_AGENT_MAX: Final = 500  # contacts of one agent; they are kept in memory. A guess, revisit.
CONTACT_REQUESTS_MAX: Final = 100  # requests that wait in one list; more say nothing new. A guess, revisit.
CONTACTS_PER_PROJECT_MAX: Final = 50_000  # entries of all lists; about 20 MiB of memory.
HELD_PER_AGENT_MAX: Final = 100  # messages that wait for one agent's approval. A guess, revisit.
HELD_PER_PROJECT_MAX: Final = 10_000  # of those, of all agents; about 4 MiB of memory.
HELD_PREVIEW_CHARS: Final = 200  # characters of a held body that are shown before it is approved; as of a thread.
THREAD_PARTIES_ASKED: Final = 200  # recipients of a thread's newest messages that are looked at; 0.3 ms (measured).
SHARED_WORK_STEPS_MAX: Final = (
    5_000  # names tried to find who works where the sender does; 10 ms (2 us each, measured).
)

# Live delivery
FOCUS_FRESH_S: Final = (
    90  # seconds a focus state counts; a heartbeat a minute renews it. The original's 2 s nobody meets.
)
LIVE_TRIES_MAX: Final = 10  # messages of one sender for one terminal within the next; contract.md 1.3.
LIVE_TRIES_WITHIN_S: Final = 60  # seconds; contract.md 1.3.
LIVE_PAIRS_MAX: Final = (
    10_000  # pairs of sender and recipient whose tries are remembered before old ones are forgotten.
)
LIVE_RECIPIENTS_MAX: Final = 10  # terminals that one message is put into; each takes four calls of tmux. A guess.
LIVE_BODY_CHARS_MAX: Final = (
    16 * 1024
)  # characters that are put into a terminal; more is nothing to read there. A guess.
INJECT_WITHIN_S: Final = 1.5  # seconds for all terminals of one message; its sender waits for 2 s at most.
NOTE_WITHIN_S: Final = 0.4  # seconds after that in which the sender also waits until the result is stored.
INJECTIONS_AT_ONCE: Final = 8  # messages that are put into terminals at the same time, of all projects. A guess.
INJECTIONS_WAITING_MAX: Final = 64  # messages that wait for that; with 8 at once and 20 ms each the last has its turn.
POKE_STALE_S: Final = 10  # seconds after which a poke that was being put into a terminal is shown as any other.
POKES_PER_AGENT_MAX: Final = 100  # messages that wait to be shown to one agent; they are in its inbox as well.
POKES_PER_PROJECT_MAX: Final = 10_000  # of those, of all agents; their ids are kept in memory.
WINDOWS_PER_PROJECT_MAX: Final = 1_000  # windows, closed ones included; they are kept in memory. A guess, revisit.

# Liveness
AGENT_SILENCE_S: Final = 5 * 60  # seconds without a sign of life until an agent counts as gone; contract.md 6.1.
HEARTBEAT_S: Final = 60  # seconds between two heartbeats, as docs/api.md advises.
SUSPENDED_S_MIN: Final = 5.0  # seconds of suspension that count as one; guarantees.md G9.
SUSPENSION_LOOK_S: Final = 1.0  # seconds between looks for one.
LIVENESS_FLUSH_S: Final = 30  # seconds; how far the stored last_seen may lag behind the heartbeats in memory.
AGENTS_PER_PROJECT_MAX: Final = 10_000  # registered agents; each costs about 2 KiB of memory.

# Events and waiting
WAIT_MAX_S: Final = 55  # seconds of a long poll; below the 60 s at which common proxies give up.
EVENT_TAIL_MAX: Final = 1024  # events the hub keeps in memory, so that live readers need no disk.
EVENT_TAIL_CHARS_MAX: Final = 1024 * 1024  # characters of those; a change of metadata may have half as many.
SUBSCRIBERS_PER_PROJECT_MAX: Final = 1024  # sockets and waiting readers; guarantees.md T10.
SUBSCRIBERS_PER_READER_MAX: Final = 256  # of those, by one agent, or by one key that names no agent; guarantees.md T10.
ABSENT_READERS_MAX: Final = (
    1024  # sockets and waiting readers of all projects that do not exist yet; as of one that does.
)
PUSH_BYTES_MAX: Final = (
    64 * 1024
)  # bytes of frames in one send to a socket, unless one event has more; a quarter of what the kernel holds for it.
PUSHES_AT_ONCE: Final = 32  # sockets that are sent to before requests get to run; about 0.5 ms (15 us each, measured).

# Retention
SHORT_EVENT_BYTES_MAX: Final = 32 * 1024  # bytes of one message that the original's client reads; contract.md 2.3.
EVENT_KIND_CHARS_MAX: Final = 64  # characters of the kind of a rule; the longest type of event has 26.
KEEP_DAYS_MAX: Final = 36_500  # days; a hundred years, above it the number is a mistake.
KEEP_EVENTS_MAX: Final = 1_000_000_000  # events; more than one file can sensibly hold.
RETENTION_RULES_MAX: Final = 20  # rules of one project; there are fewer families of events.
RETENTION_FIRST_S: Final = 60  # seconds after a project was opened until its rules are first applied. A guess, revisit.
RETENTION_EVERY_S: Final = 10 * 60  # seconds between two times; a log grows by little in that time.
TRIM_MAX: Final = 1_000  # events deleted in one commit; 20 to 50 ms, in the writer's thread (as FORGET_MAX).
TRIM_CHUNK_MAX: Final = (
    10_000  # events read, and archived in one file, before they are deleted; and see PAGE_CHARS_MAX.
)
TRIM_CHUNKS_PER_CALL: Final = 5  # chunks of one call; some 3 s, below ASK_TIMEOUT_S. The caller calls again for more.

# The actor
MAILBOX_MAX: Final = 1024  # commands waiting for one project; at 5,000 commits/s a full one is 0.2 s of work.
BATCH_MAX: Final = 256  # commands in one commit; guarantees.md G2.
BATCH_STATEMENTS_MAX: Final = 20_000  # statements after which a batch ends; about 1 s of work (24,000 rows/s measured).
BATCH_CHARS_MAX: Final = (
    2 * 1024 * 1024
)  # characters in the rows of a batch after which it ends; keeps one commit's part of the log near 4 MiB.
ASK_TIMEOUT_S: Final = 8.0  # seconds; below the 10 s after which the original's SDK gives up.
QUERY_QUANTUM_S: Final = (
    0.004  # seconds for which the queries of one project compute in one round of the loop; measured: decisions/0022.
)
RELEASES_RESERVED: Final = (
    128  # further places for what gives something back: others may wait for it. A guess, revisit.
)
COMMANDS_MAX: Final = (
    2048  # commands asked in all projects at once; half of the connections are left for everything else.
)
COMMANDS_PER_PROJECT_MIN: Final = 8  # commands that a project gets in beyond that; for 256 projects the other half.
RETRY_AFTER_S: Final = 1  # seconds told to a caller that met a full mailbox, at least; an idle actor drains it in less.
POISON_CRASHES_MAX: Final = 3  # crashes of the actor by one request, after which it is refused; guarantees.md G16.
POISON_KEPT_S: Final = 10 * 60  # seconds after its last crash until a request may be tried again. A guess, revisit.
POISON_REMEMBERED_MAX: Final = 64  # requests that crashed a project and are remembered, as 32 bytes each.
STALLED_AFTER_S: Final = (
    5.0  # seconds a project may be in one flush or read; a thousand times the usual. A guess, revisit.
)
PROJECTS_LIVE_MAX: Final = 256  # projects open at once; each costs two threads when busy and three descriptors.
PROJECT_IDLE_S: Final = 10 * 60  # seconds without a call, a subscriber or a lease until a project closes itself.
BUSY_TIMEOUT_MS: Final = 2000  # milliseconds that SQLite waits for an outside tool's lock.

# The disk
BALLAST_BYTES: Final = 16 * 1024 * 1024  # bytes put aside for the checkpoint of a full disk; guarantees.md G19.
ROOM_BYTES_MIN: Final = 1024 * 1024  # bytes that must be free before writes are taken again: the largest body. A guess.
ROOM_LOOK_S: Final = 1.0  # seconds between looks at a full disk; guarantees.md G19 promises 5 s.
BALLAST_LOOK_S: Final = 30.0  # seconds between tries to make a ballast that is not whole. A guess.
BALLAST_LENT_EVERY_S: Final = 10.0  # seconds; one that did not help is not given up at each look. A guess.
