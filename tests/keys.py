"""RSA keys for tests; finding the primes of new ones would take 60 ms in each process."""

from __future__ import annotations

import math
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

_P: Final = int(
    "e711ac6e7dece4df5cdd2a8f5fdcf7be0fdb1a47b63357bed352aa6cc00c02c3a4bd4634e5badc855de4aa"
    "6cfecc811748acf3bdbf14bed54fcb5698f679939b0e420968423ba120a1efadd7d39a030f8d5659f54aa5"
    "7b5347f7bcf76b1d401adafa250aa749e299f1ee152c23b83fda6f31130cd7b44e432d560511ff2b11e9",
    16,
)
_Q: Final = int(
    "ba0302a5a4470eb91bf34948e09c53981e183a71ac09dc35b64c4d2bccf908c37e802983e23d10c2b1ab09"
    "6905a5374b28fb7c97e869b748dd95d0ee868dbc1e8353ff13cbb40dfdd95624de49e6721d8616db105931"
    "3ae4c996067afc0d36987c4eb04bd624a28d812b24c546319c51ffbdece2073339396ccd388b207e98b1",
    16,
)


def _key(exponent: int) -> rsa.RSAPrivateKey:
    public = rsa.RSAPublicNumbers(exponent, _P * _Q)
    private = pow(exponent, -1, math.lcm(_P - 1, _Q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=_P,
        q=_Q,
        d=private,
        dmp1=rsa.rsa_crt_dmp1(private, _P),
        dmq1=rsa.rsa_crt_dmq1(private, _Q),
        iqmp=rsa.rsa_crt_iqmp(_P, _Q),
        public_numbers=public,
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)  # it would take 40 ms


# They protect nothing: everybody can read them here.
RSA: Final = _key(65537)
OTHER_RSA: Final = _key(257)
