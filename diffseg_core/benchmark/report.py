"""A check in words and a table, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..attention.capture_settings import CaptureSettings
from .boxed_model import boxed_model
from .choice import choose
from .clicks import ClickCounts
from .measures import Measures, mean_of
from .results import CheckResults, TrialResult
from .trials import Trial
from .word_verdict import finds_by_words, gain_of_second_step
from .words import WordResult, WordTrial

Row = tuple[str, ...]
HEADER: Row = ("", "covering", "best IoU", "mean IoU", "segments", "clicks to 85 %", "to 90 %")
TRIED: Row = ("", "covering", "best IoU", "mean IoU", "segments", "s/photograph")
BY_WORDS: Row = (
    "",
    "AUC",
    "other words' AUC",
    "swapped words' AUC",
    "IoU",
    "found",
    "absent words found",
    "s/photograph",
)
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
    """What finds the objects by their names, whether the node does, and what failed."""
    parts = []
    if results.words:
        rows = [BY_WORDS, *(_word_row(each, results) for each in results.words.values())]
        parts.append(f"Objects by their names, in the attention to text\n{_table(rows)}")
        if results.words_of_node in results.finished_words:
            parts.append(_word_verdict(results))
    elif results.no_words:
        parts.append(f"Words were not measured: {results.no_words}")
    failed = []
    for trial, error in results.word_failures.items():
        far = " to the end" if trial in results.words else ""
        failed.append(f"Words were not measured{far} at {_word_trial(trial, results)}: {error}")
    if failed:
        parts.append("\n".join(failed))
    return parts


def _word_verdict(results: CheckResults) -> str:
    """Of what the node does; other ways and captures are not chosen by what they are judged by."""
    trial, finished = results.words_of_node, results.finished_words
    mean, figures = finished[trial].mean, finished[trial].figures
    text = (
        f"Words, as DiffSeg Find by Words reads them ({_word_trial(trial, results)}): AUC {mean.auc:.2f} "
        f"(other words {mean.others:.2f}, chance 0.50): "
    )
    finds = finds_by_words(figures)
    if finds is None:
        return f"{text}too few photographs to tell whether the model finds things by words."
    if finds:
        text += "the model finds things by words."
    else:
        text += "the model does not find things by words, as far as these photographs tell."
    second = finished.get(WordTrial(trial.capture, "second step"))
    gain = None if second is None else gain_of_second_step(figures, second.figures)
    if trial.way == "second step" or gain is None:
        return text
    if gain.is_clear:
        return (
            f"{text}\nA second step with the words as its prompt does better than the queries that a "
            f"capture keeps, by {gain.mean:.2f} of AUC."
        )
    if finds:
        text += (
            f"\nThe queries that a capture keeps are enough: the AUC of a second step with the words as "
            f"its prompt differs by {gain.mean:+.2f}."
        )
    return text


def _word_trial(trial: WordTrial, results: CheckResults) -> str:
    return f"{_capture(trial.capture, results)}, {trial.way}"


def _word_row(result: WordResult, results: CheckResults) -> Row:
    mean, count = result.mean, len(result.figures)
    partly = "" if count == len(results.plan.photographs) else f" ({count} photographs)"
    figures = (f"{value:.3f}" for value in (mean.auc, mean.others, mean.swapped, mean.iou))
    shares = (f"{value:.0%}" for value in (mean.found, mean.absent))
    name = f"{_word_trial(result.trial, results)}{partly}"
    return (name, *figures, *shares, f"{result.seconds / count:.1f}")


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
    layers = f", layers {settings.layers}" if results.model.is_transformer else ""
    return f"noise level {settings.noise_level}{layers}"


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
