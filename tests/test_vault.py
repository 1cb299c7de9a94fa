"""The vault: what it seals opens with its key, about the same thing, unchanged; else never."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Forbidden, Unsealable
from app.vault import Vault, is_sealed

KEY, OTHER = "k" * 32, "o" * 43


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_is_sealed_opens_again(data: bytes, about: str) -> None:
    vault = Vault([KEY])
    sealed = vault.seal(data, about)
    assert Vault([OTHER, KEY]).open(sealed, about) == data
    assert vault.seal(data, about) != sealed


@given(st.text(max_size=50))
def test_a_text_is_sealed_as_text(text: str) -> None:
    vault = Vault([KEY])
    sealed = vault.seal_text(text, "x")
    assert sealed.isascii()
    assert is_sealed(sealed)
    assert vault.prefix is not None
    assert sealed.startswith(vault.prefix)
    assert vault.open_text(sealed, "x") == text


def test_every_changed_byte_is_noticed() -> None:
    vault = Vault([KEY])
    sealed = vault.seal(b"data", "x")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(Unsealable):
            vault.open(bytes(changed), "x")
    for end in range(len(sealed)):
        with pytest.raises(Unsealable):
            vault.open(sealed[:end], "x")


def test_what_does_not_open_says_why() -> None:
    sealed = Vault([KEY]).seal_text("text", "x")
    with pytest.raises(Unsealable, match="which is not given"):
        Vault([OTHER]).open_text(sealed, "x")
    with pytest.raises(Unsealable, match="about something else"):
        Vault([KEY]).open_text(sealed, "y")


@pytest.mark.parametrize(
    "text", ["", "plain", "v1", "v1.", "v1.zz.AAAA", "v1.00.é", "v2.00000000.A"]
)
def test_what_was_never_sealed_does_not_open(text: str) -> None:
    with pytest.raises(Unsealable):
        Vault([KEY]).open_text(text, "x")


def test_without_a_key_and_a_place_for_one_nothing_is_sealed() -> None:
    assert Vault().prefix is None
    with pytest.raises(Forbidden, match=r"secrets\.key"):
        Vault().seal(b"", "x")
    with pytest.raises(Unsealable):
        Vault().open(Vault([KEY]).seal(b"", "x"), "x")


def test_a_key_file_is_made_when_it_is_needed_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "var" / "secret.key"
    vault = Vault(file=file)
    assert not file.exists()
    sealed = vault.seal(b"data", "x")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["secret.key"]
    assert Vault(file=file).open(sealed, "x") == b"data"
    assert Vault([file.read_text().strip()]).open(sealed, "x") == b"data"


def test_of_many_that_need_a_key_file_at_once_all_get_the_same(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda _: Vault(file=file).seal(b"data", "x"), range(32)))
    assert {Vault(file=file).open(one, "x") for one in sealed} == {b"data"}


def test_a_key_file_that_another_process_makes_is_found(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    running, also, broken = Vault(file=file), Vault(file=file), Vault(file=file)
    with pytest.raises(Unsealable):
        running.open(b"\x01" + bytes(40), "x")
    made = Vault(file=file)
    assert running.open(made.seal(b"data", "x"), "x") == b"data"
    assert also.signed("text", made.sign("text"))
    file.write_text("short")
    assert not broken.signed("text", made.sign("text"))


def test_a_file_that_holds_no_key_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    file.write_text("short\n")
    with pytest.raises(OSError, match="no secret key of 32 characters"):
        Vault(file=file)
