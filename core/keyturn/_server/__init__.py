"""`keyturn serve`: tokens for programs that are not Python, and a page for people.

Its modules import Starlette, uvicorn and what else the extra `serve` installs: `keyturn._cli.serve`
imports them when the command runs.
"""
