# What service 033 says: whether there is such a person with these data. Where there is not, it does not say what differs.

if refusal != null then outcome("not_entitled"; []; $id)
else
  answered | .KetQuaXacThucResponse?.TonTai? // "" | tostring | lower
  | if IN("true", "1") then outcome("match"; []; $id)
    elif IN("false", "0") then outcome("mismatch"; []; $id)
    else error({
      code: "bad-value", field: "TonTai", found: "something else", expected: "true or false",
      remedy: "compare the answer of the register with its description"
    }) end
end
