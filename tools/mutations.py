"""Small faults in Python functions, and how they get into functions that are loaded: used by ``tools/mutate.py``."""

import ast
import copy
import dataclasses
import types
from collections.abc import Iterator, Mapping
from pathlib import Path

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Continue: ast.Break,
    ast.Break: ast.Continue,
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One fault.

    Attributes:
        file: Python file, relative to the checkout.
        number: Its place among the faults of the file.
        line: Line of the file.
        function: Innermost function around it, with its classes: ``"Split.parts"``.
        change: Source before and after.
    """

    file: str
    number: int
    line: int
    function: str
    change: str


class Mutator(ast.NodeTransformer):
    """Lists the faults that a file can have, or makes one of them.

    Faults are made in functions alone: not in what they are declared with, not in annotations, messages of errors,
    assertions and texts.
    """

    def __init__(self, wanted: int = -1) -> None:
        self.wanted = wanted
        self.found: list[tuple[int, str, str]] = []  # line, function, change
        self.scope: list[str] = []
        self.depth = 0  # of functions

    def visit(self, node: ast.AST) -> ast.AST:
        """Replaces the node by the fault that is wanted, if it is one of this node."""
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            inside = isinstance(node, FUNCTIONS)
            self.scope.append(node.name)
            self.depth += inside
            node.body = [self.visit(one) for one in node.body]  # type: ignore[misc]
            self.depth -= inside
            self.scope.pop()
            return node
        if self.depth:
            for new in _faults(node):
                if len(self.found) == self.wanted:
                    self.wanted = -1
                    self.found.append((0, "", ""))
                    return ast.fix_missing_locations(ast.copy_location(new, node))
                change = " -> ".join(" ".join(ast.unparse(one).split())[:80] for one in (node, new))
                self.found.append((node.lineno, ".".join(self.scope), change))  # type: ignore[attr-defined]
        if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr)):
            return node
        if isinstance(node, ast.AnnAssign):
            node.value = self.visit(node.value) if node.value else None  # type: ignore[assignment]
            return node
        return self.generic_visit(node)


def list_mutations(root: Path, file: str) -> list[Mutation]:
    """Lists all faults that a file can have, in the order of its text."""
    mutator = Mutator()
    mutator.visit(ast.parse((root / file).read_text(encoding="utf-8")))
    return [Mutation(file, number, *found) for number, found in enumerate(mutator.found)]


def functions_by_line(root: Path, file: str) -> dict[int, str]:
    """Names the functions of a file by the first line of their code, which is that of a decorator if there is one."""
    names: dict[int, str] = {}

    def walk(node: ast.AST, scope: list[str]) -> None:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            scope = [*scope, node.name]
            if isinstance(node, FUNCTIONS):
                names[min(one.lineno for one in (node, *node.decorator_list))] = ".".join(scope)
        for one in ast.iter_child_nodes(node):
            walk(one, scope)

    walk(ast.parse((root / file).read_text(encoding="utf-8")), [])
    return names


def install(root: Path, mutation: Mutation, loaded: Mapping[tuple[str, str, int], list[types.FunctionType]]) -> bool:
    """Gives the loaded functions of a file the code with one fault.

    Args:
        root: Checkout.
        mutation: What to change.
        loaded: All functions that are loaded, by file, name and first line.

    Returns:
        False if no function changed, or if one cannot, since it uses other variables of what is around it.
    """
    path = root / mutation.file
    tree = Mutator(mutation.number).visit(ast.parse(path.read_text(encoding="utf-8")))
    assert isinstance(tree, ast.Module)
    changed = False
    for code in _codes(compile(tree, str(path), "exec", dont_inherit=True)):
        for function in loaded.get((str(path), code.co_name, code.co_firstlineno), []):
            if function.__code__ != code:
                if len(function.__code__.co_freevars) != len(code.co_freevars):
                    return False
                function.__code__ = code
                changed = True
    return changed


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            if not one.co_name.startswith("<"):
                yield one
            yield from _codes(one)


def _faults(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield _with(node, ops=[SWAPS[type(node.ops[0])]()])
    elif isinstance(node, ast.BoolOp) or (
        isinstance(node, ast.BinOp) and type(node.op) in SWAPS and not _is_text(node)
    ):
        yield _with(node, op=SWAPS[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub, ast.Invert)):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        value = node.value
        yield ast.Constant(
            not value if isinstance(value, bool) else value * 2 or 1.0 if isinstance(value, float) else value + 1
        )
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        yield _with(node, func=ast.copy_location(ast.Name(CALLS[node.func.id], ast.Load()), node))
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)) and isinstance(
        node.test, (ast.Name, ast.Attribute, ast.Call)
    ):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.comprehension):
        return  # has no line; its conditions are visited by themselves
    elif (
        isinstance(node, ast.Return)
        and node.value
        and not (isinstance(node.value, ast.Constant) and node.value.value is None)
    ):
        yield _with(node, value=ast.Constant(None))
    elif isinstance(node, (ast.Continue, ast.Break)):
        yield SWAPS[type(node)]()
    elif isinstance(node, ast.AugAssign):
        if type(node.op) in SWAPS:
            yield _with(node, op=SWAPS[type(node.op)]())
        yield ast.Pass()
    elif _is_left_out(node):
        yield ast.Pass()


def _is_left_out(node: ast.AST) -> bool:
    """Whether nothing breaks at once when a statement is not there."""
    if isinstance(node, ast.Assign):
        return all(isinstance(one, (ast.Attribute, ast.Subscript)) for one in node.targets)
    return isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))


def _with(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(one, ast.JoinedStr) or (isinstance(one, ast.Constant) and isinstance(one.value, (str, bytes)))
        for one in (node.left, node.right)
    )
