"""The findings of an integration in words: one line for each concern, the verdict first.

Held-out rows decide where there are some; rows of the fitted samples say whether they were memorised. Every number
stands beside its floor. Bad at: nuance; the table has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxflow.integration.floors import FITTED, LOST, MEMORISED
from proxflow.integration.scores import ABOVE, AT, FAILS, FEW, SHORT, SHRUNK

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WORDS", "sentences"]

WORDS = {
    "energy": "energy distance",
    "w2": "exact W2",
    "sliced_w2": "sliced W2",
    "gaussian_w2": "Gaussian W2",
    "neighbour_auc": "neighbour AUC",
    "nn_ratio": "nearest-neighbour ratio",
    "nn_ratio_fitted": "nearest-neighbour ratio to fitted samples",
    "spread_ratio": "spread ratio",
    "label_transfer": "label transfer",
    "ilisi": "iLISI",
    "kbet": "kBET",
    "permuted_transfer_fitted": "transfer of permuted labels, fitted samples",
    "permuted_transfer_new": "transfer of permuted labels, new samples",
}


def sentences(frame: pd.DataFrame, reference: str, notes: list[str]) -> list[str]:
    """Return the findings of a report's table, and its notes, as plain lines."""
    said: list[str] = []
    batches = [batch for batch in frame["batch"].unique() if batch != "all"]
    for batch in batches:
        said += _of_batch(frame[frame["batch"] == batch], batch, reference)
    said += [_mixing(row) for row in _rows(frame, samples="mixing")]
    return said + notes


def _of_batch(frame: pd.DataFrame, batch: str, reference: str) -> list[str]:
    held = _rows(frame, samples="held out")
    fitted, control = _rows(frame, samples="fitted"), _rows(frame, samples="permuted")
    judged = held or fitted
    said = [_verdict(judged, batch, reference, bool(held)), *_gains(judged, batch, bool(held))]
    for words, sentence in (
        (MEMORISED, "memorised: {b} lies closer to {r} than fresh samples would, on top of its very samples"),
        (LOST, "spread lost: {b} is narrower than {r}"),
        (SHRUNK, "closer only because {b} was drawn together"),
        (FITTED, "fitted to these very samples: better than fresh samples of {r} would score; trust held-out rows"),
    ):
        every = [row for row in (*held, *fitted) if row["verdict"] == words]
        found = [row for row in every if row["class"] == "all"] or every
        if found:
            # A batch may have been narrow from the start, which is no fault of the map.
            named = ", ".join(
                f"{_where(row)} {row['value']:.2f}"
                + (
                    f", before {row['unadjusted']:.2f}"
                    if words == LOST and row["unadjusted"] == row["unadjusted"]
                    else ""
                )
                + f", floor {row['floor']:.2f}"
                for row in found[:4]
            )
            more = f", and {len(found) - 4} more" if len(found) > 4 else ""
            text = sentence.format(b=batch, r=reference)
            said.append(f"{text[0].upper()}{text[1:]} ({named}{more}).")
    said += _transfer(judged, batch, bool(held))
    said += _control(control, batch)
    few = sorted({row["class"] for row in fitted if row["verdict"] == FEW and row["class"] != "all"})
    if few:
        said.append(f"Too few samples to say: {', '.join(few[:12])} of {batch} or {reference}.")
    return said


def _verdict(rows: list[dict[str, Any]], batch: str, reference: str, held: bool) -> str:
    every = [row for row in rows if row["class"] == "all" and row["measure"] != "label_transfer"]
    told = [row for row in every if row["verdict"] != FEW]
    where = "Held out, " if held else ""
    if not told:
        return f"{where}{batch}: too few samples to say anything."
    fine, apart = [row for row in told if row["verdict"] == AT], [row for row in told if row["verdict"] == ABOVE]
    if len(fine) == len(told):
        return (
            f"{where}{batch} is at the floor: {len(told)} measures do not tell it from {reference}'s own halves,"
            " which is no proof that nothing else would."
        )
    if apart:
        names = ", ".join(WORDS[row["measure"]] for row in apart)
        return (
            f"{where}{batch} is not at the floor: {len(apart)} of {len(told)} measures lie above that of"
            f" {reference}'s own halves ({names})."
        )
    return (
        f"{where}{batch} is above the floor in no measure, but better than fresh samples could be in"
        f" {len(told) - len(fine)} of {len(told)}: that is no merit."
    )


def _gains(rows: list[dict[str, Any]], batch: str, held: bool) -> list[str]:
    """What got better or worse from before to after."""
    parts = []
    for name in ("energy", "w2", "neighbour_auc"):
        for row in rows:
            if row["measure"] == name and row["class"] == "all" and row["unadjusted"] == row["unadjusted"]:
                parts.append(f"{WORDS[name]} {row['unadjusted']:.2f} → {row['value']:.2f} (floor {row['floor']:.2f})")
    if not parts:
        return []
    return [f"{batch} before → after{', held out' if held else ''}: {', '.join(parts)}."]


def _transfer(rows: list[dict[str, Any]], batch: str, held: bool) -> list[str]:
    said = []
    for row in rows:
        if row["measure"] != "label_transfer" or row["class"] != "all" or row["verdict"] == FEW:
            continue
        end = "" if row["verdict"] != SHORT else "; short of what the reference's own samples reach"
        said.append(
            f"Label transfer to {batch}{', held out' if held else ''}: {row['unadjusted']:.2f} → {row['value']:.2f}"
            f" (inside the reference {row['floor']:.2f}){end}."
        )
    return said


def _control(rows: list[dict[str, Any]], batch: str) -> list[str]:
    if not rows:
        return []
    numbers = ", ".join(f"{row['value']:.2f} on {row['measure'].rsplit('_', 1)[1]} samples" for row in rows)
    chance = rows[0]["floor"]
    if any(row["verdict"] == FAILS for row in rows):
        return [
            f"The control fails: manufactured signal. With permuted labels {batch} still seems to carry them"
            f" (accuracy {numbers}; chance {chance:.2f}): class differences after the correction prove nothing."
        ]
    return [
        f"The control passes: permuted labels of {batch} are not found again (accuracy {numbers}; chance {chance:.2f})."
    ]


def _mixing(row: dict[str, Any]) -> str:
    words = {
        AT: "mixed as batches permuted within classes are",
        SHORT: "batches are still told apart",
        FITTED: "mixed more evenly than chance would",
        FEW: "too few samples to say",
    }[row["verdict"]]
    return (
        f"{WORDS[row['measure']]} of all batches: {row['unadjusted']:.2f} → {row['value']:.2f} (floor"
        f" {row['floor']:.2f}): {words}."
    )


def _where(row: dict[str, Any]) -> str:
    name = WORDS[row["measure"]] + (" held out" if row["samples"] == "held out" else "")
    return name if row["class"] == "all" else f"{name} of {row['class']}"


def _rows(frame: pd.DataFrame, samples: str) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame[frame["samples"] == samples].to_dict("records")]
