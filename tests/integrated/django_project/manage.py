"""A project with views that call an API through a connection, sync and async."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_of_shop.settings")
execute_from_command_line(sys.argv)
