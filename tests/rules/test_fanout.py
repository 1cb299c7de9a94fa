"""Who receives, and what: the author never, chat never, everybody else once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.traffic import MediaPart
from app.rules.content import Deliver, Fail
from app.rules.fanout import NOT_OURS, Member, Planned, plan, plan_group, recipients

OURS = "+15005550006"
AGENT = Member("MB1", "agent", None, None, None)
ANN = Member("MB2", None, "+15551230001", OURS, "sms")
BOB = Member("MB3", None, "whatsapp:+15551230002", f"whatsapp:{OURS}", "whatsapp")
NATIVE = Member("MB4", None, "+15551230003", None, "sms")


def test_an_agents_message_goes_to_every_external_participant() -> None:
    assert recipients([AGENT, ANN, BOB], "MB1") == [ANN, BOB]


def test_a_customers_message_goes_to_the_other_external_participants() -> None:
    assert recipients([AGENT, ANN, BOB], "MB2") == [BOB]


def test_a_message_whose_author_takes_no_part_goes_to_everybody_external() -> None:
    assert recipients([AGENT, ANN, BOB], None) == [ANN, BOB]


def test_each_recipient_gets_what_fits_its_channel() -> None:
    photo = MediaPart("https://media.example.com/a", "image/jpeg", 6 * 1024 * 1024)
    planned = plan([AGENT, ANN, BOB], "MB1", "hi", [photo], "twilio")
    assert [one.participant_sid for one in planned] == ["MB2", "MB3"]
    assert isinstance(planned[0].content, Fail)
    assert planned[0].content.code == 11751
    assert planned[1] == Planned(
        "MB3",
        BOB.address or "",
        BOB.proxy_address or "",
        Deliver("whatsapp", None, (photo,), "body"),
    )


def test_a_group_without_a_number_of_ours_gets_receipts_that_say_so() -> None:
    [planned] = plan([AGENT, NATIVE], "MB1", "hi", [], "twilio")
    assert planned == Planned("MB4", NATIVE.address or "", "", NOT_OURS)
    assert plan([NATIVE], "MB4", "hi", [], "twilio") == []


def test_a_group_text_goes_from_its_authors_number_to_everybody_of_theirs() -> None:
    desk = Member("MB5", "desk", None, None, "sms", projected_address=OURS)
    other = Member("MB6", None, None, None, "sms", projected_address="+15005550009")
    carol = Member("MB7", None, "+15551230007", None, "sms")
    members = [NATIVE, carol, desk, other]
    assert plan_group(members, "MB5", "hi", [], "twilio") == [
        Planned(one.sid, one.address or "", OURS, Deliver("mms", "hi")) for one in (NATIVE, carol)
    ]
    for author, to in ((None, [NATIVE, carol]), ("MB7", [NATIVE])):
        assert plan_group(members, author, "hi", [], "twilio") == [
            Planned(one.sid, one.address or "", "", NOT_OURS) for one in to
        ]


members = st.lists(
    st.builds(
        Member,
        st.integers(0, 99).map("MB{}".format),
        st.one_of(st.none(), st.just("agent")),
        st.one_of(st.none(), st.just("+15551230001"), st.just("whatsapp:+15551230001")),
        st.one_of(st.none(), st.just(OURS)),
        st.sampled_from([None, "sms", "whatsapp"]),
    ),
    unique_by=lambda member: member.sid,
    max_size=12,
)


@settings(deadline=None)
@given(members, st.integers(0, 99).map("MB{}".format), st.text(max_size=5))
def test_the_author_and_chat_never_receive_and_the_others_do_once(
    participants: list[Member], author: str, body: str
) -> None:
    planned = [one.participant_sid for one in plan(participants, author, body, [], "twilio")]
    expected = [member.sid for member in participants if member.sid != author and member.address]
    assert planned == expected
    assert len(set(planned)) == len(planned)
