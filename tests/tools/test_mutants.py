"""The small wrong changes that a mutation run tries."""

from __future__ import annotations

import ast

from diffseg_tools.mutants import mutants_of
from diffseg_tools.mutation import MODULES, ROOT, known_equivalent

SOURCE = '''
def first(values: list[int], most: int = 3) -> list[int]:
    """Some of the values, é."""
    if len(values) < 2:
        raise ValueError(f"Expected {2} values.")
    total = sum(values)
    total -= min(values, default=0)
    return values[1:][: total // 5] if most else []
'''


def changes() -> set[tuple[str, str]]:
    return {(mutant.before, mutant.after) for mutant in mutants_of(SOURCE, "first.py")}


def test_comparisons_numbers_names_and_keywords_change_one_at_a_time():
    found = changes()
    for before, after in (
        ("if len(values) < 2:", "if (len(values) <= 2):"),
        ("if len(values) < 2:", "if (len(values) >= 2):"),
        ("if len(values) < 2:", "if len(values) < 3:"),
        ("if len(values) < 2:", "if not (len(values) < 2):"),
        ("total -= min(values, default=0)", "pass"),
        ("total -= min(values, default=0)", "total += min(values, default=0)"),
        ("total -= min(values, default=0)", "total -= max(values, default=0)"),
        ("total -= min(values, default=0)", "total -= (min(values))"),
    ):
        assert (before, after) in found
    assert any("most: int = 4" in after for _, after in found)
    assert any("[:]" in after for _, after in found)
    assert any("total * 5" in after for _, after in found)
    assert any("[] if most else" in after for _, after in found)


def test_texts_and_annotations_stay():
    for _, after in changes():
        assert "Expected" not in after
        assert "Some" not in after


def test_every_mutant_is_python_of_its_own():
    found = [mutant.source for mutant in mutants_of(SOURCE, "first.py")]
    dumps = {ast.dump(ast.parse(source)) for source in [SOURCE, *found]}
    assert len(dumps) == len(found) + 1


def test_modules_and_their_tests_are_there():
    for module, tests in MODULES.items():
        assert (ROOT / "diffseg_core" / f"{module}.py").is_file()
        assert all((ROOT / "tests" / "core" / test).is_file() for test in tests)


def test_what_changes_no_result_is_listed_by_lines():
    text = "Words.\n[some/module]\n- a = 1\n+ a = 2\n+ *\n= it is not read\n[other]\n- b\n+ c\n"
    assert known_equivalent(text) == {
        "some/module": [("a = 1", "a = 2"), ("a = 1", "*")],
        "other": [("b", "c")],
    }
