# An answer of LayTaiLieuHoSo -> the paper that was asked for. The files themselves were cut out and kept before.

# The file that stands under the path that was asked for; where none does, the only one that came.
[.TepTinDinhKem | many] as $came
| [$came[] | select(.DuongDan? == $asked.path)] as $named
| (if $named == [] then $came else $named end) as $left
| if ($left | length) > 1 then
    error({
      code: "paper-ambiguous", field: "TepTinDinhKem.DuongDan", found: "several files",
      expected: "one file under the path that was asked for",
      remedy: "ask the operators of the licence system which of the files is the paper's; then retry the delivery"
    })
  elif $left[0].Base64? | isobject then
    {
      components: [{
        type: $asked.type, ordinal: $asked.ordinal, name: $asked.name, digitised: true,
        file: ($left[0].Base64 + {name: ($asked.path | split("/") | last)})
      } | given]
    }
  else
    error({
      code: "paper-missing", field: "TepTinDinhKem.Base64", found: "nothing", expected: "the file of the paper",
      remedy: "have the licence desk upload it again; then retry the delivery"
    })
  end
