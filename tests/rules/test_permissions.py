"""Who may do what with an SDK."""

from __future__ import annotations

import pytest

from app.errors import Forbidden
from app.rules import permissions as needs

NOBODY: frozenset[str] = frozenset()


def code(any_of: tuple[str, ...], service: set[str], inside: set[str], member: bool) -> int:
    try:
        needs.check(any_of, service, inside, member=member)
    except Forbidden as refused:
        return refused.code
    return 0


@pytest.mark.parametrize(
    ("service", "inside", "member", "found"),
    [
        (set(), {"sendMessage"}, True, 0),
        (set(), {"sendMessage"}, False, 50430),
        (set(), set(), True, 50107),
        (set(), set(), False, 50430),
        ({"sendMessage"}, set(), True, 0),
        ({"sendMessage"}, set(), False, 0),
        ({"editOwnMessage"}, {"editOwnMessage"}, True, 50107),
    ],
)
def test_either_role_may_allow_it(
    service: set[str], inside: set[str], member: bool, found: int
) -> None:
    assert code(needs.SEND, service, inside, member) == found


def test_to_edit_any_message_is_to_edit_ones_own() -> None:
    assert code(needs.EDIT_OWN, set(), {"editAnyMessage"}, True) == 0
    assert code(needs.EDIT_ANY, set(), {"editOwnMessage"}, True) == 50107


def test_what_is_done_in_no_conversation_needs_the_service_role() -> None:
    needs.check_service(needs.CREATE, {"createConversation"})
    with pytest.raises(Forbidden, match="not authorized"):
        needs.check_service(needs.CREATE, NOBODY)


def test_only_participants_read() -> None:
    needs.check_member(member=True)
    with pytest.raises(Forbidden, match="not participant"):
        needs.check_member(member=False)
