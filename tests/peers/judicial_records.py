"""The judicial records system, version 1, behind the gateway of a province; every declaration must fit models of pydantic,
field by field and type by type.

Options: `client` and `secret`, `calls` (for which a token is good), `small_letters` (names of fields in answers),
`wants` (`more`: one more mandatory field, for a negative control). POST to `/peer` is what an officer does:
`{"number": "2307190001", "state": 4}`, or 5 with a `day`.
"""

import base64
import datetime
import secrets
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

import peer

OPTIONS = peer.options()

# ---- what a declaration is made of ----


def dated(*forms):
    """A text that is a date of the calendar in one of these forms."""

    def check(text):
        for form in forms:
            try:
                # strptime takes 1/2/2024 for 01/02/2024; the system does not.
                if datetime.datetime.strptime(text, form).strftime(form) == text:
                    return text
            except ValueError:
                pass
        raise ValueError(f"no date: {text!r}")

    return AfterValidator(check)


def number_of_receipt(text):
    datetime.datetime.strptime(text[:6], "%y%m%d")
    return text


def no_dummy(text):
    if text == "000000001":
        raise ValueError("nobody's number")
    return text


Filled = Annotated[str, Field(min_length=1, pattern=r"\S")]
Day = Annotated[str, dated("%d/%m/%Y")]
Known = Annotated[str, dated("%d/%m/%Y", "%m/%Y", "%Y")]
Nothing = Literal[""]
Listed = Annotated[int, Field(gt=0)]
Unknown = Literal[-1]
YesNo = Literal[0, 1]
Paper = Literal[0, 1, 2, 3]


class Strict(BaseModel):
    """Texts are texts, numbers are numbers, and nothing is there that the guide does not know."""

    model_config = ConfigDict(strict=True, extra="forbid")


def of_its_kind(kind, number):
    """Twelve digits of a citizen's card, nine of an old one."""
    length = {1: 9, 3: 12}.get(kind)
    if length and not (number.isascii() and number.isdigit() and len(number) == length):
        raise ValueError(f"identifyNo: a paper of kind {kind} has {length} digits")


class Declaration(Strict):
    fullName: Filled
    genderId: Literal[0, 1]
    birthDateStr: Known
    birthPlace: str = ""
    nationalityId: Listed
    ethnicId: Listed | Unknown = -1
    residence: str = ""
    reRegionId: Listed | Unknown = -1
    residenceTemporary: str = ""
    rtRegionId: Listed | Unknown = -1
    idTypeId: Paper
    identifyNo: Annotated[Filled, AfterValidator(no_dummy)]
    idIssueDate: Day | Nothing = ""
    idIssuePlace: str = ""
    dadName: str = ""
    dadDob: Known | Nothing = ""
    momName: str = ""
    momDob: Known | Nothing = ""
    partnerName: str = ""
    partnerDob: Known | Nothing = ""
    otherName: str = ""
    phone: Annotated[str, Field(pattern=r"^0[0-9]{9}$")]
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | Nothing = ""
    ministryJusticeId: Listed | Unknown = -1
    declareDate: Day
    declareTypeId: Literal[3844, 3845, 3846, 3847]
    requestQty: Annotated[int, Field(ge=1)]
    requestQtyAdd: Annotated[int, Field(ge=0)] = 0
    objectRequestId: Literal[71, 72, 73, 74]
    agencyRequestId: Listed | Unknown = -1
    regionRequestId: Listed | Unknown = -1
    formType: Literal[1, 2]
    isBanPosition: YesNo | None = None
    delivery: YesNo | None = None
    deliveryAddress: str = ""
    deliveryDistrict: str = ""
    note: str = ""
    purpose: str = ""
    receiveNo: str = ""
    declarationPortalID: str = ""

    @model_validator(mode="after")
    def fits(self):
        of_its_kind(self.idTypeId, self.identifyNo)
        if self.delivery == 1 and not self.deliveryAddress:
            raise ValueError("deliveryAddress: to be delivered, but where?")
        if (self.declareTypeId == 3847) != (self.objectRequestId == 73):
            raise ValueError("objectRequestId: an organisation asks as one")
        return self


class Stay(Strict):
    fromDateStr: Known
    # Who is still there has no end of it; the guide has no word for that, but wants one.
    toDateStr: Known | Annotated[str, Field(pattern=r"^[^\W\d]+$")]
    residencePlace: Filled
    jobName: str = ""
    workPlace: str = ""


class Mandator(Strict):
    fullName: Filled
    genderId: YesNo | Unknown = -1
    birthDateStr: Known | Nothing = ""
    birthPlaceId: Listed | Unknown = -1
    residence: str = ""
    regionId: Listed | Unknown = -1
    idTypeId: Paper | Unknown = -1
    identifyNo: Annotated[str, AfterValidator(no_dummy)] = ""
    idIssueDate: Day | Nothing = ""
    idIssuePlace: str = ""
    mandatorRelation: str = ""
    mandatorDate: Day | Nothing = ""

    @model_validator(mode="after")
    def fits(self):
        of_its_kind(self.idTypeId, self.identifyNo)
        return self


class Received(Strict):
    idMinistryJustice: Listed
    idReceivedDec: Annotated[str, Field(pattern=r"^[0-9]{10,12}$"), AfterValidator(number_of_receipt)]
    dateReceivedDec: Day
    datePromissoryDec: Day | Nothing = ""
    idMoneyReceipt: Filled if OPTIONS.get("wants") == "more" else str = ""
    declarationWSForm: Declaration
    residenceWSForm: list[Stay] = []
    mandatorWSForm: Mandator | None = None

    @model_validator(mode="after")
    def fits(self):
        if (self.declarationWSForm.declareTypeId == 3845) != (self.mandatorWSForm is not None):
            raise ValueError("mandatorWSForm: belongs to a delegated declaration, and to no other")
        return self


class StatesWanted(Strict):
    infoType: Literal[2]


class Read(Strict):
    declarationId: Filled
    infoType: Literal[2]


class OneWanted(Strict):
    idReceivedDec: Filled
    infoType: Literal[1, 2]
    identifyNo: str = ""


# ---- the books ----

NAMES = {3: "Đã tiếp nhận", 4: "Đang xử lý", 5: "Đã có Phiếu lý lịch tư pháp"}

books = {}
refused = []
called = {}


class Entry:
    """A declaration, and where it stands: `changes` counts its states, `listed` and `read` how far they have gone out."""

    def __init__(self, body):
        # As the system encrypts its ids: base64, with every sign that it has.
        self.id = base64.b64encode(b"\xfb\xef\xbe" + secrets.token_bytes(10)).decode()
        self.body = body
        self.state, self.day = 3, ""
        self.changes, self.listed, self.read = 1, 0, 0

    def move(self, state, day):
        assert state == self.state + 1 and (state == 5) == bool(day), f"no officer does that: {self.state} to {state}"
        self.state, self.day = state, day
        self.changes += 1

    def row(self):
        return {
            "DECLARATION_ID": self.id, "DEC_STATUS_ID": self.state, "DEC_STATUS_NAME": NAMES[self.state],
            "APPROVE_DATE": self.day, "ISSUE_DATE": self.day, "APPOINTMENT_NO": None,
            "RECEIVE_NO": self.body["idReceivedDec"],
        }


# ---- the functions ----


def said(status, text, **more):
    return {"STATUS": status, "DESCRIPTION": text, **more}


def declare(sent):
    number = Received.model_validate(sent).idReceivedDec
    if number in books:
        raise peer.Refused(f"Hồ sơ có mã {number} đã tồn tại trong hệ thống")
    books[number] = Entry(sent)
    return said(1, "Tiếp nhận hồ sơ thành công", ID=books[number].id)


def list_states(sent):
    StatesWanted.model_validate(sent)
    changed = [entry for entry in books.values() if entry.changes > entry.read]
    for entry in changed:
        entry.listed = entry.changes
    return said("1", "", LISTCONTENT=[entry.row() for entry in changed])


def mark_read(sent):
    ids = Read.model_validate(sent).declarationId.split(";")
    by_id = {entry.id: entry for entry in books.values()}
    strange = [id for id in ids if id not in by_id]
    if strange or len(set(ids)) != len(ids):
        raise peer.Refused(f"declarationId: unknown or twice: {strange or ids}")
    for id in ids:
        by_id[id].read = by_id[id].listed
    return said(1, "Thành công")


def one_state(sent):
    entry = books.get(OneWanted.model_validate(sent).idReceivedDec)
    if entry is None:
        raise peer.Refused("Không tìm thấy hồ sơ")
    return said(1, "", **{name: entry.row()[name] for name in ("DEC_STATUS_ID", "DEC_STATUS_NAME", "APPROVE_DATE", "ISSUE_DATE")})


FUNCTIONS = {
    "nhanHoSoDangKy": declare, "traDsTrangThaiHs": list_states, "danhDauHsThanhCong": mark_read, "traTrangThaiHs": one_state,
}


def spelt(value):
    """Names of fields as this version writes them."""
    if not OPTIONS.get("small_letters"):
        return value
    if isinstance(value, dict):
        return {name.lower(): spelt(inner) for name, inner in value.items()}
    return [spelt(inner) for inner in value] if isinstance(value, list) else value


gateway = peer.Gateway(OPTIONS["client"], OPTIONS["secret"], OPTIONS.get("calls", 20))


def calls(environ, start):
    if environ["REQUEST_METHOD"] != "POST":
        return peer.answer(start, "405 Method Not Allowed", {})
    if environ["PATH_INFO"] == "/token":
        return gateway.token(environ, start)
    if not gateway.is_open(environ):
        return gateway.shut(start)
    api, _, name = environ["PATH_INFO"].strip("/").partition("/")
    function = FUNCTIONS.get(name)
    if api != "apiLyLichTuPhap" or function is None:
        return peer.answer(start, "404 Not Found", {"fault": {"code": 404, "message": "No matching resource found"}})
    called[name] = called.get(name, 0) + 1
    try:
        if not peer.is_json(environ):
            raise peer.Refused("no JSON by its header")
        told = function(peer.strict_json(peer.body_of(environ)))
    except (peer.Refused, ValidationError) as reason:
        refused.append(str(reason))
        told = said(0, str(reason))
    return peer.answer(start, "200 OK", spelt(told))


def shown():
    entries = [
        {"id": entry.id, "state": entry.state, "changes": entry.changes, "read": entry.read, "body": entry.body}
        for entry in books.values()
    ]
    return {"declarations": entries, "refused": refused, "called": called, "tokens_lost": gateway.lost}


def told(act):
    books[act["number"]].move(act["state"], act.get("day", ""))


peer.serve(calls, shown, told)
