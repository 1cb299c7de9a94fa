"""What is kept sealed: secrets of others that we must be able to use, in the database and on disk.

AES-256-GCM under a key of the operator's; what a sealed thing is `about` is sealed with it, so that
nothing sealed opens in another's place. Several keys may be given while one takes the place of
another: the first seals, all open. Without any, a key file is made when it is first needed, if
there is a place for one.
"""

from __future__ import annotations

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app import ids
from app.errors import Forbidden, Unsealable

FORM, TEXT_FORM = b"\x01", "v1"
ID_BYTES, NONCE_BYTES, KEY_BYTES, TAG_BYTES = 4, 12, 32, 16
HEAD_BYTES = len(FORM) + ID_BYTES
"""By which the key can be told."""
OVERHEAD_BYTES = len(FORM) + ID_BYTES + NONCE_BYTES + TAG_BYTES
"""By how much a sealed thing is longer than the plain one."""
KEY_CHARS_MIN = 32
NO_KEY = (20403, "Secrets cannot be kept: the server has no secret key (its setting `secrets.key`)")


class Vault:
    """Seals and opens. `keys` are texts of at least 32 characters; without any, `file` holds one,
    and is made when something is to be sealed; without either nothing can be."""

    def __init__(self, keys: Sequence[str] = (), file: Path | None = None) -> None:
        self._file = file
        self._take(keys or ([_read(file)] if file is not None and file.exists() else []))

    @property
    def prefix(self) -> str | None:
        """How a text begins that the first key sealed; None while there is no key."""
        first = next(iter(self._ciphers), None)
        return None if first is None else f"{TEXT_FORM}.{first.hex()}."

    @property
    def keys(self) -> tuple[str, ...]:
        """What the keys are known by: first the one that seals, then those that it takes the place
        of."""
        return tuple(key_id.hex() for key_id in self._ciphers)

    def ready(self) -> None:
        """Make sure that there is a key. Raises Forbidden when there is none and no place for
        one."""
        if not self._ciphers:
            if self._file is None:
                raise Forbidden(*NO_KEY)
            self._take([_made(self._file)])

    def seal(self, data: bytes, about: str) -> bytes:
        """The data, sealed with what it is about. Raises Forbidden when there is no key."""
        self.ready()
        key_id, cipher = next(iter(self._ciphers.items()))
        nonce = ids.noise(NONCE_BYTES)
        return FORM + key_id + nonce + cipher.encrypt(nonce, data, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """What was sealed about this. Raises Unsealable: not sealed, changed, about something
        else, or by a key that is not given."""
        key_id, rest = sealed[1 : 1 + ID_BYTES], sealed[1 + ID_BYTES :]
        if sealed[:1] != FORM or len(rest) < NONCE_BYTES:
            raise Unsealable("this is not sealed")
        self._look()
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise Unsealable(f"this was sealed by key {key_id.hex()}, which is not given")
        try:
            return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], about.encode())
        except InvalidTag:
            raise Unsealable("this was changed, or sealed about something else") from None

    def sign(self, text: str) -> str:
        """A signature of this text that only a holder of the first key can make. Raises Forbidden
        when there is no key."""
        self.ready()
        return _to_text(hmac.digest(self._signers[0], text.encode(), "sha256"))

    def signed(self, text: str, signature: str) -> bool:
        """Whether one of the keys signed this text so."""
        self._look()
        known = [_to_text(hmac.digest(key, text.encode(), "sha256")) for key in self._signers]
        return any(hmac.compare_digest(one.encode(), signature.encode()) for one in known)

    def seal_text(self, text: str, about: str) -> str:
        """The same for a text: the form and the key can be read off its beginning."""
        sealed = self.seal(text.encode(), about)[1:]
        return f"{TEXT_FORM}.{sealed[:ID_BYTES].hex()}.{_to_text(sealed[ID_BYTES:])}"

    def open_text(self, sealed: str, about: str) -> str:
        """The text that was sealed about this. Raises Unsealable."""
        form, _, rest = sealed.partition(".")
        key_id, dot, kept = rest.partition(".")
        try:
            raw = bytes.fromhex(key_id) + urlsafe_b64decode(kept + "=" * (-len(kept) % 4))
        except (ValueError, Base64Error):
            raw = b""
        if form != TEXT_FORM or not dot or len(key_id) != 2 * ID_BYTES:
            raise Unsealable("this is not sealed")
        return self.open(FORM + raw, about).decode()

    def _look(self) -> None:
        """Read the key file if it is there by now: another process may have made it."""
        if self._ciphers or self._file is None or not self._file.exists():
            return
        with suppress(OSError):
            self._take([_read(self._file)])

    def _take(self, keys: Sequence[str]) -> None:
        self._ciphers: Mapping[bytes, AESGCM] = dict(map(_cipher, keys))
        self._signers = [_derived(key, KEY_BYTES, b"parley signatures") for key in keys]


def sealed_by(sealed: bytes) -> str:
    """What the key is known by that sealed what begins so. Raises Unsealable."""
    if sealed[:1] != FORM or len(sealed) < HEAD_BYTES:
        raise Unsealable("this is not sealed")
    return sealed[1:HEAD_BYTES].hex()


def is_sealed(text: str) -> bool:
    """Whether a text has the form of a sealed one."""
    return text.startswith(f"{TEXT_FORM}.")


def _cipher(key: str) -> tuple[bytes, AESGCM]:
    """A key's cipher, and by what its work is known."""
    derived = _derived(key, KEY_BYTES + ID_BYTES, b"parley vault")
    return derived[KEY_BYTES:], AESGCM(derived[:KEY_BYTES])


def _derived(key: str, length: int, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=purpose).derive(key.encode())


def _read(file: Path) -> str:
    """The key in a file. Raises OSError for one that cannot be read or is none."""
    key = file.read_text().strip()
    if len(key) < KEY_CHARS_MIN:
        raise OSError(f"{file} holds no secret key of {KEY_CHARS_MIN} characters or more")
    return key


def _made(file: Path) -> str:
    """The key in a file that is made now, whole or not at all, for its owner alone; of two
    processes that make it at once both get the same one."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f"{file.name}.{ids.token()}")
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(opened, "w") as writing:
            writing.write(ids.secret() + "\n")
            writing.flush()
            os.fsync(writing.fileno())
        with suppress(FileExistsError):
            file.hardlink_to(draft)
    finally:
        draft.unlink()
    return _read(file)


def _to_text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
