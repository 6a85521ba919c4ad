"""The faults of the emulator, and its control from another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from keyturn.errors import ConfigurationError
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable

each_provider = pytest.mark.parametrize("provider", Emulator.providers)


@each_provider
@pytest.mark.parametrize("retry_after", [None, 7, "Fri, 31 Dec 2049 23:59:59 GMT", "soon"])
def test_rate_limit_fault(
    provider: str, retry_after: Any, emulator: Emulator, requester: Any
) -> None:
    """A client's handling of `Retry-After` could not be tested."""
    options = {} if retry_after is None else {"retry_after": retry_after}
    emulator.fault(provider, "rate-limit", **options)

    response = requester.token(provider)

    expected = None if retry_after is None else str(retry_after)
    assert (response.status_code, response.headers.get("retry-after")) == (429, expected)
    assert requester.token(provider).status_code == 200


@each_provider
def test_server_error_fault(provider: str, emulator: Emulator, requester: Any) -> None:
    """A failing server could not be tested."""
    emulator.fault(provider, "server-error")

    assert requester.token(provider).status_code == 500


@each_provider
def test_html_fault(provider: str, emulator: Emulator, requester: Any) -> None:
    """A page with status 200, as from a login page or a firewall, could not be tested."""
    emulator.fault(provider, "html")

    response = requester.token(provider)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html"
    assert response.text.startswith("<html>")


@each_provider
def test_malformed_json_fault(provider: str, emulator: Emulator, requester: Any) -> None:
    """A response that was cut off could not be tested."""
    emulator.fault(provider, "malformed-json")

    response = requester.token(provider)

    assert response.headers["content-type"] == "application/json"
    with pytest.raises(ValueError, match="Unterminated"):
        response.json()


@each_provider
def test_hang_up_fault(provider: str, emulator: Emulator, requester: Any) -> None:
    """A connection closed without a response could not be tested."""
    emulator.fault(provider, "hang-up")

    with pytest.raises(httpx.RemoteProtocolError):
        requester.token(provider)
    assert requester.token(provider).status_code == 200


@each_provider
def test_redirect_fault(provider: str, emulator: Emulator, requester: Any) -> None:
    """A redirect of the secret to another origin could not be tested."""
    location = "http://localhost:1/elsewhere"
    emulator.fault(provider, "redirect", location=location)

    response = requester.token(provider)

    assert (response.status_code, response.headers["location"]) == (307, location)


def test_slow_fault_ends_with_an_ordinary_response(emulator: Emulator, requester: Any) -> None:
    """A slow server would look like a broken one."""
    emulator.fault("norce-storm", "slow", seconds=0.01)

    assert requester.token("norce-storm").status_code == 200


def test_stop_does_not_wait_for_a_slow_response(emulator: Emulator) -> None:
    """A test of a timeout would last as long as the fault."""
    emulator.fault("norce-storm", "slow", seconds=3600)

    with pytest.raises(httpx.ReadTimeout):
        httpx.post(emulator.settings("norce-storm")["token_url"], timeout=0.05)
    emulator.stop()


def test_fault_applies_to_the_requested_number_of_requests_of_one_provider(
    emulator: Emulator, requester: Any
) -> None:
    """A fault would remain for the next test."""
    emulator.fault("norce-storm", "server-error", times=2)
    emulator.fault("norce-storm", "html")

    assert requester.token("norce-commerce").status_code == 200
    responses = [requester.token("norce-storm").status_code for _ in range(4)]
    assert responses == [500, 500, 200, 200]
    assert emulator.token_requests("norce-storm") == 4


def test_api_requests_have_no_faults(emulator: Emulator, requester: Any) -> None:
    """A fault would be used up before the token request that it is for."""
    token = requester.access_token("orocommerce")
    emulator.fault("orocommerce", "server-error")

    assert requester.api("orocommerce", token).status_code == 200


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("meteor", {}, "hang-up, malformed-json, redirect, no-encryption-key"),
        ("html", {"seconds": 1}, r"options of the fault .* are wrong"),
        ("no-encryption-key", {"seconds": 1}, r"options of the fault .* are wrong"),
        ("html", {"times": 0}, "times must be"),
        ("html", {"times": "2"}, "times must be"),
        ("slow", {}, r"options of the fault .* are wrong"),
        ("slow", {"seconds": "long"}, "seconds must be"),
        ("slow", {"seconds": float("nan")}, "seconds must be"),
        ("redirect", {}, r"options of the fault .* are wrong"),
        ("redirect", {"location": "https://example.com/"}, "on loopback"),
        ("redirect", {"location": "http://[/"}, "on loopback"),
        ("redirect", {"location": 5}, "on loopback"),
        ("redirect", {"location": "http://localhost/ü"}, "on loopback"),
        ("rate-limit", {"retry_after": "1\r\nSet-Cookie: a=b"}, "printable ASCII"),
    ],
)
def test_invalid_fault_is_rejected(
    kind: str, options: dict[str, Any], message: str, emulator: Emulator
) -> None:
    """A misspelt fault would silently test nothing."""
    with pytest.raises(ConfigurationError, match=message):
        emulator.fault("orocommerce", kind, **options)


def test_fault_of_one_provider_is_unknown_to_another(emulator: Emulator) -> None:
    """A fault that Norce can't have could be requested for it, without an effect."""
    with pytest.raises(ConfigurationError, match="norce-storm has no fault 'no-encryption-key'"):
        emulator.fault("norce-storm", "no-encryption-key")


@pytest.fixture
def control(emulator: Emulator, http: httpx.Client) -> Callable[..., httpx.Response]:
    """Return a function that sends a request to the control plane on Norce Storm's port."""
    base = emulator.settings("norce-storm")["api_url"]

    def send(method: str, name: str, **arguments: Any) -> httpx.Response:
        return http.request(method, f"{base}/-/{name}", **arguments)

    return send


def test_another_process_requests_a_fault(
    control: Callable[..., httpx.Response], requester: Any
) -> None:
    """Faults could not be requested from `keyturn emulate`."""
    body = {"kind": "rate-limit", "times": 2, "retry_after": 3}

    assert control("POST", "fault", json=body).status_code == 204

    responses = [requester.token("norce-storm") for _ in range(3)]
    assert [response.status_code for response in responses] == [429, 429, 200]
    assert responses[0].headers["retry-after"] == "3"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"kind":"meteor"}', b'{"kind":"html","origin":1}']
)
def test_invalid_fault_from_another_process_is_reported(
    body: bytes, control: Callable[..., httpx.Response]
) -> None:
    """A mistake would look like a fault without an effect."""
    response = control("POST", "fault", content=body)

    assert response.status_code == 400
    assert response.json()["error"]


def test_another_process_revokes_and_counts(
    control: Callable[..., httpx.Response], requester: Any
) -> None:
    """The requests to an emulator in another process could not be counted."""
    token = requester.access_token("norce-storm")

    assert control("POST", "revoke-tokens").status_code == 204

    assert requester.api("norce-storm", token).status_code == 401
    assert control("GET", "counts").json() == {"token_requests": 1, "api_requests": 1}


def test_control_plane_has_three_paths(
    emulator: Emulator, control: Callable[..., httpx.Response]
) -> None:
    """A misspelt path would be handled as an API request."""
    assert control("GET", "fault").status_code == 405
    assert control("POST", "counts").status_code == 405
    assert control("GET", "moon").status_code == 404
    assert emulator.requests("norce-storm") == ()
