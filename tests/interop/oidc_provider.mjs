// A real OpenID provider for the tests: oidc-provider, on loopback, with PAR, JAR and PKCE required.
//
//   node oidc_provider.mjs configuration.json       ends with Ctrl-C
//   node oidc_provider.mjs                          reads one line of JSON, ends when its input does
//
// Members of the configuration, all optional:
//   port      0 (the default) takes a free one
//   issuer    default: http(s)://127.0.0.1:<port>
//   https     {"cert": PEM text, "key": PEM text}
//   mtls      {"authorities": PEM text, "aliases": true}, with https: certificates are asked for on a port of
//             their own, that of mtls_endpoint_aliases; without "aliases" on that of the issuer
//   clients   client metadata, as oidc-provider names it (the names of RFC 7591)
//   features  oidc-provider's own names, laid over the ones below: {"jwtResponseModes": {"enabled": true}}
//             {"dPoP": {"enabled": true, "requireNonce": true}} makes it want nonces in DPoP proofs
//             {"richAuthorizationRequests": {"types": ["payment_initiation"], "grantsAlone": null}} grants
//             what was asked for, or that type alone, and adds "grantedTo" to each
//             {"encryption": {"enabled": true}} also makes keys to encrypt request objects for
//
// Refresh tokens rotate at each use, and the second use of one revokes all tokens of that login.
// When it listens it prints one line, {"issuer": …, "port": …}; on stderr it complains of an unsupported
// Node, of a configuration it cannot use, and of its own failures, and is silent otherwise.
// GET /__calls answers what the protocol's endpoints received and answered since the start, and which
// logout tokens were sent; DELETE /__calls forgets it.
// PUT /__access_tokens {"seconds": 60} or {"until": seconds since 1970} says how long they hold from now on.

import { X509Certificate, createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { createInterface } from 'node:readline';

import Provider from 'oidc-provider';
import MemoryAdapter from 'oidc-provider/lib/adapters/memory_adapter.js';

const HOST = '127.0.0.1';
const SIGNING_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'];
const ENCRYPTION_ALGORITHMS = ['RSA-OAEP', 'RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW'];
const AUTH_METHODS = ['client_secret_basic', 'client_secret_jwt', 'client_secret_post', 'private_key_jwt', 'none'];
const ENDPOINTS = {
  '/.well-known/openid-configuration': 'discovery',
  '/jwks': 'jwks',
  '/request': 'pushed_authorization_request',
  '/auth': 'authorization',
  '/token': 'token',
  '/token/introspection': 'introspection',
  '/token/revocation': 'revocation',
  '/me': 'userinfo',
  '/session/end': 'end_session',
};

// oidc-provider writes its development warnings with these two.
console.info = () => {};
console.warn = () => {};

async function readConfiguration() {
  if (process.argv[2]) return JSON.parse(readFileSync(process.argv[2], 'utf8'));
  const lines = createInterface({ input: process.stdin });
  lines.on('close', () => process.exit(0));
  return JSON.parse(await new Promise((resolve) => { lines.once('line', resolve); }));
}

function privateJwks(pairs, use) {
  return Object.entries(pairs).map(([kid, { privateKey }]) => (
    { ...privateKey.export({ format: 'jwk' }), kid, use }
  ));
}

function newKeys(features = {}) {
  const signing = {
    rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    okp: generateKeyPairSync('ed25519'),
  };
  const decrypting = features.encryption?.enabled ? {
    'rsa-enc': generateKeyPairSync('rsa', { modulusLength: 2048 }),
    'ec-enc': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  } : {};
  return { keys: [...privateJwks(signing, 'sig'), ...privateJwks(decrypting, 'enc')] };
}

function mergedFeatures(features = {}) {
  const merged = {
    devInteractions: { enabled: true },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
    requestObjects: { enabled: true, requireSignedRequestObject: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    userinfo: { enabled: true },
  };
  for (const [name, settings] of Object.entries(features)) {
    merged[name] = { ...merged[name], ...settings };
  }
  if (merged.dPoP) {
    const required = merged.dPoP.requireNonce === true;
    const nonceSecret = required ? randomBytes(32) : undefined;
    merged.dPoP = { ...merged.dPoP, nonceSecret, requireNonce: () => required };
  }
  if (merged.richAuthorizationRequests) {
    const { types, grantsAlone } = merged.richAuthorizationRequests;
    merged.resourceIndicators = { // it grants details for a resource only
      enabled: true,
      getResourceServerInfo: (_ctx, audience) => ({ audience, scope: 'reports:read', accessTokenFormat: 'opaque' }),
    };
    merged.richAuthorizationRequests = {
      enabled: true,
      types: Object.fromEntries(types.map((type) => [type, { validate() {} }])),
      authorizationDetailsForGrantSource: (ctx) => (
        JSON.parse(ctx.oidc.params.authorization_details ?? '[]')
          .filter(({ type }) => !grantsAlone || type === grantsAlone)
          .map((detail) => ({ ...detail, grantedTo: ctx.oidc.session.accountId }))
      ),
      authorizationDetailsForAccessToken: (_ctx, _token, source) => source.rar,
      authorizationDetailsForIntrospection: (_ctx, token) => token.rar,
    };
  }
  return merged;
}

// The certificate of the TLS connection itself: no proxy stands before this server.
function certificateOf(request) {
  const { raw } = request.socket.getPeerCertificate?.() ?? {};
  return raw && new X509Certificate(raw);
}

// RFC 4514 begins with the last part of a name, and Node writes one part on a line, the first one first.
function subjectOf(certificate) {
  return certificate.subject.split('\n').reverse().join(',');
}

function withMutualTLS(features) {
  return {
    ...features,
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      selfSignedTlsClientAuth: true,
      tlsClientAuth: true,
      getCertificate: ({ req }) => certificateOf(req),
      certificateAuthorized: ({ req }) => req.socket.authorized,
      certificateSubjectMatches: ({ req }, property, expected) => (
        property === 'tls_client_auth_subject_dn' && subjectOf(certificateOf(req)) === expected
      ),
    },
  };
}

function findAccount(_ctx, login) {
  const name = login.charAt(0).toUpperCase() + login.slice(1);
  return {
    accountId: login,
    claims: () => ({
      sub: login, name, preferred_username: login, email: `${login}@example.com`, email_verified: true,
    }),
  };
}

function thumbprintOf(certificate) {
  return certificate ? createHash('sha256').update(certificate.raw).digest('base64url') : null;
}

// What arrived. The body is copied while the provider reads it, and split without the provider's parser,
// so that duplicated and unknown fields are recorded too.
class Record {
  calls = [];

  watch(request, response) {
    const url = new URL(request.url, 'http://record.invalid');
    const endpoint = ENDPOINTS[url.pathname];
    if (!endpoint) return;
    const call = {
      endpoint,
      method: request.method,
      path: url.pathname,
      query: [...url.searchParams],
      form: [],
      authorization: request.headers.authorization?.split(' ')[0].toLowerCase() ?? null,
      headers: { ...request.headers, authorization: undefined },
      certificate: thumbprintOf(certificateOf(request)),
      status: null,
      error: null,
      answer: '',
    };
    this.calls.push(call);
    request.record = call;

    const chunks = [];
    const push = request.push;
    request.push = (chunk, encoding) => {
      if (chunk === null) {
        call.form = [...new URLSearchParams(Buffer.concat(chunks).toString('utf8'))];
      } else {
        chunks.push(chunk);
      }
      return push.call(request, chunk, encoding);
    };
    // Before the answer's first byte leaves, so that who has the answer finds the call complete.
    const writeHead = response.writeHead;
    response.writeHead = (status, ...rest) => {
      call.status = status;
      return writeHead.call(response, status, ...rest);
    };
    const end = response.end;
    response.end = (body, ...rest) => {
      if (typeof body === 'string' || Buffer.isBuffer(body)) call.answer = body.toString();
      return end.call(response, body, ...rest);
    };
  }

  refused(ctx, error) {
    if (!ctx.req.record) return;
    ctx.req.record.error = {
      error: error.error ?? error.message,
      description: error.error_description ?? null,
      detail: error.error_detail ?? error.cause?.message ?? null,
    };
  }

  // A logout token that we sent, and whether the client accepted it.
  sent(client, error) {
    this.calls.push({
      endpoint: 'backchannel_logout',
      method: 'POST',
      path: new URL(client.backchannelLogoutUri).pathname,
      query: [],
      form: [],
      authorization: null,
      headers: {},
      certificate: null,
      status: error ? null : 200,
      error: error && { error: error.error ?? error.message, description: null, detail: null },
      answer: '',
    });
  }

  answer(request, response) {
    if (request.method === 'DELETE') this.calls = [];
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(this.calls));
  }
}

async function readJson(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

const configuration = await readConfiguration();
const record = new Record();
let accessTokens = { seconds: 3600 };
let answer;

function listener(request, response) {
  if (request.url === '/__calls') {
    record.answer(request, response);
  } else if (request.url === '/__access_tokens') {
    readJson(request).then((wanted) => {
      accessTokens = wanted;
      response.setHeader('Content-Type', 'application/json');
      response.end('{}');
    });
  } else {
    record.watch(request, response);
    answer(request, response);
  }
}

async function listen(server, at) {
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, HOST, resolve);
  });
  return server.address().port;
}

const { mtls } = configuration;
const plain = configuration.https;
const asking = mtls && {
  ...plain, requestCert: true, rejectUnauthorized: false, ca: mtls.authorities,
};
const server = plain
  ? https.createServer(mtls && !mtls.aliases ? asking : plain, listener)
  : http.createServer(listener);
const port = await listen(server, configuration.port ?? 0);
const discovery = {};
if (mtls?.aliases) {
  const base = `https://${HOST}:${await listen(https.createServer(asking, listener), 0)}`;
  discovery.mtls_endpoint_aliases = {
    token_endpoint: `${base}/token`,
    revocation_endpoint: `${base}/token/revocation`,
    introspection_endpoint: `${base}/token/introspection`,
    pushed_authorization_request_endpoint: `${base}/request`,
    userinfo_endpoint: `${base}/me`,
  };
}
const issuer = configuration.issuer ?? `${configuration.https ? 'https' : 'http'}://${HOST}:${port}`;
const kept = new Map();
const provider = new Provider(issuer, {
  // Its own adapter forgets whatever lies beneath a thousand newer things.
  adapter: (model) => new MemoryAdapter(model, kept),
  clients: configuration.clients ?? [],
  features: mtls ? withMutualTLS(mergedFeatures(configuration.features)) : mergedFeatures(configuration.features),
  discovery,
  ...(mtls && { clientAuthMethods: [...AUTH_METHODS, 'tls_client_auth', 'self_signed_tls_client_auth'] }),
  jwks: newKeys(configuration.features),
  scopes: ['openid', 'offline_access', 'reports:read'],
  claims: { profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] },
  findAccount,
  pkce: { required: () => true },
  rotateRefreshToken: () => true,
  ttl: {
    AccessToken: () => accessTokens.seconds ?? Math.max(1, accessTokens.until - Math.floor(Date.now() / 1000)),
  },
  // Without the guard against addresses of the provider's own network, where these tests take place.
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
  enabledJWA: {
    clientAuthSigningAlgValues: ['HS256', ...SIGNING_ALGORITHMS],
    idTokenSigningAlgValues: SIGNING_ALGORITHMS,
    requestObjectSigningAlgValues: SIGNING_ALGORITHMS,
    ...(configuration.features?.encryption?.enabled && {
      idTokenEncryptionAlgValues: ENCRYPTION_ALGORITHMS,
      userinfoEncryptionAlgValues: ENCRYPTION_ALGORITHMS,
      requestObjectEncryptionAlgValues: ENCRYPTION_ALGORITHMS,
    }),
    ...(configuration.features?.jwtResponseModes?.enabled && {
      authorizationSigningAlgValues: SIGNING_ALGORITHMS,
      ...(configuration.features?.encryption?.enabled && {
        authorizationEncryptionAlgValues: ENCRYPTION_ALGORITHMS,
      }),
    }),
  },
});
for (const event of [
  'authorization.error', 'discovery.error', 'end_session.error', 'grant.error', 'jwks.error',
  'pushed_authorization_request.error', 'revocation.error', 'server_error', 'userinfo.error',
]) {
  provider.on(event, (ctx, error) => record.refused(ctx, error));
}
provider.on('server_error', (_ctx, error) => console.error(error));
provider.on('backchannel.success', (_ctx, client) => record.sent(client, null));
provider.on('backchannel.error', (_ctx, error, client) => record.sent(client, error));
// The provider looks at a client when it is first asked for; a wrong one shall be known at the start.
for (const { client_id: id } of configuration.clients ?? []) await provider.Client.find(id);
answer = provider.callback();

console.log(JSON.stringify({ issuer, port }));
