"""Priors of a run to move in a browser: one section of HTML that weighs thinned draws by itself."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Final

from escalation_forecast.explorer import page as static
from escalation_forecast.explorer.browser_payload import payload
from escalation_forecast.explorer.explorer import Explorer
from escalation_forecast.update.updater import Updater

STATIC_ROWS: Final = 3
LINES: Final = (
    ("old-prior", "prior of the run"),
    ("new-prior", "your prior"),
    ("old-post", "with the data, before"),
    ("new-post", "with the data, now"),
)


def fragment(updater: Updater, question: str | None = None, *, draws: int = 1000) -> str:
    """A section of HTML in which priors can be moved; it fetches nothing and needs no other program.

    The style, the program and the numbers stand inside. Without JavaScript it shows the table of
    `page.table`. Everything it defines begins with ``ef-px``; it reads the CSS variables ``--ef-ink``,
    ``--ef-muted``, ``--ef-paper``, ``--ef-grid``, ``--ef-accent`` and ``--ef-top`` if there are any, and
    follows ``data-theme`` of the root or the system's scheme. Under a policy for contents the hashes are
    those of `hashes`.

    Parameters
    ----------
    updater : of the run.
    question : id of an answer, or of its question, shown first; by default the first of the headlines.
    draws : kept of the posterior, evenly spaced within chains.

    Raises
    ------
    DataError
        For a question that cannot be offered, and for too few draws.
    """
    explorer = Explorer(updater, n=STATIC_ROWS)
    given = payload(explorer, question, draws=draws)
    explorer.question = given["first"]
    return f"""<section class="ef-px" lang="en" aria-label="Move a prior and look"><style>{style()}</style>
<h2>Move a prior and look</h2>
<noscript><div class="ef-explorer">{static.table(explorer)}</div></noscript>
<div class="ef-px-app" hidden>{_skeleton(given)}</div>
<script type="application/json" class="ef-px-data">{_json(given)}</script>
<script>{program()}</script></section>"""


def page(updater: Updater, question: str | None = None, *, draws: int = 1000) -> str:
    """A whole page around `fragment`, with a policy that allows nothing else."""
    allowed = hashes()
    policy = f"default-src 'none'; script-src {allowed['script']}; style-src {allowed['style']} {_BODY_HASH}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Move a prior and look</title><style>{_BODY}</style></head>\n"
        "<body><main><h1>Priors and their part in a forecast</h1>\n"
        f"{fragment(updater, question, draws=draws)}</main></body></html>\n"
    )


def hashes() -> dict[str, str]:
    """Sources for ``script-src`` and ``style-src`` of a policy; the same for every run."""
    return {"script": _hash(program()), "style": _hash(style())}


@cache
def program() -> str:
    """The text of the script, in a scope of its own."""
    return f'(() => {{\n"use strict";\n{_asset("weights.js")}\n{_asset("panel.js")}}})();'


@cache
def style() -> str:
    """The text of the style sheet."""
    return _asset("browser.css") + static.STYLE


def _asset(name: str) -> str:
    return (files("escalation_forecast.explorer") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


_BODY: Final = (
    "body{margin:24px;background:#fff;color:#1f2328}"
    "@media(prefers-color-scheme:dark){body{background:#14171a;color:#e8eaed}}"
    "@media(max-width:760px){body{margin:16px}}main{max-width:1120px;margin:0 auto}"
    "h1{font:600 24px system-ui,sans-serif}"
)
_BODY_HASH: Final = _hash(_BODY)


def _json(given: dict[str, Any]) -> str:
    # Nothing in a text may end the element or open a comment.
    return json.dumps(given, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _skeleton(given: dict[str, Any]) -> str:
    n, every = given["shape"][0] * given["shape"][1], given["draws"]
    key = "".join(
        f'<li><svg viewBox="0 0 32 8" aria-hidden="true"><path class="ef-px-{name}" d="M0 4L32 4"/></svg>'
        f"{words}</li>"
        for name, words in LINES
    )
    as_of, run = escape(given["as_of"]), escape(given["run"])
    return f"""<p class="ef-px-intro">Run <code>{run}</code>, known on {as_of}. The probability follows by
weighting {n:,} of the run's {every:,} draws, evenly spaced; nothing leaves this page. A place of +1 moves a
prior up by one of its own standard deviations.</p>
<div class="ef-px-ask"><label>Question <select class="ef-px-question"></select></label></div>
<div class="ef-px-result"><div><div class="ef-px-numbers">
<span><b class="ef-px-old"></b><small>by the run</small></span>
<span aria-hidden="true">→</span><span><b class="ef-px-new"></b><small>by your priors</small></span></div>
<div class="ef-px-scale"></div></div>
<div class="ef-px-verdict"><p><span class="ef-px-word"></span><span class="ef-px-change"></span></p>
<p class="ef-px-why"></p><button type="button" class="ef-px-reset">Reset all priors</button></div></div>
<p class="ef-px-said" role="status" aria-live="polite"></p>
<ul class="ef-px-key">{key}</ul>
<div class="ef-px-rows"></div>
<div class="ef-px-take" hidden><h3>Take your priors further</h3>
<p class="ef-px-note">Save this as <code>my_priors.toml</code>:</p>
<pre class="ef-px-toml" tabindex="0" aria-label="Your priors as TOML"></pre>
<button type="button" data-field="toml" data-what="Priors">Copy the priors</button>
<p class="ef-px-note">Then run this; it weighs all draws, and fits or simulates again where that does not do.
<span class="ef-px-rerun"></span></p>
<pre class="ef-px-command" tabindex="0" aria-label="Command"></pre>
<button type="button" data-field="command" data-what="Command">Copy the command</button>
<p class="ef-px-copied" role="status"></p></div>"""
