# An answer of LayTaiLieuHoSo -> the paper that was asked for. The file itself was cut out and kept before.

.TepTinDinhKem[0]?.Base64? as $file
| if $file | isobject then
    {
      components: [{
        type: $asked.type, ordinal: $asked.ordinal, name: $asked.name, digitised: true,
        file: ($file + {name: ($asked.path | split("/") | last)})
      } | given]
    }
  else
    error({
      code: "paper-missing", field: "TepTinDinhKem.Base64", found: "nothing", expected: "the file of the paper",
      remedy: "have the licence desk upload it again; then retry the delivery"
    })
  end
