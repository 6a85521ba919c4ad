import * as oauth from "oauth4webapi";
import { claims, report } from "./accounts.mjs";

const loopback = { [oauth.allowInsecureRequests]: true };

async function server(account) {
  if (!account.metadata) {
    return { issuer: account.issuer, token_endpoint: account.token_url };
  }
  const issuer = new URL(account.issuer);
  // OroCommerce has its metadata below its own path, which RFC 8414 section 3.1 does not expect.
  const response = account.keys
    ? await oauth.discoveryRequest(issuer, { algorithm: "oidc", ...loopback })
    : await fetch(account.metadata);
  return oauth.processDiscoveryResponse(issuer, response);
}

async function use(account) {
  const as = await server(account);
  const client = { client_id: account.client_id };
  const method = account.public ? oauth.None() : oauth.ClientSecretPost(account.client_secret);
  const parameters = account.scope ? { scope: account.scope } : {};
  const response = await oauth.clientCredentialsGrantRequest(as, client, method, parameters, loopback);
  const token = (await oauth.processClientCredentialsResponse(as, client, response)).access_token;
  const verified = as.jwks_uri ? await claims(token, as.jwks_uri, as.issuer) : null;
  return { token, discovered: Boolean(account.metadata), verified };
}

await report(use, (error) => JSON.stringify([error.error ?? error.code, error.cause]));
