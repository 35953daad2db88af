"""The judicial records system, version 2, as a province's one-stop reaches it: one key for a province, declarations whose
values are all texts, answers in words, and a question for each dossier that may bring a certificate.

Options: `key`, `addresses` (`declare`, `show`), `lose` (so many declarations are stored and a proxy answers in the system's
place), `busy` (so many questions are not answered). POST to `/peer` is what an officer does: `{"code": "H56.14-…", "state": 4}`,
or 9 with a `result`.
"""

import base64
import datetime
import re
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
                if datetime.datetime.strptime(text, form).strftime(form) == text:
                    return text
            except ValueError:
                pass
        raise ValueError(f"no date: {text!r}")

    return AfterValidator(check)


def whole_code(text):
    """An agency, a day of the calendar, a number: the whole code, not its digits."""
    parts = re.fullmatch(r"[0-9A-Z]+(?:\.[0-9A-Z]+)*-([0-9]{6})-[0-9]{4,6}", text)
    if not parts:
        raise ValueError(f"no code of a dossier: {text!r}")
    datetime.datetime.strptime(parts[1], "%y%m%d")
    return text


def bytes_in_base64(text):
    if not base64.b64decode(text, validate=True):
        raise ValueError("an empty file")
    return text


Filled = Annotated[str, Field(min_length=1, pattern=r"\S")]
Day = Annotated[str, dated("%d/%m/%Y")]
Known = Annotated[str, dated("%d/%m/%Y", "%m/%Y", "%Y")]
Month = Annotated[str, dated("%m/%Y")]
Code = Annotated[str, AfterValidator(whole_code)]
Nothing = Literal[""]
Paper = Literal["0", "1", "2", "3"]

# How the members of the family and the delegate are described is known by the beginnings of the names only.
OTHERS = re.compile(r"(?:cha|me|voChong|nuq)[A-Z]\w*")


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Stay(Strict):
    tuThangNam: Month
    denThangNam: Month | Nothing
    diaChiCuTru: Filled
    ngheNghiep: str
    noiLamViec: str


class Declaration(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    loaiPhieu: Literal["1", "2"]
    yeuCauCDNCV: Literal["0", "1", ""]
    maMucDich: str
    tenMucDich: str
    soLuongCap: Annotated[str, Field(pattern=r"^[1-9][0-9]?$")]
    nycHoTen: Filled
    nycGioiTinh: Literal["1", "2"]
    nycNgaySinh: Known
    nycThuongTru: str
    nycTamTru: str
    nycSoGiayTo: Filled
    nycLoaiGiayTo: Paper
    nycQuocTich: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    nycDanToc: Annotated[str, Field(pattern=r"^(0[1-9]|[1-4][0-9]|5[0-4])?$")]
    nycNoiSinh: str
    uyQuyen: Literal["0", "1"]
    quaTrinhCTNNNLV: list[Stay]

    @model_validator(mode="after")
    def fits(self):
        others = self.model_extra
        strange = [name for name, value in others.items() if not OTHERS.fullmatch(name) or not isinstance(value, str)]
        if strange:
            raise ValueError(f"toKhai: {strange}")
        delegate = any(value for name, value in others.items() if name.startswith("nuq"))
        if (self.uyQuyen == "1") != delegate:
            raise ValueError("uyQuyen: a delegate is described where there is one, and nowhere else")
        length = {"1": 9, "3": 12}.get(self.nycLoaiGiayTo)
        if length and not re.fullmatch(f"[0-9]{{{length}}}", self.nycSoGiayTo) or self.nycSoGiayTo == "000000001":
            raise ValueError(f"nycSoGiayTo: no number of a paper of kind {self.nycLoaiGiayTo}")
        return self


class Attachment(Strict):
    tenLoaiFile: Filled
    tenFile: Filled
    noiDungFile: Annotated[str, AfterValidator(bytes_in_base64)]


class Sent(Strict):
    authKey: Literal[OPTIONS["key"]]
    maTinh: Literal["38"]
    tenTinh: Filled
    maHoSoMCDT: Code
    nguonDangKy: Filled
    ngayTiepNhan: Day
    toKhai: Declaration
    fileHoSo: list[Attachment]


class Asked(Strict):
    authKey: Literal[OPTIONS["key"]]
    maTinh: Literal["38"]
    maHoSoMCDT: Code


# ---- the books ----

books, refused = {}, []
called = {"declare": 0, "show": 0}
lost = {"answers": 0, "questions": 0}


class LostAnswer(Exception):
    pass


def declare(sent):
    """In words: sent, or received already. Both are well."""
    code = Sent.model_validate(sent).maHoSoMCDT
    if code in books:
        return f"Hồ sơ {code} đã được tiếp nhận trước đó"
    books[code] = {"body": sent, "state": 1, "result": None, "asked": 0}
    if lost["answers"] < OPTIONS.get("lose", 0):
        lost["answers"] += 1
        raise LostAnswer
    return "Gửi thông tin hồ sơ thành công!"


def show(sent):
    code = Asked.model_validate(sent).maHoSoMCDT
    if lost["questions"] < OPTIONS.get("busy", 0):
        lost["questions"] += 1
        return {"status": 0, "statusDescription": "Hệ thống bận", "value": []}
    entry = books.get(code)
    if entry is None:
        return {"status": 0, "statusDescription": "Không có hồ sơ", "value": []}
    entry["asked"] += 1
    shown = {"maHoSoMCDT": code, "trangThaiXuLy": entry["state"], "ketQuaXuLy": entry["result"]}
    return {"status": 1, "statusDescription": "", "value": [shown]}


FUNCTIONS = {OPTIONS["addresses"]["declare"]: ("declare", declare), OPTIONS["addresses"]["show"]: ("show", show)}


def calls(environ, start):
    if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] not in FUNCTIONS:
        return peer.answer(start, "404 Not Found", {"message": "no such call"})
    name, function = FUNCTIONS[environ["PATH_INFO"]]
    called[name] += 1
    try:
        if not peer.is_json(environ):
            raise peer.Refused("no JSON by its header")
        told = function(peer.strict_json(peer.body_of(environ)))
    except LostAnswer:
        start("502 Bad Gateway", [("Content-Type", "text/html")])
        return [b"<html><h1>502 Bad Gateway</h1></html>"]
    except (peer.Refused, ValidationError) as reason:
        refused.append(str(reason))
        told = f"Gửi không thành công: {reason}"
        told = told if name == "declare" else {"status": 0, "statusDescription": told, "value": []}
    if isinstance(told, dict):
        return peer.answer(start, "200 OK", told)
    start("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [told.encode()]


def shown():
    return {
        "declarations": [{"code": code, **entry} for code, entry in books.items()],
        "refused": refused, "called": called, "lost": lost,
    }


def told(act):
    entry = books[act["code"]]
    assert (act["state"] == 9) == ("result" in act), "a certificate is issued at the end, and then only"
    entry["state"], entry["result"] = act["state"], act.get("result")


peer.serve(calls, shown, told)
