// Walks through the demo as each of its people, in a headless browser: plan, ask, approve at six
// centres, run, result, report; then every page in both languages, themes and widths. Fails on an
// error of a page, a request to another host, a violation of accessibility, a page that is too large
// or too slow. Arguments: the demo's JSON lines, a folder for screenshots.
import { readFileSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";

const [, , linesFile, out] = process.argv;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const lines = readFileSync(linesFile, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const demo = lines.find((line) => line.schema === "konsil.demo-pages.v1");
mkdirSync(out, { recursive: true });

const GZIP_MOST = 60_000;
const SERVER_MOST_MS = 200;
const troubles = [];
const figures = [];
const trouble = (text) => {
  troubles.push(text);
  console.error(`✗ ${text}`);
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/** A person's browser: nothing but loopback may be asked for. */
async function person(options = {}) {
  // the checker of accessibility is put into pages, which their own policy forbids
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  context.on("request", (request) => {
    const host = new URL(request.url()).hostname;
    if (host !== "127.0.0.1" && !request.url().startsWith("data:")) trouble(`asks ${request.url()}`);
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => trouble(`${page.url()}: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("401")) {
      trouble(`${page.url()}: ${message.text()}`);
    }
  });
  return page;
}

/** Size and time of a page as its server sends it. */
async function measured(page, name) {
  const cookies = await page.context().cookies();
  const header = cookies.map((it) => `${it.name}=${it.value}`).join("; ");
  const times = [];
  let bytes = 0;
  for (let again = 0; again < 3; again += 1) {
    const begin = performance.now();
    const answer = await page.request.get(page.url(), { headers: { cookie: header } });
    times.push(performance.now() - begin);
    bytes = gzipSync(await answer.body()).length;
  }
  const milliseconds = times.sort((a, b) => a - b)[1];
  figures.push({ name, gzip_bytes: bytes, milliseconds: Math.round(milliseconds) });
  if (bytes > GZIP_MOST) trouble(`${name} has ${bytes} bytes`);
  if (milliseconds > SERVER_MOST_MS && !process.env.KONSIL_SLOW) trouble(`${name} takes ${milliseconds} ms`);
}

async function accessible(page, name) {
  await page.evaluate(axe);
  const result = await page.evaluate(() => window.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  for (const it of result.violations) {
    const where = it.nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ");
    trouble(`${name}: ${it.id}: ${it.help} (${where})`);
  }
}

/** A page in both themes, and on a narrow screen. */
async function look(page, name) {
  await measured(page, name);
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    await accessible(page, `${name} ${scheme}`);
    await page.screenshot({ path: `${out}/${name}-${scheme}.png`, fullPage: true });
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 390, height: 800 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > 390);
  if (wide) trouble(`${name} is wider than a narrow screen`);
  await page.setViewportSize({ width: 1200, height: 900 });
  console.log(`✓ ${name}`);
}

const researcher = await person();
await researcher.goto(demo.researcher);
await look(researcher, "home");
await researcher.click("nav[aria-label=Menu] a[href='/data']");
await look(researcher, "data");
await researcher.fill("#q", "age");
await researcher.press("#q", "Enter");

// a study is written, with a mistyped variable first
await researcher.click("a[href='/studies/new']");
await researcher.fill("#title", "Which patients on dialysis die early?");
await researcher.fill("#purpose", "kidney-research");
await researcher.selectOption("#kind", "glm");
await researcher.fill("#what", "died ~ agee");
await researcher.waitForSelector("#checked .trouble");
await researcher.fill("#what", process.env.FORMULA ?? "died ~ age + disease");
await researcher.waitForSelector("#checked .checks");
await researcher.click("button[value=add]");
await look(researcher, "editor");
await researcher.click("button[value=plan]");
await researcher.waitForSelector("form[action='/jobs']");
await look(researcher, "plan");
await researcher.click("form[action='/jobs'] button");
await researcher.waitForSelector("#progress");
await researcher.waitForFunction(
  () => document.querySelectorAll("#progress .chip.warn").length >= 6);
await look(researcher, "waiting");
const job = researcher.url();

// six stewards decide, each at a centre of their own
for (const [at, centre] of demo.centres.entries()) {
  const steward = await person();
  await steward.goto(`${centre.url}&as=steward`);
  if (at === 0) await look(steward, "inbox");
  await steward.click("main tbody tr:first-child a");
  if (at === 0) await look(steward, "request");
  await steward.fill("#note", "fine");
  await steward.click("button[value=approve]");
  await steward.waitForSelector("h1 .chip.ok");
  if (at === 0) {
    for (const path of ["datasets", "policy", "budget"]) {
      await steward.click(`nav[aria-label=Menu] a[href='/${path}']`);
      await look(steward, path);
    }
    await steward.click("nav[aria-label=Menu] a[href='/audit']");
    await steward.click("main form[method=post] button");
    await steward.waitForSelector(".notice.ok");
    await look(steward, "audit");
    const refused = await steward.request.get(new URL("/node", centre.url).href);
    if (refused.status() !== 403) trouble(`a steward sees /node: ${refused.status()}`);
  }
  await steward.context().close();
}

await researcher.waitForSelector("#analysis-1", { timeout: 60_000 });
await look(researcher, "result");
await researcher.click("a[href$='report.html']");
await researcher.waitForSelector("h1");
await researcher.screenshot({ path: `${out}/report.png`, fullPage: true });
await researcher.pdf({ path: `${out}/report.pdf` });
await researcher.goto(new URL("/", job).href);
await researcher.click("main tbody tr:last-child a");
await look(researcher, "result-demo");
await researcher.click("a[hreflang], a[lang=de]");
await researcher.waitForSelector("html[lang=de]");
await look(researcher, "result-german");

const admin = await person();
await admin.goto(`${demo.centres[0].url}&as=admin`);
await look(admin, "node");
const none = await admin.request.get(new URL("/inbox", demo.centres[0].url).href);
if (none.status() !== 403) trouble(`an administrator sees /inbox: ${none.status()}`);

const patient = await person({ locale: "de-DE" });
await patient.goto(new URL("/transparency", demo.centres[0].url).href);
await look(patient, "transparency");
const closed = await patient.request.get(new URL("/audit", demo.centres[0].url).href, { maxRedirects: 0 });
if (closed.status() !== 303) trouble(`the public sees /audit: ${closed.status()}`);
await patient.goto(new URL("/login", demo.centres[0].url).href);
await look(patient, "login");

await browser.close();
writeFileSync(`${out}/figures.json`, `${JSON.stringify(figures, null, 1)}\n`);
for (const it of figures) console.log(`${it.name}: ${it.gzip_bytes} B, ${it.milliseconds} ms`);
if (troubles.length > 0) {
  console.error(`${troubles.length} troubles`);
  process.exit(1);
}
console.log("✓ all pages");
