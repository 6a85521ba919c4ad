"""Token responses that are XML or forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from keyturn import errors
from keyturn._providers.response_formats import form_of, xml_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

    import keyturn

    Read = Callable[..., keyturn.Token]

XML = {"response_format": "xml", "token_type": "", "token_field": "token", "lifetime_field": "life"}
FORM = {"response_format": "form", "token_type": ""}
DOCUMENT = b"<r><token>t0ken</token><life>60</life></r>"


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (b"<r>t0ken</r>", "t0ken"),
        (b"<r/>", ""),
        (b"<r a='1'/>", {"@a": "1"}),
        (b"<r a='1'> t0ken\n</r>", {"@a": "1", "#text": "t0ken"}),
        (b"<r>a<b>1</b>c</r>", {"b": "1", "#text": "ac"}),
        (b"<r><b>1</b><b>2</b><b><c/></b></r>", {"b": ["1", "2", {"c": ""}]}),
        (b"<x:r xmlns:x='u' x:a='1'><x:b>1</x:b></x:r>", {"@a": "1", "b": "1"}),
        (b"<r xmlns='u'><b xmlns=''>&lt;&#65;<![CDATA[<>]]></b></r>", {"b": "<A<>"}),
        (b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-16'?><r>\xc3\xa9</r>", "é"),
        (b"<r>" + b"<a>" * 62 + b"</a>" * 62 + b"</r>", ...),
    ],
)
def test_xml_is_converted_to_a_table(document: bytes, value: object) -> None:
    """A path in a description would not find a value in an XML response."""
    found = xml_of(document)

    assert found == value or (value is ... and isinstance(found, dict))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"<r>",
        b"<r/><r/>",
        b"<x:r/>",
        b"<r>\xff</r>",
        b"<r>&a;</r>",
        b"<!DOCTYPE r><r/>",
        b"<!DOCTYPE r [<!ENTITY a 'b'>]><r>&a;</r>",
        b"<!DOCTYPE r SYSTEM 'file:///etc/hostname'><r/>",
        b"<a>" * 65 + b"</a>" * 65,
        b"<a>" * 300_000,
    ],
)
def test_invalid_or_unsafe_xml_gives_no_value(document: bytes) -> None:
    """A server could make the client read files, or use all its memory."""
    assert xml_of(document) is None


@pytest.mark.parametrize(
    "body", [b"", b"a", b"a=1&a=2", b"a=%ff", b"\xff=1", b"&".join([b"a=1"] * 1001)]
)
def test_ambiguous_or_invalid_form_gives_no_value(body: bytes) -> None:
    """One of two tokens in a form would be used arbitrarily."""
    assert form_of(body) is None


@pytest.mark.parametrize(
    ("data", "kind", "body"),
    [
        (XML, "application/xml", DOCUMENT),
        (XML, "text/xml; charset=utf-8", DOCUMENT),
        (XML, "application/soap+xml", DOCUMENT),
        (XML | {"media_types": ["text/plain"]}, "text/plain", DOCUMENT),
        (XML | {"response_encoding": "utf-16"}, "text/xml", DOCUMENT.decode().encode("utf-16")),
        (XML | {"token_field": "token.0.@v"}, "text/xml",
         b"<r><token v='t0ken'/><token v='b'/><life>60</life></r>"),
        (XML | {"token_field": "", "missing_lifetime": 60}, "text/xml", b"<r>t0ken</r>"),
        (XML, "application/json", b'{"token":"t0ken","life":60}'),
        (FORM, "application/x-www-form-urlencoded", b"access_token=t0k%65n&expires_in=60\n"),
        (FORM | {"media_types": "*"}, "text/html", b"access_token=t0ken&expires_in=60&x="),
    ],
)  # fmt: skip
def test_token_is_read_from_other_formats(
    read: Read, data: dict[str, Any], kind: str, body: bytes
) -> None:
    """A platform whose responses aren't JSON would need a method in Python."""
    token = read(data, body, content_type=kind)

    assert (token.access_token, token.lifetime) == ("t0ken", 60)


@pytest.mark.parametrize(
    ("data", "kind", "body", "hint"),
    [
        (XML, "text/html", DOCUMENT, "It is XML of another content type: set media_types"),
        (XML, "text/xml", b"<r>", "It is not XML, which response_format requires"),
        (XML, "text/xml", b"<r/>", "set token_field"),
        (FORM, "text/plain", b"a=1", "It is a form of another content type"),
        (FORM, "text/plain", b"t0ken", "It is not a form"),
        ({}, "text/xml", DOCUMENT, 'set response_format to "xml" or "form"'),
    ],
)
def test_other_response_is_reported_with_what_to_set(
    read: Read, data: dict[str, Any], kind: str, body: bytes, hint: str
) -> None:
    """The author of a description would not know which datum to change."""
    with pytest.raises(errors.InvalidTokenResponse) as raised:
        read(data, body, content_type=kind)

    assert hint in raised.value.hint
    assert "t0ken" not in str(raised.value)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (
            {"error_field": "e.@code", "error_description_field": "e.#text"},
            b"<r><e code='invalid_client'>made up</e></r>",
        ),
        ({"response_format": "form"}, b"error=invalid_client&error_description=made+up"),
        ({}, b'{"error":"invalid_client","error_description":"made up"}'),
    ],
)
def test_errors_are_read_from_other_formats(read: Read, data: dict[str, Any], body: bytes) -> None:
    """A wrong secret would be reported as a failure of the server."""
    is_form = body.startswith(b"error")
    kind = "application/x-www-form-urlencoded" if is_form else "text/xml"

    with pytest.raises(errors.InvalidClient, match="made up"):
        read(XML | data, body, status=401, content_type=kind)


@pytest.mark.parametrize(
    ("data", "kind", "body"),
    [
        (XML, "text/xml", b"<r><token>t0ken</token><life>0</life><x>t0ken</x></r>"),
        (XML, "text/xml", b"<r><x><accessToken>t0ken</accessToken></x></r>"),
        (XML, "text/xml", b"<r><token>t0ken</token><life>60</life>"),
        (FORM, "application/x-www-form-urlencoded", b"access_token=t0ken&expires_in=0&x=t0ken"),
    ],
)
def test_transcript_hides_tokens_of_other_formats(
    world: World, platform: Callable[..., Any], data: dict[str, Any], kind: str, body: bytes
) -> None:
    """A transcript that is sent to a vendor would show a token."""
    import keyturn

    response = keyturn.plugins.Response(200, {"content-type": kind}, body, world.clock.now)
    world.endpoint.responses = [response] * 3
    connection = platform(data)
    shown = str(connection.explain())

    assert "< 200" in shown
    assert "t0ken" not in shown


def test_fingerprint_depends_on_the_response_format(platform: Callable[..., Any]) -> None:
    """A cached token that was read in another format would be used."""
    made = [platform(data).token_request().fingerprint for data in ({}, FORM)]

    assert made[0] != platform({"token_type": "", **FORM}).token_request().fingerprint
    assert made[1] == platform(FORM).token_request().fingerprint
