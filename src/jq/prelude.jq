# What mappings have beyond jq and the natives in src/jq/native/, as far as jq itself can say it.

# null, one or a list -> stream
def many: if . == null then empty elif isarray then .[] else . end;

# A file of the dossier as the address under which the bus gives it out, or as its bytes in base64: filled in when the body
# is written. Of one that the bus does not have there is the link that its system has stated. `as_links`: of a list of files, in
# one text.
def as_link: if . == null then null elif .["$file"] then {"$link": .["$file"], name} else .link end;
def as_links($between): {"$links": [.[] | as_link | values], $between};
def as_base64: if . == null or .["$file"] == null then null else {"$base64": .["$file"]} end;

# jq's own, which the engine does not bring along
def IN(stream): any(stream == .; .);
def IN(source; stream): any(source == stream; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] = $row);
def INDEX(f): INDEX(.[]; f);
def toarray: if isarray then . else [.] end;
def in($xs): . as $key | $xs | has($key);
def inside($xs): . as $x | $xs | contains($x);
def index($part): indices($part)[0];
def rindex($part): indices($part)[-1];
def transpose: [range([.[] | length] | max // 0) as $i | [.[][$i]]];
def toboolean: if isboolean then . elif . == "true" then true elif . == "false" then false else error("not a boolean") end;
def @json: tojson;
