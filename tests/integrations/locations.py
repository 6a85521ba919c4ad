"""Values of a redirect's `Location`: those that URL parsers disagree on, and valid ones."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.integrations.walkers import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUSES = (300, 301, 302, 303, 304, 305, 306, 307, 308)
SCHEMES = (
    *(
        "http:",
        "http:",
        "http:",
        "",
        "",
        "https:",
        "HTTP:",
        "hTTp:",
        "ht\ttp:",
        " http:",
        "\thttp:",
    ),
    *(
        "http:http:",
        "ftp:",
        "ws:",
        "file:",
        "javascript:",
        "data:",
        "http\\:",
        "http%3a",
        "\x01http:",
    ),
)
SLASHES = (
    *(
        "//",
        "//",
        "//",
        "",
        "/",
        "///",
        "////",
        "/////",
        "\\\\",
        "/\\",
        "\\/",
        "//\\",
        "/\t/",
        "/%2f",
    ),
    *("%2f%2f", "//@", "//:@", "/.//", "/..//", "// ", "//\x00", "\uff0f\uff0f"),
)
# `{home}` is the API's host and port, `{name}` the host, `{port}` the port.
HOSTS = (
    *("{home}", "{home}", "{home}", "{name}", "{name}.:{port}", "{NAME}:{port}", "{home}0"),
    *(
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1:{port}",
        "127.0.0.2:{port}",
        "127.1:{port}",
    ),
    *("0x7f.1:{port}", "2130706433:{port}", "0177.0.0.1:{port}", "[::1]:{port}", "[::1%lo]:{port}"),
    *("[::1%25lo]:{port}", "[::ffff:127.0.0.1]:{port}", "[evil.example]:{port}", "[", "]", "[]"),
    *("evil.example\\@{home}", "{home}@evil.example", "{home}:x@evil.example", "user@{home}"),
    *("user:pw@{home}", "evil.example@{home}", "@{home}", ":@{home}", "a@b@{home}", "{home}@"),
    *(
        "{home}#@evil.example",
        "{home}?@evil.example",
        "{home}/@evil.example",
        "{home};@evil.example",
    ),
    *(
        "{home}\\@evil.example",
        "{home}%40evil.example",
        "{home}%23@evil.example",
        "{name}%2eevil.example",
    ),
    *(
        "{home}%00.evil.example",
        "{name}\x00.evil.example",
        "{home} evil.example",
        "{home}\tevil.example",
    ),
    *(
        "{name}.evil.example:{port}",
        "evil{name}:{port}",
        "{name}\u3002evil.example",
        "{wide}:{port}",
    ),
    *(
        "{name}\xad:{port}",
        "{name}\u200b:{port}",
        "%6c{tail}:{port}",
        "xn--{name}:{port}",
        "b\xfccher.example",
    ),
    *(
        "{name}:0{port}",
        "{name}:+{port}",
        "{name}: {port}",
        "{name}:{port}x",
        "{name}:99999",
        "{name}:-1",
    ),
    *(
        "{name}:",
        "{name}:80",
        "{name}:443",
        "{name}:8080",
        "{name}:{port}:{port}",
        "{name}\uff1a{port}",
    ),
)
TAILS = (
    *(
        "",
        "",
        "/",
        "/x",
        "/x?y=1",
        "?x",
        "#x",
        "\\x",
        "\\@evil.example",
        "@evil.example/",
        ".evil.example",
    ),
    *(
        "/../x",
        "/%2e%2e//evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        " ",
        "\t",
    ),
    *("/\x7f", "/\xe9", "/\u20ac", "/%", "/%zz", ";x", "&", "/" + "a" * 300),
)
PIECES = (*SCHEMES, *SLASHES, *HOSTS, *TAILS, ".", "..", "\xa0", "\x0b", "\x85")
ALWAYS = (
    *(
        "////{evil}/x",
        "///{evil}",
        "ht\ttp://{evil}/x",
        "\\\\{evil}\\x",
        "/\\{evil}",
        "//{evil}",
        "http:{evil}",
    ),
    *(
        "http:/{evil}",
        "http:\\\\{evil}",
        "HtTp://{evil}",
        "http://{home}@{evil}",
        "http://{evil}#@{home}",
    ),
    *(
        "http://{evil}\\@{home}",
        "http://{home}\\@{evil}",
        "http://{home}",
        "http://{home}/x",
        "/x",
        "x",
        "?x",
    ),
    *(
        "//{home}/x",
        "http:/x",
        "http:x",
        "HTTP://{HOME}/x",
        "https://{home}/x",
        "http://{home}#x",
        "#x",
        "",
    ),
)


def steps(seed: int, count: int, home: str) -> Iterator[list[Step]]:
    """Yield sequences of responses that redirect, each in its order.

    Args:
        seed: The same seed yields the same sequences.
        count: How many to yield.
        home: The API's host and port.
    """
    source = random.Random(seed)  # noqa: S311 - no secret
    name, _, port = home.partition(":")
    words = {
        "home": home,
        "HOME": home.upper(),
        "evil": "evil.example:1",
        "name": name,
        "NAME": name.upper(),
        "wide": "".join(chr(ord(each) + 0xFEE0) for each in name),
        "tail": name[1:],
        "port": port,
    }
    for number in range(count):
        templates = [_template(source) for _ in range(source.choice((1, 1, 2, 3)))]
        if number < len(ALWAYS):
            templates = [ALWAYS[number]]
        yield [
            Step(
                source.choice(STATUSES if source.random() < 0.3 else (301, 302, 303, 307, 308)),
                # No client accepts these three in a header.
                template.format_map(words).translate({13: None, 10: None, 0: None}),
                source.choice(("Location",) * 12 + ("URI", "Refresh", "Content-Location")),
            )
            for template in templates
        ]


def _template(source: random.Random) -> str:
    if source.random() < 0.15:
        return "".join(source.choices(PIECES, k=source.randint(1, 6)))
    if source.random() < 0.3:
        return "http://{home}" + source.choice(TAILS)
    return "".join(map(source.choice, (SCHEMES, SLASHES, HOSTS, TAILS)))
