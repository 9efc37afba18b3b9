"""Jinja as the pages need it: what it does around each piece and each call costs less.

Jinja escapes what a template shows with `markupsafe.escape`, which makes a `Markup` of it, only for
all of them to be joined to one string. A neuron page shows 2,700 pieces: as plain strings they take
a tenth of the time. It asks of each callable what it wants passed to it; plain functions want
nothing. And it looks names up in the globals of each template before the environment's: ours have
none of their own. And what it has drawn stays in a ring of macros and their context until Python
looks for such rings, which after a hundred explorer pages took a tenth of a second.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import lru_cache
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

from jinja2 import Environment, Template, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context, Macro
from jinja2.utils import internalcode
from markupsafe import Markup, escape

try:
    from markupsafe._speedups import _escape_inner as escaped
except ImportError:  # no build of it, or another version

    def escaped(text: str, /) -> str:
        """The text with the characters that mean something in HTML replaced."""
        return str(escape(text))


def shown(value: Any) -> str:
    """A value as it stands in the page: escaped, unless it is markup."""
    kind = type(value)
    if kind is str:
        return escaped(value)
    if kind is Markup:
        return value  # type: ignore[no-any-return]
    if hasattr(value, "__html__"):
        return str(value.__html__())
    return escaped(str(value))


#: Templates that are shown objects alone, never a mapping whose keys they name like attributes:
#: `page.name` is what Python has there, where Jinja would look for an item, too.
OF_OBJECTS = frozenset({"neuron.html", "_neuron.html", "_neuron_evidence.html"})


class _Generator(CodeGenerator):
    """Writes `environment.shown(…)` where Jinja writes `escape(…)`, and in templates OF_OBJECTS
    `page.name` where it writes `environment.getattr(page, "name")`, unless a test asks whether
    there is one."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape:
            super()._output_child_pre(node, frame, finalize)
        else:
            self.write("environment.shown(")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        if self._is_asked or self.name not in OF_OBJECTS:
            super().visit_Getattr(node, frame)
            return
        self.write("(")
        self.visit(node.node, frame)
        self.write(f").{node.attr}")

    def visit_Test(self, node: nodes.Test, frame: Frame) -> None:
        before, self._is_asked = self._is_asked, node.name in ("defined", "undefined")
        super().visit_Test(node, frame)
        self._is_asked = before

    _is_asked = False


#: Callables that want nothing passed to them, unless they say so.
_PLAIN = frozenset({FunctionType, BuiltinMethodType, MethodType, type(lru_cache(len))})


class _Context(Context):
    """Calls macros, plain functions and methods as they are; a macro that is given all that it
    takes, without what looks for more."""

    @internalcode
    def call(__self, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        kind = type(__obj)
        if kind is not Macro and (kind not in _PLAIN or hasattr(__obj, "jinja_pass_arg")):
            return super().call(__obj, *args, **kwargs)
        kwargs.pop("_block_vars", None)
        kwargs.pop("_loop_vars", None)
        if kind is not Macro:
            return __obj(*args, **kwargs)
        if kwargs or len(args) != len(__obj.arguments) or _takes_more(__obj):
            return __obj(__self.eval_ctx, *args, **kwargs)
        return Markup(__obj._func(*args))


def _takes_more(macro: Macro) -> bool:
    return macro.caller or macro.catch_varargs or macro.catch_kwargs


class _Template(Template):
    """Lets go of what it was shown as soon as it is drawn: a macro knows its context, which knows
    the macro."""

    def render(self, *args: Any, **kwargs: Any) -> str:
        context = self.new_context(dict(*args, **kwargs))
        try:
            return self.environment.concat(self.root_render_func(context))
        except Exception:
            self.environment.handle_exception()
        finally:
            context.vars.clear()
            context.parent.clear()


class PageEnvironment(Environment):
    """Templates whose output is escaped by `shown`; their globals are the environment's, as they
    are when a template is first asked for."""

    code_generator_class = _Generator
    context_class = _Context
    template_class = _Template
    shown = staticmethod(shown)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """One mapping, where Jinja would look up two in turn."""
        return {**self.globals, **(d or {})}
