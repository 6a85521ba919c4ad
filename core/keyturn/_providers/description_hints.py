"""Advice that is not one known word: on values, separators and unknown keys."""

from __future__ import annotations

import re

# Names of secrets.
SECRET_NAME = re.compile(r"(?:.*_)?(?:password|passwd|secret|api_?key|private_key|passphrase)")
_EMPTY = ("none|null|n/a|false", '""')
_PLAIN = 'token_field = "" if the whole body is the token, with media_types for its content type'
# What to write in place of values of a datum that belong to another datum.
ADVICE: dict[str, tuple[tuple[str, str], ...]] = {
    "token_type": (_EMPTY, (r"any|\*", '""'), ("true", '"Bearer"')),
    "authorization_scheme": (
        _EMPTY,
        (r"token token=", 'authorization_value = "Token token={token}"'),
    ),
    "authorization_header": (
        (r"\w+ +[{<$].*", 'that as authorization_value, such as "Bearer {token}"'),
        ("", 'authorization_query = "access_token" for one in the query'),
    ),
    "api_url_field": (("https?:.*", "that as api_url instead"),),
    "scope_name": (_EMPTY,),
    "grant_type": (_EMPTY,),
    "client_id_name": (_EMPTY,),
    "client_secret_name": (_EMPTY,),
    "token_field": (_EMPTY, (r"\$|\*|\.|@", '""')),
    "lifetime_field": (
        _EMPTY,
        (r".*\* *60", 'the path alone, and lifetime_format = "minutes"'),
        (r".*/ *1000", 'the path alone, and lifetime_format = "milliseconds"'),
        ("[0-9]+", 'that as missing_lifetime, and lifetime_field = ""'),
    ),
    "response_format": (
        ("text|plain|text/plain|jwt|string|raw|body", _PLAIN),
        (".*ya?ml|.*html|.*csv|.*protobuf", f"one of these: no other can be read; {_PLAIN}"),
    ),
    "scope_format": (("csv|comma.*", '"string", with scope_separator = ","'),),
    "scope_separator": (("", "nothing: the default is a space"),),
    "body_format": (
        (".*xml|soap|text|raw|body|text/plain", "body and content_type instead"),
        ("header|headers", 'client_authentication = "client_secret_headers" instead'),
        ("multipart.*", '"form": keyturn sends no multipart'),
    ),
    "client_authentication": (
        (r"basic\W.*", '"client_secret_basic"'),
        ("none|public", 'credentials = "none", or "public" for a secret that may be absent'),
        ("(?:client_secret_)?query|url|querystring", 'body_format = "query" instead'),
        ("bearer|api.?key|token|custom", "a value of token_headers that names a setting instead"),
        ("oauth1.*|digest|ntlm|hawk|aws.*", "one of these: keyturn supports no other"),
    ),
    "method": ((r"\W*(?:delete|head|options).*", '"POST", or "GET"'),),
    "missing_lifetime": (
        ("never|forever|unlimited|infinit[ey]|inf|.*Infinity.*|NaN|0|0.0", "86400, for a day"),
        (r"(?:true|false|none|null|default)|-.*", "the seconds to assume, such as 3600"),
    ),
    "lifetime_timezone": (("[+-]?[0-9.]+", 'a name such as "Asia/Seoul"'),),
    "max_margin": (("never|none|NaN|0|0.0|-.*", "the seconds, such as 60, or nothing"),),
    "lifetime_format": (
        (
            r"2006-01-02T15:04:05.*",
            '"date"',
        ),
        (
            "h|hours?|hrs?|days?",
            '"duration" if the unit is sent too: hours alone are not supported',
        ),
        ("rfc.?2822|rfc.?822", '"http_date"'),
        ("str|string|text", '"decimal"'),
        ("int|integer|number|expires_in", '"seconds"'),
        ("absolute|expires_at|expiry", '"epoch", or "date"'),
        (
            "ns|nano.*|us|micro.*",
            '"epoch_milliseconds", or "milliseconds": keyturn reads no smaller unit',
        ),
    ),
    "response_encoding": (
        ("windows.?125.|cp125.|ansi", '"iso-8859-1"'),
        ("us.?ascii|ascii", '"utf-8"'),
        ("gzip|deflate|br|identity", "nothing: keyturn asks for no compression"),
    ),
    "assertion_algorithm": (("none", '"RS256"'),),
    "error_field": (("", '"error", or nothing'),),
    "error_description_field": (("", '"error_description", or nothing'),),
    "token_status": (("ok|success|true|2xx", "200"), (r"\[\]", "200"), ("[345][0-9]{2}", "200")),
    "rejected_status": (
        (r"\[?[123][0-9]{2}\]?", "rejected_codes, if the body has an error code"),
        (r"\[\]", "401"),
    ),
    "name": (("", "a name such as acme"),),
}
_ENVIRONMENT = "(?:sandbox|test|staging|prod|production|live|dev|uat)"
# What to say about keys that are not the name of a datum; `{key}` is the key.
UNKNOWN = (
    (
        "scopes",
        (
            "A scope is a setting of each connection. A scope for all of them is its default: "
            '[settings.scope] kind = "scope", title = "Scope", default = …'
        ),
    ),
    ("providers?|connections?", "Write its keys at the top of the file, without [{key}]."),
    (
        (
            "timeout|retry|retries|max_retries|store|cache|margin|policy|wait|verify|verify_ssl"
            "|ssl|tls_verify|ssl_verify|verify_tls|enabled|disabled|proxy|proxies|user_agent|tls|ca_bundle"
        ),
        "It is an option of each connection or of its environment, not of a provider: remove it.",
    ),
    (
        (
            "redirect_ur[il]|authorization_(?:url|endpoint)|refresh_url|pkce|code_verifier|state"
            "|callback|use_browser|callback_url|refresh_token_url"
        ),
        "It belongs to a grant with a user, which keyturn does not support: remove it.",
    ),
    (
        (
            "schema|comment|version|icon|homepage|logo|website|url|tags|labels|status|support|docs|doc|documentation|documentation_url|description"
            "|category|author|example|examples|notes|help"
        ),
        "Nothing reads it: remove it, or write it as a comment, # …",
    ),
    (
        "default_scopes?|scopes_default|required_scopes",
        'The scope is a setting: write settings.scope.default = "…".',
    ),
    (r"(?:\w+_)?(?:script|webhook|pagination|paginate)s?(?:_\w+)?", "Nothing reads it: remove it."),
    (
        "type|auth_flow|auth_mode|in",
        "All providers use OAuth: remove it, or see client_authentication.",
    ),
    ("bearer_format", "Nothing depends on it: remove it."),
    ("audience|resource|tenant|organi[sz]ation|account_id|realm",
     'If the token request has it, write parameters = {{ {key} = "…" }}.'),
    ("domain|host|hostname|subdomain|region",
     'Describe it: [settings.{key}] title = "…", and write {{{key}}} in token_url.'),
    ("client", "Did you mean credentials?"),
    (
        rf"environments?|(?:\w+_)?{_ENVIRONMENT}(?:_\w+)?_url|(?:\w+_)?url_{_ENVIRONMENT}",
        (
            'Write token_url = "{{environment}}/…", and [settings.environment] '
            'title = "Environment", choices = {{ … = "https://…" }}.'
        ),
    ),
)  # fmt: skip
# What to write for a message, whatever the datum is.
GENERAL = (
    ("is not a template", "write {{name}} for a setting, and {{{{ and }}}} for braces"),
    ("needs body_format json", 'write body_format = "json", or a string'),
    ("can't be json with method GET", "remove it"),
    ("which only a body can have", "write a string"),
    ("must be a table", 'write {{ name = "…" }}'),
    ("must be a string|must be one line", "write it in quotes, in one line"),
    ("is set by the HTTP client|carries the token", "remove it"),
    ("must have visible ASCII", "write it in one line, in ASCII"),
    ("interpret differently", "write classes such as [A-Z], [0-9] or [ ]"),
    (
        "is not a valid regular expression",
        "write a backslash before each literal special character",
    ),
    ("is for the kind (\\w+)", 'remove it, or write kind = "{found}"'),
    ("which that setting does not have", "write a name of its choices, such as {{region[api]}}"),
    ("can't be the name of a setting", "write another name, such as {last}_value"),
    ("must match the pattern|must be -?[0-9]+ or", "write another, or change the pattern or bound"),
    ("must be from", "write a number of this range"),
    ("is not valid JSON", "write the body as keyturn must send it, with doubled braces"),
    ("is not valid XML", "write the body as keyturn must send it, with each element closed"),
    ("'alg' can't be", "write assertion_algorithm instead"),
    ("can't be alg, b64", "remove it"),
    ("is not an error code", "write one, such as invalid_client"),
    ("is for lifetime_format", "write that too, or remove it"),
    (
        "the same for all requests",
        'name a value made of it: [values.id] template = "{{uuid}}"',
    ),
    ("is made of the request", "write it in token_headers or api_headers"),
    ("is made of the token", "write it in api_headers or api_query"),
    ("needs the setting", "remove credentials: it follows from client_authentication"),
    ("must be absent if", "remove it"),
    ("must not be empty", "write it, or remove the line"),
    ("must be \\S+, which the provider is registered as", "remove it, or rename one of the two"),
    ("is for a whole parameter", "write it alone"),
    ("above those|those above it", "write it below these"),
    ("must be one of|must be an? |must be ", "write another"),
)
# Words for separators and other short strings.
SEPARATORS = {"comma": ",", "space": " ", "plus": "+", "semicolon": ";", "pipe": "|"}
