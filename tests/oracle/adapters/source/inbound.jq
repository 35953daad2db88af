# One record -> one patch, as small as a dossier may be.
{
  dossier: .id,
  at: .at,
  procedure: {code: "9.000001"},
  summary: "#\(.version) \(.text)",
  applicant: {person: {kind: "citizen", name: .name}},
  handling: {unit: "Phòng \(.version)"},
  status: {value: "accepted"},
  progress: [.items[] | {value: "in_progress", at: .at, by: .by, note: "#\(.place) bước xử lý"}]
}
