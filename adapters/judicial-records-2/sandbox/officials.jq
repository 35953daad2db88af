# One round of the officials' work. A line waits for its declaration; a declaration has one line a round.

. as $db
| [.KichBan | group_by(.maHoSoMCDT)[]
    | .[0].maHoSoMCDT as $code
    | ($db.DaLam[$code].SoBuoc // 0) as $done
    | select($db.ToKhai[$code] != null and $done < length)
    | {line: .[$done], declaration: $db.ToKhai[$code], done: ($done + 1)}
  ] as $round
| {
    rows: {
      ToKhai: [$round[] | .line as $line | .declaration | carry_out($line)],
      DaLam: [$round[] | {maHoSoMCDT: .declaration.maHoSoMCDT, SoBuoc: .done}]
    }
  }
