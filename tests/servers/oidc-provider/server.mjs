// An authorization server that accepts only form bodies, and an API behind it, with the paths of
// Norce Commerce: oidc-provider.
//
//   /identity/1.0/connect/token, …/introspect, …/revocation
//   /commerce/{anything}          needs a bearer token and an integer ApplicationId
//
// A second client has a private key. A third has a certificate, for which all endpoints are also
// available over TLS.
//
// Each client may exchange its token for one of fewer scopes (RFC 8693). Standard output has a line
// for each request to the authorization server: status, path, and grant type if there is one.
//
// Environment: PORT, CLIENT_ID, CLIENT_SECRET; JWKS (the second client's public keys, as JSON);
// TLS_PORT, TLS_FILES (a directory with server.pem and authority.pem).

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { errors, Provider } from 'oidc-provider';

// Debian 12's own Node.js 18 has no URL.parse, which oidc-provider calls.
URL.parse ??= (text) => (URL.canParse(text) ? new URL(text) : null);

const { PORT, CLIENT_ID, CLIENT_SECRET, JWKS, TLS_PORT, TLS_FILES } = process.env;
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const machine = {
  grant_types: ['client_credentials', EXCHANGE],
  redirect_uris: [],
  response_types: [],
};
const certificateOf = (ctx) => ctx.socket.getPeerCertificate?.()?.raw;

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  clients: [
    {
      ...machine,
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      token_endpoint_auth_method: 'client_secret_post',
    },
    {
      ...machine,
      client_id: `${CLIENT_ID}-key`,
      jwks: JSON.parse(JWKS),
      token_endpoint_auth_method: 'private_key_jwt',
    },
    {
      ...machine,
      client_id: `${CLIENT_ID}-certificate`,
      tls_client_auth_san_dns: 'client.example',
      token_endpoint_auth_method: 'tls_client_auth',
    },
  ],
  clientAuthMethods: ['client_secret_post', 'private_key_jwt', 'tls_client_auth'],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => certificateOf(ctx) && new X509Certificate(certificateOf(ctx)).toString(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_san_dns' &&
        ctx.socket.getPeerCertificate().subjectaltname === `DNS:${expected}`,
    },
    revocation: { enabled: true },
  },
  routes: {
    token: '/identity/1.0/connect/token',
    introspection: '/identity/1.0/connect/introspect',
    revocation: '/identity/1.0/connect/revocation',
  },
  scopes: ['playground', 'stage', 'prod'],
  ttl: { ClientCredentials: 3600 },
});

// RFC 8693 section 2.2.2: a subject token that is not valid is an invalid request.
async function exchange(ctx) {
  const { client, params } = ctx.oidc;
  const subject = await provider.ClientCredentials.find(params.subject_token);
  if (params.subject_token_type !== ACCESS_TOKEN || subject?.clientId !== client.clientId) {
    throw new errors.InvalidRequest('subject_token is not valid');
  }
  const scope = params.scope ?? subject.scope;
  if (!scope.split(' ').every((each) => subject.scopes.has(each))) {
    throw new errors.InvalidScope('scope exceeds that of subject_token', params.scope);
  }
  const token = new provider.ClientCredentials({ client, scope });
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: ACCESS_TOKEN,
    token_type: token.tokenType,
    expires_in: token.expiration,
    scope,
  };
}

provider.registerGrantType(EXCHANGE, exchange, ['subject_token', 'subject_token_type', 'scope']);
provider.use(async (ctx, next) => {
  await next();
  console.log('request', ctx.status, ctx.path, ctx.oidc?.params?.grant_type ?? '');
});

function respond(response, status, body, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

async function api(request, response) {
  const [scheme, value] = (request.headers.authorization ?? '').split(' ');
  const token = scheme === 'Bearer' && (await provider.ClientCredentials.find(value));
  if (!token) {
    respond(response, 401, {}, { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
  } else if (!/^\d+$/.test(request.headers.applicationid ?? '')) {
    respond(response, 400, { message: 'ApplicationId is missing' });
  } else {
    const applicationId = Number(request.headers.applicationid);
    respond(response, 200, { applicationId, scope: token.scope });
  }
}

const authorizationServer = provider.callback();
const handle = (request, response) =>
  (request.url.startsWith('/commerce/') ? api : authorizationServer)(request, response);
const pem = readFileSync(`${TLS_FILES}/server.pem`);
const tls = { key: pem, cert: pem, ca: readFileSync(`${TLS_FILES}/authority.pem`) };
createSecureServer({ ...tls, requestCert: true, rejectUnauthorized: false }, handle).listen(
  Number(TLS_PORT),
  '127.0.0.1',
  // The tests wait for this port: then both are ready.
  () => createServer(handle).listen(Number(PORT), '127.0.0.1'),
);
