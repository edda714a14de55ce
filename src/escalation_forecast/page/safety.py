"""What keeps strings from being read as code."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from markupsafe import Markup

SCRIPT: Final = re.compile(r"<script(?P<attributes>[^>]*)>(?P<code>.*?)</script>", re.DOTALL | re.IGNORECASE)
DATA: Final = re.compile(r"""type\s*=\s*["']?application/json""", re.IGNORECASE)
# In JSON these are the same characters; in HTML they can end the element.
ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def json_text(value: Any) -> Markup:
    """JSON for a ``<script type="application/json">``, which nothing in it can end."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup("".join(ESCAPES.get(sign, sign) for sign in text))


def link(text: str) -> str:
    """The address, if it is one of the web, else nothing: no ``javascript:`` and the like."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return ""
    return text.strip() if parts.scheme in ("http", "https") and parts.netloc else ""


def scripts_of(fragment: str) -> list[str]:
    """Code of the scripts that a fragment made by this program brings along."""
    return [m["code"] for m in SCRIPT.finditer(fragment) if not DATA.search(m["attributes"])]


def policy(scripts: Iterable[str]) -> str:
    """Content-Security-Policy under which these scripts run, and nothing else runs or is fetched."""
    sums = (base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in sums)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
