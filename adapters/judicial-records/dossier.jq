# The dossier -> the body of nhanHoSoDangKy. Ids that nobody here knows are -1.

(.applicant.person | natural_person) as $person
| .applicant.contact as $contact
| .applicant.representative as $mandator
| .form as $form
| ($form.quocTich | must("declarationWSForm.nationalityId"; "the nationality in the form (quocTich)")) as $nationality
| ($mandator != null or ($form.uyQuyen | flag("mandatorWSForm")) == 1) as $delegated

# Which dossier, and when it was taken in and is due.
| {
  idMinistryJustice: $settings.department,
  idReceivedDec: (.code | received_number),
  dateReceivedDec: (.schedule.received | day),
  datePromissoryDec: (.schedule.due | day),
  idMoneyReceipt: ""
}

# The declaration: the person, the family, what is asked for and how it is handed over. The whole code stands in receiveNo,
# for the officers who see two dossiers of one number.
+ {
  declarationWSForm: (
    {
      fullName: ($person.name | must("declarationWSForm.fullName"; "the applicant's name")),
      genderId: ($person.gender | id("gender") | must("declarationWSForm.genderId"; "the applicant's gender")),
      birthDateStr: ($person.birth_date | must("declarationWSForm.birthDateStr"; "the applicant's date of birth") | day),
      birthPlace: ($form.noiSinh | text),
      nationalityId: ($nationality | id("nationality")),
      ethnicId: (($form.danToc | id("ethnic")?) // -1),
      residence: ($form.thuongTru | text),
      reRegionId: -1,
      residenceTemporary: ($form.tamTru | text),
      rtRegionId: -1
    }
    + ($person | paper | must("declarationWSForm.identifyNo"; "a number of the applicant's identity card or passport"))
    + {
      idIssueDate: "",
      idIssuePlace: "",
      dadName: ($form.cha.hoTen | text),
      dadDob: ($form.cha.namSinh | form_date("declarationWSForm.dadDob") | text),
      momName: ($form.me.hoTen | text),
      momDob: ($form.me.namSinh | form_date("declarationWSForm.momDob") | text),
      partnerName: ($form.voChong.hoTen | text),
      partnerDob: ($form.voChong.namSinh | form_date("declarationWSForm.partnerDob") | text),
      otherName: "",
      phone: ($contact.phone | must("declarationWSForm.phone"; "the applicant's phone")),
      email: ($contact.email | text),
      ministryJusticeId: $settings.department,
      declareDate: (.schedule.submitted // .schedule.received | day),
      declareTypeId: (if $delegated then "delegated" else "personal" end | id("declare-type")),
      requestQty: ($form.soLuongCap | copies("declarationWSForm.requestQty")),
      requestQtyAdd: 0,
      objectRequestId: (if $nationality == "VN" then "vietnamese" else "foreigner" end | id("object-request")),
      agencyRequestId: -1,
      regionRequestId: -1,
      formType: ($form.loaiPhieu | id("form-type") | must("declarationWSForm.formType"; "the kind of certificate in the form (loaiPhieu)")),
      isBanPosition: ($form.yeuCauCDNCV | flag("declarationWSForm.isBanPosition")),
      delivery: (.return_mode | id("delivery")),
      deliveryAddress: (if .return_mode == "post" then $contact.address | text else "" end),
      deliveryDistrict: "",
      note: "",
      purpose: ($form.mucDich | text),
      receiveNo: .code,
      declarationPortalID: ""
    }
  )
}

# Where the person has lived; who is still there lives there until now.
+ {
  residenceWSForm: [$form.quaTrinhCuTru | many | {
    fromDateStr: (.tuThangNam | must("residenceWSForm.fromDateStr"; "the beginning of each stay (tuThangNam)")
      | form_date("residenceWSForm.fromDateStr")),
    toDateStr: (.denThangNam | form_date("residenceWSForm.toDateStr") | if . == "" then "nay" else . end),
    residencePlace: (.diaChiCuTru | must("residenceWSForm.residencePlace"; "the address of each stay (diaChiCuTru)")),
    jobName: (.ngheNghiep | text),
    workPlace: (.noiLamViec | text)
  }]
}

# Who asks for another.
+ {
  mandatorWSForm: (
    if $delegated then
      {
        fullName: ($mandator.name | must("mandatorWSForm.fullName"; "the name of who acts for the applicant")),
        genderId: -1,
        birthDateStr: "",
        birthPlaceId: -1,
        residence: ($mandator.address | text),
        regionId: -1
      }
      + ($mandator | paper // {idTypeId: -1, identifyNo: ""})
      + {
        idIssueDate: "",
        idIssuePlace: "",
        mandatorRelation: ($mandator.relation | text),
        mandatorDate: ""
      }
    else null end
  )
}
