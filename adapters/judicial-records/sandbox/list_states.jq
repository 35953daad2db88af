# traDsTrangThaiHs: the declarations whose state has changed since somebody said that it was read.

if .body.infoType? != 2 then refused(wrong("infoType"; "phải là 2 với hồ sơ qua một cửa"; "traDsTrangThaiHs"))
else
  [$db.ToKhai[] | select(.Lan > .DaDoc)] | sort_by(.ID) as $changed
  | {
      body: (
        said(1; "")
        + {
          LISTCONTENT: [$changed[] | {
            DECLARATION_ID: .ID, DEC_STATUS_ID, DEC_STATUS_NAME, APPROVE_DATE, ISSUE_DATE, APPOINTMENT_NO: "",
            RECEIVE_NO: (.declarationWSForm.receiveNo // "")
          } | spelt]
        }
        | spelt
      ),
      rows: {ToKhai: [$changed[] | select(.DaLiet < .Lan) | .DaLiet = .Lan]}
    }
end
