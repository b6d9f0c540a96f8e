//! The report's look.

/// Style sheet of the page: light, dark and print. Text keeps a contrast of 4.5 or more.
pub(crate) const STYLE: &str = "
:root{color-scheme:light dark;--page:#f5f7f9;--card:#fff;--ink:#17212b;--soft:#52606d;--line:#dbe1e7;
--accent:#0b7285;--ok:#24703a;--bad:#b02a37;--series-1:#0072b2;--series-2:#d55e00;--series-3:#00875f;
--series-4:#b5579a;--series-5:#94690a;--series-6:#6b7380}
@media(prefers-color-scheme:dark){:root{--page:#11161c;--card:#1a2129;--ink:#e6ebf0;--soft:#a3b0bc;
--line:#303b46;--accent:#3bc9db;--ok:#69db7c;--bad:#ff9a9a;--series-1:#5ab4ee;--series-2:#ff8f4d;
--series-3:#3fc79a;--series-4:#e08cc6;--series-5:#d9a938;--series-6:#a6b0bb}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:64px}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.55 system-ui,\"DejaVu Sans\",sans-serif}
.skip{position:absolute;left:-999px}
.skip:focus{left:8px;top:8px;z-index:2;background:var(--card);padding:6px 12px}
a{color:var(--accent)}
:focus-visible{outline:3px solid #d98e04;outline-offset:2px;border-radius:4px}
.top{position:sticky;top:0;z-index:1;display:flex;gap:4px 26px;align-items:baseline;flex-wrap:wrap;
padding:10px 28px;background:var(--card);border-bottom:1px solid var(--line)}
.logo{font-size:19px;letter-spacing:.5px;color:var(--accent)}
.top nav{display:flex;flex-wrap:wrap;gap:2px 18px}
.top a{color:var(--ink);text-decoration:none;border-bottom:2px solid transparent;padding:2px 0}
.top a:hover{border-color:var(--accent)}
main{max-width:1000px;margin:0 auto;padding:26px 28px 10px}
h1{font-size:27px;line-height:1.25;margin:0 0 14px;text-wrap:balance}
h2{font-size:18px;margin:0 0 10px}
.chip{font-size:12.5px;font-weight:600;border:1px solid currentColor;border-radius:12px;padding:2px 10px;
vertical-align:middle;white-space:nowrap}
.ok{color:var(--ok)}.bad{color:var(--bad)}
.chips{display:flex;flex-wrap:wrap;gap:6px;list-style:none;margin:0;padding:0}
.chips li{border:1px solid var(--line);background:var(--card);border-radius:6px;padding:0 9px}
.strip{display:grid;grid-template-columns:repeat(auto-fit,minmax(155px,1fr));gap:12px;margin:20px 0 16px}
.tile{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:11px 14px 12px}
.tile b{display:block;font-size:23px;line-height:1.3;font-variant-numeric:tabular-nums;white-space:nowrap}
.tile span{display:block;font-size:13px;line-height:1.4;color:var(--soft)}
.tile.ok{border-top:3px solid var(--ok);padding-top:9px}
.tile.bad{border-top:3px solid var(--bad);padding-top:9px}
.tile.ok span{color:var(--ok)}.tile.bad span{color:var(--bad)}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:18px 20px;margin:0 0 16px}
.card>:last-child{margin-bottom:0}
.kv{display:grid;grid-template-columns:minmax(90px,max-content) 1fr;gap:6px 20px;margin:0}
.kv dt{color:var(--soft)}.kv dd{margin:0;min-width:0;overflow-wrap:anywhere}
.mono dd{font:13.5px/1.65 ui-monospace,\"DejaVu Sans Mono\",monospace}
.fine{color:var(--soft);font-size:13.5px;margin:10px 0 0;max-width:80ch}
#guarantee p{max-width:75ch;margin:0 0 10px}
.scroll{overflow-x:auto;margin:0 0 16px}
figure svg{display:block;width:100%;min-width:560px;max-width:820px;height:auto;margin:0 auto}
table{border-collapse:collapse;min-width:100%}
caption{text-align:left;color:var(--soft);font-size:13.5px;padding:0 0 6px}
th,td{text-align:left;padding:6px 20px 6px 0;border-top:1px solid var(--line);vertical-align:top;
font-weight:400}
th:last-child,td:last-child{padding-right:2px}
thead th{border-top:0;border-bottom:1px solid var(--soft);font-weight:600;font-size:13.5px;vertical-align:bottom}
tbody tr:first-child>*{border-top:0}
tbody tr:hover{background:color-mix(in srgb,var(--accent) 7%,transparent)}
.num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.muted{color:var(--soft);font-style:italic}
.level{padding-left:20px}
.ledger tbody th{font:13.5px/1.65 ui-monospace,\"DejaVu Sans Mono\",monospace;white-space:nowrap}
.ledger tbody tr:last-child>*{font-family:inherit;font-weight:600;border-top:1px solid var(--soft)}
footer{max-width:1000px;margin:0 auto;padding:0 28px 28px;color:var(--soft);font-size:13px}
@media(max-width:600px){main,footer{padding-left:16px;padding-right:16px}.top{position:static;padding:10px 16px}
.kv{grid-template-columns:1fr;gap:0}.kv dd{margin-bottom:8px}}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@page{margin:16mm 15mm}
@media print{:root{color-scheme:light;--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--accent:#0b5f6f;--ok:#1d5c2f;
--bad:#96202c;--series-1:#0072b2;--series-2:#c75300;--series-3:#007a55;--series-4:#a5488a;--series-5:#7d5800;
--series-6:#555}body{font-size:10.5pt}.top{position:static;padding:0 0 6px}.top nav,.skip{display:none}
main,footer{max-width:none;padding:8px 0}.card{border:0;border-top:1px solid var(--line);border-radius:0;
padding:10px 0}.strip{grid-template-columns:repeat(5,1fr);gap:6px}.tile{padding:6px 8px}.tile b{font-size:14pt}
.tile,figure,tr,h2,.kv{break-inside:avoid}h2,caption{break-after:avoid}.scroll{overflow:visible}
figure svg{min-width:0;max-width:170mm}thead{display:table-header-group}}
";
