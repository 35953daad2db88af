# One round of the officials' work. A line waits for its dossier; a dossier has one line a round.

. as $db
| [.KichBan | group_by(.maHoSo)[]
    | .[0].maHoSo as $code
    | ($db.DaLam[$code].soBuoc // 0) as $done
    | select($db.HoSo[$code] != null and $done < length)
    | {code: $code, line: .[$done], done: ($done + 1)}
  ] as $round
| {
    rows: {
      TinhTrang: [$round[] | ($db.TinhTrang[.code] // {}) + .line],
      DaLam: [$round[] | {maHoSo: .code, soBuoc: .done}]
    }
  }
