# From the step where the row stands towards the dossier's version, one at a time.
(. // 0) as $stands
| if $stands < ($dossier.summary | place) then
    {
      step: "next",
      record: {
        id: $dossier.code,
        name: $dossier.applicant.person.name,
        text: "#\($stands + 1) giải quyết hồ sơ của phép thử",
        unit: $dossier.handling.unit
      }
    }
  else empty end
