"""Reads a mail with Python's own parser and checks its DKIM signature with dkimpy; prints what it found as JSON.

read_mail.py FILE [SELECTOR._domainkey.DOMAIN RECORD]
"""

import hashlib
import json
import sys
from email import policy
from email.parser import BytesParser

import dkim

path, dns = sys.argv[1], sys.argv[2:]
raw = open(path, "rb").read()
# A mailbox in the form of Maildir has the line ends of the system.
wire = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
mail = BytesParser(policy=policy.default).parsebytes(raw)
parts = []
for part in mail.walk():
    if part.is_multipart():
        continue
    content = part.get_payload(decode=True)
    text = content.decode("utf-8") if part.get_content_maintype() == "text" else None
    parts.append(
        {
            "type": part.get_content_type(),
            "charset": part.get_content_charset(),
            "name": part.get_filename(),
            "sha256": hashlib.sha256(content).hexdigest(),
            "text": text,
        }
    )
found = {
    "headers": {name.lower(): str(value) for name, value in mail.items()},
    "names": [name.lower() for name, _ in mail.items()],
    "defects": [str(d) for part in mail.walk() for d in part.defects],
    "parts": parts,
}
if dns:
    name, record = dns
    answers = {(name + ".").encode(): record.encode()}
    look_up = lambda asked, timeout=5: answers.get(asked if isinstance(asked, bytes) else asked.encode())
    found["dkim"] = dkim.verify(wire, dnsfunc=look_up)
    forged = wire.replace(b"Subject: ", b"Subject: not ", 1)
    found["dkim_forged"] = dkim.verify(forged, dnsfunc=look_up)
    added = b"Subject: another\r\n" + wire
    found["dkim_added"] = dkim.verify(added, dnsfunc=look_up)
print(json.dumps(found))
