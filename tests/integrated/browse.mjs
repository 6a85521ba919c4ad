// Opens the status page in Chromium and reports the findings of axe and the effects of its buttons.
// Standard input: {url, directory?: of the screenshots, search?: the search string}.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const { url, directory, search } = JSON.parse(readFileSync(0, "utf8"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu"],
});
const report = { violations: [], notices: [], errors: [] };

async function open(colorScheme, javaScriptEnabled, path = "/") {
  const context = await browser.newContext({
    colorScheme, javaScriptEnabled, bypassCSP: javaScriptEnabled,
    viewport: { width: 1280, height: 720 },
  });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && report.errors.push(message.text()));
  await page.goto(url + path);
  return page;
}

async function examine(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  report.violations.push(...violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`));
}

for (const scheme of ["light", "dark"]) {
  const page = await open(scheme, true);
  await examine(page);
  if (directory) await page.screenshot({ path: `${directory}/serve-${scheme}.png` });
  await page.context().close();
}

// Without JavaScript, and only by keyboard.
const page = await open("light", false, "/?refresh=off");
for (const [action, name] of [["renew", "shop"], ["revoke", "commercelayer"]]) {
  await page.getByRole("button", { name: `${action} the token of ${name}`, exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/notice=/);
  report.notices.push(await page.locator(".notice").innerText());
  await page.goto(`${url}/?refresh=off`);
}
if (search) {
  await page.getByLabel("Name or provider").fill(search);
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=/);
  report.found = await page.locator("tbody th").allInnerTexts();
}
report.address = page.url();
await page.context().close();

const refreshing = await open("light", true);
const again = refreshing.waitForNavigation({ timeout: 40_000 });
report.refreshed = Boolean(await again);
await browser.close();
process.stdout.write(JSON.stringify(report));
