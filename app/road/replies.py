"""Our own answer to a word like HELP, where the sender's carrier gives none.

It is a message of the conversation, from our address, so agents see it and their webhooks are told;
but only who wrote the word receives it. It commits with that inbound: there is one for each.
"""

from __future__ import annotations

from app.road import fanout, messages, standing
from app.road.convoy import Carriage, Load
from app.road.items import Arrival, Draft
from app.rules import opt_outs


def reply(load: Load, carriage: Carriage) -> None:
    """Answer an inbound that just became a message, if its sender has an answer to it. In a group
    text all would receive it: there nobody does."""
    if load.below[carriage.conversation_sid].grouped:
        return
    found = standing.addressed(load, carriage) if isinstance(carriage.item, Arrival) else None
    if found is None or found[1].opt_outs.replies == "carrier":
        return
    words, inbound = found[1].opt_outs, carriage.arrival.inbound
    kind = opt_outs.meant(words, inbound)
    text = words.reply(kind) if kind is not None else None
    if text is None:
        return
    conversation = load.conversations[carriage.conversation_sid]
    draft = Draft(
        conversation.account_sid,
        conversation.chat_service_sid,
        conversation.sid,
        inbound.proxy_address,
        body=text,
        tell=True,
    )
    answer = messages.board(draft)
    answer.answers = carriage.participant_sid
    load.replies.append(answer)
    messages.number(load, answer)
    fanout.plan(load, answer)
