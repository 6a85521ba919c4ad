// An authorization server that understands form bodies only, and an API behind it, with the paths of
// Norce Commerce: oidc-provider.
//
//   /identity/1.0/connect/token, …/introspect, …/revocation
//   /commerce/{anything}          wants a bearer token and an integer ApplicationId
//
// Environment: PORT, CLIENT_ID, CLIENT_SECRET.

import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

// Debian 12's own Node.js 18 has no URL.parse, which oidc-provider calls.
URL.parse ??= (text) => (URL.canParse(text) ? new URL(text) : null);

const { PORT, CLIENT_ID, CLIENT_SECRET } = process.env;

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_post',
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
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
createServer((request, response) => {
  const handle = request.url.startsWith('/commerce/') ? api : authorizationServer;
  handle(request, response);
}).listen(Number(PORT), '127.0.0.1');
