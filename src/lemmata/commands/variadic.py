"""Options that take several values, ``--n 20 40 80``, for click, which knows options of a fixed number of values."""

from collections.abc import Sequence

import click


class Variadic(click.Command):
    """A command whose options marked ``multiple`` take the values that follow, up to the next option.

    An option that is said twice, or without a value, is refused.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Spread ``--n 20 40`` to ``--n 20 --n 40``, which is how click says it, then parse."""
        options = {flag: p for p in self.params if isinstance(p, click.Option) for flag in p.opts}
        spread: list[str] = []
        seen: set[str] = set()
        rest = [part for text in args for part in _split(text)]
        while rest:
            flag = rest.pop(0)
            option = options.get(flag)
            if option is None:
                spread.append(flag)
                continue
            if flag in seen:
                raise click.UsageError(f"{flag} was given twice; give it once, with all its values")
            seen.add(flag)
            if option.is_flag:
                spread.append(flag)
                continue
            values = _take(rest, options, many=option.multiple)
            if not values or "" in values:
                what = f"{flag} was given no value" if not values else f"{flag} was given an empty value"
                raise click.UsageError(f"{what}; give one or leave {flag} out")
            spread += [part for value in values for part in (flag, value)]
        return super().parse_args(ctx, spread)


def _split(text: str) -> list[str]:
    flag, equals, value = text.partition("=")
    return [flag, value] if equals and flag.startswith("--") else [text]


def _take(rest: list[str], options: Sequence[str] | dict[str, click.Option], many: bool) -> list[str]:
    """The values at the head of ``rest``: all up to the next option, or one."""
    values: list[str] = []
    while rest and not (rest[0].startswith("--") or rest[0] in options) and (many or not values):
        values.append(rest.pop(0))
    return values
