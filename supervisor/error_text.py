"""One line of text for an error, so that no record of a dead run keeps its frames alive."""

from typing import Final

TEXT_CHARS_MAX: Final = 500  # characters; a guess: one line of a log and of /health.
GROUP_SHOWN_MAX: Final = 3  # errors of one group; the first ones tell the story.


def unwrap(error: BaseException) -> BaseException:
    """Return the one error inside groups of one, or the error itself.

    Source: hazards.md 19 (an error that crosses a nursery arrives wrapped).
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def error_text(error: BaseException) -> str:
    """Return class and message of the error in one bounded line; a group names its first members."""
    error = unwrap(error)
    if isinstance(error, BaseExceptionGroup):
        shown = "; ".join(error_text(inner) for inner in error.exceptions[:GROUP_SHOWN_MAX])
        text = f"{len(error.exceptions)} errors: {shown}"
    else:
        message = " ".join(str(error).split())
        text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text[:TEXT_CHARS_MAX]
