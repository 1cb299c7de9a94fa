"""What is wrong with a file is said at its line and column, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.carriers import discover
from app.settings.load import FILE_BYTES_MAX, load
from app.settings.problems import ConfigErrors
from tests.settings.sample import AC, GOOD, KINDS, read, write, wrong

HEAD = f"account: {{sid: {AC}, auth_token: t}}\n"
LAB = HEAD + "carriers: {lab: {kind: lab}}\n"
SENDER = LAB + 'senders: [{address: "+15005550006", carrier: lab}]\n'
CONTENTS_LAB = (
    LAB
    + """contents: {hi: {language: en, types: {twilio/text: {body: "{{1}} {{2}}"}}}}
"""
)
NUMBER = "a phone number is written in E.164, like +15005550006"
TARGET = "should be a host name, an IP address or a network like 10.0.0.0/8"
URL = "should be a URL that starts with http:// or https://"

# label, the text, what is said of it
CASES: list[tuple[str, str, list[str]]] = [
    # -- YAML itself
    (
        "syntax",
        "account: {sid: x\nserver: 1\n",
        ["2:7: yaml: expected ',' or '}', but got ':'"],
    ),
    (
        "reference without quotes in a flow mapping",
        "account: {auth_token: ${TOKEN}}\n",
        [
            "1:24: yaml: expected ',' or '}', but got '{'"
            " (within { } and [ ] write ${NAME} in double quotes)"
        ],
    ),
    (
        "tab",
        "account:\n\tsid: x\n",
        [
            "2:1: yaml: found character '\\t' that cannot start any token"
            " (indent with spaces, not tabs)"
        ],
    ),
    ("two documents", HEAD + "---\na: 1\n", ["2:1: yaml: but found another document"]),
    ("control character", HEAD + "\x07", ["2:1: yaml: this character is not allowed"]),
    ("undefined alias", "account: *se'cret\n", ["1:10: yaml: found undefined alias"]),
    ("nothing", "", ["1:1: account: is required"]),
    ("a list", "- 1\n", ["1:1: file: should be a mapping of keys to values"]),
    (
        "duplicate keys",
        HEAD + "server:\n  port: 1\n  host: a\n  port: 2\nserver: {}\n",
        [
            "5:3: server.port: is given twice (first in line 3)",
            "6:1: server: is given twice (first in line 2)",
        ],
    ),
    (
        "tag",
        HEAD + "server: {port: !!int '8080'}\n",
        ["2:16: server.port: tags (!...) are not used here"],
    ),
    ("own tag", HEAD + "server: !own {port: 1}\n", ["2:9: server: tags (!...) are not used here"]),
    ("key that is no text", HEAD + "? [a]\n: 1\n", ["2:3: yaml: a key should be plain text"]),
    ("merge of no mapping", HEAD + "server: {<<: 3}\n", ["2:9: server: << should name a mapping"]),
    (
        "alias of itself",
        HEAD + "server: &a [*a]\n",
        ["2:9: server" + "[0]" * 32 + ": is nested deeper than 32 levels"],
    ),
    (
        "nul",
        HEAD + 'server: {host: "a\\0"}\n',
        ["2:16: server.host: holds a character that is not text"],
    ),
    # -- keys and types
    (
        "unknown keys",
        HEAD + "sender: []\nserver:\n  prot: 1\n  zzz: 2\n",
        [
            "2:1: sender: unknown key (did you mean senders?)",
            "4:3: server.prot: unknown key (did you mean port?)",
            "5:3: server.zzz: unknown key",
        ],
    ),
    (
        "unknown keys far down",
        SENDER + 'addresses:\n  - address: "+15005550006"\n    auto_creation: {servce: a}\n',
        ["6:21: addresses[0].auto_creation.servce: unknown key (did you mean service?)"],
    ),
    (
        "a forgotten space hides what follows",
        "account: {sid: " + AC + ", auth_token:secret}\n",
        [
            "1:1: account.auth_token: is required",
            "1:52: account.auth_token: unknown key (did you mean auth_token?)",
        ],
    ),
    (
        "types",
        HEAD
        + """server:
  host: 5
  port: "8080"
  drain_s: yes
  body_bytes_max: 1.5
egress: {private: yes, open: [true]}
database: []
carriers: [1]
hooks: {waits_s: [1, [2]], jitter: .nan}
""",
        [
            "3:9: server.host: should be text: put it in quotes",
            "4:9: server.port: should be a whole number",
            "5:12: server.drain_s: should be a number",
            "6:19: server.body_bytes_max: should be a whole number",
            "7:19: egress.private: should be true or false",
            "7:31: egress.open[0]: should be text: put it in quotes",
            "8:11: database: should be a mapping of keys to values",
            "9:11: carriers: should be a mapping of keys to values",
            "10:22: hooks.waits_s[1]: should be a number",
            "10:36: hooks.jitter: should be a number",
        ],
    ),
    (
        "ranges",
        HEAD
        + """server: {port: 65536, drain_s: -1, body_bytes_max: 0, host: ""}
hooks: {timeout_s: 61, jitter: 0.6, waits_s: [0]}
delivery: {waits_s: [1e6]}
""",
        [
            "2:16: server.port: should be at most 65535",
            "2:32: server.drain_s: should be at least 0",
            "2:52: server.body_bytes_max: should be greater than 0",
            "2:61: server.host: must not be empty",
            "3:20: hooks.timeout_s: should be at most 60",
            "3:32: hooks.jitter: should be at most 0.5",
            "3:47: hooks.waits_s[0]: should be greater than 0",
            "4:22: delivery.waits_s[0]: should be at most 86400",
        ],
    ),
    (
        "words",
        HEAD + "ops: {log_level: warn}\nwebhooks: {filters: [onMessageAd, bogus], method: PUT,"
        " pre_on_timeout: ope, pre_timeout_ms: 5001}\n",
        [
            "2:18: ops.log_level: should be one of debug, info, warning, error"
            " (did you mean warning?)",
            "3:22: webhooks.filters[0]: is not a known word (did you mean onMessageAdd?)",
            "3:35: webhooks.filters[1]: should be one of onConversationAdded,"
            " onConversationUpdated, onConversationRemoved,"
            " onConversationStateUpdated, onMessageAdded, onMessageUpdated, onMessageRemoved,"
            " onParticipantAdded, onParticipantUpdated, onParticipantRemoved, onDeliveryUpdated,"
            " onUserAdded, onUserUpdated, onConversationAdd, onConversationUpdate,"
            " onConversationRemove, onMessageAdd, onMessageUpdate, onMessageRemove,"
            " onParticipantAdd, onParticipantUpdate, onParticipantRemove, onUserUpdate",
            "3:51: webhooks.method: should be one of GET, POST",
            "3:72: webhooks.pre_on_timeout: should be one of open, closed (did you mean open?)",
            "3:93: webhooks.pre_timeout_ms: should be at most 5000",
        ],
    ),
    (
        "SIDs",
        "account: {sid: AC1, auth_token: t}\nservices: {a: {sid: "
        + AC
        + "}}\nflows: {FW1: {url: 'http://a'}}\n",
        [
            "1:16: account.sid: should be AC and 32 hexadecimal digits",
            "2:21: services.a.sid: should be IS and 32 hexadecimal digits",
            "3:9: flows.FW1: should be FW and 32 hexadecimal digits",
        ],
    ),
    (
        "missing",
        "account:\ncarriers: {a: {}}\nsenders:\n  - {carrier: a}\n  -\nflows: {}\n",
        [
            "1:1: account.auth_token: is required",
            "1:1: account.sid: is required",
            "2:12: carriers.a.kind: is required",
            "4:5: senders[0].address: is required",
            "5:4: senders[1]: should be a mapping of keys to values",
        ],
    ),
    (
        "empty secret",
        f"account: {{sid: {AC}, auth_token: ''}}\n",
        ["1:64: account.auth_token: must not be empty"],
    ),
    # -- addresses
    (
        "addresses",
        LAB
        + """senders:
  - {address: "5005550006", carrier: lab}
  - {address: +15005550006, carrier: lab}
  - {address: "whatsapp:15005550006", carrier: lab}
  - {address: "telegram:1", carrier: lab}
  - {address: "messenger:", carrier: lab}
  - {address: "a@b", carrier: lab}
  - {address: "+1500555000", carrier: lab}
  - {address: "+999123456789", carrier: lab}
  - {address: "+4901711234567", carrier: lab}
""",
        [
            f"4:15: senders[0].address: {NUMBER}",
            "5:15: senders[1].address: should be text: put it in quotes",
            "6:15: senders[2].address: a phone number is written in E.164: +, country code,"
            " at most 15 digits",
            "7:15: senders[3].address: an address starts with +, or with one of"
            " instagram:, messenger:, rcs:, whatsapp:",
            "8:15: senders[4].address: after messenger: comes an id without spaces and colons",
            "9:15: senders[5].address: an e-mail address is written name@domain",
            "10:15: senders[6].address: the phone number has too few or too many digits for its"
            " country",
            "11:15: senders[7].address: a phone number starts with + and an existing country code",
            "12:15: senders[8].address: leave out the 0 between the country code and the number",
        ],
    ),
    (
        "duplicate senders and configurations",
        LAB
        + """senders:
  - {address: "+15005550006", carrier: lab}
  - {address: "+1 500 555 0006", carrier: lab}
addresses:
  - {address: "+15005550006"}
  - {address: "+15005550006"}
""",
        [
            "5:15: senders[1].address: is given twice: senders[0].address has it already",
            "8:15: addresses[1].address: is given twice: addresses[0].address has it already",
        ],
    ),
    (
        "configuration of an address that is not ours",
        SENDER + 'addresses: [{address: "+15005550007"}, {address: "a@example.com"}]\n',
        [
            "4:23: addresses[0].address: is not the address of a sender"
            " (did you mean +15005550006?)",
            "4:50: addresses[1].address: is not the address of a sender",
        ],
    ),
    (
        "an address from outside is not suggested",
        LAB
        + "senders: [{address: '${NUMBER:-+15005550006}', carrier: lab}]\n"
        + "addresses: [{address: '+15005550007'}]\n",
        ["4:23: addresses[0].address: is not the address of a sender"],
    ),
    # -- names
    (
        "carriers",
        HEAD
        + """carriers: {lab: {kind: lob}, other: {kind: meta}, Lab 2: {kind: lab}}
senders:
  - {address: "+15005550006", carrier: lap}
  - {address: "+15005550007", carrier: zzz, messaging_service: pool}
""",
        [
            "2:24: carriers.lab.kind: no such kind of carrier (did you mean lab?)",
            "2:44: carriers.other.kind: no such kind of carrier (known: lab, post, wire)",
            "2:51: carriers.Lab 2: a carrier's name is part of its URL: use lower-case letters,"
            " digits, _ and -",
            "4:40: senders[0].carrier: no such carrier (did you mean lab?)",
            "5:40: senders[1].carrier: no such carrier (known: Lab 2, lab, other)",
            "5:64: senders[1].messaging_service: no such messaging service (known: none)",
        ],
    ),
    (
        "a carrier's own options",
        HEAD
        + """carriers:
  acme: {kind: wire, auth_tokn: x, timeout_s: 0, region: mars}
  two: {kind: wire, auth_token: bad-secret, timeout_s: x}
  three: {kind: wire, auth_token: good, region: eu1}
  lab: {kind: lab, signatur: off, on_unknown: ask}
  four: {kind: wire, auth_token: good, region: "${TOKEN}", timeout_s: '2'}
  five: {kind: wire, auth_token: long, region: long}
""",
        [
            "3:3: carriers.acme.auth_token: is required",
            "3:22: carriers.acme.auth_tokn: unknown key (did you mean auth_token?)",
            "3:47: carriers.acme.timeout_s: should be greater than 0",
            "3:58: carriers.acme.region: mars is no region",
            "4:33: carriers.two.auth_token: is not valid",
            "4:56: carriers.two.timeout_s: should be a number",
            "5:10: carriers.three: is not valid",
            "6:20: carriers.lab.signatur: unknown key (did you mean signature?)",
            "6:47: carriers.lab.on_unknown: should be one of resend, fail",
            "7:48: carriers.four.region: is not valid",
            "8:48: carriers.five.region: is not valid",
        ],
    ),
    (
        "channels that an address cannot have",
        LAB
        + """senders:
  - {address: "+15005550006", carrier: lab, channels: [sms, whatsapp]}
  - {address: "whatsapp:+15005550006", carrier: lab, channels: [whatsap]}
""",
        [
            "4:61: senders[0].channels[1]: this address carries sms, mms only",
            "5:65: senders[1].channels[0]: this address carries whatsapp only"
            " (did you mean whatsapp?)",
        ],
    ),
    (
        "rate",
        LAB + 'senders: [{address: "+15005550006", carrier: lab, rate: 5/d}]\n',
        ["3:57: senders[0].rate: should be a rate like 1/s, 30/m or 1000/h"],
    ),
    (
        "rate without a unit",
        LAB + 'senders: [{address: "+15005550006", carrier: lab, rate: 5, rates: {us: 1/s}}]\n',
        [
            "3:57: senders[0].rate: should be a rate like 1/s, 30/m or 1000/h, in quotes",
            "3:68: senders[0].rates.us: should be a country like US, a channel like mms, or both:"
            " mms US",
        ],
    ),
    (
        "rates of channels that there are not, and of countries where nobody has one",
        LAB
        + """senders:
  - address: "+15005550006"
    carrier: lab
    rates: {mms: 1/s, mms US: 1/m, whatsapp: 1/s, mms us: 1/s, US mms: 1/s, mms XX: 1/s, MMS: 1/s}
  - {address: "messenger:1", carrier: lab, rates: {messenger: 1/s}}
  - {address: "messenger:2", carrier: lab, rates: {messenger US: 1/s}}
  - {address: "+15005550007", carrier: lab, channels: [sms], rates: {mms: 1}}
""",
        [
            "6:36: senders[0].rates.whatsapp: this sender carries sms, mms only",
            "6:51: senders[0].rates.mms us: should be a country like US, a channel like mms, or"
            " both: mms US",
            "6:64: senders[0].rates.US mms: should be a country like US, a channel like mms, or"
            " both: mms US",
            "6:77: senders[0].rates.mms XX: is no country that has phone numbers (ISO 3166, like"
            " GB)",
            "6:90: senders[0].rates.MMS: should be a country like US, a channel like mms, or both:"
            " mms US",
            "8:44: senders[2].rates: go by the country of people's numbers,"
            " which this address never writes to",
            "9:70: senders[3].rates.mms: this sender carries sms only",
            "9:75: senders[3].rates.mms: should be a rate like 1/s, 30/m or 1000/h, in quotes",
        ],
    ),
    (
        "fallback",
        LAB
        + """senders:
  - {address: "+15005550006", carrier: lab, fallback_carrier: lab}
  - {address: "+15005550007", carrier: lab, fallback_carrier: lob}
""",
        [
            "4:63: senders[0].fallback_carrier: is its carrier already",
            "5:63: senders[1].fallback_carrier: no such carrier (did you mean lab?)",
        ],
    ),
    (
        "quiet hours",
        LAB
        + """senders:
  - address: "+15005550006"
    carrier: lab
    quiet_hours:
      - {start: "25:00", end: "08:00", channels: [smss]}
      - {start: "08:00", end: "08:00"}
      - {start: "21:00", end: "08:00", time_zone: Mars}
""",
        [
            "7:17: senders[0].quiet_hours[0].start: should be a time of day like 21:00",
            "7:51: senders[0].quiet_hours[0].channels[0]: is not a known word (did you mean sms?)",
            "8:9: senders[0].quiet_hours[1]: start and end should be two times",
            "9:51: senders[0].quiet_hours[2].time_zone: should be the name of a time zone like"
            " America/New_York",
        ],
    ),
    (
        "quiet hours without an end, of nothing, of nobody",
        LAB
        + """senders:
  - address: "+15005550006"
    carrier: lab
    quiet_hours:
      - {start: "21:00", end: "08:00", countries: [US]}
      - {start: "07:00", end: "21:00"}
    rates: {XX: 1/s, us: 1/s}
  - address: "messenger:1"
    carrier: lab
    rates: {US: 1/s}
    quiet_hours:
      - {start: "21:00", end: "08:00", channels: [sms, mms], countries: [ZZ]}
  - address: "instagram:1"
    carrier: lab
    quiet_hours:
      - {start: "21:00", end: "12:00", channels: [instagram]}
      - {start: "12:00", end: "21:00", channels: [instagram], time_zone: Europe/Rome}
""",
        [
            "7:7: senders[0].quiet_hours: cover the whole day together: nothing would ever go",
            "9:13: senders[0].rates.XX: is no country that has phone numbers (ISO 3166, like GB)",
            "9:22: senders[0].rates.us: should be a country like US, a channel like mms, or both:"
            " mms US",
            "12:5: senders[1].rates: go by the country of people's numbers,"
            " which this address never writes to",
            "14:50: senders[1].quiet_hours[0].channels: this sender carries messenger only",
            "14:74: senders[1].quiet_hours[0].countries[0]: is no country that has phone numbers"
            " (ISO 3166, like GB)",
        ],
    ),
    (
        "senders that their carriers cannot carry",
        HEAD
        + """carriers: {lab: {kind: lab}, post: {kind: post}, it: {kind: post, channels: {sms: a}}}
senders:
  - {address: "+15005550006", carrier: post}
  - {address: d@Example.com, carrier: post, fallback_carrier: it}
  - {address: D@example.com, carrier: post}
  - {address: "ü@example.com", carrier: post}
  - {address: "+15005550007", carrier: it, fallback_carrier: post}
  - {address: "+15005550008", carrier: lab, fallback_carrier: it}
""",
        [
            "4:40: senders[0].carrier: carries email, and nothing from this address",
            "5:63: senders[1].fallback_carrier: carries sms, and nothing from this address",
            "6:15: senders[2].address: is given twice: senders[1].address differs in case alone",
            "7:15: senders[3].address: mails cannot come from an address with letters beyond ASCII",
            "8:62: senders[4].fallback_carrier: carries email, and nothing from this address",
        ],
    ),
    (
        "variables of a fallback template",
        CONTENTS_LAB
        + """senders:
  - address: "whatsapp:+15005550006"
    carrier: lab
    fallback_template: {content: hi, variables: {"1": "{bdy}", "2": "{body}", "3": x}}
""",
        [
            "7:55: senders[0].fallback_template.variables.1: knows {body} and no other word in"
            " braces",
            "7:79: senders[0].fallback_template.variables.3: the template has no such variable",
        ],
    ),
    # -- services
    (
        "several defaults",
        HEAD + "services: {a: {default: true}, b: {default: true}, c: {default: true}}\n",
        [
            "2:45: services.b.default: only one service can be the default:"
            " services.a is one already",
            "2:65: services.c.default: only one service can be the default:"
            " services.a is one already",
        ],
    ),
    (
        "several defaults from outside",
        HEAD + "services: {a: {default: '${YES}'}, b: {default: '${YES}'}}\n",
        [
            "2:49: services.b.default: only one service can be the default:"
            " services.a is one already",
        ],
    ),
    (
        "no default among several",
        HEAD + "services: {a: {}, b: {}}\n",
        ["2:1: services: mark one of the services with default: true"],
    ),
    (
        "one SID twice",
        HEAD + f"services: {{default: {{sid: IS{'0' * 32}}}, b: {{sid: IS{'0' * 32}}}}}\n",
        ["2:73: services.b.sid: is given twice: services.default.sid has it already"],
    ),
    # -- rules
    (
        "rules",
        SENDER
        + """addresses:
  - address: "+15005550006"
    auto_creation: {type: webhook, service: support, webhook_filters: [onMessageAdd]}
  - address: "+15005550006"
    auto_creation: {type: studio, studio_retry_count: 4}
""",
        [
            "6:27: addresses[0].auto_creation.type: needs webhook_url beside it",
            "6:45: addresses[0].auto_creation.service: no such service (known: default)",
            "6:72: addresses[0].auto_creation.webhook_filters[0]: is not a known word"
            " (did you mean onMessageAdded?)",
            "7:14: addresses[1].address: is given twice: addresses[0].address has it already",
            "8:27: addresses[1].auto_creation.type: needs studio_flow_sid beside it",
            "8:55: addresses[1].auto_creation.studio_retry_count: should be at most 3",
        ],
    ),
    (
        "a flow without a URL",
        SENDER
        + f"""addresses:
  - address: "+15005550006"
    auto_creation: {{type: studio, studio_flow_sid: FW{"a" * 32}}}
flows: {{FW{"b" * 32}: {{url: "http://a"}}, FW{"c" * 32}: {{url: "http://a"}}}}
""",
        [
            "6:52: addresses[0].auto_creation.studio_flow_sid: no such flow"
            f" (known: FW{'b' * 32}, FW{'c' * 32})",
        ],
    ),
    (
        "URLs",
        HEAD
        + """server: {public_url: "https://a.example.com/?x=1"}
webhooks: {post_url: "ftp://a"}
database: {url: "mysql://a"}
egress: {open: ["a b", "10.0.0.0/33", "http://x"]}
flows: {FW00000000000000000000000000000000: {url: "http://a:99999/"}}
""",
        [
            "2:22: server.public_url: give scheme, host and path only: no user, ? or #",
            f"3:22: webhooks.post_url: {URL}",
            "4:17: database.url: should be a URL like postgresql://user:password@host/database",
            f"5:17: egress.open[0]: {TARGET}",
            f"5:24: egress.open[1]: {TARGET}",
            f"5:39: egress.open[2]: {TARGET}",
            f"6:51: flows.FW{'0' * 32}.url: {URL}",
        ],
    ),
    (
        "a port that is none",
        HEAD + 'database: {url: "postgresql://u:secret@db:54x2,other:5432/parley"}\n',
        ["2:17: database.url: should have a port of 1 to 65535 behind the host's colon"],
    ),
    # -- from outside
    (
        "environment",
        "account:\n  sid: ${NOPE}\n  auth_token: a${NOPE}b${NADA}\n  api_key: ${NOPE}\n"
        "server: {port: '${EMPTY}', host: '${bad-name}'}\n",
        [
            "2:8: account.sid: environment variable NOPE is not set",
            "3:15: account.auth_token: environment variable NADA is not set",
            "3:15: account.auth_token: environment variable NOPE is not set",
            "4:3: account.api_key: unknown key (did you mean api_keys?)",
            "4:12: account.api_key: environment variable NOPE is not set",
            "5:16: server.port: should be a whole number",
            "5:34: server.host: write ${NAME} or ${NAME:-otherwise}, or $${ for a plain ${",
        ],
    ),
    (
        "secret files",
        f"account: {{sid: {AC}, auth_token: {{file: nope.txt}}}}\n"
        "server: {host: {file: .}, port: {file: '${TOKEN}'}}\ndatabase: {url: {file: '${NOPE}'}}\n",
        [
            "1:64: account.auth_token: secret file 'nope.txt' does not exist",
            "2:16: server.host: secret file '.' is not a regular file",
            "2:33: server.port: the secret file does not exist",
            "3:24: database.url.file: environment variable NOPE is not set",
        ],
    ),
    (
        "a value from outside is never repeated",
        LAB
        + """senders:
  - {address: "${TOKEN}", carrier: "${TOKEN}", rate: "${TOKEN}", channels: ["${TOKEN}"]}
ops: {log_level: "${TOKEN}", port: "${TOKEN}"}
""",
        [
            f"4:15: senders[0].address: {NUMBER}",
            "4:36: senders[0].carrier: no such carrier (known: lab)",
            "4:54: senders[0].rate: should be a rate like 1/s, 30/m or 1000/h",
            "5:18: ops.log_level: should be one of debug, info, warning, error",
            "5:36: ops.port: should be a whole number",
        ],
    ),
]


@pytest.mark.parametrize(("text", "said"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_every_problem_is_said_at_its_place(tmp_path: Path, text: str, said: list[str]) -> None:
    assert wrong(tmp_path, text) == said


def test_the_good_file_is_good(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).account.sid == AC


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"none\.yaml:1:1: file: does not exist"):
        load(tmp_path / "none.yaml", KINDS, {})
    with pytest.raises(ConfigErrors, match="1:1: file: cannot be read: "):
        load(tmp_path, KINDS, {})
    assert wrong(tmp_path, HEAD + "#" * FILE_BYTES_MAX) == [
        "1:1: file: is larger than 1048576 bytes"
    ]


def test_a_file_that_is_not_utf_8_is_refused_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(HEAD.encode() + b"server: {host: \xff}\n")
    with pytest.raises(ConfigErrors, match=":2:1: file: is not UTF-8 text"):
        load(path, KINDS, {})


def test_a_byte_order_mark_and_windows_line_ends_are_taken(tmp_path: Path) -> None:
    text = "\ufeff" + GOOD.replace("\n", "\r\n")
    assert read(tmp_path, text).account.sid == AC


def test_a_bomb_of_aliases_is_refused_quickly(tmp_path: Path) -> None:
    levels = [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 12)]
    text = HEAD + "a0: &a0 [x]\n" + "\n".join(levels) + "\n"
    said = wrong(tmp_path, text)
    assert "more than 100000 values (an alias counts as what it names)" in said[-1]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "&a !!x ["])
def test_endless_nesting_is_refused(tmp_path: Path, opening: str) -> None:
    assert wrong(tmp_path, "a: " * (opening == "{a: ") + opening * 5000)


def test_problems_are_sorted_and_said_once(tmp_path: Path) -> None:
    path = write(tmp_path, "b: 1\na: 1\n")
    with pytest.raises(ConfigErrors) as caught:
        load(path, KINDS, {})
    places = [(problem.line, problem.column) for problem in caught.value.problems]
    assert places == sorted(places) and len(set(caught.value.problems)) == len(places)


TWO = GOOD + f"accounts:\n  - {{sid: AC{'2' * 32}, auth_token: t}}\n"
"""A second account at the end of the good file: its line is the last one."""
ITS = "account: AC" + "2" * 32


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            TWO.replace("AC" + "2" * 32, AC),
            "accounts[0].sid: is given twice: account.sid has it already",
        ),
        (
            TWO.replace("pool: {autocreate: true}", f"pool: {{account: AC{'3' * 32}}}"),
            "messaging_services.pool.account: no such account",
        ),
        (
            TWO.replace("rate: 30/m, ", f"rate: 30/m, {ITS}, "),
            "senders[0].messaging_service: belongs to another account than the sender",
        ),
        (
            TWO.replace("back:\n", f"back: {{{ITS}}}\n"),
            "addresses[0].auto_creation.service: belongs to another account than the sender",
        ),
    ],
)
def test_accounts_keep_to_themselves(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in line for line in wrong(tmp_path, text))


def test_a_second_account_is_no_trouble(tmp_path: Path) -> None:
    settings = read(tmp_path, TWO.replace("carrier: acme", f"carrier: acme, {ITS}"))
    assert settings.owner("whatsapp:+15005550010") == "AC" + "2" * 32
    assert [len(seen.senders) for seen in settings.houses.values()] == [1, 1]


CONTENTS = LAB + "contents:\n  hi:\n    language: en\n"
HI = "    types: {twilio/text: {body: Hi}}\n"
SID = f"    sid: HX{'1' * 32}\n"
CONTENT_CASES: list[tuple[str, str, list[str]]] = [
    (
        "a field too long",
        CONTENTS + "    types: {twilio/text: {body: " + "x" * 1601 + "}}\n",
        [
            "6:12: contents.hi.types: types.twilio/text.body should be a text of 1 to 1600"
            " characters (20001)"
        ],
    ),
    (
        "no types",
        CONTENTS,
        ["4:3: contents.hi.types: is required"],
    ),
    (
        "a type that is none",
        CONTENTS + "    types: {pigeon: {}}\n",
        ["6:12: contents.hi.types: types: 'pigeon' is not a content type (92008)"],
    ),
    (
        "a carrier that is none",
        CONTENTS + HI + "    carriers: {lob: {sid: x}}\n",
        ["7:16: contents.hi.carriers.lob: no such carrier (did you mean lab?)"],
    ),
    (
        "an approval without a name",
        (CONTENTS + HI + "    approval: {status: approved}\n").replace("  hi:", "  Say hi:"),
        [
            "7:15: contents.Say hi.approval: needs a name: WhatsApp does not take that of the"
            " template"
        ],
    ),
    (
        "a fallback that is no template, and one where nobody has a session",
        CONTENTS
        + HI
        + "senders:\n"
        + '- {address: "whatsapp:+15005550010", carrier: lab, fallback_template: {content: ho}}\n'
        + '- {address: "+15005550006", carrier: lab, fallback_template: {content: hi}}\n',
        [
            "8:81: senders[0].fallback_template.content: no such template (known: hi)",
            "9:43: senders[1].fallback_template: only whatsapp, messenger, instagram know sessions",
        ],
    ),
    (
        "a SID given twice",
        CONTENTS
        + HI
        + f"    sid: HX{'1' * 32}\n  ho:\n    language: en\n{HI}    sid: HX{'1' * 32}\n",
        ["11:10: contents.ho.sid: is given twice: contents.hi.sid has it already"],
    ),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [case[1:] for case in CONTENT_CASES],
    ids=[case[0] for case in CONTENT_CASES],
)
def test_what_is_wrong_with_a_template_is_said_at_its_place(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert wrong(tmp_path, text) == expected


def test_a_template_at_twilio_has_a_sid_as_twilio_gives_them(tmp_path: Path) -> None:
    tw = f"{{kind: twilio, account_sid: AC{'1' * 32}, auth_token: t}}"
    text = CONTENTS.replace("{lab: {kind: lab}}", f"{{tw: {tw}, lab: {{kind: sandbox}}}}") + HI
    path = write(tmp_path, text + "    carriers: {tw: {sid: ../HX1}, lab: {sid: x}}\n")
    with pytest.raises(ConfigErrors) as caught:
        load(path, discover.kinds(), {})
    said = "contents.hi.carriers.tw.sid: should be HX and 32 hexadecimal digits (0-9a-f)"
    assert str(caught.value) == f"{path}:7:26: {said}"


PRIVATE = "leads to a private address: set egress.private, or name its host in egress.open"
FORBIDDEN = "leads to an address that only an entry in egress.open opens: name its host there"
LEADING = (
    SENDER.replace("carrier: lab}", "carrier: lab, webhook: {url: URL}}")
    + """addresses:
  - {address: "+15005550006", auto_creation: {type: webhook, webhook_url: URL}}
webhooks: {pre_url: URL, post_url: URL}
flows: {FW00000000000000000000000000000000: {url: URL}}
accounts: [{sid: OTHER, auth_token: t, webhooks: {post_url: URL}}]
""".replace("OTHER", "AC" + "2" * 32)
)
PLACES = [
    "3:66: senders[0].webhook.url",
    "5:75: addresses[0].auto_creation.webhook_url",
    "6:21: webhooks.pre_url",
    "6:50: webhooks.post_url",
    f"7:51: flows.FW{'0' * 32}.url",
    "8:90: accounts[0].webhooks.post_url",
]


def leading(url: str, egress: str = "{}") -> str:
    return LEADING.replace("URL", f"'{url}'") + f"egress: {egress}\n"


def test_every_url_that_is_sure_to_be_refused_is_said_at_its_place(tmp_path: Path) -> None:
    said = wrong(tmp_path, leading("http://10.0.0.5"))
    assert said == [f"{place}: {PRIVATE}" for place in PLACES]


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("localhost:3000", FORBIDDEN),
        ("app.localhost", FORBIDDEN),
        ("127.0.0.1", FORBIDDEN),
        ("127.1", FORBIDDEN),
        ("2130706433", FORBIDDEN),
        ("0x7f.1", FORBIDDEN),
        ("169.254.169.254", FORBIDDEN),
        ("[::ffff:127.0.0.1]:80", FORBIDDEN),
        ("[fd12::1]", PRIVATE),
        ("192.168.1.7", PRIVATE),
    ],
)
def test_an_address_is_known_in_any_spelling(tmp_path: Path, host: str, said: str) -> None:
    text = HEAD + f"webhooks: {{post_url: 'http://{host}/hook'}}\n"
    assert wrong(tmp_path, text) == [f"2:22: webhooks.post_url: {said}"]


@pytest.mark.parametrize(
    ("url", "egress"),
    [
        ("http://10.0.0.5", "{private: true}"),
        ("http://10.0.0.5", "{open: [10.0.0.0/24]}"),
        ("http://localhost:3000", "{open: [localhost]}"),
        ("http://localhost:3000", "{open: [127.0.0.1]}"),
        ("http://app:3000", "{open: [app]}"),
        ("http://app.internal", "{private: true}"),
        ("https://93.184.216.34", "{}"),
        ("https://app.example.com", "{}"),
    ],
)
def test_what_is_open_is_not_spoken_of(tmp_path: Path, url: str, egress: str) -> None:
    assert read(tmp_path, leading(url, egress)).warnings == ()


@pytest.mark.parametrize("host", ["app", "app.internal", "printer.local"])
def test_a_name_of_a_private_network_is_warned_of(tmp_path: Path, host: str) -> None:
    warnings = read(tmp_path, leading(f"http://{host}:3000/")).warnings
    assert len(warnings) == len(PLACES)
    assert f"{tmp_path}/p.yaml:6:21: webhooks.pre_url: warning: a name of a private" in warnings[2]
