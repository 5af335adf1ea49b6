"""Reads an Atom document from standard input with feedparser; prints what it found as JSON."""

import json
import sys

import feedparser

read = feedparser.parse(sys.stdin.buffer.read())
entry = lambda e: {
    "id": e.id,
    "title": e.title,
    "updated": list(e.updated_parsed[:6]),
    "summary": e.summary,
    "terms": [t.term for t in e.get("tags", [])],
    "enclosures": [dict(x) for x in e.get("enclosures", [])],
    "where": e.get("where"),
    "cap": {k: v for k, v in e.items() if k.startswith("cap_")},
}
print(
    json.dumps(
        {
            "fault": str(read.get("bozo_exception", "")),
            "version": read.version,
            "id": read.feed.id,
            "title": read.feed.title,
            "links": {x.rel: x.href for x in read.feed.links},
            "entries": [entry(e) for e in read.entries],
        }
    )
)
