# One round of the officials' work. A line waits for its declaration; a declaration has one line a round.

. as $db
| [.KichBan | group_by(.idReceivedDec)[]
    | .[0].idReceivedDec as $number
    | ($db.DaLam[$number].SoBuoc // 0) as $done
    | select($db.ToKhai[$number] != null and $done < length)
    | {line: .[$done], declaration: $db.ToKhai[$number], done: ($done + 1)}
  ] as $round
| {
    rows: {
      ToKhai: [$round[] | .line as $line | .declaration | carry_out($line)],
      DaLam: [$round[] | {idReceivedDec: .declaration.idReceivedDec, SoBuoc: .done}]
    }
  }
