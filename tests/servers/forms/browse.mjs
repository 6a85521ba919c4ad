// Draws forms in Chromium, and submits them. Reads {schema, forms} from standard input: each form
// has the values to draw it with, and those to type by setting. Writes for each form its fields,
// the errors at each of them, the submitted values, and the console's output.
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const { schema, forms } = JSON.parse(await text(process.stdin));
const bundle = await build({
    entryPoints: [new URL("page.jsx", import.meta.url).pathname],
    bundle: true,
    write: false,
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"production"' },
});
const script = bundle.outputFiles[0].text;
const server = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : '<!doctype html><meta charset="utf-8"><div id="form"></div>');
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    // Continuous integration runs as root, where Chromium has no sandbox of its own.
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
try {
    const page = await browser.newPage();
    const said = [];
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.addScriptTag({ url: "/page.js" });
    const results = [];
    for (const { values, typed } of forms) {
        said.length = 0;
        await page.evaluate(([schema, values]) => window.draw(schema, values), [schema, values]);
        await page.waitForSelector("button[type=submit]");
        for (const [name, value] of Object.entries(typed)) {
            await page.fill(`#root_${name}`, value);
        }
        const fields = await page.evaluate(() =>
            Object.fromEntries(
                [...document.querySelectorAll("#form [id^=root_]")]
                    .filter((each) => ["INPUT", "SELECT", "TEXTAREA"].includes(each.tagName))
                    .map((each) => [
                        each.id.slice("root_".length),
                        each.tagName === "INPUT" ? each.type : each.tagName.toLowerCase(),
                    ]),
            ),
        );
        const label = await page.textContent("label[for^=root_]");
        await page.click("button[type=submit]");
        await page.waitForFunction(
            () => window.submitted || document.querySelector("[id^=root_][id$=__error]"),
        );
        const outcome = await page.evaluate(() => ({
            submitted: window.submitted,
            errors: [...document.querySelectorAll("[id^=root_][id$=__error]")].map((each) =>
                each.id.slice("root_".length, -"__error".length),
            ),
        }));
        results.push({ fields, label, said: [...said], ...outcome });
    }
    process.stdout.write(JSON.stringify(results));
} finally {
    await browser.close();
    server.close();
}
