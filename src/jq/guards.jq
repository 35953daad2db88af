# Comes before the engine's own definitions, which are made of these: a regular expression takes time in proportion to
# text and pattern, and is counted so. The calls on the right are those of the engine.
def       matches($re; $flags): regex_work($re) | matches($re; $flags);
def split_matches($re; $flags): regex_work($re) | split_matches($re; $flags);
def        split_($re; $flags): regex_work($re) | split_($re; $flags);
