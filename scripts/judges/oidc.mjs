// Signs in at a centre's pages by a real OpenID Connect server (oidc-provider), in a headless browser.
// First "serve PORT REDIRECT": the server, on loopback. Then "walk PAGES": the browser.
import { chromium } from "playwright-core";

const [, , what, one, two] = process.argv;

async function serve(port, redirect) {
  const { Provider } = await import("oidc-provider");
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "konsil", client_secret: "for this test only", redirect_uris: [redirect],
      application_type: "native", token_endpoint_auth_method: "client_secret_basic",
    }],
    // every name is an address of this clinic, and any password will do
    findAccount: async (_, id) => ({
      accountId: id,
      claims: async () => ({ sub: id, email: `${id}@clinic.example`, email_verified: id !== "mallory" }),
    }),
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: [] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
  });
  provider.listen(Number(port), "127.0.0.1", () => console.log(`ready ${issuer}`));
}

async function walk(pages) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  const check = (fact, text) => {
    console.log(`${fact ? "✓" : "✗"} ${text}`);
    if (!fact) process.exitCode = 1;
  };
  // a person signs in at the server; gives the browser's page
  const come = async (name) => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${pages}/login`);
    await page.click("a[href='/oidc/start']");
    await page.fill("input[name=login]", name);
    await page.fill("input[name=password]", "any");
    await page.click("button[type=submit]");
    await page.click("button[type=submit]");
    await page.waitForLoadState("networkidle");
    return page;
  };
  const eva = await come("eva");
  await eva.waitForURL(`${pages}/inbox`, { timeout: 10000 }).catch(() => {});
  check(eva.url() === `${pages}/inbox`, `a steward who signs in elsewhere is at ${eva.url()}`);
  const cookies = await eva.context().cookies();
  const session = cookies.find((it) => it.name.startsWith("konsil-") && !it.name.includes("oidc"));
  check(session?.sameSite === "Strict" && session.httpOnly, "the session's cookie is strict and of HTTP only");
  check(!cookies.some((it) => it.name.includes("konsil-oidc")), "the sign-in's cookie is gone");
  const node = await eva.goto(`${pages}/node`);
  check(node.status() === 403, "it gives the account's roles and no more");
  const jon = await come("jon");
  await jon.waitForURL(`${pages}/node`, { timeout: 10000 }).catch(() => {});
  check(jon.url() === `${pages}/node`, "an administrator without a password comes in");
  for (const [name, words] of [["nobody", "no account"], ["mallory", "not verified"]]) {
    const page = await come(name);
    const text = await page.textContent("main");
    check(page.url().startsWith(`${pages}/oidc/back`) && text.includes(words), `${name} stays outside: ${words}`);
  }
  // somebody else's answer, in a browser that has not asked
  const other = await (await browser.newContext()).newPage();
  const forged = await other.goto(`${pages}/oidc/back?code=x&state=${"0".repeat(64)}`);
  check(forged.status() === 401, "an answer that this browser has not asked for is refused");
  await browser.close();
}

await (what === "serve" ? serve(one, two) : walk(one));
