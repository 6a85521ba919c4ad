"""Public suffixes: domains below which anyone can register a host (https://publicsuffix.org)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


# Private domains of the list where anyone can publish programs or pages.
_HOSTING = frozenset(
    {
        *("vercel.app", "herokuapp.com", "github.io", "gitlab.io", "pages.dev", "workers.dev"),
        *("netlify.app", "web.app", "firebaseapp.com", "appspot.com", "run.app", "fly.dev"),
        *("azurewebsites.net", "azurestaticapps.net", "azureedge.net", "cloudapp.net"),
        *("s3.amazonaws.com", "elasticbeanstalk.com", "cloudfront.net", "amplifyapp.com"),
        *("onrender.com", "up.railway.app", "deno.dev", "ngrok.io", "ngrok.app", "ngrok-free.app"),
        *("blogspot.com", "surge.sh", "glitch.me", "repl.co", "replit.app", "r2.dev"),
    }
)


def is_shared(domain: str, own_host: str = "") -> bool:
    """Return whether hosts of many owners lie below a domain.

    Args:
        domain: The domain.
        own_host: A host of the platform; a company's suffix above it belongs to the platform.
    """
    if "." not in domain and domain not in {own_host, "localhost"}:
        return True  # a top-level domain, which belongs to no single organisation
    if _suffixes(only_icann=True).is_public(domain) or domain in _HOSTING:
        return True
    is_own = own_host == domain or own_host.endswith(f".{domain}")
    return not is_own and bool(_suffixes(only_icann=False).is_public(domain))


def registered_domain(host: str) -> str:
    """Return the domain that the owner of a host has registered."""
    found: str | None = _suffixes(only_icann=True).privatesuffix(host)
    return found or ".".join(host.split(".")[-2:])


@functools.cache
def _suffixes(*, only_icann: bool) -> PublicSuffixList:
    from publicsuffixlist import PSLFILE, PublicSuffixList  # reading its list takes 20 ms

    listed = Path(PSLFILE).read_text("utf-8")
    if only_icann:
        listed = listed.partition("// ===END ICANN DOMAINS===")[0]
    names = [line for line in listed.splitlines() if line and not line.startswith("//")]
    # The library would encode every line, which takes most of the time.
    encoded = [name.encode("idna").decode() for name in names if not name.isascii()]
    return PublicSuffixList(
        "\n".join(names + encoded), accept_unknown=False, accept_encoded_idn=False
    )
