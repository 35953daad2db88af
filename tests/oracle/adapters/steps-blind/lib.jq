# The number behind the first # of a text; 0 where there is none.
def place: split("#") | if length > 1 then .[1] | split(" ") | .[0] | tonumber else 0 end;
