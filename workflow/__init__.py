"""How notebooks are run, checked and shown; no notebook imports it."""

import gc
import sys

# Short-lived processes that import much and free little: collect rarely.
gc.set_threshold(20_000)

# jsonschema, under nbformat, loads these for checks of formats that notebooks do not have: 0.8 s.
for _module in ("rfc3987_syntax", "isoduration"):
    sys.modules.setdefault(_module, None)
