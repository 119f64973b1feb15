"""From a raw mail to the text that a person would paste: subject and body."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from html.parser import HTMLParser

# A mailing list puts its name before subjects and its advertisement below bodies. In this collection nearly
# all lists carry good mail only, so a model would learn the lists instead of the mail.
_LIST_NAME = re.compile(r"\[[\w .-]{2,20}\]\s*")
_FOOTER_RULE = re.compile(r"\n(?:-- ?|_{20,})\n")
_FOOTER_CHARACTERS = 1_000


def mail_text(raw: bytes) -> str:
    r"""Return the subject, an empty line and the body of a mail.

    All other headers are left out: they say by which way and when a mail was collected. So are
    attachments, the names of mailing lists in the subject, and signatures and list footers. HTML becomes
    plain text; of a mail that has both, the plain text is taken.

    >>> mail_text(b"Received: from x\nSubject: Re: [ILUG] Tuesday\n\nSee you there.\n-- \nThe list")
    'Re: Tuesday\n\nSee you there.'
    """
    message = message_from_bytes(raw)
    subject = _LIST_NAME.sub("", _subject(message))
    body = "\n".join(_bodies(message)).replace("\r\n", "\n")
    return f"{subject.strip()}\n\n{_without_footers(body).strip()}".strip()


def _subject(message: Message) -> str:
    header = str(message.get("Subject", ""))
    try:
        parts = decode_header(header)
    except HeaderParseError:
        return header
    return "".join(_decode(part, charset) if isinstance(part, bytes) else part for part, charset in parts)


def _bodies(message: Message) -> Iterator[str]:
    texts = [part for part in message.walk() if part.get_content_maintype() == "text" and not part.get_filename()]
    plain = [part for part in texts if part.get_content_subtype() == "plain"]
    for part in plain or texts:
        payload = part.get_payload(decode=True)
        text = _decode(payload, part.get_content_charset()) if isinstance(payload, bytes) else ""
        yield _text_of_html(text) if part.get_content_subtype() == "html" else text


def _decode(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "latin-1", errors="replace")
    except LookupError:  # mail names character sets that nobody knows
        return data.decode("latin-1")


def _without_footers(body: str) -> str:
    rules = list(_FOOTER_RULE.finditer(body))
    while rules and len(body) - rules[-1].start() <= _FOOTER_CHARACTERS:
        body = body[: rules.pop().start()]
    return body


class _TextCollector(HTMLParser):
    """Collects what a reader sees: no tags, scripts or style sheets."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._hidden = tag in ("script", "style")
        self.text.append(" ")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text.append(data)


def _text_of_html(html: str) -> str:
    collector = _TextCollector()
    collector.feed(html)
    collector.close()
    return "".join(collector.text)
