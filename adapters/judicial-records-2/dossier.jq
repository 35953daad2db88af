# The dossier -> the declaration. All values are texts, also codes and numbers.

(.applicant.person | natural_person) as $person
| .applicant.representative as $delegate
| .form as $form
| ($delegate != null or ($form.uyQuyen | flag("toKhai.uyQuyen")) == "1") as $delegated
| ($person | paper | must("toKhai.nycSoGiayTo"; "a number of the applicant's identity card or passport")) as $paper

# Which dossier, and since when it is in hand.
| {
  maHoSoMCDT: .code,
  nguonDangKy: $settings.source,
  ngayTiepNhan: (.schedule.received | day)
}

# The declaration: what is asked for, the person, the family, who asks for another, and where the person has lived.
+ {
  toKhai: (
    {
      loaiPhieu: ($form.loaiPhieu | must("toKhai.loaiPhieu"; "the kind of certificate in the form (loaiPhieu)")
        | code("toKhai.loaiPhieu"; "form-type")),
      yeuCauCDNCV: ($form.yeuCauCDNCV | flag("toKhai.yeuCauCDNCV")),
      maMucDich: "",
      tenMucDich: ($form.mucDich | text),
      soLuongCap: ($form.soLuongCap | copies("toKhai.soLuongCap"))
    }
    + {
      nycHoTen: ($person.name | must("toKhai.nycHoTen"; "the applicant's name")),
      nycGioiTinh: ($person.gender | must("toKhai.nycGioiTinh"; "the applicant's gender")
        | code("toKhai.nycGioiTinh"; "gender")),
      nycNgaySinh: ($person.birth_date | must("toKhai.nycNgaySinh"; "the applicant's date of birth") | day),
      nycThuongTru: ($form.thuongTru | text),
      nycTamTru: ($form.tamTru | text),
      nycSoGiayTo: $paper.number,
      nycLoaiGiayTo: $paper.kind,
      nycQuocTich: ($form.quocTich | must("toKhai.nycQuocTich"; "the nationality in the form (quocTich)")
        | code("toKhai.nycQuocTich"; "nationality")),
      nycDanToc: ($form.danToc | code("toKhai.nycDanToc"; "ethnic")),
      nycNoiSinh: ($form.noiSinh | text)
    }
    + {
      chaHoTen: ($form.cha.hoTen | text),
      chaNgaySinh: ($form.cha.namSinh | form_date("toKhai.chaNgaySinh") | text),
      meHoTen: ($form.me.hoTen | text),
      meNgaySinh: ($form.me.namSinh | form_date("toKhai.meNgaySinh") | text),
      voChongHoTen: ($form.voChong.hoTen | text),
      voChongNgaySinh: ($form.voChong.namSinh | form_date("toKhai.voChongNgaySinh") | text)
    }
    + {uyQuyen: (if $delegated then "1" else "0" end)}
    + if $delegated then
        ($delegate | paper) as $paper
        | {
          nuqHoTen: ($delegate.name | must("toKhai.nuqHoTen"; "the name of who acts for the applicant")),
          nuqSoGiayTo: ($paper.number | text),
          nuqLoaiGiayTo: ($paper.kind | text),
          nuqThuongTru: ($delegate.address | text),
          nuqQuanHe: ($delegate.relation | text)
        }
      else {} end
    + {
      quaTrinhCTNNNLV: [$form.quaTrinhCuTru | many | {
        tuThangNam: (.tuThangNam | must("toKhai.quaTrinhCTNNNLV.tuThangNam"; "the beginning of each stay (tuThangNam)")
          | form_date("toKhai.quaTrinhCTNNNLV.tuThangNam")),
        denThangNam: (.denThangNam | form_date("toKhai.quaTrinhCTNNNLV.denThangNam") | text),
        diaChiCuTru: (.diaChiCuTru | must("toKhai.quaTrinhCTNNNLV.diaChiCuTru"; "the address of each stay (diaChiCuTru)")),
        ngheNghiep: (.ngheNghiep | text),
        noiLamViec: (.noiLamViec | text)
      }]
    }
  )
}

# The papers whose files are kept here. One of which only another system's link is known has no bytes that could be sent.
+ {
  fileHoSo: [.components | in_order | select(.file["$file"] != null) | {
    tenLoaiFile: (.name // .type),
    tenFile: (.file.name // .name // .type),
    noiDungFile: (.file | as_base64)
  }]
}
