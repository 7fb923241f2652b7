"""What the columns of a result hold: one table for the types of tables, BIDS sidecars, workbooks and documentation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """kind: of its values, any of which may be missing. units: as BIDS writes them. levels: value -> meaning."""

    kind: Literal["text", "real", "whole"]
    description: str
    units: str = ""
    levels: Mapping[str, str] = field(default_factory=dict)


TYPE_LEVELS = {
    "macro": "macro-expression, an ordinary facial expression, half a second and longer",
    "micro": "micro-expression, shorter than half a second",
}
DESCRIBED: dict[str, Column] = {
    "video": Column("text", "The recording, as it was named when it was spotted"),
    "face": Column("whole", "Number of the face that was followed, counted from 0"),
    "type": Column("text", "Kind of expression", levels=TYPE_LEVELS),
    "onset_s": Column("real", "First moment of the expression, from the first frame of the recording", "s"),
    "apex_s": Column("real", "Moment of its greatest intensity, from the first frame of the recording", "s"),
    "offset_s": Column("real", "Last moment of the expression, from the first frame of the recording", "s"),
    "onset_frame": Column("whole", "Frame of the onset, counted from 0"),
    "apex_frame": Column("whole", "Frame of the apex, counted from 0"),
    "offset_frame": Column("whole", "Frame of the offset, counted from 0"),
    "confidence": Column("real", "How sure the network is, from 0 to 1; no probability"),
    "cut_off": Column(
        "text",
        "Whether the expression goes on where no usable face is seen any more",
        levels={
            "none": "seen from onset to offset",
            "start": "it had begun when the face came into view or the recording began",
            "end": "it still lasted when the face was lost or the recording ended",
            "both": "it lasted from one end of what was seen to the other",
        },
    ),
    "micro_probability": Column(
        "real",
        "How probably the expression is a micro-expression, from 0 to 1, given how long it was seen; empty where it is "
        "cut off",
    ),
    "peak_motion": Column(
        "real", "How far the region that moved most went from onset to apex, in percent of the eyes' distance", "%"
    ),
    "regions": Column("text", "Which parts of the face moved, and where to; left and right are the person's own"),
    "speech": Column("real", "Share of the expression during which the person seems to speak, from 0 to 1"),
    "voiced": Column(
        "real",
        "Share of the expression during which the face talks and a voice is heard at once, from 0 to 1; "
        "empty where no sound was listened to",
    ),
    "head_motion": Column("real", "How far the head turned meanwhile, at most, from where it was at the onset", "deg"),
    "segment": Column("text", "Stimulus or condition that was shown at the apex; empty between them"),
}
_DTYPES = {"text": "string", "real": "float64", "whole": "Int64"}


def dtypes(columns: Iterable[str]) -> dict[str, str]:
    """Column -> pandas' name of its type, of the columns that are described."""
    return {name: _DTYPES[DESCRIBED[name].kind] for name in columns if name in DESCRIBED}


def typed_frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> "pd.DataFrame":
    """The rows as a table whose columns have their types also where there is no row, or no value in a column."""
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(columns))
    return frame.astype(dtypes(columns))
