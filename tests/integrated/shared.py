"""The tests that every adapter must pass."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tests.integrations import (
    conftest,
    test_attach,
    test_four_providers,
    test_network_policy,
    test_redirect_targets,
    test_redirects,
    test_refused_token,
    test_request_auth,
)

if TYPE_CHECKING:
    from types import ModuleType

MODULES: tuple[ModuleType, ...] = (
    *(conftest, test_attach, test_four_providers, test_network_policy, test_redirect_targets),
    *(test_redirects, test_refused_token, test_request_auth),
)


def shared_tests(*modules: ModuleType) -> dict[str, Any]:
    """Return the fixtures, and the tests that every adapter must pass.

    Args:
        modules: The modules with the tests; by default all of `MODULES`.
    """
    return {
        name: value
        for module in modules or MODULES
        for name, value in vars(module).items()
        if isinstance(value, type(conftest.api))
        or (
            name.startswith("test_")
            and {"client_class", "walker"} & inspect.signature(value).parameters.keys()
        )
    }
