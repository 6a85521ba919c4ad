"""The made-up account that all libraries use."""

CLIENT_ID = "made-up"
CLIENT_SECRET = "s3cret-for-tests"  # noqa: S105 - made up
SCOPE = "lab"
