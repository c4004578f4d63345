"""Small wrong changes to a module's source, one at a time: what a mutation run gives to the tests."""

from __future__ import annotations

import ast
import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_OPPOSITES = (
    ("min", "max"),
    ("amin", "amax"),
    ("argmin", "argmax"),
    ("minimum", "maximum"),
    ("clamp_min", "clamp_max"),
    ("floor", "ceil"),
    ("any", "all"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("rows", "columns"),
    ("height", "width"),
)
NAMES = {
    **{first: second for pair in _OPPOSITES for first, second in (pair, pair[::-1])},
    "median": "mean",
    "mean": "median",
    "sorted": "list",
    "unique": "sort",
}
"""A function or attribute, and what is called in its place."""
HARMLESS_KEYWORDS = {"device", "out", "dtype", "strict"}
"""Arguments whose lack shows at once, on another device, or not at all."""
SYMMETRIC = {"min", "max", "minimum", "maximum", "array_equal"}
"""Functions that are the same with their arguments swapped."""
MOVES = {"cpu", "to", "contiguous", "numpy", "item", "tolist"}
"""Methods that change where values lie and not the values."""
LIBRARIES = {"np", "torch", "F", "math", "json", "ndimage", "itertools", "np.add", "np.maximum", "np.minimum"}


@dataclass(frozen=True)
class Mutant:
    """A module with one small change.

    Attributes:
        line: where, from 1.
        source: of the changed module.
        before, after: the lines that differ, without indentation, as one string each.
        diff: the change with its surroundings.
    """

    line: int
    source: str
    before: str
    after: str
    diff: str

    @property
    def name(self) -> str:
        """The same for the same change of the same module."""
        return hashlib.sha1(self.source.encode()).hexdigest()[:12]


def mutants_of(source: str, path: str) -> list[Mutant]:
    """All mutants of a module that are Python and differ from it and from one another.

    Texts of errors, type annotations, docstrings and imports are left as they are.

    Args:
        source: of the module.
        path: the module's, for the diffs.
    """
    tree = ast.parse(source)
    original, seen, mutants = ast.dump(tree), set(), []
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    encoded = source.encode()
    for node, replacement in _changes(tree):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        changed = (encoded[:start] + replacement.encode() + encoded[end:]).decode()
        try:
            dump = ast.dump(ast.parse(changed))
        except SyntaxError:
            continue
        if dump == original or dump in seen:
            continue
        seen.add(dump)
        mutants.append(_mutant(source, changed, path, node.lineno))
    return sorted(mutants, key=lambda mutant: mutant.line)


def _mutant(source: str, changed: str, path: str, line: int) -> Mutant:
    old, new = source.splitlines(), changed.splitlines()
    diff = list(difflib.unified_diff(old, new, path, path, n=2, lineterm=""))
    before, after = (
        " ".join(row[1:].strip() for row in diff[2:] if row.startswith(sign)) for sign in ("-", "+")
    )
    return Mutant(line, changed, before, after, "\n".join(diff))


Change = tuple[ast.expr | ast.stmt, str]


def _changes(tree: ast.AST) -> Iterator[Change]:
    """Nodes, and the text that takes the place of each."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Raise, ast.Import, ast.ImportFrom, ast.JoinedStr)):
            continue
        if isinstance(node, ast.arguments):  # of a lambda
            yield from _of_defaults(node)
        elif isinstance(node, ast.AnnAssign):
            if node.value:
                yield from _of(node.value)
                yield from _changes(node.value)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            for statement in node.body:
                yield from _of(statement)
            yield from _changes(ast.Module([*node.body], []))
            if isinstance(node, ast.FunctionDef):
                yield from _of_defaults(node.args)
        else:
            yield from _of(node)
            yield from _changes(node)


def _of_defaults(arguments: ast.arguments) -> Iterator[Change]:
    for default in (*arguments.defaults, *(default for default in arguments.kw_defaults if default)):
        yield from _of(default)
        yield from _changes(default)


def _of(node: ast.AST) -> Iterator[Change]:
    """The changes of one node, but for those of what it consists of."""
    if isinstance(node, ast.stmt):
        yield from _of_statement(node)
    elif isinstance(node, ast.expr):
        for changed in _of_expression(node):
            yield node, changed if isinstance(changed, str) else f"({ast.unparse(changed)})"


def _of_statement(node: ast.stmt) -> Iterator[Change]:
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        yield node, "pass"
    elif isinstance(node, ast.AugAssign):
        yield node, "pass"
        if type(node.op) in ARITHMETIC:
            operator = ARITHMETIC[type(node.op)]()
            yield node, ast.unparse(ast.AugAssign(node.target, operator, node.value))
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Subscript, ast.Attribute)):
        yield node, "pass"
        for target in node.targets if len(node.targets) > 1 else []:
            kept = [name for name in node.targets if name is not target]
            yield node, ast.unparse(ast.fix_missing_locations(ast.Assign(kept, node.value)))
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        if node.targets[0].id[0].islower() or node.targets[0].id.isupper():  # not the name of a type
            yield node, "pass"  # of some effect where the name has a value before
    elif isinstance(node, (ast.Break, ast.Continue)):
        yield node, "pass"
    elif isinstance(node, (ast.If, ast.While)) and not isinstance(node.test, ast.Constant):
        yield node.test, f"not ({ast.unparse(node.test)})"


def _of_expression(node: ast.expr) -> Iterator[ast.expr | str]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                operators = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                yield ast.Compare(node.left, operators, node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
        for index in range(len(node.values)):
            yield _without(node, index)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node.value)
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield NAMES[node.id]
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield f"{ast.unparse(node.value)}.{NAMES[node.attr]}"
    elif isinstance(node, ast.Slice):
        for part in ("lower", "upper", "step"):
            if getattr(node, part):
                kept = {name: getattr(node, name) for name in ("lower", "upper", "step") if name != part}
                yield ast.unparse(ast.Slice(**kept))
    elif isinstance(node, ast.Call):
        yield from _of_call(node)


def _without(node: ast.BoolOp, index: int) -> ast.expr:
    values = [*node.values[:index], *node.values[index + 1 :]]
    return values[0] if len(values) == 1 else ast.BoolOp(node.op, values)


def _of_constant(value: object) -> Iterator[str]:
    if isinstance(value, bool):
        yield str(not value)
    elif isinstance(value, int):
        yield from (str(other) for other in {value + 1, value - 1, 2 * value, 0} - {value})
    elif isinstance(value, float):
        yield from (repr(other) for other in (2 * value, value / 2, value + 1, 0.0) if other != value)


def _of_call(node: ast.Call) -> Iterator[ast.expr]:
    for index, keyword in enumerate(node.keywords):
        if keyword.arg not in HARMLESS_KEYWORDS:
            yield ast.Call(node.func, node.args, [*node.keywords[:index], *node.keywords[index + 1 :]])
    called = ast.unparse(node.func).rpartition(".")[2]
    if (
        len(node.args) == 2
        and called not in SYMMETRIC
        and not any(isinstance(argument, ast.Starred) for argument in node.args)
    ):
        yield ast.Call(node.func, node.args[::-1], node.keywords)
    # x.clamp_(…), x.contiguous(), …: without what is done to x
    library = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in LIBRARIES
    if isinstance(node.func, ast.Attribute) and called not in MOVES and not library:
        yield node.func.value
