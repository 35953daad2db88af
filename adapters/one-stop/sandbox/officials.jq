# One round of the officials' work. A line waits for its dossier; a dossier has one line a round.

. as $db
| [.KichBan | group_by(.MaHoSo)[]
    | .[0].MaHoSo as $code
    | ($db.DaLam[$code].SoBuoc // 0) as $done
    | select($db.HoSo[$code] != null and $done < length)
    | {line: .[$done], dossier: $db.HoSo[$code], done: ($done + 1)}
  ] as $round
| {
    rows: {
      HoSo: [$round[] | .line as $line | .dossier | carry_out($line)],
      DaLam: [$round[] | {MaHoSo: .dossier.MaHoSo, SoBuoc: .done}]
    }
  }
