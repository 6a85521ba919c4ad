"""Mistakes in descriptions: each is reported with its place, its value and what to write."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

import keyturn
from keyturn import errors
from keyturn._providers.lifetimes import lifetime_of

URL = 'token_url = "https://acme.example/token"\n'
TENANT = '[settings.tenant]\nkind = "label"\ntitle = "Tenant"\n'
TENANT_URL = 'token_url = "https://{tenant}.acme.example/token"\n'
BASIC = 'client_authentication = "client_secret_basic"\n'

# A description; the place of its only mistake; and what the message says to write.
MISTAKES: list[tuple[str, str, str]] = [
    # Paths of responses.
    (f'{URL}token_field = "$.data.token"', "token_field", 'write "data.token"'),
    (f'{URL}token_field = "data[0].token"', "token_field", 'write "data.0.token"'),
    (f'{URL}token_field = "/data/token"', "token_field", 'write "data.token"'),
    (f'{URL}token_field = "data/token"', "token_field", 'write "data.token"'),
    (f"{URL}token_field = \"$['data']['token']\"", "token_field", 'write "data.token"'),
    (f'{URL}token_field = ".data.token"', "token_field", 'write "data.token"'),
    (f'{URL}lifetime_field = "data->expires"', "lifetime_field", 'write "data.expires"'),
    (f'{URL}error_field = "errors[0].code"', "error_field", 'write "errors.0.code"'),
    (f'{URL}error_description_field = "$.msg"', "error_description_field", 'write "msg"'),
    (f'{URL}token_field = "data token"', "token_field", "must be a path such as data.token"),
    # Addresses.
    ('token_url = "acme.example/token"', "token_url", 'write "https://acme.example/token"'),
    ('token_url = "http://acme.example/token"', "token_url", 'write "https://acme.example/token"'),
    ('token_url = "//acme.example/token"', "token_url", 'write "https://acme.example/token"'),
    ('token_url = "https:/acme.example/token"', "token_url", 'write "https://acme.example/token"'),
    (f'token_url = "https://${{tenant}}.acme.example/token"\n{TENANT}', "token_url",
     "has ${tenant}, which is no placeholder: write {tenant}"),
    (f'token_url = "https://{{{{tenant}}}}.acme.example"\n{TENANT}', "token_url", "write {tenant}"),
    (f'token_url = "https://%(tenant)s.acme.example/token"\n{TENANT}', "token_url",
     "write {tenant}"),
    (f'token_url = "https://<tenant>.acme.example/token"\n{TENANT}', "token_url",
     "has <tenant>, which is no placeholder: write {tenant}"),
    (f'token_url = "https://acme.example/:tenant/token"\n{TENANT}', "token_url", "write {tenant}"),
    (f'token_url = "https://{{Tenant}}.acme.example/token"\n{TENANT}', "token_url",
     "write {tenant}"),
    (f'token_url = "https://{{ tenant }}.acme.example"\n{TENANT}', "token_url", "write {tenant}"),
    (f'token_url = "https://{{settings.tenant}}.acme.example"\n{TENANT}', "token_url",
     "write {tenant}"),
    (f'token_url = "https://$tenant.acme.example/token"\n{TENANT}', "token_url", "write {tenant}"),
    (f'token_url = "https://[tenant].acme.example/token"\n{TENANT}', "token_url",
     "write {tenant}"),
    ('token_url = "https://acme.example/token?grant_type=x"', "token_url",
     'write "https://acme.example/token", and grant_type in'),
    ('token_url = "https://acme.example/token#a"', "token_url",
     'write "https://acme.example/token"'),
    ('token_url = "https://user:pw@acme.example/token"', "token_url",
     'write "https://acme.example/token"'),
    (f'{URL}api_url = "https://acme.example/api?version=2"', "api_url",
     'write "https://acme.example/api"'),
    (f'{URL}api_url = "api.acme.example"', "api_url", 'write "https://api.acme.example"'),
    (f'{URL}revocation_url = "http://acme.example/revoke"', "revocation_url",
     'write "https://acme.example/revoke"'),
    ("token_url = 7", "token_url", 'must be a string (it is 7); write "7"'),
    ("title = 'Acme'", "token_url", 'is required: write token_url = "https://…"'),
    ('token_url = "https://{projekt}.acme.example/token"', "token_url",
     'names {projekt}, which is not a setting; describe it: [settings.projekt] title = "…"'),
    (f'token_url = "https://{{tenent}}.acme.example/token"\n{TENANT}', "token_url",
     "Did you mean tenant?"),
    # Names of other tools, and other spellings.
    ('tokenUrl = "https://acme.example/token"', "tokenUrl", "Did you mean token_url?"),
    ('token-url = "https://acme.example/token"', "token-url", "Did you mean token_url?"),
    ('token_endpoint = "https://acme.example/token"', "token_endpoint", "Did you mean token_url?"),
    (f'{URL}client_auth_method = "basic"', "client_auth_method",
     "Did you mean client_authentication?"),
    (f'{URL}token_endpoint_auth_method = "client_secret_basic"', "token_endpoint_auth_method",
     "Did you mean client_authentication?"),
    (f'{URL}scopes = ["read"]', "scopes", '[settings.scope] kind = "scope"'),
    (f'{URL}scope = "read write"', "scope", "is the default of a setting: [settings.scope]"),
    (f'{URL}headers = {{ X-A = "b" }}', "headers", "Did you mean token_headers?"),
    (f'{URL}expires_in_field = "expires"', "expires_in_field", "Did you mean lifetime_field?"),
    (f'{URL}access_token_field = "token"', "access_token_field", "Did you mean token_field?"),
    (f'{URL}lifetimeFormat = "epoch"', "lifetimeFormat", "Did you mean lifetime_format?"),
    (f'{URL}body-format = "json"', "body-format", "Did you mean body_format?"),
    (f'{URL}http_method = "POST"', "http_method", "Did you mean method?"),
    (f'{URL}params = {{ a = "b" }}', "params", "Did you mean parameters?"),
    (f'{URL}base_url = "https://acme.example"', "base_url", "Did you mean api_url?"),
    (f'{URL}client_id = "made-up"', "client_id", "they are settings of each connection"),
    (f'{URL}clientSecret = "made-up"', "clientSecret", "they are settings of each connection"),
    (f"[provider]\n{URL}", "provider", "Write its keys at the top of the file"),
    (f'{URL}[tenant]\nkind = "label"\ntitle = "x"', "tenant", "Did you mean [settings.tenant]?"),
    (f'{URL}[setting.tenant]\ntitle = "x"', "setting", "Did you mean settings?"),
    # Choices.
    (f'{URL}client_authentication = "basic"', "client_authentication",
     'write "client_secret_basic"'),
    (f'{URL}client_authentication = "client-secret-basic"', "client_authentication",
     'write "client_secret_basic"'),
    (f'{URL}client_authentication = "ClientSecretPost"', "client_authentication",
     'write "client_secret_post"'),
    (f'{URL}client_authentication = "mtls"', "client_authentication", 'write "tls_client_auth"'),
    (f'{URL}method = "post"', "method", '(it is "post"); write "POST"'),
    (f'{URL}body_format = "application/json"', "body_format", 'write "json"'),
    (f'{URL}body_format = "x-www-form-urlencoded"', "body_format", 'write "form"'),
    (f'{URL}lifetime_format = "ms"', "lifetime_format", 'write "milliseconds"'),
    (f'{URL}lifetime_format = "unix"', "lifetime_format", 'write "epoch"'),
    (f'{URL}lifetime_format = "epoch_ms"', "lifetime_format", 'write "epoch_milliseconds"'),
    (f'{URL}lifetime_format = "ISO8601"', "lifetime_format", 'write "date"'),
    (f'{URL}scope_format = "list"', "scope_format", 'write "array"'),
    (f'{URL}credentials = "secret"', "credentials", 'write "client_secret"'),
    (f'{URL}assertion_algorithm = "rs256"', "assertion_algorithm", 'write "RS256"'),
    (f'{URL}assertion_algorithm = "HS256"', "assertion_algorithm", "for client_secret_jwt only"),
    (f'{URL}response_encoding = "utf8"', "response_encoding", 'write "utf-8"'),
    # Types.
    (f'{URL}token_status = "201"', "token_status", '(it is "201"); write 201'),
    (f'{URL}missing_lifetime = "3600 s"', "missing_lifetime", "write 3600"),
    (f"{URL}grant_type = 1", "grant_type", '(it is 1); write "1"'),
    (f"{URL}token_type = false", "token_type", 'write "false"'),
    (f"{URL}token_status = 400", "token_status", "must be from 200 to 299 (it is 400)"),
    (f"{URL}missing_lifetime = -1", "missing_lifetime", "must be above 0 (it is -1)"),
    (f'{URL}parameters = "audience=x"', "parameters", "must be a table"),
    # Rate limits.
    (f'{URL}rate_limit = "10 per minute"', "rate_limit", 'write "10/min"'),
    (f'{URL}rate_limit = "10/minute, burst: 5"', "rate_limit", 'write "10/min burst 5"'),
    (f"{URL}rate_limit = 10", "rate_limit", 'write "10/min"'),
    (f'{URL}rate_limit = {{ requests = 3, per = "minute" }}', "rate_limit",
     "{ per_minute = 3, burst = 20 }"),
    (f'{URL}rate_limit = "often"', "rate_limit", 'such as "3/min burst 20"'),
    # What is sent twice, or can't be sent.
    (f'{URL}parameters = {{ scope = "a" }}\n[settings.scope]\nkind = "scope"\ntitle = "Scope"',
     "parameters.scope", 'remove it, or write scope_name = ""'),
    (f'{URL}scope = "required"\nparameters = {{ scope = "a" }}', "parameters.scope",
     "is sent already"),
    (f'{URL}parameters = {{ client_id = "{{client_id}}" }}', "parameters",
     'client_id is sent already: remove it, or write client_id_name = ""'),
    (f'{URL}parameters = {{ client_secret = "{{client_secret}}" }}', "parameters",
     'write client_secret_name = ""'),
    (f'{URL}parameters = {{ grant_type = "password" }}', "parameters",
     "write grant_type above the tables instead"),
    (f'{URL}{BASIC}token_headers = {{ Authorization = "Basic x" }}', "token_headers.Authorization",
     'is sent already, by client_authentication = "client_secret_basic"'),
    (f'{URL}method = "GET"', "body_format", 'write body_format = "query"'),
    (f'{URL}method = "GET"\nbody_format = "json"', "body_format", "must be query with method GET"),
    (f'{URL}{BASIC}credentials = "none"', "credentials", "have no client_secret"),
    (f'{URL}client_authentication = "private_key_jwt"\ncredentials = "none"',
     "client_authentication", "needs the setting private_key"),
    (f'{URL}api_headers = {{ Authorization = "x" }}', "api_headers", "see authorization_header"),
    (f'{URL}token_field = "error"', "token_field", "can't be the field of an error as well"),
    # Parameters and headers.
    (f'{TENANT_URL}parameters = {{ a = "${{tenant}}" }}\n{TENANT}', "parameters.a",
     "has ${tenant}, which is no placeholder: write {tenant}"),
    (f'{TENANT_URL}parameters = {{ a = "{{{{ tenant }}}}" }}\n{TENANT}', "parameters.a",
     "write {tenant}"),
    (f'{TENANT_URL}parameters = {{ a = "%(tenant)s" }}\n{TENANT}', "parameters.a",
     "write {tenant}"),
    (f'{TENANT_URL}token_headers = {{ X-A = "#{{tenant}}" }}\n{TENANT}', "token_headers.X-A",
     "write {tenant}"),
    (f'{TENANT_URL}api_headers = {{ X-A = "<tenant>" }}\n{TENANT}', "api_headers.X-A",
     "write {tenant}"),
    (f'{URL}parameters = {{ a = "{{clientId}}" }}', "parameters.a", "write {client_id}"),
    (f'{URL}parameters = {{ a = "{{tenant}}" }}', "parameters",
     'describe it: [settings.tenant] title = "…"'),
    (f'{URL}token_headers = {{ "X A" = "b" }}', "token_headers", "must be the name of a header"),
    (f'{URL}authorization_scheme = "Bearer "', "authorization_scheme", 'write "Bearer"'),
    (f'{URL}authorization_header = "Authorization: Bearer"', "authorization_header",
     'write "Authorization"'),
    (f'{URL}api_domains = ["https://api.acme.example"]', "api_domains",
     'write ["api.acme.example"]'),
    (f'{URL}api_domains = ["*.acme.example"]', "api_domains", 'write ["acme.example"]'),
    (f'{URL}media_types = ["text/plain; charset=utf-8"]', "media_types", 'write ["text/plain"]'),
    # Steps before the token request.
    ((f'{URL}parameters = {{ a = "{{previous.access_token}}" }}\n[previous]\n{URL}'
     'token_field = "$.data.token"'), "previous.token_field", 'write "data.token"'),
    ((f'{TENANT_URL}parameters = {{ a = "{{previous.access_token}}" }}\n[previous]\n'
     f'token_url = "https://${{tenant}}.acme.example"\n{TENANT}'), "previous.token_url",
     "write {tenant}"),
    ((f'{URL}parameters = {{ a = "{{previous.access_token}}" }}\n[previous]\n'
     'tokenUrl = "https://acme.example/token"'), "previous.tokenUrl", "Did you mean token_url?"),
    (f'{URL}client_authentication = "private_key_jwt"\nparameters = {{ client_assertion = "x" }}',
     "parameters", "client_assertion is sent already: remove it"),
    # Codes of errors.
    (f'{URL}error_codes = {{ 40013 = "InvalidClient" }}', "error_codes.40013",
     'write "invalid_client"'),
    (f'{URL}error_codes = {{ 40013 = "invalid_cleint" }}', "error_codes.40013",
     'write "invalid_client"'),
    (f'{URL}error_codes = {{ invalid_client = "40013" }}', "error_codes.invalid_client",
     'write "40013" = "invalid_client"'),
    # Settings.
    (f'{TENANT_URL}[settings.tenant]\ntype = "label"\ntitle = "x"', "settings.tenant.type",
     "Did you mean kind?"),
    *((f'{TENANT_URL}[settings.tenant]\nkind = "{word}"\ntitle = "x"', "settings.tenant.kind",
       f'(it is "{word}"); write "{kind}"') for word, kind in
      {"string": "text", "password": "secret", "enum": "choice", "bool": "choice", "int": "integer",
       "uri": "url", "hostname": "domain", "path": "file", "Label": "label"}.items()),
    (f'{TENANT_URL}[settings.tenant]\nname = "x"', "settings.tenant.name", "Did you mean title?"),
    (f'{TENANT_URL}[settings.tenant]\nkind = "label"', "settings.tenant.title",
     'is required: write title = "Tenant"'),
    (f"{TENANT_URL}{TENANT}required = true", "settings.tenant.required", "optional = true"),
    (f"{TENANT_URL}{TENANT}secret = true", "settings.tenant.secret", 'Write kind = "secret".'),
    (f'{TENANT_URL}{TENANT}optional = "yes"', "settings.tenant.optional", "write true"),
    (f'{TENANT_URL}{TENANT}regex = "a"', "settings.tenant.regex", "Did you mean pattern?"),
    (f'{TENANT_URL}{TENANT}grant_type = "x"', "settings.tenant.grant_type",
     "write grant_type above the first [settings.…] line"),
    (f'{TENANT_URL}settings.tenant = "label"', "settings.tenant",
     'must be a table with kind and title: write [settings.tenant] title = "Tenant"'),
    (f'{URL}[[settings]]\nname = "tenant"', "settings", "write [settings.NAME], not [[settings]]"),
    (f'{URL}[settings.myTenant]\ntitle = "x"', "settings.myTenant", "write my_tenant"),
    (f'{URL}[settings.my-tenant]\ntitle = "x"', "settings.my-tenant", "write my_tenant"),
    (f"{URL}{TENANT}", "settings.tenant", "is used nowhere: write {tenant} where its value goes"),
    (f'{URL}[settings.plan]\nkind = "choice"\ntitle = "x"\nchoices = "a, b"',
     "settings.plan.choices", 'write ["a", "b"]'),
    (f'{URL}[settings.plan]\nkind = "choice"\ntitle = "x"\nchoices = [1, 2]',
     "settings.plan.choices", 'write ["1", "2"]'),
    (f'{URL}[settings.port]\nkind = "integer"\ntitle = "x"\nmin = "1"', "settings.port.min",
     '(it is "1"); write 1'),
    (f'{URL}[settings.plan]\nkind = "choice"\ntitle = "x"\nchoices = ["a"]\ndefault = "b"',
     "settings.plan.default", 'must be one of a (it is "b")'),
]  # fmt: skip


def mistakes_in(text: str) -> list[keyturn.Problem]:
    """Return the mistakes that are reported in a description."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.plugins.provider_from_data(tomllib.loads(text), name="acme")
    return list(caught.value.problems)


@pytest.mark.parametrize(("text", "place", "words"), MISTAKES)
def test_mistake_is_reported_once_with_its_place_and_what_to_write(
    text: str, place: str, words: str
) -> None:
    """An author would be left to guess, or would have to read about Python."""
    found = mistakes_in(text)

    assert [each.path for each in found] == [place], found
    assert words in found[0].message
    assert not re.search(r"\b(?:class|tuple|None|NoneType|dict|Mapping)\b", found[0].message)


def test_all_mistakes_are_reported_at_once() -> None:
    """An author would correct them one by one."""
    texts = {place: text for text, place, _ in MISTAKES if text.startswith(URL) and "[" not in text}
    lines = "\n".join(text.removeprefix(URL) for text in texts.values())
    whole: dict[str, Any] = {}
    for line in lines.splitlines():
        whole |= tomllib.loads(line)
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.plugins.provider_from_data(whole, name="acme")
    places = {each.path for each in caught.value.problems}

    assert len(places) > 20
    assert {"token_url", "token_status", "rate_limit", "clientSecret"} <= places


SECRETS = [
    'token_url = "https://user:s3cret@acme.example/token"',
    'token_url = "https://acme.example/token?client_secret=s3cret"',
    'token_url = "http://acme.example/token#s3cret"',
    f'{URL}client_secret = "s3cret"',
    f'{URL}password = "s3cret"',
    f'{URL}{BASIC}token_headers = {{ Authorization = "Basic s3cret" }}',
    f'{URL}token_headers = {{ "X A" = "s3cret" }}',
    f'{URL}parameters = {{ grant_type = "s3cret" }}',
    f'{URL}parameters = {{ a = "s3cret ${{tenant}}" }}\n',
    f'{URL}headers = {{ a = "s3cret" }}',
    f'{URL}parameters = "client_secret=s3cret"',
    f'{URL}[settings.one]\nkind = "secret"\ntitle = "x"\ndefault = ["s3cret"]',
    f'{URL}[settings.one]\nkind = "secret"\ntitle = "x"\ndefault = "s3cret"\nmax_length = 2',
]  # fmt: skip


@pytest.mark.parametrize("text", SECRETS)
def test_message_shows_no_secret(text: str) -> None:
    """A log would hold what an author wrote into the wrong place."""
    assert "s3cret" not in " ".join(map(str, mistakes_in(text)))


def test_rate_limit_may_be_written_as_in_the_options() -> None:
    """One limit would have to be written in two ways."""
    for text in ("3/min burst 20", {"per_minute": 3, "burst": 20}):
        provider = keyturn.plugins.provider_from_data(
            {"token_url": "https://acme.example/token", "rate_limit": text}, name="acme"
        )
        assert provider.rate_limit == keyturn.plugins.RateLimit(3, 20)


SYNTAX: list[tuple[bytes, str]] = [
    (b"title = acme\n", "is not TOML: line 1, column 9: Invalid value: a string stands in quotes"),
    (b"a = 1\ntitle: 'acme'\n", "line 2, column 6: Expected '=' after a key in a key/value pair"),
    (b"a = 1\n\na = 2\n", "line 3, column 6: Cannot overwrite a value: a name stands once only"),
    (b"[settings.a]\n[settings.a]\n", "line 2, column 12: Cannot declare settings.a twice"),
    (b"title = 'acme", 'is not TOML: the end, line 1: Expected "\'"'),
    (b"a = { b = 1,\n c = 2 }\n", "line 1"),
    (b'a = "C:\\acme"\n', "Unescaped '\\' in a string: write a backslash twice"),
    (b"a = True\n", "true and false don't"),
    ("# é\ntitle = 'é'\n".encode("latin-1"), "is not UTF-8: line 1 has another encoding"),
    ("title = 'x'\n".encode("utf-16"), "is not UTF-8: line 1 has another encoding"),
]


@pytest.mark.parametrize(("content", "words"), SYNTAX)
def test_file_that_is_no_toml_is_reported_with_the_line(
    tmp_path: Any, content: bytes, words: str
) -> None:
    """An author would search the whole file."""
    path = tmp_path / "acme.toml"
    path.write_bytes(content)
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.plugins.provider_from_file(path)

    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_code_that_resembles_none_of_oauth_is_left_as_it_is() -> None:
    """A platform could have no code of its own, or get a suggestion that means something else."""
    codes = {"E1": "zzzzz"}
    provider = keyturn.plugins.provider_from_data(
        {"name": "acme", "token_url": "https://acme.example/token", "error_codes": codes}
    )

    assert provider.error_codes == codes


NOW = 1_790_000_000.0
WRONG_TIMES = [
    ("epoch", (NOW + 3600) * 1000, "epoch_milliseconds"),
    ("seconds", NOW + 3600, "epoch"),
    ("seconds", (NOW + 3600) * 1000, "epoch_milliseconds"),
    ("decimal", f"{NOW + 3600}", "epoch"),
    ("milliseconds", (NOW + 3600) * 1000, "epoch_milliseconds"),
    ("epoch_milliseconds", NOW + 3600, "epoch"),
]


@pytest.mark.parametrize(("form", "value", "right"), WRONG_TIMES)
def test_time_in_another_format_is_refused_with_a_hint(form: str, value: Any, right: str) -> None:
    """A token would count as valid for a year, and be sent long after its end."""
    response = keyturn.plugins.Response(status=200, headers={}, body=b"", sent_at=NOW)
    with pytest.raises(errors.InvalidTokenResponse) as caught:
        lifetime_of(value, form, "expires_at", response, None)

    assert f'It is a time near now with lifetime_format "{right}".' in str(caught.value)
