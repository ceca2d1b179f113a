"""The syntax tree of a compiled CEL expression, as its library serializes it (`cel.expr.CheckedExpr` of cel-spec).

The library ships no classes for that message; these fields of it are all that is read here.
"""

from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "tooloo.cel"
_FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    "CheckedExpr": {"type_map": (3, "TypeEntry*"), "expr": (4, "Expr"), "source_info": (5, "SourceInfo")},
    "TypeEntry": {"key": (1, "int64"), "value": (2, "Type")},
    "Type": {"list_type": (6, "ListType")},
    "ListType": {"elem_type": (1, "Type")},
    "SourceInfo": {"positions": (4, "PositionEntry*")},
    "PositionEntry": {"key": (1, "int64"), "value": (2, "int32")},
    "Expr": {
        "id": (2, "int64"),
        "const_expr": (3, "Constant"),
        "ident_expr": (4, "Ident"),
        "select_expr": (5, "Select"),
        "call_expr": (6, "Call"),
        "list_expr": (7, "CreateList"),
        "struct_expr": (8, "CreateStruct"),
        "comprehension_expr": (9, "Comprehension"),
    },
    "Constant": {"int64_value": (3, "int64"), "string_value": (6, "string"), "bytes_value": (7, "bytes")},
    "Ident": {"name": (1, "string")},
    "Select": {"operand": (1, "Expr"), "field": (2, "string"), "test_only": (3, "bool")},
    "Call": {"target": (1, "Expr"), "function": (2, "string"), "args": (3, "Expr*")},
    "CreateList": {"elements": (1, "Expr*")},
    "CreateStruct": {"entries": (2, "StructEntry*")},
    "StructEntry": {"map_key": (3, "Expr"), "value": (4, "Expr")},
    "Comprehension": {
        "iter_var": (1, "string"),
        "iter_range": (2, "Expr"),
        "accu_var": (3, "string"),
        "accu_init": (4, "Expr"),
        "loop_condition": (5, "Expr"),
        "loop_step": (6, "Expr"),
        "result": (7, "Expr"),
        "iter_var2": (8, "string"),
    },
}
_SCALARS = {
    "int64": FieldDescriptorProto.TYPE_INT64,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "string": FieldDescriptorProto.TYPE_STRING,
}


def _field(name: str, number: int, kind: str) -> FieldDescriptorProto:
    label = FieldDescriptorProto.LABEL_REPEATED if kind.endswith("*") else FieldDescriptorProto.LABEL_OPTIONAL
    kind = kind.removesuffix("*")
    if kind in _SCALARS:
        return FieldDescriptorProto(name=name, number=number, label=label, type=_SCALARS[kind])
    message = FieldDescriptorProto.TYPE_MESSAGE
    return FieldDescriptorProto(name=name, number=number, label=label, type=message, type_name=f".{_PACKAGE}.{kind}")


def _checked_expr() -> Any:
    messages = [
        DescriptorProto(name=name, field=[_field(field, *description) for field, description in fields.items()])
        for name, fields in _FIELDS.items()
    ]
    pool = DescriptorPool()
    pool.Add(  # pyright: ignore[reportUnknownMemberType]
        FileDescriptorProto(name="tooloo/cel.proto", package=_PACKAGE, syntax="proto2", message_type=messages)
    )
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.CheckedExpr"))


_CHECKED_EXPR = _checked_expr()


class TooDeepError(ValueError):
    """A tree that is deeper than a message may be."""


class CheckedAst:
    """A compiled expression to look at. Raises TooDeepError."""

    def __init__(self, serialized: bytes) -> None:
        try:
            parsed = _CHECKED_EXPR.FromString(AnyMessage.FromString(serialized).value)
        except DecodeError as error:
            raise TooDeepError("it is nested too deep") from error
        self.root: Any = parsed.expr
        self._lists = [entry.key for entry in parsed.type_map if entry.value.HasField("list_type")]
        self._positions = {entry.key: entry.value for entry in parsed.source_info.positions}

    def is_list(self, expr: Any) -> bool:
        """Whether the compiler knows that an expression gives a list."""
        return expr.id in self._lists

    def column(self, expr: Any) -> int:
        """Where an expression stands in its text, from 1; of a selection, its dot."""
        return self._positions.get(expr.id, 0) + 1
