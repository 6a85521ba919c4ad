// The page of a shop in Chromium: a sales channel, which gets its token with the vendor's client.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { accounts } from "./accounts.mjs";

const file = new URL("node_modules/@commercelayer/js-auth/dist/index.mjs", import.meta.url);
const library = readFileSync(file);
// Chromium lets only a page of this machine send requests to it.
const shop = createServer(({ url }, response) => {
  const isLibrary = url === "/js-auth.mjs";
  response.setHeader("Content-Type", isLibrary ? "text/javascript" : "text/html");
  response.end(isLibrary ? library : "");
});
await new Promise((listens) => shop.listen(0, "127.0.0.1", listens));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu"],
});
// Node.js, not the browser, trusts the authority of the test.
const page = await browser.newPage({ ignoreHTTPSErrors: true });
const hosts = new Set();
page.on("request", (request) => hosts.add(new URL(request.url()).hostname));
await page.goto(`http://shop.localhost:${shop.address().port}`);
const shown = await page.evaluate(async (account) => {
  const { authenticate, getCoreApiBaseEndpoint, jwtVerify, revoke } = await import("/js-auth.mjs");
  const client = { clientId: account.client_id };
  const options = { domain: account.domain, scope: account.scope };
  const { accessToken: token } = await authenticate("client_credentials", { ...options, ...client });
  const call = async () => {
    const headers = { ...account.headers, Authorization: `Bearer ${token}` };
    return (await fetch(`${getCoreApiBaseEndpoint(token)}/api/markets`, { headers })).status;
  };
  const { payload: verified } = await jwtVerify(token);
  const status = await call();
  const ended = await revoke({ ...client, token });
  const after = await call();
  const { errors } = await authenticate("client_credentials", { ...options, clientId: "wrong" });
  return { name: account.name, token, status, verified, ended, after, error: JSON.stringify(errors) };
}, accounts[0]);
await browser.close();
shop.close();
console.log(JSON.stringify([{ ...shown, hosts: [...hosts].sort() }]));
