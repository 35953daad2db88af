"""The national portal in each of the ways in which provinces meet it, with items that must fit a JSON Schema, name by name,
code by code, each value a text unless the guide says otherwise.

Options: `way` (`adapter`: a session in every body, the default; `gateway`: bearer tokens, an address for each of three
purposes and a bare list as body; `facade`: agency and kind of call in the query, a bare list as body), `user` and `password`
(`adapter`) or `client` and `secret` (`gateway`), `addresses` (those of a gateway: `add`, `update`, `progress`), `calls` (for
which a session or token is good), `lose` (so many dossiers are stored and a proxy answers in the portal's place), `wants` (a
deviation, for negative controls: `more`, one more mandatory field, or `number`, an amount as a number). POST to `/peer` is
what a clerk does: `{"typed": item, "unseen": 1}` has an item typed in by hand, which so many searches do not show yet.
"""

import copy
import datetime
import itertools
import re
import secrets
import urllib.parse

import jsonschema

import peer

OPTIONS = peer.options()
WAY = OPTIONS.get("way", "adapter")
AGENCY = "000.00.00.H56"

# ---- the grammar of what a text may be ----

formats = jsonschema.FormatChecker(())

OLD_AGENCY = r"[0-9A-Z]{3}\.[0-9A-Z]{2}\.[0-9A-Z]{2}\.[A-Z][0-9]{2}"
AGENCY_CODE = rf"(?:{OLD_AGENCY}|[A-Z][0-9]{{2}}(?:\.[0-9A-Z]+)*)"


@formats.checks("moment", raises=ValueError)
def is_moment(text):
    """yyyyMMddHHmmss, local time, empty for none."""
    return text == "" or (re.fullmatch("[0-9]{14}", text) and bool(datetime.datetime.strptime(text, "%Y%m%d%H%M%S")))


@formats.checks("dossier-code", raises=ValueError)
def is_dossier_code(text):
    parts = re.fullmatch(rf"({AGENCY_CODE})-([0-9]{{6}})-[0-9]{{4,6}}", text)
    return bool(parts) and len(parts[1]) <= 35 and bool(datetime.datetime.strptime(parts[2], "%y%m%d"))


@formats.checks("name")
def is_name(text):
    """Names are written for people: no code in their place, nothing at the ends."""
    return not re.fullmatch(AGENCY_CODE, text) and text == text.strip()


@formats.checks("link")
def is_link(text):
    """An address that anybody can follow: absolute, and percent-encoded; empty for none."""
    return text == "" or bool(re.fullmatch(r"https?://[!#-;=?-\[\]_a-z~]+", text))


# ---- the items ----


def text(most=None, least=0, **more):
    rule = {"type": "string", "minLength": least, **more}
    return rule if most is None else {**rule, "maxLength": most}


def filled(most=None, **more):
    return text(most, 1, pattern=r"\S", **more)


def code(*codes):
    return {"enum": list(codes)}


def moment(least=0):
    return text(14, least, format="moment")


def item(mandatory, **fields):
    """An object with these fields and no other; those named must be there."""
    return {"type": "object", "properties": fields, "required": mandatory.split(), "additionalProperties": False}


def items(of):
    return {"type": "array", "items": of}


STATUS = code(*(str(number) for number in range(1, 11)))
# A number that says who it is; 000000001 is nobody's.
NUMBER = {**text(50), "not": {"const": "000000001"}}
MaTTHC = filled(60, allOf=[{"pattern": r"^[1-9]\.[0-9]{6}(\.([0-9]{3}\.[0-9]{2}\.[0-9]{2}\.)?[A-Z][0-9]{2})?$"}])

NUMBER_OF_A_KIND = {
    **item("LoaiDinhDanh SoDinhDanh", LoaiDinhDanh=code("1", "2", "3"), SoDinhDanh={**NUMBER, "minLength": 1}),
    "oneOf": [
        {"properties": {"LoaiDinhDanh": {"const": "1"}, "SoDinhDanh": {"pattern": "^[0-9]{12}$"}}},
        {"properties": {"LoaiDinhDanh": {"const": "2"}, "SoDinhDanh": {"pattern": "^[0-9]{9}$"}}},
        {"properties": {"LoaiDinhDanh": {"const": "3"}}},
    ],
}

PAPER = item(
    "TepDinhKemId TenTepDinhKem IsDeleted MaThanhPhanHoSo DuongDanTaiTepTin",
    TepDinhKemId=filled(), TenTepDinhKem=text(4000), IsDeleted=code("True", "False", "0", "1"), MaThanhPhanHoSo=filled(),
    DuongDanTaiTepTin=text(format="link"), DuocSoHoa=code("0", "1"), DuocTaiSuDung=code("0", "1", "2"),
    DuocLayTuKhoDMQG=code("0", "1"), MaKetQuaThayThe=text(),
)
FEE = item(
    "TenPhiLePhi MaPhiLePhi HinhThucThu Gia LoaiPhiLePhi",
    TenPhiLePhi=filled(), MaPhiLePhi=filled(), HinhThucThu=code("1", "2"),
    Gia={"type": "integer"} if OPTIONS.get("wants") == "number" else text(pattern="^(0|[1-9][0-9]*)$"),
    LoaiPhiLePhi=code("1", "2"),
)
OTHER_PAPER = item(
    "TenGiayTo SoLuong LoaiGiayTo", TenGiayTo=filled(), SoLuong={"type": "integer", "minimum": 0}, LoaiGiayTo=code(1, 2)
)
SUPPLEMENT = item(
    "HoSoBoSungId NoiDungBoSung NgayBoSung TrangThaiBoSung",
    HoSoBoSungId={"type": "integer", "minimum": 1}, NguoiYeuCauBoSung=text(), NoiDungBoSung=filled(), NgayBoSung=moment(14),
    NguoiTiepNhanBoSung=text(), ThongTinTiepNhan=text(), NgayTiepNhanBoSung=moment(),
    # The guide writes 0/1 and clients disagree on the type.
    TrangThaiBoSung=code(0, 1, "0", "1"), DanhSachGiayToBoSung=items(PAPER), DanhSachLePhiBoSung=items(FEE),
    NgayHenTraTruoc=moment(), NgayHenTraMoi=moment(),
)
RESULT = item(
    "TenGiayTo GiayToId DuongDanTepTinKetQua",
    TenGiayTo=filled(2000), MaThanhPhanHoSo=text(), GiayToId=filled(), DuongDanTepTinKetQua=filled(format="link"),
    MaGiayToKetQua=text(),
)
DOSSIER = item(
    "MaHoSo MaTTHC TenTTHC MaLinhVuc TenLinhVuc LoaiDoiTuong Email SoDienThoai TrichYeuHoSo NgayTiepNhan NgayHenTra TrangThaiHoSo "
    "HinhThuc DonViXuLy" + (" SoBienNhan" if OPTIONS.get("wants") == "more" else ""),
    MaHoSo=filled(format="dossier-code"), MaTTHC=MaTTHC, TenTTHC=filled(), MaLinhVuc=filled(), TenLinhVuc=filled(),
    SoBienNhan=text(), KenhThucHien=code("", "1", "2", "3"), ChuHoSo=text(format="name"), SoGiayToChuHoSo=NUMBER,
    LoaiDoiTuong=code("1", "2", "3", "4"), MaDoiTuong=text(), DinhDanhCHS=items(NUMBER_OF_A_KIND),
    Email=text(pattern=r"^([^@\s]+@[^@\s]+)?$"), SoDienThoai=text(pattern=r"^([0-9+]{8,15})?$"), Fax=text(), ThongTinKhac=text(),
    TrichYeuHoSo=filled(1000), NgayNopHoSo=moment(), NgayTiepNhan=moment(14), NgayHenTra=moment(), TrangThaiHoSo=STATUS,
    NgayTra=moment(), ThongTinTra=text(), NgayKetThucXuLy=moment(), NgayTuChoi=moment(), HinhThuc=code("0", "1"),
    DonViXuLy=filled(format="name"), GhiChu=text(), NoiNopHoSo=code("1", "2"), HoSoCoThanhPhanSoHoa=code("0", "1"),
    TaiKhoanDuocXacThucVoiVNeID=code("0", "1"), DuocThanhToanTrucTuyen=code("0", "1", "2", "3"),
    DSKetNoiCSDL=items(item("MaCSDL", MaCSDL=filled())), TaiLieuNop=items(PAPER), DanhSachLePhi=items(FEE),
    DanhSachTepDinhKemKhac=items(OTHER_PAPER), DanhSachHoSoBoSung=items(SUPPLEMENT), DanhSachGiayToKetQua=items(RESULT),
)
STEP = item(
    "MaHoSo NguoiXuLy ThoiDiemXuLy NoiDungXuLy TrangThai",
    MaHoSo=filled(format="dossier-code"), NguoiXuLy=filled(50), ChucDanh=text(), ThoiDiemXuLy=moment(14), PhongBanXuLy=text(),
    NoiDungXuLy=filled(), TrangThai=STATUS, NgayBatDau=moment(), NgayKetThucTheoQuyDinh=moment(),
)


def validator(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=formats)


def call(service, **parameters):
    fields = {"session": filled(), "madonvi": {"const": AGENCY}, "service": {"const": service}, **parameters}
    return validator({"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False})


def some(of, most):
    return {**items(of), "minItems": 1, "maxItems": most}


DOSSIERS, STEPS = some(DOSSIER, 100), some(STEP, 10)
CALLS = {
    "DongBoHoSoMC": call("DongBoHoSoMC", isUpdating=code("True", "False"), data=DOSSIERS),
    "CapNhatTienDoHoSoMC": call("CapNhatTienDoHoSoMC", data=STEPS),
    "TraCuuHoSo": call("TraCuuHoSo", mahoso=filled()),
}
# Where the body is a bare list, everything else is said by the address.
BARE = {"DongBoHoSoMC": validator(DOSSIERS), "CapNhatTienDoHoSoMC": validator(STEPS)}
LOG_IN = {"username": OPTIONS.get("user"), "password": OPTIONS.get("password")}

# ---- the books ----

dossiers, steps, refused = {}, [], []
unseen = {}
sessions = {}
lost = {"sessions": 0, "answers": 0}
exists = 0
called = {}
# The portal says in each of the ways that its clients have met that all is well, and that something is there already.
well = itertools.cycle(["0", 0, "00"])
there = itertools.cycle(["3", -3, "0", 0])


class LostAnswer(Exception):
    pass


def said(error_code, message, **more):
    return {"error_code": error_code, "message": message, **more}


def log_in(environ, sent):
    if "HTTP_DSTCODE" not in environ:
        raise peer.Refused("dstcode: the header is missing")
    if sent != LOG_IN:
        raise peer.Refused("wrong account or password")
    session = secrets.token_hex(16)
    sessions[session] = OPTIONS.get("calls", 25)
    return said(next(well), "Thành công", session=session)


def store(sent):
    global exists
    codes = [entry["MaHoSo"] for entry in sent["data"]]
    if len(codes) != len(set(codes)):
        raise peer.Refused("data: one dossier twice in a call")
    known = [number for number in codes if number in dossiers]
    if sent["isUpdating"] == "False" and known:
        exists += 1
        return said(next(there), f"Hồ sơ {known[0]} đã tồn tại")
    if sent["isUpdating"] == "True" and len(known) != len(codes):
        raise peer.Refused("Hồ sơ không tồn tại")
    # The whole item is replaced.
    dossiers.update((entry["MaHoSo"], entry) for entry in copy.deepcopy(sent["data"]))
    if OPTIONS.get("lose", 0) > lost["answers"]:
        lost["answers"] += 1
        raise LostAnswer
    return said(next(well), "Đồng bộ thành công")


def progress(sent):
    strange = [entry["MaHoSo"] for entry in sent["data"] if entry["MaHoSo"] not in dossiers]
    if strange:
        raise peer.Refused(f"MaHoSo: no dossier {strange}")
    steps.extend(sent["data"])
    return said(next(well), "Cập nhật tiến độ thành công")


def search(sent):
    number = sent["mahoso"]
    if unseen.get(number, 0) > 0:
        unseen[number] -= 1
        return said(next(well), "", result=[])
    return said(next(well), "", result=[dossiers[number]] if number in dossiers else [])


SERVICES = {"DongBoHoSoMC": store, "CapNhatTienDoHoSoMC": progress, "TraCuuHoSo": search}
gateway = peer.Gateway(OPTIONS.get("client"), OPTIONS.get("secret"), OPTIONS.get("calls", 25))


def asked_by_address(environ):
    """What a gateway's address means: the service, and whether it updates."""
    meant = {
        OPTIONS["addresses"]["add"]: ("DongBoHoSoMC", "False"),
        OPTIONS["addresses"]["update"]: ("DongBoHoSoMC", "True"),
        OPTIONS["addresses"]["progress"]: ("CapNhatTienDoHoSoMC", None),
    }
    if environ["PATH_INFO"] not in meant or environ.get("QUERY_STRING"):
        raise peer.Refused(f"no address {environ['PATH_INFO']}?{environ.get('QUERY_STRING')}")
    return meant[environ["PATH_INFO"]]


def asked_by_query(environ):
    """What a façade's address and query mean; it wants to know for which agency."""
    service = environ["PATH_INFO"].removeprefix("/SynsTTHCC/")
    if service not in BARE or not environ["PATH_INFO"].startswith("/SynsTTHCC/"):
        raise peer.Refused(f"no address {environ['PATH_INFO']}")
    given = urllib.parse.parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True, strict_parsing=True)
    wanted = ["MaDinhDanhDV"] + (["isUpdating"] if service == "DongBoHoSoMC" else [])
    if sorted(name for name, _ in given) != sorted(wanted):
        raise peer.Refused(f"the query must have these: {wanted}")
    query = dict(given)
    if query["MaDinhDanhDV"] != AGENCY:
        raise peer.Refused("MaDinhDanhDV: not the province")
    if query.get("isUpdating", "True") not in ("True", "False"):
        raise peer.Refused("isUpdating: True or False")
    return service, query.get("isUpdating")


def served_bare(environ):
    """The answer to a call whose body is a bare list."""
    service, updating = (asked_by_address if WAY == "gateway" else asked_by_query)(environ)
    sent = peer.strict_json(peer.body_of(environ))
    called[service] = called.get(service, 0) + 1
    BARE[service].validate(sent)
    told = SERVICES[service]({"isUpdating": updating, "data": sent})
    # The façade shows the session that it holds at the portal.
    return {**told, "session": secrets.token_hex(16)} if WAY == "facade" else told


def served(environ):
    """The answer to a call, always a 200."""
    if not peer.is_json(environ):
        raise peer.Refused("no JSON by its header")
    if WAY != "adapter":
        return served_bare(environ)
    sent = peer.strict_json(peer.body_of(environ))
    if environ["PATH_INFO"] == "/auth":
        return log_in(environ, sent)
    if environ["PATH_INFO"] != "/integration":
        raise peer.Refused(f"no address {environ['PATH_INFO']}")
    if sessions.get(sent.get("session"), 0) == 0:
        lost["sessions"] += 1
        return said(-1, "Session không tồn tại hoặc đã hết hiệu lực")
    sessions[sent["session"]] -= 1
    service = sent.get("service")
    if service not in SERVICES:
        raise peer.Refused(f"no service {service}")
    called[service] = called.get(service, 0) + 1
    CALLS[service].validate(sent)
    return SERVICES[service](sent)


def calls(environ, start):
    if environ["REQUEST_METHOD"] != "POST":
        return peer.answer(start, "405 Method Not Allowed", {})
    if WAY == "gateway" and environ["PATH_INFO"] == "/token":
        return gateway.token(environ, start)
    if WAY == "gateway" and not gateway.is_open(environ):
        lost["sessions"] += 1
        return gateway.shut(start)
    try:
        told = served(environ)
    except LostAnswer:
        start("502 Bad Gateway", [("Content-Type", "text/html")])
        return [b"<html><h1>502 Bad Gateway</h1></html>"]
    except jsonschema.ValidationError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        refused.append(f"{where}: {error.message}")
        told = said("-1", refused[-1])
    except peer.Refused as reason:
        refused.append(str(reason))
        told = said(-1, str(reason))
    return peer.answer(start, "200 OK", told)


def shown():
    return {
        "dossiers": list(dossiers.values()), "progress": steps, "refused": refused, "called": called, "lost": lost, "exists": exists,
    }


def told(act):
    typed = act["typed"]
    dossiers[typed["MaHoSo"]] = typed
    unseen[typed["MaHoSo"]] = act.get("unseen", 0)


peer.serve(calls, shown, told)
