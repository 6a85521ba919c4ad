"""The values of token endpoints' responses, parsed from JSON, XML or a form."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, Never
from urllib.parse import parse_qsl

from keyturn._common.once import library
from keyturn._http.response import Response, has_json_type, json_of, media_type_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._providers.data import TokenResponseMapping

# Levels of elements, and fields of a form.
_MAX_LEVELS = 64
_MAX_FIELDS = 1000
_NO_JSON = (
    'Check token_url; or set token_field to "", if the token is the whole body; or token_header, '
    'if a header has it; or set response_format to "xml" or "form", if it is one of these.'
)


def content_of(response: Response, mapping: TokenResponseMapping) -> Any:
    """Return the value of a response, or None; a response labelled as JSON is always parsed."""
    content = response.json()
    return content if content is not None else read_content(response, mapping)[0]


def read_content(response: Response, mapping: TokenResponseMapping) -> tuple[Any, str]:
    """Return the value of a response; or None, and a hint at what to change."""
    media_type, encoding = media_type_of(response), mapping.response_encoding
    form = mapping.response_format
    known = {each.lower() for each in mapping.media_types}
    # As with JSON, an error is read whatever the content type is.
    is_named = _has_type_of(form, response) or response.status >= 400
    is_named = is_named or not known.isdisjoint({media_type, "*"})
    content = _READERS[form](response.body, encoding)
    if content is not None and is_named:
        return content, ""
    what = {"json": "JSON", "xml": "XML", "form": "a form"}[form]
    if content is not None:
        return None, f'It is {what} of another content type: set media_types to that, or to "*".'
    if form != "json":
        return None, f"It is not {what}, which response_format requires: check token_url."
    if response.body.startswith(codecs.BOM_UTF8):
        return None, 'It begins with a byte order mark: set response_encoding to "utf-8-sig".'
    others = "" if _is_utf_8(response.body) else "Set response_encoding to its encoding. "
    return None, others + _NO_JSON


def _has_type_of(form: str, response: Response) -> bool:
    media_type = media_type_of(response)
    if form == "xml":
        return media_type in {"application/xml", "text/xml"} or media_type.endswith("+xml")
    if form == "form":
        return media_type == "application/x-www-form-urlencoded"
    return has_json_type(response)


def _is_utf_8(body: bytes) -> bool:
    try:
        body.decode()
    except ValueError:
        return False
    return b"\0" not in body  # UTF-16


def xml_of(body: bytes, encoding: str = "utf-8") -> Any:
    """Return the value of an XML document's root element, or None if it is not valid.

    An element is a table of its child elements by their local names, in a list where several have
    one name; its attributes as `@name`; and its own text as `#text`. One that has neither
    children nor attributes is a string. A document type is refused, and with it every entity but
    the five of XML itself; so are more than 64 levels.
    """
    expat = library("xml.parsers.expat")

    levels: list[tuple[dict[str, Any], list[str]]] = [({}, [])]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(levels) > _MAX_LEVELS:
            raise ValueError(name)
        fields = {f"@{_local(each)}": value for each, value in attributes.items()}
        levels.append((fields, []))

    def end(name: str) -> None:
        fields, parts = levels.pop()
        text = "".join(parts).strip()
        if fields and text:
            fields["#text"] = text
        _add(levels[-1][0], _local(name), fields or text)

    def words(part: str) -> None:
        levels[-1][1].append(part)

    # The parser encodes strings as UTF-8, whatever the document declares.
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = words
    parser.StartDoctypeDeclHandler = _refuse
    try:
        # XML may begin with a byte order mark.
        parser.Parse(body.decode("utf-8-sig" if encoding == "utf-8" else encoding), True)  # noqa: FBT003 - of a foreign function
    except (ValueError, expat.ExpatError):
        return None
    return next(iter(levels[0][0].values()))


def _refuse(*_: object) -> Never:
    raise ValueError("a document type")


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _add(fields: dict[str, Any], name: str, value: Any) -> None:
    """Add an element to its parent; several elements of one name become a list."""
    known = fields.get(name)
    if isinstance(known, list):
        known.append(value)
    else:
        fields[name] = value if known is None else [known, value]


def form_of(body: bytes, encoding: str = "utf-8") -> dict[str, str] | None:
    """Return the fields of a form (`application/x-www-form-urlencoded`), or None if invalid.

    A form with a name twice is not valid.
    """
    try:
        pairs = parse_qsl(
            body.decode(encoding).strip(),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        return None
    fields = dict(pairs)
    return fields if fields and len(fields) == len(pairs) else None


_READERS: dict[str, Callable[[bytes, str], Any]] = {
    "json": json_of,
    "xml": xml_of,
    "form": form_of,
}
