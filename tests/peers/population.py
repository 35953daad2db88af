"""A population database: SOAP 1.1 by spyne, whose schema every question must fit, element by element and namespace by
namespace.

Options: `way` (`gateway`: bearer tokens; `exchange`: an X-Road security server; `facade`: JSON around the envelope),
`client` and `secret`, `calls` (for which a token is good), `citizens` (a file of JSON lines, each a citizen as a look-up
shows one), `officers` (who is entitled; absent: all), `unlicensed` (procedures), `busy` (so many questions are taken and not
answered), `wants` (a deviation, for negative controls: `order`, `namespace` or `more`).
"""

import base64
import datetime
import hashlib
import importlib
import json
import logging
import re
import sys
import time
import unicodedata

import six
from lxml import etree

# The copy of six inside spyne does not know how Python 3.12 imports.
sys.modules["spyne.util.six.moves"] = six.moves
for part in ("collections_abc", "http_cookies", "urllib", "urllib.error", "urllib.parse", "urllib.request"):
    sys.modules[f"spyne.util.six.moves.{part}"] = importlib.import_module(f"six.moves.{part}")

from spyne import Application, Boolean, ComplexModel, Fault, ServiceBase, Unicode, XmlAttribute, rpc  # noqa: E402
from spyne.protocol.soap import Soap11  # noqa: E402
from spyne.server.wsgi import WsgiApplication  # noqa: E402

import peer  # noqa: E402

# Every refusal is noted here; spyne would tell it with its whole stack.
logging.disable(logging.CRITICAL)

OPTIONS = peer.options()
WANTS = OPTIONS.get("wants")
NAMESPACE = "http://dancuquocgia.bca" + ("/v2" if WANTS == "namespace" else "")
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"

# ---- what is asked ----


def text(longest, pattern=None, least=1):
    return Unicode(min_occurs=least, nillable=False, min_len=1, max_len=longest, pattern=pattern)


class BirthDate(ComplexModel):
    """Either the day or the year."""

    __namespace__ = NAMESPACE
    _type_info = [
        ("NgayThangNam", Unicode(pattern="[0-9]{8}", nillable=False, min_occurs=1, xml_choice_group="known")),
        ("Nam", Unicode(pattern="[0-9]{4}", nillable=False, min_occurs=1, xml_choice_group="known")),
    ]


FIELDS = [
    ("MaYeuCau", text(40)),
    ("MaDVC", text(20, r"VPCP|[1-9]\.[0-9]{6}(\.([0-9]{3}\.[0-9]{2}\.[0-9]{2}\.)?[A-Z][0-9]{2})?")),
    ("MaTichHop", text(20, "[0-9]+")),
    ("MaCanBo", text(20)),
    ("MaDonVi", text(35, r"([0-9]{3}\.[0-9]{2}\.[0-9]{2}\.)?[A-Z][0-9]{2}|[A-Z][0-9]{2}(\.[0-9A-Z]+)+")),
    ("TaiKhoan", text(50, least=1 if WANTS == "more" else 0)),
    ("SoDienThoai", text(20, least=0)),
    ("SoDinhDanh", text(12, "[0-9]{12}", least=0)),
    ("SoCMND", text(9, "[0-9]{9}", least=0)),
    ("HoVaTen", text(100)),
    ("NgayThangNamSinh", BirthDate.customize(min_occurs=1, nillable=False)),
]
if WANTS == "order":
    FIELDS[0], FIELDS[1] = FIELDS[1], FIELDS[0]


class LookUp(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = FIELDS


class Verification(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = FIELDS


# ---- what is answered ----


class Parts(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = [(name, Unicode) for name in ("Ho", "ChuDem", "Ten")]


class Born(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = [(name, Unicode) for name in ("Nam", "NgayThangNam")]


class Place(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = [(name, Unicode) for name in ("QuocGia", "MaTinhThanh", "MaQuanHuyen", "MaPhuongXa", "ChiTiet")]


class Citizen(ComplexModel):
    __namespace__ = NAMESPACE
    __type_name__ = "CongDan"
    _type_info = [
        ("SoDinhDanh", Unicode),
        ("SoCMND", Unicode),
        ("HoVaTen", Parts),
        ("GioiTinh", Unicode),
        ("DanToc", Unicode),
        ("TinhTrangHonNhan", Unicode),
        ("NhomMau", Unicode),
        ("NgayThangNamSinh", Born),
        ("QuocTich", Unicode),
        ("ThuongTru", Place),
    ]


class Collection(ComplexModel):
    __namespace__ = NAMESPACE
    __type_name__ = "CongdanCollection"
    _type_info = [
        ("SoCongDan", XmlAttribute(Unicode)),
        ("ThoiDiemDuLieu", XmlAttribute(Unicode)),
        ("CongDan", Citizen.customize(max_occurs="unbounded")),
    ]


class Existence(ComplexModel):
    __namespace__ = NAMESPACE
    __type_name__ = "KetQuaXacThuc"
    _type_info = [("TonTai", Boolean(min_occurs=1))]


# ---- the register ----

with open(OPTIONS["citizens"], encoding="utf-8") as lines:
    CITIZENS = [json.loads(line) for line in lines]
asked, refused = [], []
numbers = set()
busy = OPTIONS.get("busy", 0)


def found(question):
    """The citizens under the number that was asked with."""
    wanted = ("SoDinhDanh", question.SoDinhDanh) if question.SoDinhDanh else ("SoCMND", question.SoCMND)
    return [citizen for citizen in CITIZENS if citizen.get(wanted[0]) == wanted[1]]


def taken(operation, service, question):
    """Enters a question, or refuses it as the register does."""
    global busy
    if question.MaTichHop != service:
        raise Fault("Client.MaTichHop", f"{operation} is service {service}, not {question.MaTichHop}")
    if not (question.SoDinhDanh or question.SoCMND):
        raise Fault("Client.SoDinhDanh", "neither SoDinhDanh nor SoCMND")
    if question.SoCMND == "000000001":
        raise Fault("Client.SoCMND", "nobody's number")
    born = question.NgayThangNamSinh
    if born.NgayThangNam:
        try:
            datetime.datetime.strptime(born.NgayThangNam, "%Y%m%d")
        except ValueError as error:
            raise Fault("Client.NgayThangNamSinh", "no such day") from error
    if question.MaYeuCau in numbers:
        raise Fault("Client.MaYeuCau", "MaYeuCau was used before")
    numbers.add(question.MaYeuCau)
    entry = {name: getattr(question, name) for name, _ in FIELDS if name != "NgayThangNamSinh"}
    asked.append({**entry, "operation": operation, "NgayThangNam": born.NgayThangNam, "Nam": born.Nam})
    if busy > 0:
        busy -= 1
        raise Fault("Server", "server error")
    if question.MaDVC in OPTIONS.get("unlicensed", []):
        raise Fault("004", "the procedure is not licensed")
    if question.MaCanBo not in OPTIONS.get("officers", [question.MaCanBo]):
        raise Fault("005", "the officer is not entitled")


def folded(name):
    plain = unicodedata.normalize("NFD", name.replace("Đ", "D").replace("đ", "d"))
    return " ".join("".join(letter for letter in plain if not unicodedata.combining(letter)).upper().split())


def agrees(citizen, question):
    born, registered = question.NgayThangNamSinh, citizen["NgayThangNamSinh"]
    day = registered.get("NgayThangNam")
    same_date = born.NgayThangNam == day if born.NgayThangNam and day else (
        (born.NgayThangNam or born.Nam)[:4] == registered["Nam"]
    )
    name = " ".join(filter(None, citizen["HoVaTen"].values()))
    return same_date and folded(name) == folded(question.HoVaTen)


class Register(ServiceBase):
    @rpc(LookUp, _returns=Collection, _body_style="bare", _in_message_name="TraCuuThongTinCongDan",
         _out_message_name="CongdanCollection")
    def look_up(ctx, question):
        taken("TraCuuThongTinCongDan", "037", question)
        people = [
            Citizen(**{
                **citizen,
                "HoVaTen": Parts(**citizen["HoVaTen"]),
                "NgayThangNamSinh": Born(**citizen["NgayThangNamSinh"]),
                "ThuongTru": Place(**citizen["ThuongTru"]),
            })
            for citizen in found(question)
        ]
        now = datetime.datetime.now().isoformat(timespec="seconds")
        return Collection(SoCongDan=str(len(people)), ThoiDiemDuLieu=now, CongDan=people or None)

    @rpc(Verification, _returns=Existence, _body_style="bare", _in_message_name="XacThucThongTinCongDan",
         _out_message_name="KetQuaXacThucResponse")
    def verify(ctx, question):
        taken("XacThucThongTinCongDan", "033", question)
        return Existence(TonTai=any(agrees(citizen, question) for citizen in found(question)))


SOAP = WsgiApplication(Application(
    [Register], NAMESPACE, name="DanCu", in_protocol=Soap11(validator="lxml"), out_protocol=Soap11()
))

# ---- the ways to it ----

gateway = peer.Gateway(OPTIONS.get("client", ""), OPTIONS.get("secret", ""), OPTIONS.get("calls", 20))


def soap(environ, start):
    """The service itself; what it refuses is noted."""
    head = []
    body = b"".join(SOAP(environ, lambda status, headers, *_: head.extend([status, headers])))
    reason = etree.fromstring(body).findtext(f"{{{ENVELOPE}}}Body/{{{ENVELOPE}}}Fault/faultstring")
    if reason is not None:
        refused.append(reason)
    start(*head)
    return [body]


def headers_of_soap(environ, kind):
    """What SOAP 1.1 over HTTP asks of the headers (sections 6 and 6.1.1)."""
    if environ.get("CONTENT_TYPE", "").partition(";")[0] != kind:
        raise peer.Refused(f"Content-Type must be {kind}, not {environ.get('CONTENT_TYPE')}")
    if environ.get("HTTP_SOAPACTION") != '""':
        raise peer.Refused("SOAPAction is not there, or not empty")


def digest(environ):
    """The headers of a security server."""
    stamp = environ.get("HTTP_TIMESTAMP", "")
    if not re.fullmatch("[0-9]{13}", stamp) or abs(time.time() * 1000 - int(stamp)) > 300_000:
        raise peer.Refused("Timestamp is not now, in milliseconds")
    user, secret = OPTIONS["client"], OPTIONS["secret"]
    expected = hashlib.sha256(f"{OPTIONS['auth_url']}{user}{stamp}{secret}".encode()).hexdigest()
    basic = base64.b64encode(f"{user}:{expected}".encode()).decode()
    if environ.get("HTTP_AUTHORIZATION") != f"Basic {basic}":
        raise peer.Refused("Authorization does not fit")
    if not environ.get("HTTP_X_ROAD_CLIENT") or environ.get("HTTP_APIKEY") != OPTIONS["api_key"]:
        raise peer.Refused("X-Road-Client or ApiKey")


FACADE = {"HoVaTen", "SoDinhDanh", "SoCMND", "NgayThangNam", "Nam", "MaTichHop", "MaDVC", "MaCanBo", "MaYeuCau"}


def facade(environ, start):
    """Makes an envelope of plain fields, asks the service, and hands its envelope on as a text."""
    if not peer.is_json(environ):
        raise peer.Refused("no JSON by its header")
    sent = peer.strict_json(peer.body_of(environ))
    if set(sent) != FACADE or not all(isinstance(value, str) for value in sent.values()):
        raise peer.Refused(f"the fields must be texts and these: {sorted(FACADE)}")
    if bool(sent["NgayThangNam"]) == bool(sent["Nam"]):
        raise peer.Refused("either NgayThangNam or Nam")
    envelope = etree.Element(f"{{{ENVELOPE}}}Envelope")
    body = etree.SubElement(envelope, f"{{{ENVELOPE}}}Body")
    question = etree.SubElement(body, f"{{{NAMESPACE}}}TraCuuThongTinCongDan")
    for name, _ in FIELDS[:-1]:
        value = "H56" if name == "MaDonVi" else sent.get(name)
        if value:
            etree.SubElement(question, f"{{{NAMESPACE}}}{name}").text = value
    born = etree.SubElement(question, f"{{{NAMESPACE}}}NgayThangNamSinh")
    name = "NgayThangNam" if sent["NgayThangNam"] else "Nam"
    etree.SubElement(born, f"{{{NAMESPACE}}}{name}").text = sent[name]
    data = etree.tostring(envelope, encoding="utf-8", xml_declaration=True)
    inner = {**environ, "CONTENT_LENGTH": str(len(data)), "CONTENT_TYPE": "text/xml; charset=utf-8", "wsgi.input": six.BytesIO(data)}
    told = b"".join(soap(inner, lambda *_: None)).decode()
    return peer.answer(start, "200 OK", {"error_code": 0, "message": told})


def calls(environ, start):
    way = OPTIONS["way"]
    if environ["REQUEST_METHOD"] != "POST":
        return peer.answer(start, "405 Method Not Allowed", {})
    if way != "exchange" and environ["PATH_INFO"] == "/token":
        return gateway.token(environ, start)
    if way != "exchange" and not gateway.is_open(environ):
        return gateway.shut(start)
    try:
        if way == "facade":
            return facade(environ, start)
        headers_of_soap(environ, "text/xml" if way == "gateway" else "application/xml")
        if way == "exchange":
            digest(environ)
            # To spyne it is SOAP like any other.
            environ["CONTENT_TYPE"] = "text/xml; charset=utf-8"
        return soap(environ, start)
    except peer.Refused as reason:
        refused.append(str(reason))
        return peer.answer(start, "400 Bad Request", {"message": str(reason)})


def shown():
    return {"asked": asked, "refused": refused, "tokens_lost": gateway.lost}


peer.serve(calls, shown, lambda _: None)
