# One row of traDsTrangThaiHs -> where the dossier of that declaration stands.

{
  dossier: {native: (.DECLARATION_ID | need("DECLARATION_ID") | tostring)},
  status: (
    {
      value: (.DEC_STATUS_ID | need("DEC_STATUS_ID") | to_canonical("status")),
      # Of the other states no time is told.
      at: (if (.DEC_STATUS_ID | tostring) == "5" then
          .ISSUE_DATE | try parse_date("%d/%m/%Y") catch error(if isobject then . + {field: "ISSUE_DATE"} else . end)
        else null end),
      raw: .DEC_STATUS_ID,
      note: (.DEC_STATUS_NAME | clean)
    } | given
  )
}
