"""The project's settings."""

import os

SECRET_KEY = "made-up"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "site_of_shop.urls"
ASGI_APPLICATION = "site_of_shop.asgi.application"
INSTALLED_APPS = [
    # What the user writes:
    "keyturn.integrations.django",
    # End of what the user writes.
]
KEYTURN_CONNECTIONS = {
    "own": {
        "provider": "orocommerce",
        "url": os.environ["SHOP_URL"],
        "client_id": os.environ["SHOP_CLIENT"],
        "client_secret": os.environ["SHOP_SECRET"],
    },
    **({"wrong": {"provider": "orocommerse"}} if "SHOP_WRONG" in os.environ else {}),
}
LOGGING = {
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "DEBUG"},
    # These applications need a database, which the project does not have.
    "loggers": {"django.utils.autoreload": {"level": "INFO"}},
}
