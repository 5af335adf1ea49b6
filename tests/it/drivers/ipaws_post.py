"""Posts to an IPAWS-OPEN endpoint with zeep, xmlsec and a WSDL; prints what came back as JSON.

Shares no code with capbridge. Arguments: WSDL, endpoint, folder of keys, COG id, CASE.
"""

import datetime
import json
import sys

import xmlsec
import zeep
import zeep.exceptions
from lxml import etree
from zeep.wsse.signature import BinarySignature

SERVICE = "{http://gov.fema.ipaws.services/IPAWS_CAPService/}"
CAP = "urn:oasis:names:tc:emergency:cap:1.2"
SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"


def at(minutes):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return now.strftime("%Y-%m-%dT%H:%M:%S-00:00")


def alert(identifier, sent_minutes):
    """An alert of the driver's own."""
    text = f"""<alert xmlns="{CAP}"><identifier>{identifier}</identifier><sender>driver@example.test</sender>\
<sent>{at(sent_minutes)}</sent><status>Actual</status><msgType>Alert</msgType><source>DRIVER</source>\
<scope>Public</scope><code>IPAWSv1.0</code><info><language>en-US</language><category>CBRNE</category>\
<event>Hazardous Materials Warning</event><responseType>Shelter</responseType><urgency>Immediate</urgency>\
<severity>Severe</severity><certainty>Observed</certainty><eventCode><valueName>SAME</valueName>\
<value>HMW</value></eventCode><expires>{at(60)}</expires><senderName>120082,Exercise,Exercise</senderName>\
<headline>EXERCISE</headline><description>EXERCISE: caf\u00e9 &amp; &lt;rail yard&gt;.</description>\
<parameter><valueName>EAS-ORG</valueName><value>CIV</value></parameter><parameter>\
<valueName>BLOCKCHANNEL</valueName><value>NWEM</value></parameter><parameter><valueName>WEAHandling</valueName>\
<value>Imminent Threat</value></parameter><parameter><valueName>CMAMtext</valueName><value>EXERCISE</value>\
</parameter><area><areaDesc>Niagara County, NY</areaDesc><geocode><valueName>SAME</valueName>\
<value>036063</value></geocode></area></info></alert>"""
    return etree.fromstring(text.encode())


def sign_alert(root, key_file, certificate_file):
    """Signs in the shape of the real alerts: enveloped, inclusive C14N of the content."""
    signature = xmlsec.template.create(root, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256)
    root.append(signature)
    reference = xmlsec.template.add_reference(signature, xmlsec.Transform.SHA256, uri="")
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    data = xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    xmlsec.template.x509_data_add_certificate(data)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_file(key_file, xmlsec.KeyFormat.PEM)
    context.key.load_cert_from_file(certificate_file, xmlsec.KeyFormat.PEM)
    context.sign(signature)
    return root


class Body(BinarySignature):
    """Signs the Body; the service does not sign its replies."""

    def __init__(self, *args, tamper=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.tamper = tamper

    def apply(self, envelope, headers):
        envelope, headers = super().apply(envelope, headers)
        if self.tamper:
            next(envelope.iter("{%s}headline" % CAP)).text = "tampered"
        return envelope, headers

    def verify(self, envelope):
        return envelope


class Unsigned:
    def apply(self, envelope, headers):
        return envelope, headers

    def verify(self, envelope):
        return envelope


class Signed(zeep.Plugin):
    """Puts the signed alert in the place of the one that zeep made."""

    def __init__(self, signed):
        self.signed = signed

    def egress(self, envelope, http_headers, operation, binding_options):
        place = envelope.find(".//" + SERVICE + "postCAPRequestTypeDef")
        if place is not None:
            for child in list(place):
                place.remove(child)
            place.append(self.signed)
        return envelope, http_headers


def call(wsdl, endpoint, keys, cog, case):
    # `other-cog` logs on as a COG whose certificate it does not have.
    key, certificate = f"{keys}/cog-{cog}.key.pem", f"{keys}/cog-{cog}.crt.pem"
    logon = "120075" if case == "other-cog" else cog
    header = {"CAPHeaderTypeDef": {"logonUser": "zeep driver", "logonCogId": logon}}
    methods = {"signature_method": xmlsec.Transform.RSA_SHA256, "digest_method": xmlsec.Transform.SHA256}
    wsse = Body(key, certificate, tamper=case == "tampered-body", **methods)
    if case == "unsigned-body":
        wsse = Unsigned()
    root = alert("DRIVER-" + ("SAME" if case == "duplicate" else case), -30 if case == "old-sent" else 0)
    plugins = []
    if case not in ("ack", "profile", "messages"):
        root = sign_alert(root, key, certificate)
        if case == "bad-signature":
            next(root.iter("{%s}headline" % CAP)).text = "changed after signing"
        plugins = [Signed(root)]
    client = zeep.Client(wsdl, wsse=wsse, plugins=plugins)
    service = client.create_service(SERVICE + "CAPSoapHttp", endpoint)
    if case == "ack":
        reply = service.getRequest(requestAPI="REQUEST1", requestOperation="getAck", _soapheaders=header)
    elif case == "profile":
        value = {"parameterName": "cogid", "parameterValue": [cog]}
        reply = service.getRequest(
            requestAPI="REQUEST1", requestOperation="getCOGProfile", parameters=[value], _soapheaders=header)
    elif case == "messages":
        since = {"parameterName": "sent", "comparisonOp": "greaterthan", "parameterValue": [at(-60)]}
        reply = service.getMessage(
            requestAPI="REQUEST1", requestOperation="getMessageAll", parameters=[since], _soapheaders=header)
        return {"alerts": [one["identifier"] for one in zeep.helpers.serialize_object(reply, dict)]}
    else:
        if case == "duplicate":
            post(service, header)
        reply = post(service, header)
    return zeep.helpers.serialize_object(reply, dict)


def post(service, header):
    # What zeep demands; the plugin replaces it.
    made = {"identifier": "x", "sender": "x", "sent": datetime.datetime.now(), "status": "Test",
            "msgType": "Alert", "scope": "Public"}
    return service.postCAP(alert=made, _soapheaders=header)


def main():
    try:
        reply = call(*sys.argv[1:6])
    except zeep.exceptions.Fault as fault:
        print(json.dumps({"fault": fault.message}))
        return
    if "alerts" in reply:
        print(json.dumps(reply))
        return
    items = reply["parameterListItem"]
    pairs = [(sub["subParameterName"], sub["subParameterValue"]) for item in items for sub in item["subParaListItem"]]
    names = {item["parameterName"]: item["parameterValue"] for item in items if item["parameterName"]}
    codes = [value for name, value in pairs if name == "STATUSITEMID"]
    print(json.dumps({"names": names, "codes": codes}))


main()
