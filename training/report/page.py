"""report.html: one file that opens anywhere, offline, without scripts."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from training.report.section import Section

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title><style>
body { font: 15px/1.55 system-ui, sans-serif; max-width: 1060px; margin: 2em auto; padding: 0 1em; color: #222 }
h1 { margin-bottom: .2em } h2 { margin: 2.2em 0 .3em; border-top: 1px solid #ccc; padding-top: 1em }
img { max-width: 100%; height: auto } figure { margin: 1em 0 } figcaption, .note { font-size: 13px; color: #555 }
table { border-collapse: collapse; font-size: 13px; margin: .8em 0; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .22em .8em .22em 0; border-bottom: 1px solid #e4e4e4; vertical-align: top }
th { border-bottom: 2px solid #444 } .scroll { overflow-x: auto } a { color: #1b3a5b }
.answer { font-size: 17px } .beware { border-left: 4px solid #c0562f; padding-left: .8em }
.missing { color: #777 } .how { color: #444; font-size: 14px }
</style></head><body>
<h1>{{ title }}</h1><p><strong>{{ notice }}</strong></p>
<table><tr><th>question</th><th>answer</th></tr>
{% for one in sections %}<tr><td><a href="#{{ one.key }}">{{ one.title }}</a></td>
<td>{% if one.missing is not none %}<span class="missing">No answer: {{ one.missing }}.</span>
{% else %}{{ one.summary }}{% if one.beware %}<div class="beware">{{ one.beware }}</div>{% endif %}{% endif %}</td></tr>
{% endfor %}</table>
{% for one in sections %}<h2 id="{{ one.key }}">{{ one.title }}</h2>
{% if one.missing is not none %}<p class="missing">No answer: {{ one.missing }}.</p>
{% else %}<p class="answer">{{ one.summary }}</p>
{% if one.beware %}<p class="beware">{{ one.beware }}</p>{% endif %}
{% for line in one.text %}<p class="how">{{ line }}</p>{% endfor %}
{% for picture in one.pictures %}<figure><img alt="{{ picture.caption }}"
src="data:image/png;base64,{{ encoded(picture.png) }}"><figcaption>{{ picture.caption }}</figcaption></figure>
{% endfor %}{% for table in one.tables %}<div class="scroll"><table>
<tr>{% for name in table.columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in table.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table></div>{% if table.note %}<p class="note">{{ table.note }}</p>{% endif %}
{% endfor %}{% endif %}{% endfor %}
<h2 id="figures">All figures of the whole</h2><table><tr><th>figure</th><th>value</th></tr>
{% for name, value in metrics %}<tr><td>{{ name }}</td><td>{{ value }}</td></tr>
{% endfor %}</table><p class="note">The same and all figures above stand in report.json, lengths of time in days.</p>
</body></html>
"""


def page(title: str, notice: str, sections: Sequence[Section], metrics: Mapping[str, float]) -> str:
    """Return the page; all texts are escaped."""
    import jinja2

    template = jinja2.Environment(autoescape=True).from_string(_PAGE)
    shown = [(name, f"{value:.4g}") for name, value in metrics.items()]
    return template.render(title=title, notice=notice, sections=sections, metrics=shown, encoded=_encoded)


def _encoded(png: bytes) -> str:
    return base64.b64encode(png).decode()
