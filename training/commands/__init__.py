"""The commands of `cageclock-train`: a module each, or a few that belong together; `add` puts them into the parser."""
