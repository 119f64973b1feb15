from __future__ import annotations

from base64 import b64encode

import pytest

from sm_local.mail import mail_text

MULTIPART = """\
Subject: Two forms
Content-Type: multipart/alternative; boundary=border

--border
Content-Type: text/html

<p>in HTML</p>
--border
Content-Type: text/plain

in plain text
--border--
"""
ATTACHMENT = """\
Subject: With a file
Content-Type: multipart/mixed; boundary=border

--border
Content-Type: text/plain

see below
--border
Content-Type: text/plain; name=notes.txt
Content-Disposition: attachment; filename=notes.txt

the notes
--border--
"""


def test_only_the_subject_of_all_headers_is_kept() -> None:
    raw = b"From x Mon\nReceived: from secret\nList-Id: secret\nSubject: Hello\nX-Spam: secret\n\nbody\n"
    assert mail_text(raw) == "Hello\n\nbody"


@pytest.mark.parametrize(
    ("subject", "kept"), [("[ILUG] Hello", "Hello"), ("Re: [Razor-users] Hello", "Re: Hello"), ("[a, b] x", "[a, b] x")]
)
def test_names_of_mailing_lists_are_taken_out_of_the_subject(subject: str, kept: str) -> None:
    assert mail_text(f"Subject: {subject}\n\nbody".encode()) == f"{kept}\n\nbody"


@pytest.mark.parametrize("rule", ["--", "-- ", "_" * 40])
def test_signatures_and_list_footers_are_cut_off(rule: str) -> None:
    assert mail_text(f"Subject: s\n\nbody\n{rule}\nSmith\n{rule}\nThe list\n".encode()) == "s\n\nbody"


def test_a_rule_with_much_text_below_is_no_footer() -> None:
    body = "first part\n" + "_" * 40 + "\n" + "second part " * 100
    assert mail_text(f"Subject: s\n\n{body}".encode()) == f"s\n\n{body.strip()}"


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=utf-8", b64encode("é".encode())),
        ("Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=utf-8", b"=C3=A9"),
        ("Content-Type: text/plain; charset=iso-8859-1", b"\xe9"),
        ("Content-Type: text/plain; charset=nobody-knows", b"\xe9"),
        ("Content-Type: text/plain", b"\xe9"),
    ],
)
def test_the_body_is_decoded_as_the_mail_says_or_as_latin_1(header: str, body: bytes) -> None:
    assert mail_text(b"Subject: s\n" + header.encode() + b"\n\n" + body) == "s\n\né"


@pytest.mark.parametrize(
    ("subject", "kept"),
    [
        ("=?utf-8?b?w6k=?= and =?iso-8859-1?q?=E9?=", "é and é"),
        ("=?nobody-knows?q?=E9?=", "é"),
        ("=?utf-8?b?a?=", "=?utf-8?b?a?="),
        ("", ""),
    ],
)
def test_the_subject_is_decoded_or_kept_as_it_is(subject: str, kept: str) -> None:
    assert mail_text(f"Subject: {subject}\n\nbody".encode()) == f"{kept}\n\nbody".strip()


def test_html_becomes_what_its_reader_sees() -> None:
    html = (
        "<html><head><style>p {color: red}</style><script>run()</script></head>"
        "<body><p>Fish &amp; <b>chips</b></p>\n<p>now</p></body></html>"
    )
    text = mail_text(f"Subject: s\nContent-Type: text/html\n\n{html}".encode())
    assert text.split() == ["s", "Fish", "&", "chips", "now"]


def test_of_plain_text_and_html_the_plain_text_is_taken() -> None:
    assert mail_text(MULTIPART.encode()) == "Two forms\n\nin plain text"


def test_attachments_are_left_out() -> None:
    assert mail_text(ATTACHMENT.encode()) == "With a file\n\nsee below"


def test_windows_line_ends_are_like_any_other() -> None:
    assert mail_text(b"Subject: s\r\n\r\none\r\ntwo\r\n-- \r\nSmith\r\n") == "s\n\none\ntwo"


def test_a_mail_of_nothing_is_empty() -> None:
    assert mail_text(b"") == ""
