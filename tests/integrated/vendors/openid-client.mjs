import * as oidc from "openid-client";
import { claims, report } from "./accounts.mjs";

async function configuration(account) {
  const method = account.public ? oidc.None() : oidc.ClientSecretPost(account.client_secret);
  if (account.metadata) {
    const url = new URL(account.keys ? account.issuer : account.metadata);
    const options = { execute: [oidc.allowInsecureRequests] };
    return oidc.discovery(url, account.client_id, undefined, method, options);
  }
  const server = { issuer: account.issuer, token_endpoint: account.token_url };
  const known = new oidc.Configuration(server, account.client_id, undefined, method);
  oidc.allowInsecureRequests(known);
  return known;
}

async function use(account) {
  const config = await configuration(account);
  const parameters = account.scope ? { scope: account.scope } : {};
  const { access_token: token } = await oidc.clientCredentialsGrant(config, parameters);
  const { jwks_uri: keys, issuer } = config.serverMetadata();
  const verified = keys ? await claims(token, keys, issuer) : null;
  return { token, discovered: Boolean(account.metadata), verified };
}

await report(use, (error) => JSON.stringify([error.error ?? error.code, error.cause]));
