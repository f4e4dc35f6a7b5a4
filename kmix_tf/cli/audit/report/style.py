"""The page's style: one column that fits a phone, figures side by side where there is room."""

STYLE = """
:root { --ink: #1c2430; --soft: #5b6675; --line: #dfe4ea; --paper: #fff; --wash: #f5f7f9; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--wash); color: var(--ink); line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
main { max-width: 58rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
header { margin: 1rem 0 1.5rem; }
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 0 0 .5rem; }
h3 { font-size: .95rem; margin: 1.2rem 0 .4rem; color: var(--soft); }
p, ul { margin: 0 0 .8rem; max-width: 46rem; }
ul { padding-left: 1.2rem; }
li { margin-bottom: .45rem; overflow-wrap: anywhere; }
.kicker { margin: 0 0 .2rem; color: var(--soft); font-size: .85rem; letter-spacing: .06em;
  text-transform: uppercase; }
.lede { margin: .6rem 0 0; color: var(--soft); overflow-wrap: anywhere; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.1rem 1.2rem; margin: 0 0 1rem; }
.verdict { border-left-width: 6px; }
.verdict h2 { font-size: 1.45rem; }
.verdict ul { margin-bottom: 0; }
.good { border-left-color: #2f7d5b; } .good h2 { color: #226247; }
.fair { border-left-color: #c98a1b; } .fair h2 { color: #8a5c0a; }
.bad { border-left-color: #b83a3a; } .bad h2 { color: #962c2c; }
pre { margin: 0; padding: .75rem .9rem; overflow-x: auto; background: #1f2733; color: #eef2f6; border-radius: 8px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .92rem; }
.why { margin: .35rem 0 1rem; color: var(--soft); font-size: .92rem; }
figure { margin: .6rem 0; }
figure > svg { display: block; width: 100%; max-width: 30rem; height: auto; margin: 0 auto; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: .4rem 1.4rem;
  align-items: start; }
.strips { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: .6rem 2rem; }
.strip { display: grid; grid-template-columns: repeat(4, 1fr); gap: .5rem; }
.strip figure { margin: 0; min-width: 0; }
.strip img { width: 100%; display: block; image-rendering: pixelated; border: 1px solid var(--line);
  border-radius: 6px; background: #fff; }
.strip figcaption { font-size: .78rem; color: var(--soft); text-align: center; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .5rem; text-align: right; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: inherit !important; }
footer { color: var(--soft); font-size: .85rem; margin-top: 1.5rem; }
@media (max-width: 30rem) {
  section { padding: .95rem .9rem; }
  table { font-size: .8rem; }
  th, td { padding: .3rem; }
}
@media print { body { background: #fff; } section { break-inside: avoid; } }
"""
