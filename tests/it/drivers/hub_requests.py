"""The requests of a MASAS client, made with the standard library alone; fails with a text if an answer is wrong.

Shares no code with capbridge. Arguments: hub URL, access code of a writer, of another writer, of a reader.
"""

import base64
import datetime
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET

HUB, CODE, OTHER, READER = sys.argv[1:5]
ATOM = "{http://www.w3.org/2005/Atom}"
GEORSS = "{http://www.georss.org/georss}"
AGE = "{http://purl.org/atompub/age/1.0}"
APP = "{http://www.w3.org/2007/app}"
CAP_TYPE = "application/common-alerting-protocol+xml"
ATOM_TYPE = "application/atom+xml"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirect, urllib.request.ProxyHandler({}))


def ask(method, url, code=CODE, body=None, media_type=None):
    request = urllib.request.Request(url, data=body, method=method)
    if code:
        request.add_header("Authorization", "MASAS-Secret " + code)
    if media_type:
        request.add_header("Content-Type", media_type)
    try:
        with OPENER.open(request, timeout=15) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def expect(what, have, wanted):
    if have != wanted:
        sys.exit(f"{what}: {have!r} instead of {wanted!r}")


def now(minutes=0):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def entry(title="Fermeture d'un pont &amp; d\u00e9tour", position='<point xmlns="http://www.georss.org/georss">42.97 -82.41</point>',
          status="Exercise", expires="", extra=""):
    """An entry as the posting tool writes it: each extension element declares its own namespace."""
    if expires:
        expires = f'<expires xmlns="http://purl.org/atompub/age/1.0">{expires}</expires>'
    return f"""<?xml version="1.0" encoding="UTF-8"?><entry xmlns="http://www.w3.org/2005/Atom">
<category label="Category" scheme="masas:category:category" term="Transport"/>
<category label="Status" scheme="masas:category:status" term="{status}"/>
<category label="Category" scheme="masas:category:category" term="Infra"/>
<category label="Origin" scheme="urn:x-driver:origin" term="driver|1"/>{extra}
<title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><div xml:lang="fr">{title}</div></div></title>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><div xml:lang="fr">Ferm\u00e9.</div></div></content>
{expires}{position}</entry>""".encode()


def cap(version="1.2", kind="Alert", references=""):
    if references:
        references = f"<references>{references}</references>"
    return f"""<?xml version="1.0" encoding="UTF-8"?><c:alert xmlns:c="urn:oasis:names:tc:emergency:cap:{version}">
<c:identifier>DRIVER-{kind}-{version}</c:identifier><c:sender>driver@example.test</c:sender><c:sent>{now()[:-1]}-00:00</c:sent>
<c:status>Exercise</c:status><c:msgType>{kind}</c:msgType><c:scope>Public</c:scope><c:code>profile:CAP-CP:0.4</c:code>REFS
<c:info><c:language>en-CA</c:language><c:category>Geo</c:category><c:event>Earthquake</c:event><c:urgency>Unknown</c:urgency>
<c:severity>Unknown</c:severity><c:certainty>Likely</c:certainty><c:eventCode><c:valueName>profile:CAP-CP:Event:0.4</c:valueName>
<c:value>earthquake</c:value></c:eventCode><c:expires>{now(60)[:-1]}-00:00</c:expires><c:headline>An exercise of the driver</c:headline>
<c:area><c:areaDesc>Sarnia</c:areaDesc><c:polygon>42.9,-82.5 43.0,-82.5 43.0,-82.3 42.9,-82.5</c:polygon></c:area></c:info>
</c:alert>""".replace("REFS", references.replace("references", "c:references")).encode()


def link(node, rel):
    return [one.get("href") for one in node.findall(ATOM + "link") if one.get("rel") == rel]


def terms(node, scheme):
    return sorted(one.get("term") for one in node.findall(ATOM + "category") if one.get("scheme") == scheme)


def feed(**query):
    status, body, headers = ask("GET", HUB + "/feed?" + urllib.parse.urlencode(query))
    expect("the feed", (status, headers.get_content_type()), (200, ATOM_TYPE))
    root = ET.fromstring(body)
    expect("the root of the feed", root.tag, ATOM + "feed")
    return root.findall(ATOM + "entry")


def created(body, media_type, code=CODE):
    status, answer, _ = ask("POST", HUB + "/feed", code, body, media_type)
    if status not in (200, 201):
        sys.exit(f"POST {media_type}: {status} {answer!r}")
    return ET.fromstring(answer)


def access():
    root = HUB.rsplit("/", 1)[0]
    status, body, _ = ask("GET", f"{root}/api/check_access/?query_secret={CODE}")
    expect("check_access", status, 200)
    uri = json.loads(body)["uri"]
    for code in ("", "wrong"):
        expect("a bad access code", ask("GET", HUB + "/feed", code)[0], 401)
    expect("the code in the query", ask("GET", HUB + "/feed?secret=" + CODE, "")[0], 200)
    expect("a reader that posts", ask("POST", HUB + "/feed", READER, entry(), ATOM_TYPE)[0], 403)
    return uri


def entries(uri):
    expect("an empty feed", feed(), [])
    node = created(entry(), ATOM_TYPE)
    url = link(node, "edit")[0]
    expect("the author", node.findtext(f"{ATOM}author/{ATOM}uri"), uri)
    expect("two categories", terms(node, "masas:category:category"), ["Infra", "Transport"])
    expect("a foreign scheme", terms(node, "urn:x-driver:origin"), ["driver|1"])
    expect("no icon", terms(node, "masas:category:icon"), [])
    expect("the French title", "".join(node.find(ATOM + "title").itertext()), "Fermeture d'un pont & d\u00e9tour")
    expect("an end is always there", node.findtext(AGE + "expires")[-1], "Z")
    expect("no edit yet", (node.find(APP + "edited"), link(node, "history")), (None, []))
    status, body, _ = ask("GET", url)
    expect("the entry itself", (status, ET.fromstring(body).tag), (200, ATOM + "entry"))
    expect("a stranger's PUT", ask("PUT", url, OTHER, entry(), ATOM_TYPE)[0], 403)
    expect("a PUT that ends it", ask("PUT", url, CODE, entry(expires=now()), ATOM_TYPE + ";type=entry")[0], 200)
    expect("an ended entry is gone", feed(), [])
    ended = feed(dtsince=now(-60))
    expect("but not from the history", [one.findtext(ATOM + "id") for one in ended], [node.findtext(ATOM + "id")])
    history = ET.fromstring(ask("GET", link(ended[0], "history")[0])[1])
    expect("one revision before", len(history.findall(ATOM + "entry")), 1)


def positions():
    kinds = {
        "point": "42.97,-82.41",
        "line": "42.9 -82.5 43.0 -82.4",
        "polygon": "42.9 -82.5 43.0 -82.5 43.0 -82.3 42.9 -82.5",
        "circle": "42.9 -82.5 1500",
        "box": "42.9 -82.5 43.0 -82.3",
    }
    for kind, text in kinds.items():
        element = f'<g:{kind} xmlns:g="http://www.georss.org/georss">{text}</g:{kind}>'
        node = created(entry(position=element, expires=now(30).replace("Z", ".000+00:00")), ATOM_TYPE)
        expect(kind, node.findtext(GEORSS + kind), text.replace(",", " "))
    for text in ("42.9 -82.5 43.0 -82.5", "42.9 -82.5 43.0 -82.5 43.0 -82.3 42.9 -82.4"):
        element = f'<polygon xmlns="http://www.georss.org/georss">{text}</polygon>'
        expect("a bad polygon", ask("POST", HUB + "/feed", CODE, entry(position=element), ATOM_TYPE)[0], 400)
    expect("five in the box", len(feed(bbox="-83.0,42.0,-82.0,44.0")), 5)
    expect("the limit", len(feed(limit=2)), 2)
    expect("far away", feed(lat=10, lon=10, radius=1000), [])


def alerts(uri):
    references = f"driver@example.test,DRIVER-Alert-1.2,{now()[:-1]}-00:00"
    for version in ("1.1", "1.2"):
        body = cap(version)
        node = created(body, CAP_TYPE, OTHER)
        expect("the icon", terms(node, "masas:category:icon"), ["ems/incident/geophysical/earthquake"])
        expect("the title", "".join(node.find(ATOM + "title").itertext()), "Earthquake - Alert")
        enclosure = link(node, "enclosure")[0]
        status, file, headers = ask("GET", enclosure)
        expect("the enclosure", (status, headers.get_content_type(), file), (200, CAP_TYPE, body))
        expect("no entry of ours", [one for one in feed(author=uri) if link(one, "enclosure")], [])
        expect("hidden by not_author", [one for one in feed(not_author=node.findtext(f"{ATOM}author/{ATOM}uri")) if link(one, "enclosure")], [])
        media = link(node, "edit-media")[0]
        expect("an Alert twice", ask("PUT", media, OTHER, body, CAP_TYPE)[0], 400)
        expect("an Update", ask("PUT", media, OTHER, cap(version, "Update", references), CAP_TYPE)[0], 200)
        expect("a Cancel", ask("PUT", media, OTHER, cap(version, "Cancel", references), CAP_TYPE)[0], 200)
        expect("after the Cancel", ask("PUT", media, OTHER, cap(version, "Update", references), CAP_TYPE)[0], 400)


def texts_and_icons():
    for term in ("other", "ems/incident/Fire/forestfire"):
        icon = f'<category label="Icon" scheme="masas:category:icon" term="{term}"/>'
        node = created(entry(extra=icon), ATOM_TYPE)
        expect("an icon as it was sent", terms(node, "masas:category:icon"), [term])
    double = entry(extra='<category label="Status" scheme="masas:category:status" term="Test"/>')
    expect("two statuses", ask("POST", HUB + "/feed", CODE, double, ATOM_TYPE)[0], 400)
    empty = entry().replace(b"</div></div></title>", b'</div><div xml:lang="en"></div></div></title>')
    divs = created(empty, ATOM_TYPE).find(ATOM + "title").findall(".//{http://www.w3.org/1999/xhtml}div")
    expect("an empty text of a language", [div.text or "" for div in divs][1:], ["Fermeture d'un pont & d\u00e9tour", ""])
    plain = entry().replace(b'<title type="xhtml">', b'<title type="text">')
    expect("a plain title", created(plain, ATOM_TYPE).find(ATOM + "title").get("type"), "text")
    untitled = entry(title="")
    expect("no title", ask("POST", HUB + "/feed", CODE, untitled, ATOM_TYPE)[0], 400)


def attachments():
    photo = bytes(range(256))
    boundary = "0.a.unique.value.0"
    body = b"\r\n".join([
        f"--{boundary}".encode(),
        b'Content-Disposition: attachment; name="entry"; filename="entry.xml"', b"Content-Type: application/atom+xml", b"",
        entry(),
        f"--{boundary}".encode(),
        b'Content-Disposition: attachment; name="attachment"; filename="photo.jpg"', b"Content-Type: image/jpeg",
        b"Content-Transfer-Encoding: base64", b"", base64.encodebytes(photo).replace(b"\n", b"\r\n").strip(),
        f"--{boundary}--".encode(), b"",
    ])
    node = created(body, f"multipart/related; boundary={boundary}")
    file = link(node, "enclosure")[0]
    expect("the photo", ask("GET", file)[1], photo)
    expect("without a code", ask("GET", file, "")[0], 401)
    expect("no second file", ask("GET", file[:-1] + "1")[0], 404)


def refusals():
    deep = b"<!DOCTYPE e [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><entry xmlns='http://www.w3.org/2005/Atom'>&b;</entry>"
    cases = [
        ("an unknown type", b"x", "application/octet-stream", 415),
        ("CAP as text/xml", cap(), "text/xml", 415),
        ("CAP by its registered type", cap(), "application/cap+xml", 415),
        ("torn XML", cap()[:200], CAP_TYPE, 400),
        ("a DOCTYPE", deep, ATOM_TYPE, 400),
        ("no alert", b"<a/>", CAP_TYPE, 400),
        ("a status of another mode", entry(status="Actual"), ATOM_TYPE, 400),
        ("a bad time", entry(expires="tomorrow"), ATOM_TYPE, 400),
        ("no entry", cap(), ATOM_TYPE, 400),
    ]
    for what, body, media_type, wanted in cases:
        status, text, _ = ask("POST", HUB + "/feed", CODE, body, media_type)
        expect(what, status, wanted)
        if not text.strip():
            sys.exit(f"{what}: the refusal says nothing")
    expect("no such entry", ask("GET", HUB + "/feed/none")[0], 404)
    expect("a bad time in the query", ask("GET", HUB + "/feed?dtsince=x")[0], 400)


account = access()
entries(account)
positions()
alerts(account)
texts_and_icons()
attachments()
refusals()
