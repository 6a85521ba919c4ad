import { ClientCredentials } from "simple-oauth2";
import { report } from "./accounts.mjs";

async function use(account) {
  const url = new URL(account.token_url);
  const client = new ClientCredentials({
    client: { id: account.client_id, secret: account.client_secret ?? "" },
    auth: { tokenHost: url.origin, tokenPath: url.pathname },
    options: { authorizationMethod: "body", bodyFormat: account.json ? "json" : "form" },
  });
  const granted = await client.getToken(account.scope ? { scope: account.scope } : {});
  if (granted.expired()) throw new Error("expired");
  return { token: granted.token.access_token };
}

await report(use, (error) => JSON.stringify([error.message, error.data?.payload]));
