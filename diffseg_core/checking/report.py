"""A check in words and a table, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .boxed_model import boxed_model
from .choice import choose
from .clicks import ClickCounts
from .measures import Measures, mean_of
from .results import CheckResults, TrialResult
from .trials import CaptureSettings, Trial
from .words import ENOUGH, WAYS, WordResult, WordTrial, finds_by_words

Row = tuple[str, ...]
HEADER: Row = ("", "covering", "best IoU", "mean IoU", "segments", "clicks to 85 %", "to 90 %")
TRIED: Row = ("", "covering", "best IoU", "mean IoU", "segments", "s/photograph")
BY_WORDS: Row = ("", "AUC", "other words' AUC", "IoU", "found", "s/photograph")
MISSING = "–"


def as_text(results: CheckResults, diffseg_version: str) -> str:
    """What was measured, what suits the model, and whether it is of use: some forty lines.

    Args:
        results: of a check, or of one that was ended.
        diffseg_version: of the package.
    """
    parts = [_title(results, diffseg_version), _comparison(results), _verdict(results), *_words(results)]
    tried = _tried(results)
    if tried:
        parts.append(f"Everything tried\n{tried}")
    failed = [
        f"{_capture(settings, results)} failed: {error}" for settings, error in results.failures.items()
    ]
    if failed:
        parts.append("\n".join(failed))
    return "\n\n".join(parts) + "\n"


def _title(results: CheckResults, diffseg_version: str) -> str:
    model, count = results.model, len(results.plan.photographs)
    kind = "A quick check" if results.plan.is_quick else "A check"
    ended = "" if results.is_complete else " It was ended before all was tried."
    return (
        f"{kind} of {model.architecture} ({model.parameters / 1e6:,.1f} million parameters, {model.dtype} on "
        f"{model.device}) by DiffSeg {diffseg_version}, on {count} photographs.{ended}"
    )


def _comparison(results: CheckResults) -> str:
    """The model beside the one in the box and the control."""
    rows: list[Row] = [HEADER]
    choice = choose(results)
    if choice is not None:
        trials = {"this model, chosen settings": choice.trial}
        if results.default in results.finished("hierarchy"):
            trials["this model, default settings"] = results.default
        for name, trial in trials.items():
            rows.append(_row(name, results.trials[trial].measures.values(), results.clicks.get(trial)))
    elif results.trials:
        first = next(iter(results.trials.values()))
        name = f"this model, {len(first.measures)} photograph(s)"
        rows.append(_row(name, first.measures.values(), None))
    boxed = boxed_model(results.plan.photographs, results.plan.clicks)
    if boxed is not None:
        rows.append(_row("the model in the box", boxed.measures.values(), boxed.clicks))
    if len(results.colours) == len(results.plan.photographs):
        rows.append(_row("colours alone", results.colours.values(), results.clicks.get(None)))
    return _table(rows)


def _verdict(results: CheckResults) -> str:
    choice = choose(results)
    if choice is None:
        return "Nothing was measured on all photographs: no settings can be chosen."
    words = f"Of what was tried, {_hierarchy(choice.trial, results)} suits this model in DiffSeg Hierarchy"
    if choice.merge_threshold is not None:
        words += f", and a merge threshold of {choice.merge_threshold:g} in DiffSeg Segment"
    words += "."
    if choice.trial == results.default:
        words += " These are the default settings: no others were clearly better."
    if choice.beats_colours is False:
        words += (
            "\nThe model is no better than colours alone, as far as these photographs tell: what it attends "
            "to does not tell objects apart. Check that the VAE and the text encoder belong to it, or use "
            "another model."
        )
    elif choice.beats_colours:
        words += "\nThe model is better than colours alone."
    if results.plan.is_quick:
        words += "\nFew photographs say little, and no preset is kept: run the whole check for that."
    return words


def _words(results: CheckResults) -> list[str]:
    """What finds the objects by their names, and whether anything does."""
    parts = []
    if results.words:
        rows = [BY_WORDS, *(_word_row(each, results) for each in results.words.values())]
        parts.append(f"Objects by their names, in the attention to text\n{_table(rows)}")
    finished = results.finished_words
    best = max(finished.values(), key=lambda result: result.mean.auc, default=None)
    if results.word_failure is not None:
        far = " to the end" if results.words else ""
        parts.append(f"Words were not measured{far}: {results.word_failure}")
    elif best is not None:
        parts.append(_word_verdict(best, finished))
    elif results.no_words:
        parts.append(f"Words were not measured: {results.no_words}")
    return parts


def _word_verdict(best: WordResult, finished: Mapping[WordTrial, WordResult]) -> str:
    mean = best.mean
    finds = (
        "the model finds things by words"
        if finds_by_words(best.figures)
        else "the model does not find things by words, as far as these photographs tell"
    )
    text = f"Words: AUC {mean.auc:.2f} (other words {mean.others:.2f}, chance 0.50): {finds}."
    capture = best.trial.capture
    both = [finished.get(WordTrial(capture, way)) for way in WAYS]
    if both[0] is None or both[1] is None or not finds_by_words(best.figures):
        return text
    gain = both[1].mean.auc - both[0].mean.auc
    if gain > ENOUGH:
        return (
            f"{text}\nA second step with the words as its prompt finds them better than the queries that a "
            f"capture keeps, by {gain:.2f} of AUC."
        )
    return (
        f"{text}\nThe queries that a capture keeps are enough: the AUC of a second step with the words as "
        f"its prompt differs by {gain:+.2f}."
    )


def _word_row(result: WordResult, results: CheckResults) -> Row:
    mean, count = result.mean, len(result.figures)
    partly = "" if count == len(results.plan.photographs) else f" ({count} photographs)"
    name = f"{_capture(result.trial.capture, results)}, {result.trial.way}{partly}"
    figures = (f"{value:.3f}" for value in (mean.auc, mean.others, mean.iou))
    return (name, *figures, f"{mean.found:.0%}", f"{result.seconds / count:.1f}")


def _tried(results: CheckResults) -> str:
    rows: list[Row] = [TRIED]
    for each in results.trials.values():
        if each.measures:
            rows.append(_trial_row(each, results))
    return _table(rows) if len(rows) > 1 else ""


def _trial_row(result: TrialResult, results: CheckResults) -> Row:
    trial, count = result.trial, len(result.measures)
    if trial.method == "merging":
        name = f"{_capture(trial.capture, results)}, merge threshold {trial.threshold:g}"
    elif trial.method == "cut":
        name = f"{_capture(trial.capture, results)}, normalised cuts"
    else:
        name = _hierarchy(trial, results)
    partly = "" if count == len(results.plan.photographs) else f" ({count} photographs)"
    cost = results.costs[trial.capture]
    seconds = result.seconds / count + cost.seconds / max(1, cost.captured)
    return (name + partly, *_figures(result.measures.values()), f"{seconds:.1f}")


def _hierarchy(trial: Trial, results: CheckResults) -> str:
    return f"{_capture(trial.capture, results)}, evidence {trial.evidence}"


def _capture(settings: CaptureSettings, results: CheckResults) -> str:
    blocks = f", blocks {settings.blocks}" if results.model.is_transformer else ""
    return f"noise level {settings.noise_level}{blocks}"


def _row(name: str, measures: Iterable[Measures], clicks: ClickCounts | None) -> Row:
    counted = (MISSING, MISSING)
    if clicks is not None and clicks.counts:
        first, second = clicks.means
        counted = f"{first:.1f}", f"{second:.1f}"
    return (name, *_figures(measures), *counted)


def _figures(measures: Iterable[Measures]) -> Row:
    mean = mean_of(measures)
    return f"{mean.covering:.3f}", f"{mean.best_iou:.3f}", f"{mean.mean_iou:.3f}", f"{mean.segments:.0f}"


def _table(rows: Sequence[Row]) -> str:
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = []
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))
        lines.append("  ".join((row[0].ljust(first), *cells)).rstrip())
    return "\n".join(lines)
