"""Configurations and secrets as Kubernetes mounts them: links, a group, atomic replacement."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn import _config as config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer

CONFIG = """
[connections.shop]
provider = "commercelayer"
kind = "integration"
store = "memory://"
token_url = "{url}"
client_id = "cid"
client_secret = {secret}
"""
OTHER = 54_322
# (mode, whether another user owns the file, whether this user is in its group, accepted)
FILES = [
    (0o440, True, True, True),
    (0o640, True, True, True),
    (0o440, False, True, True),
    (0o400, False, True, True),
    (0o600, False, False, True),
    (0o440, True, False, False),
    (0o440, False, False, False),
    (0o640, False, True, False),
    (0o460, True, True, False),
    (0o450, True, True, False),
    (0o444, True, True, False),
    (0o441, True, True, False),
    (0o400, True, True, False),
]


def mount(directory: Path, version: int, **files: str) -> None:
    """Write files as Kubernetes' AtomicWriter does, and switch their links at once."""
    data = directory / f"..2026_11_26_0{version}"
    data.mkdir(parents=True)
    for name, content in files.items():
        (data / name).write_text(content, encoding="utf-8")
        (data / name).chmod(0o400)
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    (directory / "..data_tmp").symlink_to(data.name)
    (directory / "..data_tmp").replace(directory / "..data")


@pytest.mark.parametrize(("mode", "is_others", "in_group", "accepted"), FILES)
def test_configuration_with_secrets_is_readable_by_the_owner_and_an_own_group_only(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: int,
    is_others: bool,
    in_group: bool,
    accepted: bool,
) -> None:
    """A mounted configuration would be rejected, or one that other users can read be accepted."""
    path = tmp_path / "keyturn.toml"
    path.write_text(CONFIG.format(url="https://a.example/token", secret='"s3cret"'))
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, OTHER if is_others else 0, 0 if in_group else OTHER)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + is_others)
        group = path.stat().st_gid
        monkeypatch.setattr(os, "getegid", lambda: group + 1)
        monkeypatch.setattr(os, "getgroups", lambda: [group] if in_group else [])

    if accepted:
        assert config.read(path).check() == ["shop"]
        return
    with pytest.raises(keyturn.errors.ConfigurationError, match="that others can't read"):
        config.read(path).check()


def test_credential_of_systemd_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential of systemd would be rejected: root owns it, and an access list opens it."""
    path = tmp_path / "keyturn.toml"
    path.write_text(CONFIG.format(url="https://a.example/token", secret='"s3cret"'))
    path.chmod(0o440)
    real = os.fstat

    def as_roots(descriptor: int) -> os.stat_result:
        return os.stat_result((*real(descriptor)[:4], 0, 0, *real(descriptor)[6:10]))

    monkeypatch.setattr(os, "fstat", as_roots)
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    monkeypatch.setattr(os, "getegid", lambda: OTHER)
    monkeypatch.setattr(os, "getgroups", lambda: [OTHER])

    assert config.read(path).check() == ["shop"]


@pytest.mark.parametrize("what", ["secret", "configuration"])
def test_replaced_file_is_read_again(
    serve: Callable[..., RawServer], token_response: bytes, tmp_path: Path, what: str
) -> None:
    """A rotated secret would not be used before a restart."""
    server = serve(token_response)
    directory = tmp_path / "mounted"

    def put(version: int) -> None:
        written = {"oauth": f"secret-{version}\n"}
        reference = f'{{ file = "{directory}/oauth" }}'
        secret = reference if what == "secret" else f'"secret-{version}"'
        mount(
            directory,
            version,
            **written | {"keyturn.toml": CONFIG.format(url=server.url, secret=secret)},
        )

    put(1)
    with keyturn.load_connection("shop", config=directory / "keyturn.toml") as first:
        token = first.token()
        put(2)
        if what == "secret":
            first.token(stale=token)
        else:
            with keyturn.load_connection("shop", config=directory / "keyturn.toml") as second:
                second.token()

    sent = [request.rpartition(b"\r\n\r\n")[2] for request in server.received]
    assert [b"secret-1" in body for body in sent] == [True, False]
    assert b"secret-2" in sent[1]
