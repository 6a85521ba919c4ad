"""Words of other tools and languages, and the words with the same meaning in descriptions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keyturn._common.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# Names of values that are new in each request, and of values that are its time.
RANDOM_WORDS = {"uuid4", "guid", "nonce", "random", "random_id", "request_id", "jti"} | {
    "random_uuid",
    "randomuuid",
}
TIME_WORDS = {"timestamp", "now", "time", "date", "datetime", "current_time"} | {
    "unix_timestamp",
    "iso_timestamp",
}
# Keys of a description, with their names in other tools.
_KEYS = {
    "token_url": "token_refresh_endpoint token_endpoint token_uri access_token_url"
    " access_token_uri auth_url authorize_url"
    " oauth_url token_address url endpoint",
    "api_url": "servers server_url host_url base_url api_base_url api_base api_endpoint api_uri"
    " resource_server audience_url"
    " api_address",
    "revocation_url": "revocation_endpoint revoke_url revocation_uri",
    "client_authentication": "encode_client_credentials_in_body client_auth_method"
    " token_endpoint_auth_method"
    " auth_method auth_style"
    " auth_type authentication client_auth client_authentication_method auth_scheme"
    " client_auth_type token_endpoint_auth_style token_request_auth_method",
    "parameters": "refresh_request_body token_request_params request_params params extra_params"
    " extra_parameters token_params endpoint_params"
    " additional_parameters body_parameters data form_data token_parameters payload",
    "body": "body_template raw_body request_body xml_body raw",
    "query": "query_parameters query_params url_parameters url_params token_query query_string",
    "content_type": "body_content_type request_content_type mime_type",
    "response_format": "response_type response_body_format accept",
    "values": "value computed computed_values derived",
    "previous": "step steps step1 first_step login login_step previous_step before",
    "discovery": "open_id_connect_url openid_connect_url well_known discovery_url"
    " openid_configuration metadata metadata_url issuer",
    "authorization_value": "authorization_template authorization_header_value header_value"
    " header_template auth_value",
    "authorization_query": "token_query_parameter query_parameter token_parameter token_param"
    " authorization_parameter",
    "api_query": "api_parameters api_params api_query_parameters api_query_params",
    "rejected_status": "invalid_token_status unauthorized_status expired_status retry_status",
    "rejected_codes": "invalid_token_codes expired_codes token_error_codes",
    "rejected_field": "rejected_code_field rejected_codes_field",
    "token_headers": "refresh_request_headers headers token_request_headers request_headers"
    " extra_headers http_headers",
    "api_headers": "extra_api_headers default_headers",
    "lifetime_field": "expires_in_name response_expires_in expires_in_field expires_field"
    " expires_in"
    " expiration_field expiry_field"
    " ttl_field expires_at_field expires_in_path lifetime_path",
    "lifetime_format": "token_expiry_is_time_of_expiration expires_in_format expiry_format"
    " expires_format token_expiry_date_format"
    " expiration_format expires_in_unit expiry_unit expiration_unit lifetime_unit",
    "lifetime_timezone": "expires_timezone expiry_timezone expiry_time_zone lifetime_tz",
    "missing_lifetime": "default_lifetime lifetime default_expires_in token_lifetime ttl"
    " default_ttl expires_in_seconds token_expires_in",
    "token_field": "response_access_token access_token_field token_path access_token_name"
    " access_token_path token_name"
    " token_key access_token_key",
    "token_header": "response_token_header token_response_header",
    "token_type": "access_token_type",
    "error_field": "error_path error_code_field error_key error_code_path",
    "error_description_field": "error_message_field error_message_path message_field",
    "error_codes": "errors error_map error_mapping",
    "scope_name": "scope_param scope_parameter scope_field scope_key scopes_name",
    "scope_separator": "scope_delimiter scope_delim scopes_separator",
    "client_id_name": "client_id_field client_id_param client_id_parameter client_id_key",
    "client_secret_name": "client_secret_field client_secret_param client_secret_parameter"
    " client_secret_key",
    "grant_type": "grant flow oauth_flow",
    "method": "http_method request_method verb token_method",
    "body_format": "format request_format body_type encoding body_encoding request_body_format",
    "success_codes": "success_code ok_codes success_values ok_code no_error_codes",
    "token_status": "status success_status expected_status status_code",
    "media_types": "media_type response_content_type accept_content_types content_types",
    "rate_limit": "rate limit limits ratelimit throttle quota",
    "authorization_header": "token_location add_token_to auth_header header header_name"
    " authorization_header_name",
    "authorization_scheme": "auth_prefix header_prefix token_prefix scheme authorization_prefix"
    " header_scheme prefix authorization_type",
    "api_domains": "domains allowed_domains api_hosts allowed_hosts",
    "assertion_audience": "audience_claim token_audience jwt_audience assertion_aud",
    "assertion_headers": "jwt_headers jwt_header assertion_header jose_header",
    "assertion_claims": "claims jwt_claims additional_claims",
    "assertion_algorithm": "algorithm signing_algorithm jwt_algorithm alg signing_alg",
    "assertion_lifetime": "jwt_lifetime assertion_expiry jwt_expiration",
    "max_margin": "margin expiry_delta refresh_margin leeway",
    "settings": "setting fields inputs properties variables config options connection_settings"
    " connection_config connection_params connection_parameters",
    "title": "display_name label",
    "name": "id provider_name slug",
    "extends": "extend base inherits inherit from parent include",
    "credentials": "credential required_credentials",
}  # fmt: skip
# Of a value, and of discovery.
_INNER_KEYS = {
    "template": "value text string content from source input",
    "encoding": "encode encoded_as",
    "digest": "hash algorithm hash_algorithm alg hashing",
    "hmac_key": "key secret hmac_secret hmac secret_key",
    "signing_key": "private_key rsa_key sign_key signature_key rsa",
    "time": "timestamp date now format time_format",
    "offset": "delta plus shift",
    "timezone": "tz zone time_zone",
    "url": "issuer uri address endpoint document href well_known",
    "lifetime": "ttl cache max_age cache_lifetime expires",
    "domains": "hosts allowed_domains api_domains allowed_hosts",
}
_SETTING_KEYS = {
    "kind": "type datatype data_type format_type",
    "title": "name label display_name caption",
    "description": "help hint doc docs documentation comment placeholder example info",
    "default": "value default_value fallback",
    "choices": "enum options values allowed allowed_values one_of oneof",
    "pattern": "regex regexp validation validate",
    "min": "minimum min_value least",
    "max": "maximum max_value most",
    "min_length": "minimum_length",
    "max_length": "maximum_length",
}
_KINDS = {
    "text": "string str char varchar plain textarea text_area multiline object json date_time",
    "secret": "password passwd token key api_key apikey credential sensitive hidden",
    "choice": "enum select option options dropdown radio bool boolean flag checkbox",
    "integer": "int numeric number numeric long float",
    "url": "uri link address href https endpoint base_url",
    "domain": "host hostname fqdn domain_name",
    "label": "subdomain tenant slug region identifier",
    "file": "path filename certificate file_path",
    "scope": "scopes list array strings string_list multiselect",
}
_VALUES: dict[str, dict[str, str]] = {
    "client_authentication": {
        "client_secret_basic": "basic header http_basic basic_auth authorization_header in_header",
        "client_secret_post": "post body form request_body params in_body in_params secret_post",
        "private_key_jwt": "jwt assertion private_key jwt_bearer client_assertion key signed_jwt",
        "client_secret_jwt": "secret_jwt hmac_jwt hs256 symmetric_jwt",
        "tls_client_auth": "mtls tls certificate mutual_tls self_signed_tls_client_auth",
        "client_secret_headers": "headers custom_headers custom_header",
        "client_secret_basic_raw": "raw basic_raw raw_basic",
    },
    "body_format": {
        "form": "urlencode urlencoded form_urlencoded x_www_form_urlencoded form_data formdata"
        " application_x_www_form_urlencoded",
        "json": "application_json raw_json",
        "query": "url querystring query_string params none",
    },
    "credentials": {
        "client_secret": "secret confidential basic client_credentials client_id_client_secret",
        "public": "optional",
        "private_key": "key jwt",
        "certificate": "cert mtls tls",
        "none": "no false",
    },
    "lifetime_format": {
        "seconds": "s sec secs second expires_in relative int",
        "milliseconds": "ms millis millisecond msec",
        "epoch": "unix timestamp unix_timestamp epoch_seconds unixtime unix_time",
        "epoch_milliseconds": "epoch_ms epoch_millis unix_ms timestamp_ms unix_milliseconds",
        "date": "iso iso8601 iso_8601 rfc3339 rfc_3339 datetime date_time utc",
        "http_date": "rfc1123 rfc_1123 rfc7231 httpdate",
        "decimal": "float number",
        "minutes": "min mins minute",
        "duration": "iso_duration interval timespan",
        "jwt": "exp jwt_exp",
    },
    "response_format": {
        "json": "application_json raw_json",
        "xml": "application_xml text_xml soap",
        "form": "urlencoded form_urlencoded querystring application_x_www_form_urlencoded",
    },
    "content_type": {
        "application/json": "json",
        "application/xml": "xml",
        "text/xml": "soap",
        "text/plain": "text plain",
        "application/x-www-form-urlencoded": "form urlencoded form_urlencoded",
    },
    "encoding": {
        "base64": "b64 base_64 basic",
        "base64url": "b64url base64_urlsafe urlsafe",
        "hex": "hexadecimal base16 hexdigest hex_lower",
        "url": "urlencode url_encode percent percent_encoding uri",
    },
    "digest": {"sha256": "hs256 sha2 sha_2", "sha512": "hs512"},
    "time": {
        "epoch": "unix timestamp unix_timestamp seconds now unix_time",
        "epoch_milliseconds": "ms millis milliseconds timestamp_ms unix_ms epoch_ms epoch_millis",
        "rfc3339": "iso iso8601 iso_8601 utc date datetime",
        "http_date": "rfc1123 rfc7231 http",
    },
    "format": {
        "email": "e_mail mail email_address",
        "uri": "url link",
        "hostname": "domain fqdn host",
        "uuid": "guid uuid4",
        "date": "iso_date day",
    },
    "scope_format": {"array": "list json_array array_of_strings",
                     "string": "str text space_separated",
                     "ignored": "ignore none"},
    "response_encoding": {"utf-8": "utf8", "iso-8859-1": "latin1 latin_1 iso8859_1",
                          "utf-8-sig": "bom utf8_bom", "utf-16": "utf16"},
}  # fmt: skip

CONTENT_TYPES = (*_VALUES["content_type"],)


def snake(name: str) -> str:
    """Return a name in lower case, with single underscores between its words."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+", "_", name)
    return re.sub(r"_+", "_", spaced).strip("_").lower()


def key_for(name: str, known: Collection[str], *, of_setting: bool = False) -> str:
    """Return the known key that a key means, or an empty string."""
    return _word(name, known, _SETTING_KEYS if of_setting else _KEYS)


def inner_key(name: str, known: Collection[str]) -> str:
    """Return the key of a value or of discovery that a key means, or an empty string."""
    return _word(name, known, _INNER_KEYS)


def kind_for(name: str, known: Collection[str]) -> str:
    """Return the kind of a setting that a word of another tool means, or an empty string."""
    return _word(name, known, _KINDS)


def value_for(datum: str, value: str, known: Collection[str]) -> str:
    """Return the known value of a datum that a value means, or an empty string."""
    return _word(value, known, _VALUES.get(datum, {}), 0.82)


def _word(
    name: str, known: Collection[str], words: Mapping[str, str], similarity: float = 0.7
) -> str:
    plain = snake(name)
    by_plain = {snake(each): each for each in known}
    by_plain |= {
        word: each for each, others in words.items() if each in known for word in others.split()
    }
    if plain in by_plain:
        return by_plain[plain]
    near = did_you_mean(name, known, similarity=similarity)
    return near.removeprefix(" Did you mean ").removesuffix("?")
