"""`keyturn serve`: tokens for programs in any language, and a status page.

Its modules import Starlette, uvicorn and other packages of the extra `serve`. `keyturn._cli.serve`
imports them when the command runs.
"""
