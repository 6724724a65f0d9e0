"""How notebooks are run, checked and shown; no notebook imports it."""

import sys

# jsonschema, under nbformat, builds this grammar for a check that nothing here asks for: 0.75 s.
sys.modules.setdefault("rfc3987_syntax", None)
