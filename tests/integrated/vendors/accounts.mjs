// The emulator's accounts, and requests to its APIs.
import { readFileSync } from "node:fs";
import { createRemoteJWKSet, jwtVerify } from "jose";

export const accounts = JSON.parse(readFileSync(0, "utf8"));

// Returns the status of an API request.
export async function call(account, token) {
  const headers = { ...account.headers, Authorization: `Bearer ${token}` };
  return (await fetch(account.api, { headers })).status;
}

// Returns the claims of a token that a published key has signed.
export async function claims(token, keys, issuer) {
  return (await jwtVerify(token, createRemoteJWKSet(new URL(keys)), { issuer })).payload;
}

// Prints the results of a client for each account.
//
// `use(account)` returns {token, ...others}; the same with a wrong secret must fail.
// `reason(error)` returns what the client says.
export async function report(use, reason) {
  const shown = [];
  for (const account of accounts) {
    const { token, ...others } = await use(account);
    const status = await call(account, token);
    let error = null;
    try {
      await use(account.public ? { ...account, client_id: "wrong" } : { ...account, client_secret: "wrong" });
    } catch (caught) {
      error = reason(caught);
    }
    shown.push({ name: account.name, token, status, error, ...others });
  }
  console.log(JSON.stringify(shown));
}
