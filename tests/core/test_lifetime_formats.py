"""The lifetime of a token, in each form in which servers send it."""

from __future__ import annotations

import base64
import email.utils
import json
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import for_each

import keyturn
from keyturn import errors
from keyturn._providers.lifetime_formats import LifetimeFormat
from keyturn._providers.lifetimes import lifetime_of

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_800_000_000.0
USUAL = {"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}
YEAR = 31_536_000.0


def date(seconds: float) -> str:
    """Return a time as the header Date has it."""
    return email.utils.formatdate(seconds, usegmt=True)


def jwt_until(end: object, **claims: object) -> str:
    """Return a JWT with that expiry."""
    parts = ({"alg": "RS256"}, {"exp": end, **claims}, "signature")
    encoded = (base64.urlsafe_b64encode(json.dumps(each).encode()) for each in parts)
    return b".".join(encoded).decode().replace("=", "")


# Format, value, seconds by which the server's clock is ahead, expected lifetime.
LIFETIMES: dict[str, tuple[str, object, float, float]] = {
    "seconds": ("seconds", 90, 0, 90),
    "seconds as a string": ("seconds", "90", 0, 90),
    "seconds with a fraction": ("seconds", 90.5, 0, 90.5),
    "seconds whatever the clock": ("seconds", 90, 500, 90),
    "seconds beyond a year": ("seconds", 10**12, 0, YEAR),
    "milliseconds": ("milliseconds", 90_000, 0, 90),
    "minutes": ("minutes", 30, 0, 1800),
    "minutes as a string": ("minutes", "30", 0, 1800),
    "milliseconds as a string": ("milliseconds", "90000", 0, 90),
    "epoch": ("epoch", NOW + 90, 0, 90),
    "epoch as a string": ("epoch", "1800000090", 0, 90),
    "epoch of a fast clock": ("epoch", NOW + 590, 500, 90),
    "epoch of a slow clock": ("epoch", NOW - 410, -500, 90),
    "epoch in milliseconds": ("epoch_milliseconds", (NOW + 90) * 1000, 0, 90),
    "epoch in milliseconds of a fast clock": ("epoch_milliseconds", (NOW + 590) * 1000, 500, 90),
    "date": ("date", "2027-01-15T08:01:30Z", 0, 90),
    "date with an offset": ("date", "2027-01-15T10:01:30+02:00", 0, 90),
    "date with a fraction": ("date", "2027-01-15T08:01:30.500Z", 0, 90.5),
    "date without offset": ("date", "2027-01-15T08:01:30", 0, 90),
    "date with a space": ("date", "2027-01-15 08:01:30+00:00", 0, 90),
    "date of a fast clock": ("date", "2027-01-15T08:09:50Z", 500, 90),
    "date beyond a year": ("date", "2999-01-01T00:00:00Z", 0, YEAR),
    "end of a JWT": ("jwt", jwt_until(NOW + 90), 0, 90),
    "end of a JWT of a fast clock": ("jwt", jwt_until(NOW + 590), 500, 90),
    **{
        f"duration {value}": ("duration", value, 500, lifetime)
        for value, lifetime in {
            "1h": 3600, "90m": 5400, "1d12h": 129_600, "1 d 12 h": 129_600, "45s": 45,
            "1.5h": 5400, "2 weeks": 1_209_600, "1 day": 86_400, "20 Minutes": 1200, "1hr": 3600,
            "1h0m0.5s": 3600.5, "PT1H": 3600, "PT15M": 900, "P1DT12H": 129_600, "P1W": 604_800,
            "PT3599.5S": 3599.5, " 1h ": 3600, "999999999w": YEAR,
        }.items()
    },
    **{
        f"{form} as {value}": (form, value, 500, lifetime)
        for form, value, lifetime in (
            ("hh:mm", "01:30", 5400), ("hh:mm", "1:30", 5400), ("hh:mm", "36:00", 129_600),
            ("hh:mm:ss", "01:00:05", 3605), ("hh:mm:ss", "347:28:58", 1_250_938),
            ("hh:mm:ss", "1.00:00:00", 86_400), ("hh:mm:ss", "00:59:59.5", 3599.5),
            ("d:hh:mm", "1:01:30", 91_800), ("d:hh:mm", "0:12:00", 43_200),
            ("d:hh:mm:ss", "1:00:00:07", 86_407),
        )
    },
    "date of HTTP": ("http_date", "Fri, 15 Jan 2027 08:01:30 GMT", 0, 90),
    "date of HTTP of a fast clock": ("http_date", "Fri, 15 Jan 2027 08:09:50 GMT", 500, 90),
    "date of mail": ("http_date", "Fri, 15 Jan 2027 10:01:30 +0200", 0, 90),
    "pattern": ("%Y-%m-%d %H:%M:%S", "2027-01-15 08:01:30", 0, 90),
    "pattern with names": ("%a %b %d %H:%M:%S UTC %Y", "Fri Jan 15 08:01:30 UTC 2027", 0, 90),
    "pattern with an offset": ("%d/%m/%Y %H:%M %z", "15/01/2027 10:02 +0200", 0, 120),
    "pattern with half days": ("%m/%d/%Y %I:%M:%S %p", "1/15/2027 8:01:30 AM", 0, 90),
    "pattern of a fast clock": ("%Y%m%d%H%M%S", "20270115080950", 500, 90),
}  # fmt: skip


@for_each(("kind", "value", "ahead", "lifetime"), LIFETIMES.values())
def test_lifetime_is_read_as_it_is_written(
    read: Callable[..., keyturn.Token], kind: str, value: object, ahead: float, lifetime: float
) -> None:
    """A token would be used after its expiry, or renewed far too often."""
    data = {"lifetime_field": "data.end", "lifetime_format": kind}
    token = read(data, USUAL | {"data": {"end": value}}, date=date(NOW + ahead))

    assert token.lifetime == pytest.approx(lifetime)
    assert token.expires_at == pytest.approx(NOW + lifetime)


# Format, value, time zone.
ZONES = [
    ("date", "2027-01-15T17:01:30", "Asia/Seoul"),
    ("date", "2027-01-15T08:01:30Z", "Asia/Seoul"),
    ("%Y%m%d%H%M%S", "20270115170130", "Asia/Seoul"),
    ("%Y%m%d%H%M%S", "20270115050130", "America/Sao_Paulo"),
    ("%Y-%m-%d %H:%M:%S %z", "2027-01-15 08:01:30 +0000", "Asia/Seoul"),
    ("date", "2027-01-15T09:01:30", "Europe/Berlin"),
]


@for_each(("kind", "value", "zone"), ZONES)
def test_date_without_offset_is_in_the_time_zone(
    read: Callable[..., keyturn.Token], kind: str, value: str, zone: str
) -> None:
    """A token would be used for hours after its expiry, or renewed hours early."""
    data = {"lifetime_format": kind, "lifetime_timezone": zone}

    assert read(data, USUAL | {"expires_in": value}).lifetime == 90


FORMATS = (*get_args(LifetimeFormat), "%Y-%m-%d %H:%M:%S")
NO_LIFETIMES = [None, "", "soon", True, [], {}, 0, "0", -1, "-1", "1e3", "9" * 19, "٣"]
PAST = [
    ("epoch", NOW),
    ("epoch", NOW - 1),
    ("epoch", str(int(NOW - 90))),
    ("epoch_milliseconds", NOW * 1000 - 1),
    ("date", "2027-01-15T08:00:00Z"),
    ("date", "2026-01-15T08:00:00Z"),
    ("date", "0001-01-01T00:00:00+14:00"),
    ("date", "0001-01-01T00:00:00"),
    ("date", "2027-02-30T00:00:00Z"),
    ("date", 1_900_000_000),
    ("http_date", "Fri, 15 Jan 2027 08:00:00 GMT"),
    ("http_date", "Fri, 15 Jan 2027"),
    ("%Y-%m-%d %H:%M:%S", "2027-01-15 08:00:00"),
    ("%Y-%m-%d %H:%M:%S", "2027-01-15T09:00:00"),
    ("%Y-%m-%d", "2027-02-30"),
    *(("duration", each) for each in
      ("0s", "h", "1x", "1h 1h", "1m 1h", "-1h", "P", "PT", "P1M", "P1Y", "1" * 10 + "h",
       " " * 100 + "1h", "1w" + " " * 60 + "x", "3600")),
    *(("hh:mm", each) for each in ("00:00", "01:60", "1:2:3", "-1:00", ":30")),
    *(("hh:mm:ss", each) for each in ("01:00", "00:00:00", "01:00:60", "1:00:00:00")),
    *(("d:hh:mm", each) for each in ("01:00", "1:24:00", "1:00:00:00")),
    *(("d:hh:mm:ss", each) for each in ("1:00:00", "1:24:00:00", "1:00:00:60")),
    *(("jwt", each) for each in
      (jwt_until(NOW), jwt_until("soon"), jwt_until(None), "a.b", "a.b.c", "a.b.c.d.e", "..",
       "a.%.c", "a.bnVsbA.c", "a.é.c", 7)),
]  # fmt: skip


@for_each(
    ("kind", "value"), [*PAST, *((kind, value) for kind in FORMATS for value in NO_LIFETIMES)]
)
def test_invalid_lifetime_is_refused(
    read: Callable[..., keyturn.Token], kind: str, value: object
) -> None:
    """A token without a known expiry would be used forever, or never."""
    data = {"lifetime_field": "data.end", "lifetime_format": kind}

    with pytest.raises(errors.InvalidTokenResponse, match=r"'s data.end is (missing|not )"):
        read(data, USUAL | {"data": {"end": value}})


def test_expiry_is_read_from_the_token_itself(read: Callable[..., keyturn.Token]) -> None:
    """The expiry of a JWT would be guessed if the response has no lifetime."""
    data = {"lifetime_format": "jwt", "lifetime_field": ""}
    token = jwt_until(NOW + 90, sub="é" * 3)
    bare = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 3600}

    assert read(data, bare | {"access_token": token}).lifetime == pytest.approx(90)
    assert read(data | {"missing_lifetime": 60}, bare).lifetime == 60
    assert read(data | {"missing_lifetime": 60}, bare | {"access_token": token}).lifetime == 90
    with pytest.raises(errors.InvalidTokenResponse, match="access_token is not a JWT with a"):
        read(data, bare)


def test_expiry_is_read_from_a_body_that_is_the_token(read: Callable[..., keyturn.Token]) -> None:
    """A JWT that is the whole body would have no expiry."""
    data = {"lifetime_format": "jwt", "token_field": "", "token_type": "", "media_types": ("*",)}

    assert read(data, jwt_until(NOW + 90).encode(), content_type="text/plain").lifetime == 90
    with pytest.raises(errors.InvalidTokenResponse, match="response's token is not a JWT"):
        read(data, b"opaque", content_type="text/plain")


OTHER_FORMATS = {
    "90": "", "3599.0": "takes a string with a decimal point", "1h": '"duration"',
    "01:30": '"hh:mm"', "1:00:00": '"hh:mm:ss" or "d:hh:mm"', "soon": "",
    "Fri, 15 Jan 2027 09:00:00 GMT": '"http_date"', "2027-01-15T09:00:00Z": '"date"',
}  # fmt: skip


@pytest.mark.parametrize(("value", "named"), OTHER_FORMATS.items())
def test_error_names_the_format_that_a_lifetime_has(
    read: Callable[..., keyturn.Token], value: str, named: str
) -> None:
    """A user would have to guess the format of the lifetime."""
    with pytest.raises(errors.InvalidTokenResponse) as caught:
        read({"lifetime_format": "jwt", "lifetime_field": "end"}, USUAL | {"end": value})

    assert named in caught.value.hint


WRONG_PATTERNS = {
    "epoche": "must be one of seconds, decimal, milliseconds, minutes, epoch,",
    "epochs": 'write "epoch"',
    "clock": "hh:mm, hh:mm:ss, d:hh:mm, d:hh:mm:ss,",
    "": "or a pattern such as %Y-%m-%d",
    "%H:%M": "must have a year (%Y), a month (%m, %b) and a day (%d)",
    "%Y-%m": "must have a year",
    "%Y-%m-%d %": "must have a year",
    "%Y-%m-%d %Z": "must have a year",
    "%Y-%m-%d %Y": "each once",
}


@pytest.mark.parametrize(("form", "words"), WRONG_PATTERNS.items())
def test_wrong_format_is_reported(platform: Callable[..., object], form: str, words: str) -> None:
    """Each token would be refused, with an error about the server's response."""
    with pytest.raises(errors.ConfigurationError) as caught:
        platform({"lifetime_format": form})

    assert "lifetime_format: " in str(caught.value)
    assert words in str(caught.value)


# Long values too are read in a short time.
TIMES = st.text("0123456789:.,PTWDHMSdhms wekaysourintc-+Z/", max_size=90) | st.text(max_size=90)


@given(st.sampled_from(FORMATS), TIMES)
def test_any_lifetime_is_read_or_refused(form: str, value: str) -> None:
    """An unforeseen lifetime would break the program with a raw Python error."""
    response = keyturn.plugins.Response(200, {"date": date(NOW)}, b"", NOW)
    try:
        lifetime = lifetime_of(value, form, "end", response, None)
    except errors.InvalidTokenResponse:
        return
    assert 0 < lifetime <= YEAR


@given(st.integers(1, 300), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_durations_and_clocks_agree(days: int, hours: int, minutes: int, seconds: int) -> None:
    """One of the formats would convert a unit wrongly."""
    response = keyturn.plugins.Response(200, {}, b"", NOW)
    total = days * 86_400 + hours * 3600 + minutes * 60 + seconds
    forms = {
        f"{days}d{hours}h{minutes}m{seconds}s": "duration",
        f"P{days}DT{hours}H{minutes}M{seconds}S": "duration",
        f"{days * 24 + hours}:{minutes:02}:{seconds:02}": "hh:mm:ss",
        f"{days}:{hours:02}:{minutes:02}:{seconds:02}": "d:hh:mm:ss",
    }

    assert {lifetime_of(v, form, "end", response, None) for v, form in forms.items()} == {total}


@for_each("kind", FORMATS)
@for_each(("assumed", "lifetime"), [(90, 90), (float("inf"), YEAR)])
def test_missing_lifetime_is_the_assumed_one(
    read: Callable[..., keyturn.Token], kind: str, assumed: float, lifetime: float
) -> None:
    """A token without a lifetime could not be used, although the platform documents one."""
    data = {"lifetime_field": "end", "lifetime_format": kind, "missing_lifetime": assumed}

    assert read(data, USUAL | {"end": None}).lifetime == lifetime
    if kind != "jwt":
        with pytest.raises(errors.InvalidTokenResponse):
            read(data, USUAL | {"end": "garbage"})
