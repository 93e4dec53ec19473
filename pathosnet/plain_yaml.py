"""YAML of plain values, which may be a stranger's."""

from typing import Any

MAX_DEPTH = 100
"""Depth of lists in lists, which take the parser ever more time."""


def parse_yaml(text: str) -> Any:
    """Reads YAML without tags that run code, and without lists that hold themselves or each other many times over.

    Raises:
        ValueError: it is no such YAML; the reason is short.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.depth == MAX_DEPTH:
                raise yaml.YAMLError(f"lists are nested deeper than {MAX_DEPTH}")
            is_alias = self.check_event(yaml.AliasEvent)
            self.depth += 1
            node = super().compose_node(parent, index)
            self.depth -= 1
            if is_alias and not isinstance(node, yaml.ScalarNode):
                # Ten lists, each of the one before ten times, are a few hundred bytes and ten milliards of values.
                raise yaml.YAMLError("an anchor stands for a list or for names with values, expected a single value")
            return node

    try:
        return yaml.load(text, Loader)
    except Exception as error:  # a date or a number that is none raises whatever Python's own parts raise
        reason = " ".join(str(error).split())[:300]
        raise ValueError(reason or type(error).__name__) from error
