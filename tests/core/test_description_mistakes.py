"""Mistakes in descriptions: each is reported with its location, its value and its fix."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import for_each

import keyturn
from keyturn import errors
from keyturn._providers.lifetimes import lifetime_of

URL = 'token_url = "https://acme.example/token"\n'
TENANT = '[settings.tenant]\nkind = "label"\ntitle = "Tenant"\n'
TENANT_URL = 'token_url = "https://{tenant}.acme.example/token"\n'
QUERY = 'body_format = "query"\n'
BASIC = 'client_authentication = "client_secret_basic"\n'
VALUE = f'{URL}parameters = {{ a = "{{x}}" }}\n[values.x]\n'
STEP = f'{URL}parameters = {{ a = "{{previous.access_token}}" }}\n'
DISCOVERED = 'token_url = "{discovery.token_endpoint}"\n'
DOCUMENT = '[discovery]\nurl = "https://acme.example/x"\n'
TEXT = TENANT.replace("label", "text")

# A description; the location of its only mistake; and the fix in the message.
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
     "has ${tenant}, which is not a placeholder: write {tenant}"),
    (f'token_url = "https://{{{{tenant}}}}.acme.example"\n{TENANT}', "token_url", "write {tenant}"),
    (f'token_url = "https://%(tenant)s.acme.example/token"\n{TENANT}', "token_url",
     "write {tenant}"),
    (f'token_url = "https://<tenant>.acme.example/token"\n{TENANT}', "token_url",
     "has <tenant>, which is not a placeholder: write {tenant}"),
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
    # Names that other tools use, and other spellings.
    ('tokenUrl = "https://acme.example/token"', "tokenUrl", "Did you mean token_url?"),
    ('token-url = "https://acme.example/token"', "token-url", "Did you mean token_url?"),
    ('token_endpoint = "https://acme.example/token"', "token_endpoint", "Did you mean token_url?"),
    (f'{URL}client_auth_method = "basic"', "client_auth_method",
     "Did you mean client_authentication?"),
    (f'{URL}token_endpoint_auth_method = "client_secret_basic"', "token_endpoint_auth_method",
     "Did you mean client_authentication?"),
    (f'{URL}scopes = ["read"]', "scopes", '[settings.scope] kind = "scope"'),
    (f'{URL}scope = "read write"', "scope", "of a setting: write settings.scope.default"),
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
    (f"{URL}token_type = false", "token_type", 'write ""'),
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
    (f'{URL}{QUERY}query = {{ client_id = "{{client_id}}" }}', "query",
     'client_id is sent already: remove it, or write client_id_name = ""'),
    (f'{URL}method = "GET"\nquery = {{ client_secret = "{{client_secret}}" }}', "query",
     'client_secret is sent already: remove it, or write client_secret_name = ""'),
    (f'{URL}{QUERY}query = {{ grant_type = "password" }}', "query",
     "write grant_type above the tables instead"),
    (f'{URL}{QUERY}query = {{ scope = "a" }}', "query.scope", "is sent already, from the setting"),
    (f'{URL}client_authentication = "tls_client_auth"\nparameters = {{ client_id = "a" }}',
     "parameters", "client_id is sent already"),
    (f'{URL}method = "GET"\nbody_format = "json"', "body_format",
     'can\'t be json with method GET, which has no body (it is "json"); remove it'),
    (f'{URL}method = "GET"\nbody = "<a>{{client_id}}</a>"\nparameters = {{ a = "b" }}', "body",
     "can't be sent with method GET"),
    (f'{URL}method = "GET"\nclient_authentication = "private_key_jwt"\nbody = "x"', "body",
     "can't be sent with method GET"),
    (f'{URL}method = "GET"\nparameters = {{ a = ["b"] }}', "parameters",
     "a is a list, a table or {…:json}, which only a body can have; write a string"),
    (f'{URL}{BASIC}credentials = "none"', "credentials", "have no client_secret"),
    (f'{URL}client_authentication = "private_key_jwt"\ncredentials = "none"',
     "client_authentication", "needs the setting private_key"),
    (f'{URL}api_headers = {{ Authorization = "x" }}', "api_headers", "see authorization_header"),
    (f'{URL}token_field = "error"', "token_field", "can't be the field of an error too"),
    # Parameters and headers.
    (f'{TENANT_URL}parameters = {{ a = "${{tenant}}" }}\n{TENANT}', "parameters.a",
     "has ${tenant}, which is not a placeholder: write {tenant}"),
    (f'{TENANT_URL}parameters = {{ a = "{{{{ tenant }}}}" }}\n{TENANT}', "parameters.a",
     "write {tenant}"),
    (f'{TENANT_URL}parameters = {{ a = "%(tenant)s" }}\n{TENANT}', "parameters.a",
     "write {tenant}"),
    (f'{TENANT_URL}token_headers = {{ X-A = "#{{tenant}}" }}\n{TENANT}', "token_headers.X-A",
     "write {tenant}"),
    (f'{TENANT_URL}api_headers = {{ X-A = "<tenant>" }}\n{TENANT}', "api_headers.X-A",
     "write {tenant}"),
    (f'{URL}parameters = {{ a = "{{clientId}}" }}', "parameters.a", "write {client_id}"),
    (f'{URL}parameters = {{ a = "{{{{x}}}} ${{client_id}}" }}', "parameters.a",
     "has ${client_id}, which is not a placeholder: write {client_id}"),
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
    (f"{URL}{TENANT}", "settings.tenant", "is not used: write {tenant} where its value goes"),
    (f'{URL}[settings.plan]\nkind = "choice"\ntitle = "x"\nchoices = "a, b"',
     "settings.plan.choices", 'write ["a", "b"]'),
    (f'{URL}[settings.plan]\nkind = "choice"\ntitle = "x"\nchoices = [1, 2]',
     "settings.plan.choices", 'write ["1", "2"]'),
    (f'{URL}[settings.port]\nkind = "integer"\ntitle = "x"\nmin = "1"', "settings.port.min",
     '(it is "1"); write 1'),
    (f'{URL}[settings.plan]\nkind = "choice"\ntitle = "x"\nchoices = ["a"]\ndefault = "b"',
     "settings.plan.default", 'must be one of a (it is "b")'),
    # Bodies, queries and formats of responses.
    (f'{URL}content_type = "json"\nbody = "{{client_id}}"', "content_type",
     '(it is "json"); write "application/json"'),
    (f'{URL}body = "<a>{{client_id}}</a>"', "content_type",
     'is required with body; write content_type = "application/xml"'),
    (f'{URL}body = "a={{client_id}}"', "content_type", '"application/x-www-form-urlencoded"'),
    (f'{URL}body = {{ a = "{{client_id}}" }}', "body", "write parameters, with body_format"),
    (f'{URL}content_type = "text/plain"\nbody = "a"\nparameters = {{ b = "c" }}', "parameters",
     "are not sent beside body: name them in it, or in query"),
    (f'{URL}payload = "a"', "payload", "Did you mean parameters?"),
    (f'{URL}query = "a=b&c=d"', "query", 'write { a = "…", c = "…" }'),
    (f"{URL}query = {{ a = 1, b = true }}", "query", 'write a = "1", b = "true"'),
    (f'{URL}query = ["a b"]', "query", "must be a table of strings"),
    (f'{URL}query_params = {{ a = "b" }}', "query_params", "Did you mean query?"),
    (f'{URL}response_format = "JSON"', "response_format", '(it is "JSON"); write "json"'),
    (f'{URL}response_format = "yaml"', "response_format", 'json, xml, form (it is "yaml")'),
    (f'{URL}response_format = "text/xml"', "response_format", 'write "xml"'),
    (f'{URL}lifetime_format = "yyyy-MM-dd HH:mm:ss"', "lifetime_format",
     'write "%Y-%m-%d %H:%M:%S"'),
    (f'{URL}lifetime_format = "HH:MM"', "lifetime_format", 'write "hh:mm"'),
    (f'{URL}token_header = "X-Token:"', "token_header", '(it is "X-Token:"); write "X-Token"'),
    (f'{URL}token_header = "headers.X-Token"', "token_header", 'write "X-Token"'),
    (f'{URL}token_headers = {{ "X-A:" = "b" }}', "token_headers", "header; write X-A"),
    (f'{URL}token_headers = ["X-A: b"]', "token_headers", 'write { X-A = "…" }'),
    (f"{URL}token_headers = {{ X-A = 1 }}", "token_headers", 'write X-A = "1"'),
    # Values.
    *((f'{VALUE}template = "{{client_id}}"\n{key} = "{wrong}"', f"values.x.{key}",
       f'(it is "{wrong}"); write "{right}"') for key, wrong, right in
      [("encoding", "b64", "base64"), ("encoding", "urlencode", "url"),
       ("digest", "SHA-256", "sha256"), ("digest", "HS256", "sha256")]),
    *((f'{VALUE}time = "{wrong}"', "values.x.time", f'(it is "{wrong}"); write "{right}"')
      for wrong, right in
      [("iso8601", "rfc3339"), ("ms", "epoch_milliseconds"), ("YYYY-MM-DD", "%Y-%m-%d")]),
    (f'{VALUE}time = "%Q"', "values.x.time", '(it is "%Q")'),
    *((f'{VALUE}time = "epoch"\noffset = {wrong}', "values.x.offset",
       f'(it is {wrong}); write "{right}"') for wrong, right in
      [('"+1h"', "1h"), ("3600", "3600s"), ('"-60"', "-60s")]),
    (f'{VALUE}time = "epoch"\noffset = "later"', "values.x.offset", '(it is "later")'),
    (f'{VALUE}time = "epoch"\ntimezone = "Berlin"', "values.x.timezone", 'write "Europe/Berlin"'),
    (f'{VALUE}time = "epoch"\ntimezone = "local"', "values.x.timezone", 'write "UTC"'),
    (f'{VALUE}time = "epoch"\ntz = "UTC"', "values.x.tz", "Did you mean timezone?"),
    (f'{VALUE}time = "epoch"\nencoding = "hex"', "values.x.encoding", "can't be set beside time"),
    (f'{VALUE}template = "a"\noffset = "1h"', "values.x.offset", "can't be set beside template"),
    (f'{VALUE}template = "a"\ncolour = "b"', "values.x.colour", "is not known."),
    (f'{VALUE}template = "{{client_id}}"\nhash = "md5"', "values.x.hash", "Did you mean digest?"),
    (f'{VALUE}template = "a"\nencoding = 64', "values.x.encoding", "must be a string (it is 64)"),
    (f'{VALUE}template = "a"\nencoding = "rot13"', "values.x.encoding", '(it is "rot13")'),
    (f'{VALUE}template = "{{client_id}}"\nhmac_key = "{{client_secret}}"', "values.x.digest",
     'write digest = "sha256"'),
    (f'{VALUE}template = "a"\ndigest = "sha256"\nrsa_key = "b"', "values.x.rsa_key",
     "Did you mean signing_key?"),
    (f'{VALUE}template = "a"\ndigest = "sha256"\nsigning_key = "client_secret"',
     "values.x.signing_key", 'write "{client_secret}"'),
    (f'{VALUE}template = "{{cleint_id}}"', "values.x.template", "Did you mean client_id?"),
    (f'{VALUE}template = "${{client_id}}"', "values.x.template", "write {client_id}"),
    (f'{VALUE}value = "{{client_id}}"', "values", ("x must be a table with template or time."
     " Did you mean template?")),
    (f'{VALUE}template = "a"\ntime = "epoch"', "values", "not both"),
    (f'{VALUE}encoding = "hex"', "values", "x must be a table with template or time"),
    (f'{URL}parameters = {{ a = "{{x}}" }}\nvalues.x = "a"', "values",
     'write [values.x], and template = "…" below it'),
    (f'{URL}parameters = {{ a = "{{x}}" }}\n[[values]]\ntemplate = "a"', "values",
     "write [values.NAME]"),
    (f'{URL}parameters = {{ a = "{{x}}" }}\n[value.x]\ntemplate = "a"', "value",
     "Did you mean values?"),
    (f'{URL}parameters = {{ a = "{{mySig}}" }}\n[values.mySig]\ntemplate = "a"', "values.mySig",
     "write my_sig"),
    (f'{URL}[values.uuid]\ntemplate = "a"', "values.uuid", "write uuid_value"),
    (f'{URL}parameters = {{ a = "{{values.x}}" }}\n[values.x]\ntemplate = "a"', "parameters.a",
     "has {values.x}, which is not a placeholder: write {x}"),
    (f'{URL}parameters = {{ a = "{{nonce}}" }}', "parameters", "write {uuid}"),
    (f'{URL}parameters = {{ a = "{{timestamp}}" }}', "parameters",
     'describe it: [values.timestamp] time = "epoch"'),
    (f'{URL}parameters = {{ a = "{{token}}" }}', "parameters", "it is for API requests"),
    (f'{URL}parameters = {{ a = "{{token.id}}" }}', "parameters", "which only API requests have"),
    # Further mistakes in steps.
    (f'{URL}parameters = {{ a = "{{previous.access_token}}" }}', "parameters",
     "names {previous.access_token}, but there is no table [previous]: write one, with token_url"),
    *((f'{URL}parameters = {{ a = "{wrong}" }}\n[previous]\n{URL}', place,
       "write {previous.access_token}") for wrong, place in
      {"{previous}": "parameters", "{previous.access-token}": "parameters.a",
       "${previous.access_token}": "parameters.a", "{previus.access_token}": "parameters.a",
       "{login.token}": "parameters.a"}.items()),
    (f"{STEP}[previous]", "previous.token_url", 'is required: write token_url = "https://…"'),
    (f"{STEP}[[previous]]\n{URL}", "previous", "write [previous], not [[previous]]"),
    (f'{STEP}previous = "login.toml"', "previous", "must be a table: write [previous], with token"),
    (f"{STEP}[step1]\n{URL}", "step1", "Did you mean previous?"),
    (f'{STEP}[previous]\n{URL}name = "x"', "previous.name",
     "is for all steps: write it above the line [previous]"),
    (f'{STEP}[previous]\n{URL}[previous.settings.a]\ntitle = "x"', "previous.settings",
     "or in [settings.…]"),
    (DISCOVERED, "token_url", "there is no table [discovery]: write one, with url"),
    (f'{DISCOVERED}[discovery]\nurl = "acme.example/x"', "discovery.url",
     'write "https://acme.example/x"'),
    (f"{DISCOVERED}[discovery]\n", "discovery.url", 'is required; write "https://…"'),
    (f'{DISCOVERED}[discovery]\nissuer = "https://acme.example/x"', "discovery.issuer",
     "Did you mean url?"),
    (f'{DISCOVERED}{DOCUMENT}colour = "x"', "discovery.colour", "is not known."),
    (f'{DISCOVERED}{DOCUMENT}lifetime = "1 day"', "discovery.lifetime", "write 86400"),
    (f"{DISCOVERED}{DOCUMENT}lifetime = 5", "discovery.lifetime", "(it is 5); write 86400"),
    (f'{DISCOVERED}{DOCUMENT}domains = ["https://acme.example"]', "discovery.domains",
     'write ["acme.example"]'),
    (f"{DISCOVERED}{DOCUMENT}domains = 7", "discovery.domains", "must be a string or a list"),
    (f'{DISCOVERED}discovery = "https://acme.example/x"', "discovery", "write [discovery], with"),
    # API requests.
    *((f'{URL}authorization_value = "{wrong}"', "authorization_value", right) for wrong, right in
      {"Bearer": 'write "Bearer {token}"', "Token %s": 'write "Token {token}"',
       "Token {access_token}": "write {token}", "Token {{token}}": "write {token}",
       "Token <token>": "write {token}"}.items()),
    (f'{URL}authorization_query = "?token={{token}}"', "authorization_query", 'write "token"'),
    (f'{URL}authorization_query = {{ key = "{{token}}" }}', "authorization_query", 'write "key"'),
    (f"{URL}api_query = {{ version = 2 }}", "api_query", 'write version = "2"'),
    (f'{URL}rejected_status = "403"', "rejected_status", '(it is "403"); write 403'),
    (f'{URL}rejected_status = "401,403"', "rejected_status", "write [401, 403]"),
    (f'{URL}rejected_status = [401, "403"]', "rejected_status", "write [401, 403]"),
    (f'{URL}rejected_status = ["4xx"]', "rejected_status", '(it is ["4xx"])'),
    (f'{URL}rejected_codes = "a,b"', "rejected_codes", '(it is "a,b"); write ["a", "b"]'),
    (f"{URL}rejected_codes = 190", "rejected_codes", '(it is 190); write ["190"]'),
    (f'{URL}rejected_codes = [190, "a"]', "rejected_codes", 'write ["190", "a"]'),
    # Credentials, patterns and formats.
    (f'{URL}credentials = "API key"', "credentials", ('write "none", and describe it: '
     '[settings.api_key] kind = "secret"')),
    (f'{URL}credentials = ["client_secret"]', "credentials", 'write "client_secret"'),
    *((f'{TENANT_URL}{TEXT}format = "{wrong}"', "settings.tenant.format",
       f'(it is "{wrong}"); write "{right}"') for wrong, right in
      {"e-mail": "email", "url": "uri", "domain": "hostname", "guid": "uuid"}.items()),
    (f'{TENANT_URL}{TEXT}format = "ipv4"', "settings.tenant.format", '(it is "ipv4")'),
    *((f"{TENANT_URL}{TEXT}pattern = '{wrong}'", "settings.tenant.pattern", right)
      for wrong, right in
      {"[a-z": "a backslash before each literal bracket",
       "(a": "close the others", "(?P<n>a)": 'write "(?:a)"', r"\Aabc\Z": 'write "abc"',
       "a{,3}": 'write "a{0,3}"', "a++": 'write "a+"', "*": '(it is "*")'}.items()),
    (f"{TENANT_URL}{TEXT}minLength = 3", "settings.tenant.minLength", "Did you mean min_length?"),
]  # fmt: skip


def mistakes_in(text: str) -> list[keyturn.Problem]:
    """Return the mistakes that are reported in a description."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.plugins.provider_from_data(tomllib.loads(text), name="acme")
    return list(caught.value.problems)


@for_each(("text", "place", "words"), MISTAKES)
def test_mistake_is_reported_once_with_its_location_and_its_fix(
    text: str, place: str, words: str
) -> None:
    """An author would have to guess what is wrong, or to understand a Python error."""
    found = mistakes_in(text)

    assert [each.path for each in found] == [place], found
    assert words in found[0].message
    assert not re.search(r"\b(?:class|tuple|None|NoneType|dict|Mapping)\b", found[0].message)


def test_all_mistakes_are_reported_at_once() -> None:
    """An author would have to correct the mistakes one by one."""
    lines_by_place = {
        place: text for text, place, _ in MISTAKES if text.startswith(URL) and "[" not in text
    }
    lines = "\n".join(text.removeprefix(URL) for text in lines_by_place.values())
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
    f'{URL}query = "s3cret"',
    f'{URL}query = "client_secret=s3cret"',
    f'{URL}token_headers = ["X-Key: s3cret"]',
    f'{URL}authorization_query = "access_token=s3cret"',
    f'{URL}token_headers = {{ X-Key = " s3cret" }}',
    f'{URL}parameters = {{ password = "s3cret" }}',
    f'{URL}parameters = {{ name = "audience", value = "s3cret" }}',
    f'{URL}authorization_value = "Bearer s3cret"',
    f'{URL}content_type = "application/json"\nbody = \'{{"password": "s3cret"}}\'',
    f'{URL}content_type = "text/xml"\nbody = "<p>s3cret"',
    f'{URL}[settings.client_secret]\nkind = "secret"\ntitle = "x"\ndefault = " s3cret"',
    f'{URL}[settings.api_key]\ntitle = "x"\ndefault = " s3cret"',
    f'{URL}[settings.one]\nkind = "secret"\ntitle = "x"\ndefault = ["s3cret"]',
    f'{URL}[settings.one]\nkind = "secret"\ntitle = "x"\ndefault = "s3cret"\nmax_length = 2',
]  # fmt: skip


@for_each("text", SECRETS)
def test_message_shows_no_secret(text: str) -> None:
    """A log would show a secret that an author wrote into the wrong field."""
    assert "s3cret" not in " ".join(map(str, mistakes_in(text)))


def test_rate_limit_may_be_written_as_in_the_options() -> None:
    """One limit would have to be written in two ways."""
    for text in ("3/min burst 20", {"per_minute": 3, "burst": 20}):
        provider = keyturn.plugins.provider_from_data(
            {"token_url": "https://acme.example/token", "rate_limit": text}, name="acme"
        )
        assert provider.rate_limit == keyturn.plugins.RateLimit(3, 20)


SYNTAX: list[tuple[bytes, str]] = [
    (b"title = acme\n", "is not TOML: line 1, column 9: Invalid value: a string needs quotes"),
    (b"a = 1\ntitle: 'acme'\n", "line 2, column 6: Expected '=' after a key in a key/value pair"),
    (b"a = 1\n\na = 2\n", "line 3, column 6: Cannot overwrite a value: each name is allowed once"),
    (b"[settings.a]\n[settings.a]\n", "line 2, column 12: Cannot declare settings.a twice"),
    (b"title = 'acme", 'is not TOML: the end, line 1: Expected "\'"'),
    (b"a = { b = 1,\n c = 2 }\n", "line 1"),
    (b'a = "C:\\acme"\n', "Unescaped '\\' in a string: write a backslash twice"),
    (b"a = True\n", "true and false do not"),
    ("# é\ntitle = 'é'\n".encode("latin-1"), "is not UTF-8: line 1 has another encoding"),
    ("title = 'x'\n".encode("utf-16"), "is not UTF-8: line 1 has another encoding"),
]


@pytest.mark.parametrize(("content", "words"), SYNTAX)
def test_file_that_is_no_toml_is_reported_with_the_line(
    tmp_path: Any, content: bytes, words: str
) -> None:
    """An author would have to search the whole file."""
    path = tmp_path / "acme.toml"
    path.write_bytes(content)
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.plugins.provider_from_file(path)

    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_error_code_unlike_any_code_of_oauth_is_accepted() -> None:
    """A platform's own code would be refused, or get a suggestion with another meaning."""
    codes = {"E1": "zzzzz"}
    provider = keyturn.plugins.provider_from_data(
        {"name": "acme", "token_url": "https://acme.example/token", "error_codes": codes}
    )

    assert provider.error_codes == codes


NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("place", "written"),
    [
        ("parameters", {"a": "{}"}),
        ("token_headers", {"X-A": "Bearer {}"}),
        ("api_query", {"a": "{}"}),
        ("body", "{}"),
        ("authorization_value", "Token {}"),
    ],
)
def test_what_looks_like_a_secret_is_refused_and_not_shown(place: str, written: Any) -> None:
    """A secret would be published with the description, or stand in the log of its author."""
    secret = "Made0Up1Made2Up3Made4Up5Made6Up"
    name = next(iter(written)) if isinstance(written, dict) else ""
    value = {name: written[name].format(secret)} if name else written.format(secret)
    data = {"name": "acme", "token_url": "https://acme.example/token", place: value}
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.plugins.provider_from_data(data | {"content_type": "text/plain"})

    assert "looks like a secret" in str(caught.value) or place == "authorization_value"
    assert secret not in str(caught.value)


def test_what_everybody_may_know_is_no_secret() -> None:
    """A description could not be written that sends a certificate, an identifier or a version."""
    keyturn.plugins.provider_from_data(
        {
            "name": "acme",
            "token_url": "https://acme.example/v1/session/:create",
            "client_authentication": "private_key_jwt",
            "assertion_headers": {"x5c": ["MIIBMade0Up1Made2Up3Made4Up5Made6Up"]},
            "parameters": {
                "resource": "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d",
                "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "version": "2027-01-01",
                "price": "$7",
                "note": "total({client_id})",
                "mode": "application_only_access_2027",
            },
        }
    )


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
    """A token would count as valid for a year, and be sent long after its expiry."""
    response = keyturn.plugins.Response(status=200, headers={}, body=b"", sent_at=NOW)
    with pytest.raises(errors.InvalidTokenResponse) as caught:
        lifetime_of(value, form, "expires_at", response, None)

    assert f'It is a time near now with lifetime_format "{right}".' in str(caught.value)


def further_mistakes() -> dict[str, tuple[str, str]]:
    """Return the descriptions in the text file, each with its location and words of its message."""
    blocks = Path(__file__).with_name("description_mistakes.txt").read_text(encoding="utf-8")
    found: dict[str, tuple[str, str]] = {}
    for block in blocks.strip().split("\n\n"):
        head, _, text = block.partition("\n")
        place, _, words = head.partition(" | ")
        found[text] = place, words
    return found


def test_mistakes_of_other_tools_words_and_spellings_are_reported() -> None:
    """An author who uses another tool's words would have to guess, or get a server error."""
    wrong: list[str] = []
    for text, (place, words) in further_mistakes().items():
        try:
            keyturn.plugins.provider_from_data(tomllib.loads(text), name="acme")
        except errors.ConfigurationError as error:
            found = error.problems
            if [each.path for each in found] != [place] or words not in found[0].message:
                wrong.append(f"{text}\n{[*map(str, found)]}")
        else:
            wrong.append(f"{text}\nis accepted")

    assert not wrong, "\n\n".join(wrong)


RIGHT = [
    'grant_type = "refresh_token"\nparameters = { refresh_token = "{client_secret}" }',
    'grant_type = "client_credential"',
    'token_headers = { Content-Type = "application/json" }\nbody_format = "json"',
    'token_headers = { Content-Type = "application/json" }\ngrant_type = ""',
    'authorization_value = "Token {token}"\nauthorization_scheme = "Bearer"',
    'token_field = "response.access_token"\nlifetime_field = "response.expires_in"',
    'lifetime_field = "expires_at"\nlifetime_format = "seconds"',
    'lifetime_field = "expires"',
    'parameters = { a = "org.acme.shop", b = "{shop}" }\n[settings.shop]\ntitle = "Shop"',
    'token_field = "payload.token"\nlifetime_field = "expires_in"',
    'token_field = "id_token"\nlifetime_format = "jwt"\nlifetime_field = "id_token"',
    'query = { "a&b" = "c d" }\nparameters = { kind = "client_id", mode = "100%" }',
    'body_format = "json"\nparameters = { url = "https%3A%2F%2Facme.example", note = " x " }',
    'authorization_value = "Key {x}"\n[values.x]\ntemplate = "{token}:"\nencoding = "base64"',
    (
        'parameters = { a = "{previous.payload.id}", b = "{previous.id_token}" }\n'
        '[previous]\ntoken_url = "https://acme.example/login"\ntoken_field = "id_token"'
    ),
    'token_field = "response.access_token"\nmissing_lifetime = 3600',
    'response_format = "xml"\ntoken_field = "session.@token"',
    'content_type = "text/xml"\nbody = "<a>{client_id}</a>"',
    'parameters = { kind = "{{value}}", what = "client_id" }',
    (
        'content_type = "application/json"\nbody = \'{{"id": "{client_id}", "at": {now}}}\'\n'
        '[values.now]\ntime = "epoch"'
    ),
    'client_authentication = "client_secret_basic"\ncredentials = "public"\nclient_id_name = "id"',
    'method = "GET"\ntoken_headers = { Content-Type = "application/json" }',
    'credentials = "none"\nparameters = { client_id = "acme-public" }',
    'client_authentication = "client_secret_basic"\nparameters = { client_id = "{client_id}" }',
    'settings.client_secret.title = "API secret"\nsettings.client_id.title = "API key"',
    'settings.scope.default = ["read"]',
    'authorization_value = "{token.session}"\napi_query = { account = "{token.accountID}" }',
    'api_headers = { x-account = "{token.account_id}", x-user = "{token.user.id}" }',
    'parameters.a = "{x}"\n[values.x]\ntemplate = "{client_id} || {client_secret}"',
    'parameters.a = "{client_id}||{b}"\nsettings.b = {}',
    'parameters.a = "{initial_password}"\nsettings.initial_password.kind = "text"',
    'parameters.a = "{secret_name}"\nsettings.secret_name = {}',
]


@pytest.mark.parametrize("text", RIGHT)
def test_valid_description_that_resembles_a_mistake_is_accepted(text: str) -> None:
    """A platform that needs exactly this could not be described."""
    provider = keyturn.plugins.provider_from_data(tomllib.loads(URL + text), name="acme")

    assert provider.name == "acme"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bse.toml", "Did you mean base.toml?"),
        ("base.yaml", "Did you mean base.toml?"),
        ("./base", "Did you mean ./base.toml?"),
        ("https://acme.example/base.toml", "must be a local file"),
        ("none/base.toml", "can't be read"),
    ],
)
def test_misspelt_base_is_found(tmp_path: Path, name: str, words: str) -> None:
    """An author would have to find the typo by comparing the names of two files."""
    (tmp_path / "base.toml").write_text(URL)
    path = tmp_path / "acme.toml"
    path.write_text(f'extends = "{name}"')
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.plugins.provider_from_file(path)

    assert words in str(caught.value)


def test_inherited_data_are_not_reported_as_a_mistake(tmp_path: Path) -> None:
    """A description that needs less than the one it extends would be refused."""
    (tmp_path / "base.toml").write_text(
        URL
        + 'authorization_scheme = "Token"\nparameters = { a = "{x}" }\n'
        + '[values.x]\ntemplate = "{client_id}"'
    )
    path = tmp_path / "acme.toml"
    path.write_text('extends = "base.toml"\nauthorization_query = "key"\nparameters.a = "b"')

    assert keyturn.plugins.provider_from_file(path).authorization_query == "key"
