"""How the simulated phones and their network behave: settable faults, decided purely."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Fault = Literal["refuse", "cut_before", "cut_after"]
Luck = Callable[[str], float]
"""A number in [0, 1) for each question, always the same for the same question."""

UNREACHABLE = 30003


class Behaviour(BaseModel):
    """How one phone, or all of them, behave. Shares are of messages, from 0 (never) to 1 (always).

    `latency_s`: before a send is answered. `refuse`: the send is not taken, with `code` (and, when
    temporary, `retry_after_s`; 20503 says that the whole service is away). `cut`: the connection is
    cut, before the message was taken or after, so that the sender cannot know. `times`: how many
    sends meet refusals and cuts; then all is well again; None: without end. `bounce`: taken, then
    undelivered with this code. `offline`: taken and sent; the phone gets it when it is back.
    Statuses come `status_gap_s` apart. `inbound_lost_share`: what the phone writes is in the list
    of texts, and comes to no door.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_s: Annotated[float, Field(ge=0)] = 0.0
    refuse: Literal["temporary", "permanent"] | None = None
    refuse_share: Share = 1.0
    code: int = UNREACHABLE
    retry_after_s: float | None = None
    cut: Literal["before", "after"] | None = None
    cut_share: Share = 1.0
    times: Annotated[int, Field(ge=0)] | None = None
    bounce: int | None = None
    offline: bool = False
    statuses: bool = True
    status_gap_s: Annotated[float, Field(ge=0)] = 0.0
    status_lost_share: Share = 0.0
    status_double_share: Share = 0.0
    status_reorder_share: Share = 0.0
    inbound_double_share: Share = 0.0
    inbound_lost_share: Share = 0.0


class Refusal(Exception):
    """The World does not take a send: known not to have happened."""

    def __init__(self, code: int, permanent: bool, retry_after_s: float | None) -> None:
        super().__init__(f"the sandbox refuses with {code}")
        self.code = code
        self.permanent = permanent
        self.retry_after_s = retry_after_s


class Cut(Exception):
    """The connection breaks: the sender cannot know whether the message was taken."""


class Behaviours:
    """How everybody behaves, and who behaves differently (the key "" stands for everybody)."""

    def __init__(self, everybody: Behaviour) -> None:
        self._known = {"": everybody}
        self._faults_left: dict[str, int] = {}
        self._limit("", everybody)

    def of(self, address: str) -> Behaviour:
        """How this phone behaves."""
        return self._known.get(address, self._known[""])

    def change(self, address: str, changes: dict[str, Any]) -> None:
        """Change how one phone, or with "" everybody else, behaves; raises ValidationError."""
        behaviour = Behaviour.model_validate(self.of(address).model_dump() | changes)
        self._known[address] = behaviour
        self._limit(address, behaviour)

    def fault(self, address: str, chance: Luck) -> Fault | None:
        """What goes wrong with the next send to this phone; counts against `times`."""
        key = address if address in self._known else ""
        if self._faults_left.get(key) == 0:
            return None
        found = fault(self._known[key], chance)
        if found is not None and key in self._faults_left:
            self._faults_left[key] -= 1
        return found

    def view(self) -> dict[str, Any]:
        """What differs from the default, by address."""
        return {key: known.model_dump(exclude_defaults=True) for key, known in self._known.items()}

    def _limit(self, address: str, behaviour: Behaviour) -> None:
        self._faults_left.pop(address, None)
        if behaviour.times is not None:
            self._faults_left[address] = behaviour.times


def luck(seed: str, *key: str | int) -> Luck:
    """The luck of one thing (a phone's 3rd message): the same in every run with this seed, and in
    whatever order things happen."""
    name = "/".join((seed, *map(str, key)))

    def answer(question: str) -> float:
        digest = sha256(f"{name}/{question}".encode()).digest()
        return int.from_bytes(digest[:7]) / 2**56

    return answer


def fault(behaviour: Behaviour, chance: Luck) -> Fault | None:
    """What goes wrong with a send."""
    if behaviour.refuse is not None and chance("refuse") < behaviour.refuse_share:
        return "refuse"
    if behaviour.cut is not None and chance("cut") < behaviour.cut_share:
        return "cut_before" if behaviour.cut == "before" else "cut_after"
    return None


def statuses(behaviour: Behaviour, channel: str, chance: Luck) -> list[str]:
    """The statuses that are reported, in their order: some lost, some twice, some reversed."""
    if not behaviour.statuses:
        return []
    words = ["sent", "undelivered" if behaviour.bounce is not None else "delivered"]
    if channel == "whatsapp" and behaviour.bounce is None:
        words.append("read")
    if chance("reorder") < behaviour.status_reorder_share:
        words.reverse()
    reported: list[str] = []
    for word in words:
        if chance(f"lost {word}") < behaviour.status_lost_share:
            continue
        copies = 2 if chance(f"double {word}") < behaviour.status_double_share else 1
        reported += [word] * copies
    return reported
