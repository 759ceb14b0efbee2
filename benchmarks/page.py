"""A report as one HTML file that holds all it shows."""

import base64
import io
from html import escape

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2em auto; padding: 0 1em;
       color: #1a1a1a; }
h1 { font-size: 1.6em; margin-bottom: 0; } h2 { margin: 2em 0 .4em; font-size: 1.2em; }
h3 { margin: 1.4em 0 .3em; font-size: 1em; }
p.claim { color: #8a1c1c; margin-top: .2em; } p.note { color: #555; margin-top: .2em; }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .6em; text-align: right; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid #999; vertical-align: bottom; }
td:first-child, th:first-child { text-align: left; white-space: nowrap; }
td small { color: #666; display: block; white-space: nowrap; }
td.best { background: #e6f2e6; } tr:hover td { background: #f4f4f4; } tr:hover td.best {
  background: #dcecdc; }
img { max-width: 100%; height: auto; } .wide { overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content auto; gap: .2em 1.2em; font-size: 13px; }
dt { color: #555; } dd { margin: 0; }
"""


def page(title, parts):
    """A whole page, as text, of a title and pieces of HTML."""
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
        f"<body><h1>{escape(title)}</h1>{''.join(parts)}</body></html>\n"
    )


def image(figure, title):
    """A matplotlib Figure inside the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{escape(title)}" src="data:image/png;base64,{data}">'


def facts(rows):
    """A list of (name, value)."""
    return "<dl>" + "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in rows) + "</dl>"
