"""Errors that a user can act on. Each carries the exit code the command line ends with."""


def one_line(text: object) -> str:
    """What something says, an error for instance, on one line: as messages are."""
    return " ".join(str(text).split())


class FacespotError(Exception):
    """Base of every error raised on purpose; its message is one line and says what to do."""

    exit_code = 1


class VideoNotFoundError(FacespotError):
    """The named input does not exist."""

    exit_code = 3


class NotAVideoError(FacespotError):
    """The input exists but holds no decodable video stream or image sequence."""

    exit_code = 4


class NoFaceError(FacespotError):
    """No usable face was seen anywhere in the recording."""

    exit_code = 5


class TooShortError(FacespotError):
    """The recording (or its longest stretch with a face) is too short to hold an expression."""

    exit_code = 6


class CacheError(FacespotError):
    """Features were to be kept and could not be."""


class TemporaryFilesError(FacespotError):
    """There is no room for temporary files, or no folder that takes them; the message names the folder."""


class WeightsError(FacespotError):
    """A weights file is missing, damaged or of another format version."""

    exit_code = 7


class LostProcessError(FacespotError):
    """The process that was at work died, or was ended because it made no headway."""


class AnnotationError(FacespotError):
    """An annotation file cannot be understood; the message names the file and, where there is one, row and column."""

    exit_code = 8
