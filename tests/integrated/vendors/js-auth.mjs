import { authenticate, getCoreApiBaseEndpoint, jwtDecode, jwtVerify, revoke } from "@commercelayer/js-auth";
import { call, report } from "./accounts.mjs";

async function use(account) {
  const secret = account.client_secret ? { clientSecret: account.client_secret } : {};
  const client = { clientId: account.client_id, ...secret };
  const granted = await authenticate("client_credentials", {
    domain: account.domain,
    scope: account.scope ?? undefined,
    ...client,
  });
  if (granted.errors) throw granted.errors;
  const token = granted.accessToken;
  const address = getCoreApiBaseEndpoint(token);
  const here = { ...account, api: `${address}/api/markets` };
  const used = await call(here, token);
  const ended = await revoke({ ...client, token });
  const after = await call(here, token);
  const second = await authenticate("client_credentials", {
    domain: account.domain,
    scope: account.scope ?? undefined,
    ...client,
  });
  // The keys are those of the issuer that the token names.
  const { payload } = await jwtVerify(second.accessToken);
  const kind = jwtDecode(token).payload.application.kind;
  return { token: second.accessToken, address, kind, used, ended, after, verified: payload };
}

await report(use, (errors) => JSON.stringify(errors));
