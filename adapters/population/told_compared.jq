# An answer of the façade -> how the check came out.

if .error_code | tostring | IN("004", "005") then outcome("not_entitled"; []; $id) else told | compared($asked; $id) end
