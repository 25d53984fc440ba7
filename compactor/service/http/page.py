"""The page at `/`: the fleet, ranked by need, each table with its reason and what comes next. Nothing in it is from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from compactor.service.overview import Overview, TableView, counted
from compactor.units import format_bytes, format_seconds

MOST = 500
"""Tables on one page; the API has all."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:78rem;padding:0 1rem;color:#1b1f24;background:#fff}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d8dee4;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.u{overflow-wrap:anywhere}
.p{background:#fff3cd;padding:.4rem .6rem;margin:.3rem 0}small{color:#57606a}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}.p{background:#3b2f00}small{color:#9198a1}}
"""


def page(found: Overview) -> str:
    """The whole page."""
    return "\n".join(_page(found))


def _page(found: Overview) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>compactor</title>'
    yield '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="30">'
    yield f"<style>{_STYLE}</style></head><body><h1>compactor</h1>"
    yield f"<p>{_sums(found)}</p>"
    for problem in (*found.problems.values(), *found.faults):
        yield f'<p class="p">{escape(problem)}</p>'
    yield '<table><thead><tr><th class="n">place</th><th>table</th><th>state</th><th>why</th><th class="n">files</th>'
    yield '<th class="n">saves</th><th class="n">waited</th></tr></thead><tbody>'
    ranked = found.ranked()
    for view in ranked[:MOST]:
        yield _row(view)
    yield "</tbody></table>"
    if len(ranked) > MOST:
        yield f"<p><small>{len(ranked) - MOST:,} more in /api/v1/tables.</small></p>"
    if found.neighbours:
        named = "; ".join(f"{item.uri} ({item.reason})" for item in found.neighbours[:MOST])
        yield f"<p><small>Passed over: {escape(named)}</small></p>"
    yield "</body></html>"


def _sums(found: Overview) -> str:
    states = ", ".join(f"{count:,} {name}" for name, count in counted(found.tables.values()))
    spent = found.ledger.spent_today
    bounds = (("GB-hours", spent.gb_hours, found.budget.gb_hours_per_day), ("money", spent.money, found.budget.money_per_day))
    spends = ", ".join(f"{used:,.4g}{'' if bound is None else f' of {bound:g}'} {name}" for name, used, bound in bounds)
    return escape(f"{len(found.tables):,} tables: {states or 'none yet'}. Spent today: {spends}. Replicas: {1 + len(found.replicas)}.")


def _row(view: TableView) -> str:
    standing = view.state.standing
    size = "" if standing is None else f"{standing.files:,}<br><small>{format_bytes(standing.bytes)}</small>"
    last = view.state.last
    ended = "" if last is None else f"<br><small>last run {escape(last.status.value)}: {escape(last.why or '')}</small>"
    waited = format_seconds(view.waited_s) if view.waited_s else ""
    return (
        f'<tr><td class="n">{view.place or ""}</td><td class="u">{escape(view.state.uri)}</td><td>{escape(view.code)}</td>'
        f'<td>{escape(view.why)}{ended}</td><td class="n">{size}</td><td class="n">{view.state.work.saves_files:,}</td>'
        f'<td class="n">{waited}</td></tr>'
    )
