# One record -> one patch, as small as a dossier may be.
{
  dossier: .id,
  at: .at,
  procedure: {code: "9.000001"},
  summary: "#\(.version) \(.text)",
  applicant: {person: {kind: "citizen", name: .name}},
  status: {value: "accepted"},
  progress: [.items[] | {value: "in_progress", at: .at, by: "Cán bộ Thử", note: "#\(.place) bước xử lý"}]
}
