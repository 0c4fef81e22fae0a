"""From an error to an answer: one status for each class, one shape of body for all.

The body is `{"error": code, "message": what to do, …details}`. Where the original has a text of its own under `error`,
that text stays and the code goes into `code` (contract.md 0.4).
"""

from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from typing import Final

import msgspec

from intermute.core import errors
from intermute.core.errors import DomainError
from intermute.web.answer import Answer

STATUS: Final[Mapping[type[DomainError], int]] = {
    errors.InvalidRequest: 400,
    errors.MalformedJson: 400,
    errors.InvalidProject: 400,
    errors.ProjectRequired: 400,
    errors.InvalidSessionId: 400,
    errors.InvalidFocusState: 400,
    errors.MetadataRequired: 400,
    errors.InvalidTransport: 400,
    errors.PolicyRequired: 400,
    errors.WindowFieldsRequired: 400,
    errors.InvalidTmuxTarget: 400,
    errors.InvalidPolicy: 400,
    errors.InvalidLivePolicy: 400,
    errors.BadPattern: 400,
    errors.PatternTooBroad: 400,
    errors.Unauthorized: 401,
    errors.ForeignProject: 403,
    errors.BrowserRefused: 403,
    errors.AgentHeaderMissing: 403,
    errors.AgentIdentityMismatch: 403,
    errors.NotYours: 403,
    errors.ForceReleaseRefused: 403,
    errors.NotARecipient: 403,
    errors.PolicyDenied: 403,
    errors.AgentTokenMismatch: 403,
    errors.ContactDeclined: 403,
    errors.UnknownRoute: 404,
    errors.UnknownAgent: 404,
    errors.UnknownMessage: 404,
    errors.NotHeld: 404,
    errors.UnknownContact: 404,
    errors.UnknownReservation: 404,
    errors.ReservationEnded: 404,
    errors.UnknownTicket: 404,
    errors.UnknownIntent: 404,
    errors.UnknownEntity: 404,
    errors.NoClaimableTask: 404,
    errors.MethodNotAllowed: 405,
    errors.ActiveSessionConflict: 409,
    errors.MessageIdTaken: 409,
    errors.ReservationConflict: 409,
    errors.TransferConflict: 409,
    errors.Deadlock: 409,
    errors.IntentOver: 409,
    errors.StaleForecast: 409,
    errors.SettingsInUse: 409,
    errors.IdempotencyKeyReused: 409,
    errors.TooMuchInTheWay: 409,
    errors.DuplicateId: 409,
    errors.StaleVersion: 409,
    errors.StatusRefused: 409,
    errors.StillReferenced: 409,
    errors.TaskTaken: 409,
    errors.TaskNotClaimable: 409,
    errors.DependencyCycle: 409,
    errors.ReplyNotKept: 409,
    errors.CursorExpired: 410,
    errors.StaleToken: 412,
    errors.BodyTooLarge: 413,
    errors.SymbolIndexFull: 413,
    errors.UnsupportedMediaType: 415,
    errors.MisdirectedHost: 421,
    errors.UnknownReference: 422,
    errors.Poisoned: 422,
    errors.IdempotencyKeyMismatch: 422,
    errors.ReservationLimit: 429,
    errors.Overloaded: 429,
    errors.TooManyAgents: 429,
    errors.TooManyWaiters: 429,
    errors.IntentLimit: 429,
    errors.ContactLimit: 429,
    errors.LiveRateLimit: 429,
    errors.TooManyWindows: 429,
    errors.ClaimLimit: 429,
    errors.TooManyIdempotencyKeys: 429,
    errors.BroadcastLimit: 429,
    errors.InternalError: 500,
    errors.TooManyProjects: 503,
    errors.ServerOverloaded: 503,
    errors.TooManySubscribers: 503,
    errors.StorageStalled: 503,
    errors.StorageUnavailable: 503,
    errors.OutcomeUnknown: 503,
    errors.TooSlow: 503,
    errors.ProjectParked: 503,
    errors.ProjectQuarantined: 503,
    errors.ShuttingDown: 503,
    errors.LiveDeliveryFailed: 503,
    errors.RecipientBusy: 503,
    errors.StorageFull: 507,
}


async def answered(work: Awaitable[Answer], on_bug: Callable[[Exception], None]) -> Answer:
    """Return what `work` answers, or the answer that tells of its error; a bug is told to `on_bug` and ends this call alone."""
    try:
        return await work
    except DomainError as error:
        return error_answer(error)
    except Exception as bug:  # noqa: BLE001 - the one place for it in the front (style.md 24).
        on_bug(bug)
        return error_answer(errors.InternalError())


def error_body(error: DomainError) -> dict[str, object]:
    """Return the body that tells of the error."""
    legacy = error.legacy_text if isinstance(error, errors.InvalidSessionId) else error.legacy_error
    if legacy is None:
        return {"error": error.code, "message": error.message, **error.details}
    return {"code": error.code, "error": legacy, "message": error.message, **error.details}


def error_answer(error: DomainError) -> Answer:
    """Return the answer that tells of the error."""
    status = STATUS[type(error)]
    headers: dict[str, str] = {}
    if isinstance(error, errors.MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    if status in {429, 503, 507} or error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, ceil(error.retry_after_s or 1.0)))
    return Answer(status, msgspec.json.encode(error_body(error)) + b"\n", headers)
