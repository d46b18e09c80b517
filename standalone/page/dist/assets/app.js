// src/api.ts
var ApiError = class extends Error {
  fields;
  requestId;
  /** `undefined` when there was no answer. */
  status;
  constructor(message, status, fields = [], requestId) {
    super(message);
    this.status = status;
    this.fields = fields;
    this.requestId = requestId;
  }
};
var readSettings = () => request("/demo/settings");
var readPeople = () => request("/demo/people");
async function readIdentity(basePath) {
  try {
    const set = await request(`${basePath}/identity`);
    return set.keys.length === 0 ? void 0 : set;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return void 0;
    throw error;
  }
}
var signIn = (userId) => post("/demo/sign-in", { userId });
var takePayment = (payment) => post("/demo/payments", payment);
var NotificationsApi = class {
  #path;
  #signIn;
  #token;
  constructor(basePath, signIn2) {
    this.#path = `${basePath}/notifications`;
    this.#signIn = signIn2;
  }
  /** The newest. */
  async list(limit) {
    return (await this.#ask("GET", `?limit=${limit}`)).data;
  }
  async unread() {
    return (await this.#ask("GET", "/count?unread=true")).count;
  }
  read(id) {
    return this.#ask("PATCH", `/${encodeURIComponent(id)}/read`);
  }
  /** All that were created before a moment. */
  readAll(before) {
    return this.#ask("PATCH", "/read-all", { before });
  }
  async #ask(method, path, body) {
    const ask = async (token2) => request(`${this.#path}${path}`, method, body, token2);
    const known = this.#token;
    const token = known ?? this.#renew();
    try {
      return await ask(await token);
    } catch (error) {
      const expired = known !== void 0 && error instanceof ApiError && error.status === 401;
      if (!expired) throw error;
      return ask(await this.#renew());
    }
  }
  #renew() {
    const token = this.#signIn();
    this.#token = token;
    token.catch(() => {
      if (this.#token === token) this.#token = void 0;
    });
    return token;
  }
};
var post = (path, body) => request(path, "POST", body);
async function request(path, method = "GET", body, token) {
  const headers = {
    ...body === void 0 ? {} : { "content-type": "application/json" },
    ...token === void 0 ? {} : { authorization: `Bearer ${token}` }
  };
  const content = body === void 0 ? {} : { body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { method, headers, ...content, cache: "no-store" });
  } catch {
    throw new ApiError("The server did not answer. Is it still running?");
  }
  const answer = await response.json().catch(() => void 0);
  if (!response.ok) throw refusal(response.status, answer);
  return answer;
}
function refusal(status, answer) {
  const { message, requestId, details } = typeof answer === "object" && answer !== null ? answer : {};
  const fields = Array.isArray(details?.cause) ? details.cause : [];
  return new ApiError(message ?? `The server answered ${status}.`, status, fields, requestId);
}

// src/dom.ts
var SVG = "http://www.w3.org/2000/svg";
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else setAttribute(element, name, value);
  }
  fill(element, ...children);
  return element;
}
function setAttribute(element, name, value) {
  if (value === void 0 || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}
function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== void 0 && child !== false));
}
function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  for (const d of PATHS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}
var PATHS = {
  bell: ["M10 2.8a5 5 0 0 0-5 5c0 4.6-1.7 6-1.7 6h13.4s-1.7-1.4-1.7-6a5 5 0 0 0-5-5Z", "M8.4 16.6a1.9 1.9 0 0 0 3.2 0"],
  lock: ["M5.2 9h9.6v7H5.2z", "M7.2 9V6.6a2.8 2.8 0 0 1 5.6 0V9"],
  unlocked: ["M5.2 9h9.6v7H5.2z", "M7.2 9V6.6a2.8 2.8 0 0 1 5.4-1"],
  in: ["M10 3.5v11", "M5.5 10.2 10 14.7l4.5-4.5"],
  out: ["M10 16.5v-11", "M5.5 9.8 10 5.3l4.5 4.5"],
  check: ["M4.5 10.5 8.3 14.2 15.5 6.5"],
  close: ["M5.5 5.5l9 9", "M14.5 5.5l-9 9"],
  copy: ["M7.5 7.5h8v8h-8z", "M12.5 7.5v-3h-8v8h3"],
  window: ["M3.5 5h13v10.5h-13z", "M3.5 8h13"],
  system: ["M3.5 4.5h13v8.5h-13z", "M7.5 16.5h5", "M10 13v3.5"],
  light: ["M10 6.8a3.2 3.2 0 1 0 0 6.4a3.2 3.2 0 0 0 0-6.4Z", "M10 2.2v1.6M10 16.2v1.6M2.2 10h1.6M16.2 10h1.6M4.5 4.5l1.1 1.1M14.4 14.4l1.1 1.1M4.5 15.5l1.1-1.1M14.4 5.6l1.1-1.1"],
  dark: ["M16 11.8A6.6 6.6 0 0 1 8.2 4a6.6 6.6 0 1 0 7.8 7.8Z"]
};
function announce(text) {
  const region = document.querySelector("#announcer");
  if (region !== null) region.textContent = text;
}

// src/theme.ts
var THEMES = ["system", "light", "dark"];
var KEY = "signal.theme";
function stored() {
  const value = localStorage.getItem(KEY);
  return THEMES.find((theme) => theme === value) ?? "system";
}
function apply(theme) {
  document.documentElement.dataset["theme"] = theme;
}
function restoreTheme() {
  apply(stored());
}
function themeButton() {
  let theme = stored();
  const button = el("button", { type: "button", class: "icon-button", onclick: () => turn() });
  const show2 = () => {
    fill(button, icon(theme));
    button.setAttribute("aria-label", `Theme: ${theme}`);
    button.title = `Theme: ${theme}`;
  };
  const turn = () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
    localStorage.setItem(KEY, theme);
    apply(theme);
    show2();
  };
  show2();
  return button;
}

// ../../clients/typescript/src/close.ts
var CLOSE = {
  NORMAL: 1e3,
  GOING_AWAY: 1001,
  ABNORMAL: 1006,
  TOO_LARGE: 1009,
  AUTHENTICATION_TIMEOUT: 4001,
  HEARTBEAT_TIMEOUT: 4002,
  AUTHENTICATION_FAILED: 4003,
  ENCRYPTION_REQUIRED: 4004,
  TOKEN_EXPIRED: 4005,
  PROTOCOL_VIOLATION: 4006,
  DISCONNECTED_BY_OPERATOR: 4007,
  TOO_SLOW: 4008,
  TOO_MANY_REQUESTS: 4009
};
var CLOSE_RULES = /* @__PURE__ */ new Map([
  [CLOSE.GOING_AWAY, { reason: "Server shutting down", retry: "announced" }],
  [CLOSE.TOO_LARGE, { reason: "Frame too large", retry: "never" }],
  [CLOSE.AUTHENTICATION_TIMEOUT, { reason: "Authentication timeout", retry: "backoff" }],
  [CLOSE.HEARTBEAT_TIMEOUT, { reason: "Heartbeat timeout", retry: "backoff" }],
  [CLOSE.AUTHENTICATION_FAILED, { reason: "Authentication failed", retry: "another-token" }],
  [CLOSE.ENCRYPTION_REQUIRED, { reason: "Encryption required", retry: "never" }],
  [CLOSE.TOKEN_EXPIRED, { reason: "Token expired", retry: "fresh-token" }],
  [CLOSE.PROTOCOL_VIOLATION, { reason: "Protocol violation", retry: "never" }],
  [CLOSE.DISCONNECTED_BY_OPERATOR, { reason: "Disconnected by operator", retry: "never" }],
  [CLOSE.TOO_SLOW, { reason: "Too slow", retry: "backoff" }],
  [CLOSE.TOO_MANY_REQUESTS, { reason: "Too many requests", retry: "backoff", minimumMs: 1e3 }]
]);
var NETWORK = { reason: "Connection lost", retry: "backoff" };
var closeRule = (code) => CLOSE_RULES.get(code) ?? NETWORK;

// ../../clients/typescript/src/errors.ts
var SignalError = class extends Error {
  kind;
  constructor(kind, message) {
    super(message);
    this.name = "SignalError";
    this.kind = kind;
  }
};
var asSignalError = (error, kind, message) => error instanceof SignalError ? error : new SignalError(kind, message);

// ../../clients/typescript/src/environment.ts
var systemClock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (handle) => clearTimeout(handle)
};
var LONGEST_TIMER_MS = 2 ** 31 - 1;
var Timer = class {
  #clock;
  #handle;
  constructor(clock) {
    this.#clock = clock;
  }
  set(ms, callback) {
    this.clear();
    if (ms > LONGEST_TIMER_MS) return;
    this.#handle = this.#clock.setTimeout(() => {
      this.#handle = void 0;
      callback();
    }, ms);
  }
  clear() {
    if (this.#handle !== void 0) this.#clock.clearTimeout(this.#handle);
    this.#handle = void 0;
  }
};
function requireSupport(given) {
  if (globalThis.crypto?.subtle === void 0) {
    throw new SignalError("unsupported", "WebCrypto is missing: serve the page over https or from localhost");
  }
  const found = given ?? globalThis.WebSocket;
  if (found === void 0) {
    throw new SignalError("unsupported", "WebSocket is missing: pass a constructor as the `WebSocket` option");
  }
  return found;
}
function defaultNetwork() {
  const scope = globalThis;
  return scope.document !== void 0 && scope.addEventListener !== void 0 ? scope : void 0;
}

// ../../clients/typescript/src/events.ts
var CLIENT_EVENTS = /* @__PURE__ */ new Set([
  "state",
  "resync",
  "reconnect",
  "refreshed",
  "error",
  "message",
  "frame"
]);
var Emitter = class {
  #listeners = /* @__PURE__ */ new Map();
  #report;
  constructor(report = reportUncaught) {
    this.#report = report;
  }
  on(event, listener) {
    const entry = (data, meta) => listener(data, meta);
    const entries = this.#listeners.get(event) ?? /* @__PURE__ */ new Set();
    this.#listeners.set(event, entries.add(entry));
    return () => {
      entries.delete(entry);
      if (entries.size === 0 && this.#listeners.get(event) === entries) this.#listeners.delete(event);
    };
  }
  has(event) {
    return this.#listeners.has(event);
  }
  emit(event, data, meta) {
    for (const listener of [...this.#listeners.get(event) ?? []]) {
      try {
        listener(data, meta);
      } catch (error) {
        this.#report(error);
      }
    }
  }
};
function reportUncaught(error) {
  if (typeof reportError === "function") reportError(error);
  else queueMicrotask(() => {
    throw error;
  });
}

// ../../clients/typescript/src/backoff.ts
var DEFAULT_BACKOFF = { baseMs: 500, capMs: 3e4 };
function backoffDelay(attempt, random, options = DEFAULT_BACKOFF) {
  const bound = Math.min(options.capMs, options.baseMs * 2 ** Math.max(0, attempt - 1));
  return Math.floor(random() * bound);
}

// ../../clients/typescript/src/base64.ts
var CANONICAL = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/;
var CHUNK = 8192;
function decodeBase64(text) {
  if (!CANONICAL.test(text)) return void 0;
  const binary = atob(text);
  const bytes2 = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes2[i] = binary.charCodeAt(i);
  return bytes2;
}
function encodeBase64(bytes2) {
  let binary = "";
  for (let i = 0; i < bytes2.length; i += CHUNK) {
    binary += String.fromCharCode(...bytes2.subarray(i, i + CHUNK));
  }
  return btoa(binary);
}

// ../../clients/typescript/src/identity.ts
var ECDSA = { name: "ECDSA", namedCurve: "P-256" };
var SIGNATURE_BYTES = 64;
var COORDINATE = /^[A-Za-z0-9_-]{43}$/;
var refused = (what) => new SignalError("identity", what);
var Pins = class {
  #points;
  #imported;
  /** Throws TypeError for what cannot be a pin: silence would mean an identity that nobody checks. */
  constructor(pin) {
    const given = pin;
    if (isSet(given)) {
      this.#points = given.keys.filter(isP256).map(pointOf);
    } else {
      this.#points = (Array.isArray(given) ? given : [given]).map(pointOf);
    }
    if (this.#points.length === 0) throw new TypeError("`pin` holds no public key of P-256");
  }
  /** By key id. Rejects with `identity` when a pinned key is not a point of the curve. */
  keys() {
    this.#imported ??= Promise.all(this.#points.map(imported)).then((entries) => new Map(entries));
    return this.#imported;
  }
  /** The id of the key that signed; throws `identity` unless a pinned one did. */
  async verify({ keyId, signature }, transcript) {
    if (keyId === void 0 || signature === void 0) throw refused("The edge offers no proof of its identity");
    const key = (await this.keys()).get(keyId);
    if (key === void 0) throw refused("The edge has an identity key that is not pinned");
    const bytes2 = decodeBase64(signature);
    const genuine = bytes2?.length === SIGNATURE_BYTES && await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, bytes2, transcript);
    if (!genuine) throw refused("The identity key of the edge did not sign this handshake: somebody stands between");
    return keyId;
  }
};
var isFields = (value) => typeof value === "object" && value !== null;
var isSet = (pin) => isFields(pin) && Array.isArray(pin["keys"]);
var isP256 = (jwk) => isFields(jwk) && jwk["kty"] === "EC" && jwk["crv"] === "P-256";
function pointOf(jwk) {
  if (!isP256(jwk)) throw new TypeError("`pin` takes public keys of P-256 as JWK");
  const { x, y } = jwk;
  if ("d" in jwk) throw new TypeError("`pin` takes public keys: this one has its private part");
  if (typeof x !== "string" || typeof y !== "string" || !COORDINATE.test(x) || !COORDINATE.test(y)) {
    throw new TypeError("A pinned key lacks the coordinates of P-256");
  }
  return { x, y };
}
async function imported({ x, y }) {
  try {
    const jwk = { kty: "EC", crv: "P-256", x, y };
    return [await thumbprint(x, y), await crypto.subtle.importKey("jwk", jwk, ECDSA, false, ["verify"])];
  } catch {
    throw refused("A pinned key is not a point of P-256");
  }
}
async function thumbprint(x, y) {
  const canonical = new TextEncoder().encode(JSON.stringify({ crv: "P-256", kty: "EC", x, y }));
  const digest = encodeBase64(new Uint8Array(await crypto.subtle.digest("SHA-256", canonical)));
  return digest.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

// ../../clients/typescript/src/options.ts
function settle(options) {
  const { token, pin, protocol = 2 } = options;
  if (pin !== void 0 && protocol === 1) throw new TypeError("`pin` needs protocol 2: protocol 1 proves no identity");
  return {
    url: options.url,
    token: typeof token === "function" ? token : () => token,
    fixedToken: typeof token !== "function",
    protocol,
    pins: pin === void 0 ? void 0 : new Pins(pin),
    WebSocket: options.WebSocket,
    backoff: { ...DEFAULT_BACKOFF, ...options.backoff },
    heartbeatMs: options.heartbeatMs ?? 25e3,
    openTimeoutMs: options.openTimeoutMs ?? 1e4,
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 2e4,
    stableAfterMs: options.stableAfterMs ?? 1e4,
    network: options.network ?? defaultNetwork(),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random
  };
}

// ../../clients/typescript/src/seal.ts
var PUBLIC_KEY_BYTES = 65;
var SALT_BYTES = 32;
var NONCE_BYTES = 12;
var TAG_BYTES = 16;
var CURVE = { name: "ECDH", namedCurve: "P-256" };
var CIPHER = "AES-GCM";
var SUITE = {
  keyAgreement: "ECDH P-256",
  keyDerivation: "HKDF-SHA-256",
  cipher: "AES-256-GCM"
};
var KeyAgreement = class _KeyAgreement {
  /** The raw uncompressed point in padded base64, as `authenticate` carries it. */
  publicKey;
  #privateKey;
  constructor(publicKey, privateKey) {
    this.publicKey = publicKey;
    this.#privateKey = privateKey;
  }
  static async generate() {
    const pair = await crypto.subtle.generateKey(CURVE, false, ["deriveBits"]);
    const point = await crypto.subtle.exportKey("raw", pair.publicKey);
    return new _KeyAgreement(encodeBase64(new Uint8Array(point)), pair.privateKey);
  }
  /** What keys are derived from. Throws `handshake` when the peer's key is not a point of the curve. */
  async agree(peerPublicKey) {
    const secret = await this.#sharedSecret(peerPublicKey);
    try {
      return await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
    } finally {
      new Uint8Array(secret).fill(0);
    }
  }
  async #sharedSecret(peerPublicKey) {
    try {
      if (peerPublicKey.length !== PUBLIC_KEY_BYTES || peerPublicKey[0] !== 4) throw new RangeError("not an uncompressed point");
      const peer = await crypto.subtle.importKey("raw", peerPublicKey, CURVE, false, []);
      return await crypto.subtle.deriveBits({ name: "ECDH", public: peer }, this.#privateKey, 256);
    } catch {
      throw new SignalError("handshake", "The public key of the edge is not a point of P-256");
    }
  }
};
function deriveCipherKey(secret, salt, info, usages) {
  const derivation = { name: "HKDF", hash: "SHA-256", salt, info };
  return crypto.subtle.deriveKey(derivation, secret, { name: CIPHER, length: 256 }, false, [...usages]);
}

// ../../clients/typescript/src/protocol.ts
var MAX_OUTBOUND_FRAME = 128 * 1024;
var malformed = (what) => new SignalError("malformed-frame", what);
var isFields2 = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
var bytesOf = (value) => typeof value === "string" ? decodeBase64(value) : void 0;
function parseMessage(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed("A frame is not JSON");
  }
  if (!isFields2(value)) throw malformed("A frame is not a JSON object");
  const { event, data, id } = value;
  if (typeof event !== "string" || event === "") throw malformed("A frame has no event");
  if (id !== void 0 && typeof id !== "string") throw malformed("The id of a frame is not a string");
  return { event, ...data === void 0 ? {} : { data }, ...id === void 0 ? {} : { id } };
}
function parseEnvelope(data) {
  if (!isFields2(data)) throw malformed("A sealed frame has no envelope");
  const { iv: ivText } = data;
  const iv = bytesOf(ivText);
  if (typeof ivText !== "string" || iv?.length !== NONCE_BYTES) throw malformed("The iv of a sealed frame is not 12 bytes in base64");
  const ct = bytesOf(data["ct"]);
  if (ct === void 0 || ct.length < TAG_BYTES) throw malformed("The ct of a sealed frame is not base64 of a sealed text");
  return { iv, ivText, ct };
}
function parseConnected(data) {
  if (!isFields2(data)) throw malformed("`connected` carries no data");
  const { id, userId, time } = data;
  if (typeof id !== "string" || id === "") throw malformed("`connected` carries no client id");
  if (typeof userId !== "string" && typeof userId !== "number") throw malformed("`connected` carries no user id");
  if (typeof time !== "string") throw malformed("`connected` carries no time");
  const serverPublicKey = bytesOf(data["serverPublicKey"]);
  if (serverPublicKey?.length !== PUBLIC_KEY_BYTES) throw malformed("The public key of the edge is not 65 bytes in base64");
  const salt = bytesOf(data["salt"]);
  if (salt?.length !== SALT_BYTES) throw malformed("The salt is not 32 bytes in base64");
  const { protocol = 1 } = data;
  if (protocol !== 1 && protocol !== 2) throw malformed("The edge chose a protocol that does not exist");
  const proof = { keyId: stringOr(data["keyId"], void 0), signature: stringOr(data["signature"], void 0) };
  return { id, userId, time, serverPublicKey, salt, protocol, proof };
}
var stringOr = (value, otherwise) => typeof value === "string" ? value : otherwise;
var errorMessage = (data) => stringOr(isFields2(data) ? data["message"] : void 0, "The edge reported an error");
var resyncReason = (data) => stringOr(isFields2(data) ? data["reason"] : void 0, "unknown");
function reconnectDelay(data) {
  const afterMs = isFields2(data) ? data["afterMs"] : void 0;
  return typeof afterMs === "number" && Number.isFinite(afterMs) && afterMs >= 0 ? afterMs : void 0;
}
function refreshedUntil(data) {
  const expiresAt = isFields2(data) ? data["expiresAt"] : void 0;
  return typeof expiresAt === "string" || typeof expiresAt === "number" || expiresAt === null ? expiresAt : void 0;
}

// ../../clients/typescript/src/retry.ts
function planRetry(end, context) {
  const rule = closeRule(end.code);
  const minimumMs = rule.minimumMs ?? 0;
  const delayMs = minimumMs + backoffDelay(context.failures, context.random, context.backoff);
  if (end.unchecked) return { kind: "wait", delayMs, hasty: false, sameToken: "present" };
  switch (rule.retry) {
    case "never":
      return { kind: "stop" };
    case "another-token":
      return context.fixedToken ? { kind: "stop" } : { kind: "wait", delayMs, hasty: false, sameToken: "stop" };
    case "fresh-token":
      return context.fixedToken ? { kind: "stop" } : { kind: "wait", delayMs, hasty: true, sameToken: "ask-later" };
    case "announced":
      return context.announcedAt === void 0 ? { kind: "wait", delayMs, hasty: true, sameToken: "present" } : { kind: "wait", delayMs: Math.max(0, context.announcedAt - context.now), hasty: false, sameToken: "present" };
    case "backoff":
      return { kind: "wait", delayMs, hasty: minimumMs === 0, sameToken: "present" };
  }
}

// ../../clients/typescript/src/rooms.ts
var MAX_ROOMS = 256;
var MAX_ROOM_NAME = 256;
var ROOMS_PER_FRAME = 32;
var Rooms = class {
  #names = /* @__PURE__ */ new Set();
  /** Throws before anything is changed when a name is not allowed or there are too many. */
  add(names) {
    for (const name of names) {
      if (typeof name !== "string" || name.length === 0 || name.length > MAX_ROOM_NAME) {
        throw new RangeError("A room name has 1 to 256 characters");
      }
      if (name.startsWith("ws:")) throw new RangeError('Room names that begin with "ws:" are reserved');
    }
    if ((/* @__PURE__ */ new Set([...this.#names, ...names])).size > MAX_ROOMS) throw new RangeError("A client holds at most 256 rooms");
    for (const name of names) this.#names.add(name);
  }
  delete(names) {
    for (const name of names) this.#names.delete(name);
  }
  all() {
    return [...this.#names];
  }
};
function* inFrames(names) {
  for (let i = 0; i < names.length; i += ROOMS_PER_FRAME) yield names.slice(i, i + ROOMS_PER_FRAME);
}

// ../../clients/typescript/src/channel.ts
var strictUtf8 = new TextDecoder("utf-8", { fatal: true });
function textOf(data) {
  if (typeof data === "string") return data;
  try {
    return strictUtf8.decode(data);
  } catch {
    throw new SignalError("malformed-frame", "A frame is not UTF-8");
  }
}
var ENVELOPE_OVERHEAD = 128;
var EnvelopeChannel = class {
  protocol = 1;
  #cipher;
  constructor(cipher) {
    this.#cipher = cipher;
  }
  frameSize(plaintextBytes) {
    return Math.ceil(plaintextBytes / 3) * 4 + ENVELOPE_OVERHEAD;
  }
  async seal(plaintext) {
    const sealed = await this.#cipher.seal(plaintext);
    const envelope = { event: "encrypted", data: sealed };
    return { data: JSON.stringify(envelope), marks: { iv: sealed.iv } };
  }
  open(data) {
    const outer = parseMessage(textOf(data));
    if (outer.event !== "encrypted") throw new SignalError("malformed-frame", "A frame in the clear came after `connected`");
    const { iv, ct, ivText } = parseEnvelope(outer.data);
    return { marks: { iv: ivText }, plaintext: this.#cipher.open(iv, ct) };
  }
};
var BinaryChannel = class {
  protocol = 2;
  #sealer;
  #opener;
  constructor(sealer, opener) {
    this.#sealer = sealer;
    this.#opener = opener;
  }
  frameSize(plaintextBytes) {
    return plaintextBytes + TAG_BYTES;
  }
  async seal(plaintext) {
    const { counter, frame } = await this.#sealer.seal(plaintext);
    return { data: frame, marks: { counter } };
  }
  open(data) {
    if (typeof data === "string") throw new SignalError("violation", "A text frame came after `connected`");
    const { counter, plaintext } = this.#opener.open(data);
    return { marks: { counter }, plaintext: plaintext.then(textOf) };
  }
};

// ../../clients/typescript/src/seal/v1.ts
var INFO = new TextEncoder().encode("ignis-ecdh-p256-aes-256-gcm-v1");
var IvSequence = class {
  #view = new DataView(new ArrayBuffer(NONCE_BYTES));
  #next;
  constructor(random, next = 0n) {
    this.#view.setUint32(0, random | 2147483648);
    this.#next = next;
  }
  next() {
    if (this.#next >= 1n << 64n) throw new SignalError("handshake", "The IVs of this connection are used up");
    this.#view.setBigUint64(4, this.#next);
    this.#next += 1n;
    return new Uint8Array(this.#view.buffer.slice(0));
  }
};
var Cipher = class _Cipher {
  #key;
  #ivs;
  constructor(key, ivs) {
    this.#key = key;
    this.#ivs = ivs;
  }
  static async derive(secret, salt, ivs) {
    return new _Cipher(await deriveCipherKey(secret, salt, INFO, ["encrypt", "decrypt"]), ivs);
  }
  /** The IV is taken before anything is awaited, so concurrent calls never share one. */
  async seal(plaintext) {
    const iv = this.#ivs.next();
    const ct = await crypto.subtle.encrypt({ name: CIPHER, iv }, this.#key, new TextEncoder().encode(plaintext));
    return { iv: encodeBase64(iv), ct: encodeBase64(new Uint8Array(ct)) };
  }
  async open(iv, ct) {
    try {
      const plaintext = await crypto.subtle.decrypt({ name: CIPHER, iv }, this.#key, ct);
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(plaintext);
    } catch {
      throw new SignalError("undecryptable", "A sealed frame does not open under the key of this connection");
    }
  }
};

// ../../clients/typescript/src/seal/v2.ts
var utf8 = new TextEncoder();
var LABEL = utf8.encode("signal-v2");
async function transcriptOf({ clientPublicKey, serverPublicKey, salt, clientId }) {
  const seen = joined(LABEL, clientPublicKey, serverPublicKey, salt, clientId);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", seen));
}
function directionKey(secret, salt, transcript, direction) {
  const info = joined(utf8.encode(`signal-v2 ${direction}`), transcript);
  return deriveCipherKey(secret, salt, info, [direction === "client->server" ? "encrypt" : "decrypt"]);
}
var FrameCounter = class {
  #next;
  constructor(next = 0n) {
    this.#next = next;
  }
  /** Throws `handshake` after 2^64 frames rather than use a nonce twice. */
  take() {
    if (this.#next >= 1n << 64n) throw new SignalError("handshake", "The nonces of this connection are used up");
    const nonce = new Uint8Array(NONCE_BYTES);
    new DataView(nonce.buffer).setBigUint64(4, this.#next);
    const counter = Number(this.#next);
    this.#next += 1n;
    return { counter, nonce };
  }
};
var Sealer = class {
  #key;
  #frames;
  constructor(key, frames = new FrameCounter()) {
    this.#key = key;
    this.#frames = frames;
  }
  /** The counter is taken before anything is awaited: frames have to leave in the order of the calls. */
  async seal(plaintext) {
    const { counter, nonce: iv } = this.#frames.take();
    return { counter, frame: await crypto.subtle.encrypt({ name: CIPHER, iv }, this.#key, utf8.encode(plaintext)) };
  }
};
var Opener = class {
  #key;
  #frames;
  constructor(key, frames = new FrameCounter()) {
    this.#key = key;
    this.#frames = frames;
  }
  /** Which frame this has to be is settled by the call; one that does not open is `violation`, and the end. */
  open(frame) {
    const { counter, nonce: iv } = this.#frames.take();
    const plaintext = crypto.subtle.decrypt({ name: CIPHER, iv }, this.#key, frame).catch(() => {
      throw new SignalError("violation", "A frame is not the next one that the edge sealed");
    });
    return { counter, plaintext };
  }
};
function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

// ../../clients/typescript/src/handshake.ts
async function completeHandshake(offer, connected) {
  if (connected.protocol > offer.protocol) throw new SignalError("handshake", "The edge chose a protocol that was not asked for");
  return connected.protocol === 1 ? completeV1(offer, connected) : completeV2(offer, connected);
}
async function completeV1({ agreement, pins }, { serverPublicKey, salt }) {
  if (pins !== void 0) throw new SignalError("identity", "The edge answered in protocol v1, which proves no identity");
  const secret = await agreement.agree(serverPublicKey);
  const random = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const cipher = await Cipher.derive(secret, salt, new IvSequence(random));
  return { channel: new EnvelopeChannel(cipher), identity: { verified: false } };
}
async function completeV2({ agreement, pins }, { id, serverPublicKey, salt, proof }) {
  const clientPublicKey = decodeBase64(agreement.publicKey);
  const clientId = uuidBytes(id);
  if (clientPublicKey === void 0 || clientId === void 0) throw new SignalError("handshake", "The client id is not a UUID");
  const transcript = await transcriptOf({ clientPublicKey, serverPublicKey, salt, clientId });
  const identity = pins === void 0 ? { verified: false, ...proof.keyId === void 0 ? {} : { claimedKeyId: proof.keyId } } : { verified: true, keyId: await pins.verify(proof, transcript) };
  const secret = await agreement.agree(serverPublicKey);
  const [out, back] = await Promise.all([
    directionKey(secret, salt, transcript, "client->server"),
    directionKey(secret, salt, transcript, "server->client")
  ]);
  return { channel: new BinaryChannel(new Sealer(out), new Opener(back)), identity };
}
var UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
function uuidBytes(id) {
  if (!UUID.test(id)) return void 0;
  return Uint8Array.from(id.replaceAll("-", "").match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

// ../../clients/typescript/src/inspect.ts
var MASK = "••••";
function maskToken(message) {
  const { data } = message;
  const carries = message.event === "authenticate" || message.event === "refresh";
  if (!carries || typeof data !== "object" || data === null || !("token" in data)) return message;
  return { ...message, data: { ...data, token: MASK } };
}
function recordOf({ direction, at, data, sealed, marks }, message, plaintext) {
  const record = { direction, at, sealed, ...wireOf(data), ...marks };
  if (message === void 0) return record;
  return { ...record, event: message.event, plaintext: plaintext ?? JSON.stringify(maskToken(message)) };
}
function wireOf(data) {
  if (typeof data === "string") return { encoding: "text", raw: data, size: new TextEncoder().encode(data).length };
  return { encoding: "binary", raw: encodeBase64(new Uint8Array(data)), size: data.byteLength };
}

// ../../clients/typescript/src/lane.ts
var Lane = class {
  #tail = Promise.resolve();
  /** A step that throws is the step's own affair; the lane goes on. */
  add(step2) {
    this.#tail = this.#tail.then(step2).catch(() => void 0);
  }
};

// ../../clients/typescript/src/session.ts
var UNSENT_LIMIT = 1024 * 1024;
var SILENCE_LIMIT_MS = 9e4;
var Session = class {
  #options;
  #hooks;
  #socket;
  #inbound = new Lane();
  #outbound = new Lane();
  #deadline;
  #heartbeat;
  #startedAt;
  #openedAt = 0;
  #lastBeatAt = 0;
  #unsentAtLastBeat = 0;
  #channel;
  #over = false;
  #unchecked = false;
  /** Throws what the WebSocket constructor throws: an address that can never be opened. */
  constructor(options, hooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#deadline = new Timer(options.clock);
    this.#heartbeat = new Timer(options.clock);
    this.#startedAt = options.clock.now();
    const socket = new options.WebSocket(options.url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#authenticate();
    socket.onmessage = ({ data }) => this.#arrived(data);
    socket.onclose = ({ code, reason }) => this.#inbound.add(() => this.#end({ code, reason }));
    socket.onerror = () => void 0;
    this.#deadline.set(options.openTimeoutMs, () => this.#giveUp("The edge did not answer in time"));
  }
  /** `false` when the session cannot take it now. Throws RangeError when it could never be sent. */
  send(message) {
    const channel = this.#channel;
    if (channel === void 0 || this.#over || this.#socket.bufferedAmount > UNSENT_LIMIT) return false;
    const plaintext = JSON.stringify(message);
    const size = channel.frameSize(new TextEncoder().encode(plaintext).length);
    if (size > MAX_OUTBOUND_FRAME) throw new RangeError("A message must fit a frame of 128 KiB when sealed");
    this.#outbound.add(() => this.#put(channel, plaintext, message));
    return true;
  }
  async #put(channel, plaintext, message) {
    try {
      const { data, marks } = await channel.seal(plaintext);
      if (this.#over) return;
      this.#socket.send(data);
      this.#inspect({ direction: "out", at: this.#options.clock.now(), data, sealed: true, marks }, message);
    } catch (error) {
      if (this.#over) return;
      this.#hooks.problem(asSignalError(error, "network", "A frame could not be sealed and sent"));
      this.#end({ code: CLOSE.ABNORMAL, reason: "A frame could not be sent" }, CLOSE.NORMAL);
    }
  }
  /** Ends it from this side; `ended` is called. */
  end(end) {
    this.#end(end, end.code);
  }
  /** Ends it from this side without another word. */
  dispose() {
    this.#finish(CLOSE.NORMAL);
  }
  #authenticate() {
    const { clock, token, offer, handshakeTimeoutMs } = this.#options;
    this.#openedAt = clock.now();
    const asked = offer.protocol === 1 ? {} : { protocol: offer.protocol };
    const message = { event: "authenticate", data: { type: "Bearer", token, publicKey: offer.agreement.publicKey, ...asked } };
    this.#socket.send(JSON.stringify(message));
    const masked = maskToken(message);
    this.#inspect({ direction: "out", at: this.#openedAt, data: JSON.stringify(masked), sealed: false }, masked);
    this.#deadline.set(handshakeTimeoutMs, () => this.#giveUp("The edge did not answer in time"));
    this.#hooks.authenticating();
  }
  #arrived(data) {
    const at = this.#options.clock.now();
    this.#inbound.add(async () => {
      if (this.#over) return;
      try {
        const frame = data;
        if (this.#channel === void 0) await this.#shake(frame, at);
        else await this.#open(frame, at, this.#channel);
      } catch (error) {
        this.#refuse(asSignalError(error, "malformed-frame", "A frame could not be handled"));
      }
    });
  }
  /** A frame before `connected`: in the clear, and only `connected` and `error` mean something. */
  async #shake(data, at) {
    const message = parseMessage(textOf(data));
    this.#inspect({ direction: "in", at, data, sealed: false }, message);
    if (message.event === "error") {
      const text = errorMessage(message.data);
      this.#unchecked = text === "Authentication error";
      this.#hooks.problem(new SignalError("edge", text));
      return;
    }
    if (message.event !== "connected") throw new SignalError("malformed-frame", "Only `connected` and `error` may come before sealing");
    try {
      const connected = parseConnected(message.data);
      const { channel, identity } = await completeHandshake(this.#options.offer, connected);
      if (this.#over) return;
      this.#channel = channel;
      this.#deadline.clear();
      this.#lastBeatAt = this.#options.clock.now();
      this.#scheduleBeat();
      const openMs = this.#openedAt - this.#startedAt;
      const { id: clientId, userId, time: edgeTime } = connected;
      const { protocol } = channel;
      this.#hooks.connected({ clientId, userId, edgeTime, protocol, identity, openMs, handshakeMs: at - this.#openedAt });
    } catch (error) {
      const problem = asSignalError(error, "handshake", "The key agreement failed");
      this.#break(problem, problem.kind === "identity" ? problem.message : "The key agreement failed");
    }
  }
  async #open(data, at, channel) {
    let crossing = { direction: "in", at, data, sealed: false };
    let plaintext;
    try {
      const arrived = channel.open(data);
      crossing = { ...crossing, sealed: true, marks: arrived.marks };
      plaintext = await arrived.plaintext;
    } catch (error) {
      this.#inspect(crossing);
      throw error;
    }
    if (this.#over) return;
    const message = parseMessage(plaintext);
    this.#inspect(crossing, message, plaintext);
    const size = typeof data === "string" ? data.length : data.byteLength;
    this.#hooks.message(message, { receivedAt: at, size, ...message.id === void 0 ? {} : { id: message.id } });
  }
  /** A frame that is dropped; or, when nothing after it can be trusted, the end. */
  #refuse(error) {
    if (error.kind === "violation") this.#break(error, "The sealed stream was broken");
    else this.#hooks.problem(error);
  }
  /**
   * The edge, or whoever speaks in its place, broke the protocol, and is told so. Unlike 4006 that is
   * said to us this is no verdict over this client: another connection may well be sound.
   */
  #break(error, reason) {
    this.#hooks.problem(error);
    this.#end({ code: CLOSE.ABNORMAL, reason }, CLOSE.PROTOCOL_VIOLATION);
  }
  #scheduleBeat() {
    this.#heartbeat.set(this.#options.heartbeatMs, () => this.#beat());
  }
  /**
   * The edge never answers a heartbeat, so a dead connection shows in other ways: nothing leaves the
   * socket between two beats, or the machine slept for so long that the edge has given up.
   */
  #beat() {
    const now = this.#options.clock.now();
    const unsent = this.#socket.bufferedAmount;
    if (now - this.#lastBeatAt > SILENCE_LIMIT_MS) return this.#giveUp("The connection was silent for too long");
    if (unsent > 0 && unsent >= this.#unsentAtLastBeat && this.#unsentAtLastBeat > 0) {
      return this.#giveUp("The connection stopped taking data");
    }
    this.#lastBeatAt = now;
    this.#unsentAtLastBeat = unsent;
    this.send({ event: "heartbeat" });
    this.#scheduleBeat();
  }
  #giveUp(reason) {
    this.#hooks.problem(new SignalError("timeout", reason));
    this.#end({ code: CLOSE.ABNORMAL, reason }, CLOSE.NORMAL);
  }
  #end(end, tell) {
    if (!this.#finish(tell)) return;
    const unchecked = this.#unchecked && end.code === CLOSE.AUTHENTICATION_FAILED;
    this.#hooks.ended(unchecked ? { ...end, unchecked } : end);
  }
  #finish(tell) {
    if (this.#over) return false;
    this.#over = true;
    this.#deadline.clear();
    this.#heartbeat.clear();
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (tell !== void 0) socket.close(tell === CLOSE.NORMAL || tell >= 3e3 ? tell : CLOSE.NORMAL);
    return true;
  }
  #inspect(crossing, message, plaintext) {
    if (this.#hooks.inspecting()) this.#hooks.frame(recordOf(crossing, message, plaintext));
  }
};

// ../../clients/typescript/src/token.ts
function tokenExpiry(token) {
  const payload = token.split(".")[1];
  if (payload === void 0) return void 0;
  try {
    const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    const exp = typeof claims === "object" && claims !== null && "exp" in claims ? claims.exp : void 0;
    return typeof exp === "number" && Number.isFinite(exp) ? exp * 1e3 : void 0;
  } catch {
    return void 0;
  }
}
var REFRESH_AHEAD_MS = 6e4;
function refreshDelay(remainingMs, random) {
  const latest = remainingMs - Math.min(REFRESH_AHEAD_MS, remainingMs / 4);
  return Math.max(0, Math.floor(latest * (1 - 0.1 * random())));
}

// ../../clients/typescript/src/client.ts
var LONGEST_ANNOUNCEMENT_MS = 3e5;
var NETWORK_BACK_MS = 250;
var SignalClient = class {
  #settings;
  #emitter = new Emitter();
  #rooms = new Rooms();
  #retry;
  #move;
  #renewal;
  #state = { name: "idle" };
  #session;
  /** Grows with every start and stop; what was awaited under an older one is void. */
  #epoch = 0;
  #failures = 0;
  #wasConnected = false;
  #wentOffline = false;
  #hasty = false;
  #token;
  #pendingToken;
  #sameToken = "present";
  #announcedAt;
  #edgeClockAhead = 0;
  constructor(options) {
    this.#settings = settle(options);
    this.#retry = new Timer(this.#settings.clock);
    this.#move = new Timer(this.#settings.clock);
    this.#renewal = new Timer(this.#settings.clock);
  }
  get state() {
    return this.#state;
  }
  on(event, listener) {
    return this.#emitter.on(event, listener);
  }
  /** Starts, or hurries a waiting retry; does nothing while a connection is there or on its way. */
  connect() {
    const { name } = this.#state;
    if (name === "connecting" || name === "authenticating" || name === "connected") return;
    if (name !== "waiting") {
      this.#failures = 0;
      this.#sameToken = "present";
      this.#listenToNetwork(true);
    }
    void this.#open();
  }
  /** Ends it for good, until `connect()` is called. Listeners and rooms stay. */
  close() {
    if (this.#state.name === "idle" || this.#state.name === "closed") return;
    this.#stop({ code: CLOSE.NORMAL, reason: "Closed by the application" });
  }
  /** The connected state, or a rejection once the client is closed. */
  ready() {
    return new Promise((resolve, reject) => {
      const settled = (state) => {
        if (state.name === "connected") resolve(state);
        else if (state.name === "closed") reject(new SignalError("network", state.reason));
        else return false;
        return true;
      };
      if (settled(this.#state)) return;
      const off = this.on("state", (state) => {
        if (settled(state)) off();
      });
    });
  }
  /** Enters rooms now and after every reconnect. Throws RangeError on a name that no edge takes. */
  join(rooms) {
    this.#rooms.add(rooms);
    this.#tellRooms("join", rooms);
  }
  leave(rooms) {
    this.#rooms.delete(rooms);
    this.#tellRooms("leave", rooms);
  }
  /** Sealed. `false` when not connected or the socket is full: nothing is queued behind your back. */
  send(event, data) {
    return this.#session?.send(data === void 0 ? { event } : { event, data }) ?? false;
  }
  /** Asks the token function for the next token and hands it to the edge without reconnecting. */
  async refresh() {
    const epoch = this.#epoch;
    const token = await this.#askForToken();
    if (epoch !== this.#epoch || token === void 0 || token === this.#token) return;
    if (this.send("refresh", { token })) this.#pendingToken = token;
  }
  async #open() {
    const epoch = ++this.#epoch;
    const { clock, url, protocol, pins, openTimeoutMs, handshakeTimeoutMs, heartbeatMs } = this.#settings;
    this.#retry.clear();
    this.#become({ name: "connecting", attempt: this.#failures + 1 });
    try {
      const WebSocket = requireSupport(this.#settings.WebSocket);
      await pins?.keys();
      if (epoch !== this.#epoch) return;
      const token = await this.#askForToken();
      if (epoch !== this.#epoch) return;
      if (token === void 0) return this.#lost({ code: CLOSE.ABNORMAL, reason: "No token to connect with" });
      if (token === this.#token && this.#sameToken !== "present") return this.#refuseSameToken();
      const agreement = await KeyAgreement.generate();
      if (epoch !== this.#epoch) return;
      this.#token = token;
      this.#sameToken = "present";
      const options = { url, token, offer: { agreement, protocol, pins }, WebSocket, clock, openTimeoutMs, handshakeTimeoutMs, heartbeatMs };
      this.#session = new Session(options, {
        authenticating: () => this.#become({ name: "authenticating", attempt: this.#failures + 1 }),
        connected: (opening) => this.#connected(opening),
        message: (message, meta) => this.#received(message, meta),
        problem: (error) => this.#problem(error),
        ended: (end) => this.#lost(end),
        inspecting: () => this.#emitter.has("frame"),
        frame: (record) => this.#emit("frame", record)
      });
    } catch (error) {
      const problem = asSignalError(error, "unsupported", "The WebSocket could not be created: check the url");
      this.#problem(problem);
      if (epoch === this.#epoch) this.#stop({ code: CLOSE.ABNORMAL, reason: problem.message });
    }
  }
  async #askForToken() {
    try {
      const token = await this.#settings.token();
      if (typeof token === "string" && token !== "") return token;
      this.#problem(new SignalError("token", "The token function gave no token"));
    } catch {
      this.#problem(new SignalError("token", "The token function failed"));
    }
    return void 0;
  }
  #refuseSameToken() {
    const code = this.#sameToken === "stop" ? CLOSE.AUTHENTICATION_FAILED : CLOSE.TOKEN_EXPIRED;
    const end = { code, reason: closeRule(code).reason };
    this.#problem(new SignalError("token", "The token function gave the token that the edge had refused"));
    if (this.#sameToken === "stop") this.#stop(end);
    else this.#lost(end);
  }
  #connected(opening) {
    const { openMs, handshakeMs, clientId, userId, edgeTime, protocol, identity } = opening;
    const since = this.#settings.clock.now();
    const edgeNow = Date.parse(edgeTime);
    this.#edgeClockAhead = Number.isNaN(edgeNow) ? 0 : edgeNow - since;
    this.#announcedAt = void 0;
    this.#wentOffline = false;
    const negotiated = { protocol, ...SUITE, identity };
    const epoch = this.#epoch;
    const returned = this.#wasConnected;
    this.#wasConnected = true;
    this.#become({ name: "connected", clientId, userId, negotiated, since, edgeTime, openMs, handshakeMs });
    if (epoch !== this.#epoch) return;
    this.#tellRooms("join", this.#rooms.all());
    this.#scheduleRenewal();
    if (returned) this.#emit("resync", { reason: "reconnected" });
  }
  #received({ event, data }, meta) {
    switch (event) {
      case "error":
        return this.#problem(new SignalError("edge", errorMessage(data)));
      case "resync":
        return this.#emit("resync", { reason: resyncReason(data) }, meta);
      case "reconnect":
        return this.#announced(data, meta);
      case "refreshed":
        return this.#refreshed(data, meta);
      case "connected":
      case "encrypted":
        return this.#problem(new SignalError("malformed-frame", "A handshake event came sealed"));
      default:
        this.#emit("message", { event, data }, meta);
        if (!CLIENT_EVENTS.has(event)) this.#emitter.emit(event, data, meta);
    }
  }
  #announced(data, meta) {
    const announced = reconnectDelay(data);
    if (announced === void 0) return this.#problem(new SignalError("malformed-frame", "`reconnect` carries no delay"));
    const afterMs = Math.min(announced, LONGEST_ANNOUNCEMENT_MS);
    this.#announcedAt = this.#settings.clock.now() + afterMs;
    this.#move.set(afterMs, () => this.#session?.end({ code: CLOSE.GOING_AWAY, reason: closeRule(CLOSE.GOING_AWAY).reason }));
    this.#emit("reconnect", { afterMs }, meta);
  }
  #refreshed(data, meta) {
    const expiresAt = refreshedUntil(data);
    if (expiresAt === void 0) return this.#problem(new SignalError("malformed-frame", "`refreshed` carries no expiry"));
    this.#token = this.#pendingToken ?? this.#token;
    this.#pendingToken = void 0;
    if (expiresAt === null) this.#renewal.clear();
    else this.#scheduleRenewal();
    this.#emit("refreshed", { expiresAt }, meta);
  }
  #scheduleRenewal() {
    const expiry = this.#settings.fixedToken || this.#token === void 0 ? void 0 : tokenExpiry(this.#token);
    if (expiry === void 0) return this.#renewal.clear();
    const remaining = expiry - this.#settings.clock.now() - this.#edgeClockAhead;
    if (remaining > 0) this.#renewal.set(refreshDelay(remaining, this.#settings.random), () => void this.refresh());
  }
  #lost(end) {
    const { clock, random, backoff, fixedToken, stableAfterMs } = this.#settings;
    const now = clock.now();
    const stable = this.#state.name === "connected" && now - this.#state.since >= stableAfterMs;
    this.#failures = (stable ? 0 : this.#failures) + 1;
    const reason = end.reason === "" ? closeRule(end.code).reason : end.reason;
    const context = { failures: this.#failures, now, announcedAt: this.#announcedAt, fixedToken, random, backoff };
    const plan = planRetry(end, context);
    this.#dropSession();
    if (plan.kind === "stop") return this.#stop({ code: end.code, reason });
    this.#hasty = plan.hasty;
    if (plan.sameToken !== "present") this.#sameToken = plan.sameToken;
    this.#retry.set(plan.delayMs, () => void this.#open());
    this.#become({ name: "waiting", attempt: this.#failures, retryAt: now + plan.delayMs, code: end.code, reason });
  }
  #stop({ code, reason }) {
    this.#epoch += 1;
    this.#retry.clear();
    this.#dropSession();
    this.#listenToNetwork(false);
    this.#become({ name: "closed", code, reason });
  }
  #dropSession() {
    this.#session?.dispose();
    this.#session = void 0;
    this.#move.clear();
    this.#renewal.clear();
    this.#pendingToken = void 0;
  }
  #tellRooms(event, names) {
    for (const rooms of inFrames(names)) this.send(event, { rooms });
  }
  #listenToNetwork(listen) {
    const method = listen ? "addEventListener" : "removeEventListener";
    this.#settings.network?.[method]("online", this.#online);
    this.#settings.network?.[method]("offline", this.#offline);
  }
  #offline = () => {
    this.#wentOffline = true;
  };
  #online = () => {
    const state = this.#state;
    const { clock, random } = this.#settings;
    if (state.name === "waiting" && this.#hasty) {
      const delayMs = Math.min(Math.max(0, state.retryAt - clock.now()), random() * NETWORK_BACK_MS);
      this.#retry.set(delayMs, () => void this.#open());
      this.#become({ ...state, retryAt: clock.now() + delayMs });
    } else if (state.name === "connected" && this.#wentOffline) {
      this.#session?.end({ code: CLOSE.ABNORMAL, reason: "The network changed" });
    }
    this.#wentOffline = false;
  };
  #problem(error) {
    this.#emit("error", error);
    if (error.kind === "undecryptable") this.#emit("resync", { reason: "undecryptable" });
  }
  #become(state) {
    this.#state = state;
    this.#emit("state", state);
  }
  #emit(event, data, meta) {
    this.#emitter.emit(event, data, meta ?? { receivedAt: this.#settings.clock.now(), size: 0 });
  }
};

// src/model/format.ts
var RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
var CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
var STEPS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1]
];
function relativeTime(at, now) {
  const seconds = Math.max(0, Math.round((now - at) / 1e3));
  if (seconds < 5) return "just now";
  const [unit, size] = STEPS.find(([, length]) => seconds >= length) ?? ["second", 1];
  return RELATIVE.format(-Math.floor(seconds / size), unit);
}
var clockTime = (at) => CLOCK.format(at);
function duration(ms) {
  if (ms < 1) return `${Math.max(0.1, ms).toFixed(1)} ms`;
  return ms < 1e3 ? `${Math.round(ms)} ms` : `${(ms / 1e3).toFixed(1)} s`;
}
var bytes = (size) => size < 1024 ? `${size} B` : `${(size / 1024).toFixed(1)} KiB`;
function money(amount, currency) {
  if (typeof amount !== "string" || typeof currency !== "string" || !/^\d+(\.\d+)?$/.test(amount)) return void 0;
  try {
    const locale = currency === "VND" ? "vi-VN" : "en";
    const usual = new Intl.NumberFormat(locale, { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 0;
    const carried = /\.(\d*[1-9])/.exec(amount)?.[1]?.length ?? 0;
    const digits = Math.max(usual, carried);
    return new Intl.NumberFormat(locale, { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits }).format(amount);
  } catch {
    return void 0;
  }
}
var initials = (name) => name.split(/\s+/).filter((part) => part !== "").map((part) => [...part][0] ?? "").slice(0, 2).join("").toUpperCase();
function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

// src/model/inbox.ts
var LIMIT = 100;
var Inbox = class {
  #entries = [];
  #unread = 0;
  #version = 0;
  #revision = 0;
  #loaded = false;
  #changed;
  constructor(changed) {
    this.#changed = changed;
  }
  get entries() {
    return this.#entries;
  }
  /** The server's count, moved on by what was pushed since. */
  get unread() {
    return this.#unread;
  }
  /** Another one whenever a push has moved the count: a count that was asked for before is then not to be used. */
  get revision() {
    return this.#revision;
  }
  /** Whether list and count have been read. */
  get loaded() {
    return this.#loaded;
  }
  complete() {
    this.#loaded = true;
    this.#changed();
  }
  /** One that was pushed; `false` for one that is already there: a redelivery is pushed again. */
  add(notification, arrivedAt) {
    const [added] = this.#merge([notification], arrivedAt);
    if (added === void 0) return false;
    if (!added.read) this.#move(this.#unread + 1);
    this.#changed();
    return true;
  }
  /** What the list has; returns what was not here yet. Nothing that is read becomes unread. */
  merge(notifications, arrivedAt) {
    const added = this.#merge(notifications, arrivedAt);
    this.#changed();
    return added;
  }
  /** What was read, here or in another window. The count does not follow from it: there may be more than is shown. */
  markRead({ ids, all, before }) {
    const end = before === void 0 ? Infinity : Date.parse(before);
    for (const entry of this.#entries) {
      const { id, createdAt } = entry.notification;
      if (ids?.includes(id) === true || all === true && Date.parse(createdAt) < end) entry.read = true;
    }
    this.#changed();
  }
  /** A count that was pushed; one that a later one has overtaken is passed over. */
  pushed({ unread, version }) {
    if (version <= this.#version) return;
    this.#version = version;
    this.#move(unread);
    this.#changed();
  }
  /** The server's count, as it was asked for at `revision`. `false` if that is no longer known to be right. */
  counted(unread, revision) {
    if (revision !== this.#revision) return false;
    this.#unread = unread;
    this.#changed();
    return true;
  }
  byEvent(eventId) {
    return this.#entries.find((entry) => entry.notification.eventId === eventId);
  }
  #move(unread) {
    this.#unread = unread;
    this.#revision += 1;
  }
  #merge(notifications, arrivedAt) {
    const known = new Map(this.#entries.map((entry) => [entry.notification.id, entry]));
    const added = [];
    for (const notification of notifications) {
      const read = notification.readAt !== null && notification.readAt !== void 0;
      const entry = known.get(notification.id);
      if (entry === void 0) {
        const one = { notification, arrivedAt, read };
        known.set(notification.id, one);
        added.push(one);
      } else if (read) entry.read = true;
    }
    this.#entries = [...known.values()].sort(newestFirst).slice(0, LIMIT);
    return added;
  }
};
function newestFirst({ notification: one }, { notification: other }) {
  const time = Date.parse(other.createdAt) - Date.parse(one.createdAt);
  return time !== 0 ? time : one.id < other.id ? 1 : -1;
}

// src/model/inbox_sync.ts
var QUIET_MS = 1e3;
var RETRY_MS = 3e3;
var COUNTS = 3;
var InboxSync = class {
  #inbox;
  #source;
  #watcher;
  #loading = false;
  #again = false;
  #closed = false;
  #recount;
  #retry;
  constructor(inbox, source, watcher) {
    this.#inbox = inbox;
    this.#source = source;
    this.#watcher = watcher;
  }
  /** Reads the list and the count. What is asked for while it reads is one more reading. */
  async load() {
    if (this.#closed) return;
    this.#again = this.#loading;
    if (this.#loading) return;
    this.#loading = true;
    clearTimeout(this.#retry);
    try {
      do {
        this.#again = false;
        const list = await this.#source.list(LIMIT);
        if (this.#closed) return;
        this.#watcher.found(this.#inbox.merge(list, performance.now()));
        await this.#count();
      } while (this.#again && !this.#closed);
      if (this.#closed) return;
      this.#inbox.complete();
      this.#watcher.done();
    } catch (error) {
      if (this.#closed) return;
      this.#watcher.failed(error);
      this.#retry = setTimeout(() => void this.load(), RETRY_MS);
    } finally {
      this.#loading = false;
    }
  }
  /** A push may have been in the count before it was heard, or the other way round: a moment later the server says what holds. */
  recountSoon() {
    this.#recount ??= setTimeout(() => {
      this.#recount = void 0;
      this.#count().catch(() => void 0);
    }, QUIET_MS);
  }
  close() {
    this.#closed = true;
    clearTimeout(this.#recount);
    clearTimeout(this.#retry);
  }
  async #count() {
    for (let tries = 0; tries < COUNTS && !this.#closed; tries += 1) {
      const { revision } = this.#inbox;
      if (this.#inbox.counted(await this.#source.unread(), revision)) return;
    }
    if (!this.#closed) this.recountSoon();
  }
};

// src/model/line.ts
var Line = class {
  #make;
  #listen;
  #asked = 2;
  #signal;
  #subscriptions;
  constructor(make, listen) {
    this.#make = make;
    this.#listen = listen;
    this.#signal = make(this.#asked);
    this.#subscriptions = listen(this.#signal);
  }
  get state() {
    return this.#signal.state;
  }
  get asked() {
    return this.#asked;
  }
  connect() {
    this.#signal.connect();
  }
  /** Hangs up and asks anew. Resolves once connected; never, if that client is exchanged or ends before. */
  speak(protocol) {
    this.close();
    this.#asked = protocol;
    this.#signal = this.#make(protocol);
    this.#subscriptions = this.#listen(this.#signal);
    this.#signal.connect();
    return new Promise((resolve) => {
      this.#signal.ready().then(() => resolve(), () => void 0);
    });
  }
  close() {
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#signal.close();
  }
};

// src/model/safe_html.ts
var ELEMENT = 1;
var TEXT = 3;
var ALLOWED = /* @__PURE__ */ new Set(["p", "strong", "b", "em", "i", "code", "br", "ul", "ol", "li", "a"]);
var OPAQUE = /* @__PURE__ */ new Set(["script", "style", "template", "iframe", "object", "embed", "noscript", "svg", "math", "textarea", "title"]);
var DEEPEST = 16;
function safeMarkup(nodes, depth = 0) {
  return [...nodes].flatMap((node) => {
    if (node.nodeType === TEXT) return [node.nodeValue ?? ""];
    const tag = node.nodeName.toLowerCase();
    if (node.nodeType !== ELEMENT || OPAQUE.has(tag) || depth >= DEEPEST) return [];
    const children = safeMarkup(node.childNodes, depth + 1);
    if (!ALLOWED.has(tag)) return children;
    if (tag !== "a") return [{ tag, children }];
    const href = webAddress(node.getAttribute?.("href") ?? null);
    return href === void 0 ? children : [{ tag, href, children }];
  });
}
function webAddress(href) {
  try {
    const { protocol, href: address } = new URL(href ?? "");
    return protocol === "https:" || protocol === "http:" ? address : void 0;
  } catch {
    return void 0;
  }
}
function safeFragment(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const fragment = document.createDocumentFragment();
  fragment.append(...safeMarkup(parsed.body.childNodes).map(toNode));
  return fragment;
}
function toNode(safe) {
  if (typeof safe === "string") return document.createTextNode(safe);
  const element = document.createElement(safe.tag);
  if (safe.href !== void 0) {
    element.setAttribute("href", safe.href);
    element.setAttribute("rel", "noopener noreferrer");
    element.setAttribute("target", "_blank");
  }
  element.append(...safe.children.map(toNode));
  return element;
}

// src/view/bell.ts
var ROOMY = matchMedia("(min-width: 1120px)");
function bellAndPanel(inbox, { read, readAll: readAllShown }, over) {
  const items = /* @__PURE__ */ new Map();
  const badge = el("span", { class: "badge", "aria-hidden": "true" });
  const button = el(
    "button",
    { type: "button", class: "bell", "data-testid": "bell", "aria-controls": "notifications", onclick: () => toggle() },
    icon("bell"),
    badge
  );
  const list = el("ol", { class: "notifications" });
  const empty = el("p", { class: "empty" }, "Nothing yet. Take a payment at one of your merchants and it appears here.");
  const notice = el("p", { class: "notice", hidden: true, role: "status" });
  const readAll = el("button", { type: "button", class: "quiet", "data-testid": "read-all", onclick: readAllShown }, "Mark all as read");
  const panel = el(
    "aside",
    { id: "notifications", class: "panel", "aria-label": "Notifications" },
    el(
      "div",
      { class: "panel-head" },
      el("h2", {}, "Notifications"),
      readAll,
      el("button", { type: "button", class: "icon-button panel-close", "aria-label": "Close notifications", onclick: () => toggle(false) }, icon("close"))
    ),
    notice,
    empty,
    list
  );
  const open = () => !panel.hidden;
  const toggle = (wanted = !open()) => {
    const returnFocus = !wanted && panel.contains(document.activeElement);
    panel.hidden = !wanted;
    if (!wanted) notice.hidden = true;
    button.setAttribute("aria-expanded", String(wanted));
    if (returnFocus) button.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && open()) {
      toggle(false);
      button.focus();
    }
  }, { signal: over });
  const update = () => {
    const { unread, entries } = inbox;
    button.dataset["unread"] = String(unread);
    button.setAttribute("aria-label", unread === 0 ? "Notifications" : `Notifications, ${unread} unread`);
    badge.textContent = unread === 0 ? "" : unread > 99 ? "99+" : String(unread);
    readAll.hidden = unread === 0;
    empty.hidden = entries.length > 0 || !inbox.loaded;
    button.toggleAttribute("data-loaded", inbox.loaded);
    document.title = document.title.replace(/^(\(\d+\) )?/, unread === 0 ? "" : `(${unread}) `);
    let next = list.firstElementChild;
    for (const entry of entries) {
      const item = items.get(entry.notification.id) ?? make(entry);
      if (item === next) next = item.nextElementSibling;
      else list.insertBefore(item, next);
      item.classList.toggle("unread", !entry.read);
      item.querySelector(".mark-read")?.toggleAttribute("hidden", entry.read);
    }
    const kept = new Set(entries.map(({ notification }) => notification.id));
    for (const [id, item] of items) if (!kept.has(id)) {
      item.remove();
      items.delete(id);
    }
  };
  const make = (entry) => {
    const item = notificationItem(entry, read);
    items.set(entry.notification.id, item);
    return item;
  };
  const tick = () => {
    for (const time of list.querySelectorAll("time")) time.textContent = relativeTime(Date.parse(time.dateTime), Date.now());
  };
  const ring = () => {
    button.classList.remove("ringing");
    void button.offsetWidth;
    button.classList.add("ringing");
  };
  toggle(ROOMY.matches);
  update();
  return {
    button,
    panel,
    update,
    ring,
    tick,
    note: (text) => {
      notice.hidden = text === void 0;
      notice.textContent = text ?? "";
    }
  };
}
function notificationItem({ notification }, read) {
  const { id, eventId, title, html, metadata, createdAt } = notification;
  const event = metadata?.["data"];
  const amount = money(event?.["amount"], event?.["currency"]);
  const body = el("div", { class: "body" });
  body.append(safeFragment(html));
  const time = el("time", { datetime: createdAt, title: new Date(createdAt).toLocaleString() }, relativeTime(Date.parse(createdAt), Date.now()));
  const item = el("li", { class: "notification", "data-testid": "notification", "data-event-id": eventId });
  fill(
    item,
    el("div", { class: "line" }, el("strong", { class: "title" }, title), amount !== void 0 && el("span", { class: "amount" }, amount)),
    body,
    el(
      "div",
      { class: "line soft" },
      time,
      el("button", { type: "button", class: "quiet mark-read", "data-testid": "mark-read", "aria-label": `Mark as read: ${title}`, onclick: () => read(id) }, icon("check"), "Read")
    )
  );
  return item;
}

// src/view/protocol_switch.ts
var CHOICES = [2, 1];
function protocolSwitch(asked, choose) {
  const choices = CHOICES.map((protocol) => el(
    "label",
    {},
    el("input", {
      type: "radio",
      name: "protocol",
      value: protocol,
      checked: protocol === asked,
      "data-testid": `speak-v${protocol}`,
      onchange: () => choose(protocol)
    }),
    `v${protocol}`
  ));
  return el("fieldset", { class: "segments" }, el("legend", { class: "visually-hidden" }, "Protocol to ask for"), ...choices);
}

// src/view/connection.ts
var HISTORY = 4;
function connectionCard(line, settings, speak) {
  const pillText = el("span");
  const pill = el("span", { class: "pill", "data-testid": "connection-state", role: "status" }, el("span", { class: "dot", "aria-hidden": "true" }), pillText);
  const headline = el("p", { class: "headline" });
  const detail = el("p", { class: "soft" });
  const retry = el("button", { type: "button", class: "button small", onclick: () => line.connect() }, "Try now");
  const facts = el("dl", { class: "facts" });
  const history2 = el("ol", { class: "history", "aria-label": "What happened to the connection" });
  const element = el(
    "section",
    { class: "card connection", "data-testid": "connection", "aria-labelledby": "connection-title" },
    el("div", { class: "card-head" }, el("h2", { id: "connection-title" }, "Connection"), protocolSwitch(line.asked, speak)),
    el("div", { class: "standing" }, el("div", {}, headline, detail), retry),
    facts,
    history2
  );
  let shown;
  const update = () => {
    const { state } = line;
    const { title, text } = inWords(state, Date.now());
    headline.textContent = title;
    detail.textContent = text;
    if (state === shown) return;
    pillText.textContent = title;
    pill.dataset["state"] = state.name;
    element.dataset["state"] = state.name;
    element.dataset["protocol"] = state.name === "connected" ? String(state.negotiated.protocol) : "";
    element.dataset["identity"] = state.name === "connected" && state.negotiated.identity.verified ? "proven" : "";
    setAttribute(retry, "hidden", state.name !== "waiting" && state.name !== "closed");
    fill(facts, ...factsOf(state, line.asked, settings));
    const remarkable = state.name === "connected" || state.name === "closed" || state.name === "waiting" && shown?.name !== "waiting";
    if (remarkable) {
      if (history2.firstElementChild?.lastChild?.textContent === remark(state)) history2.firstElementChild.remove();
      history2.prepend(el("li", {}, el("time", {}, clockTime(Date.now())), remark(state)));
    }
    while (history2.childElementCount > HISTORY) history2.lastElementChild?.remove();
    shown = state;
  };
  return { element, pill, update };
}
function inWords(state, now) {
  switch (state.name) {
    case "idle":
      return { title: "Not connected", text: "" };
    case "connecting":
      return { title: "Connecting", text: state.attempt > 1 ? `Attempt ${state.attempt}` : "Opening the socket" };
    case "authenticating":
      return { title: "Authenticating", text: "Token check and key agreement" };
    case "connected":
      return { title: "Connected", text: `Everything from here on is sealed. Since ${clockTime(state.since)}.` };
    case "closed":
      return { title: "Closed", text: `${why(state)}. This one does not come back by itself.` };
    case "waiting": {
      const seconds = Math.ceil(Math.max(0, state.retryAt - now) / 1e3);
      const when = seconds === 0 ? "now" : `in ${seconds} s`;
      return { title: "Reconnecting", text: `${why(state)}. Attempt ${state.attempt} ${when}.` };
    }
  }
}
function remark(state) {
  if (state.name === "connected") return `Connected with v${state.negotiated.protocol} in ${duration(state.openMs + state.handshakeMs)}`;
  return state.name === "waiting" || state.name === "closed" ? why(state) : "";
}
function why({ reason, code }) {
  return code === CLOSE.ABNORMAL ? reason : `${reason} (${code})`;
}
function factsOf(state, asked, { streamPath }) {
  const connected = state.name === "connected" ? state : void 0;
  const facts = [
    { name: "Protocol", value: connected && `${spoken(connected, asked)} · ${streamPath}` },
    { name: "Identity", ...identityOf(connected) },
    { name: "Frames", value: connected && FRAMES[connected.negotiated.protocol] },
    { name: "Key agreement", value: connected?.negotiated.keyAgreement },
    { name: "Key derivation", value: connected?.negotiated.keyDerivation },
    { name: "Cipher", value: connected?.negotiated.cipher, sign: "lock" },
    { name: "Client id", value: connected?.clientId, style: "mono" },
    { name: "Socket open", value: connected && duration(connected.openMs) },
    { name: "Handshake", value: connected && duration(connected.handshakeMs) }
  ];
  return facts.map(({ name, value, style, sign }) => el(
    "div",
    {},
    el("dt", {}, name),
    el("dd", { class: style }, sign !== void 0 && value !== void 0 && icon(sign), value ?? "–")
  ));
}
var FRAMES = { 1: "JSON with base64", 2: "binary and numbered" };
function spoken({ negotiated }, asked) {
  return negotiated.protocol === asked ? `v${asked}` : `v${negotiated.protocol}, all that this edge knows`;
}
function identityOf(connected) {
  if (connected === void 0) return { value: void 0 };
  const { protocol, identity } = connected.negotiated;
  if (identity.verified) return { value: `proven by ${identity.keyId.slice(0, 8)}…`, sign: "check" };
  if (protocol === 1) return { value: "not proven: v1 cannot" };
  return { value: identity.claimedKeyId === void 0 ? "not proven: the edge has no key" : "claimed, not checked" };
}

// src/model/hex.ts
var TAG_BYTES2 = 16;
var SHOWN_BYTES = 4096;
var GROUP = /.{1,8}/g;
var hex = (bytes2) => Array.from(bytes2, (byte) => byte.toString(16).padStart(2, "0")).join("");
function groupedHex(bytes2) {
  const shown = hex(bytes2.subarray(0, SHOWN_BYTES)).match(GROUP)?.join(" ") ?? "";
  const more = bytes2.length - SHOWN_BYTES;
  return more > 0 ? `${shown} … ${more} bytes more …` : shown;
}
var nonceOf = (counter) => `00000000 ${counter.toString(16).padStart(16, "0")}`;

// src/view/frame_text.ts
var markedFrame = (record) => record.encoding === "binary" ? markedBytes(record) : markedText(record);
function markedText({ raw, iv, sealed }) {
  const at = iv === void 0 ? -1 : raw.indexOf(iv);
  if (!sealed || iv === void 0 || at < 0) return [new Text(raw)];
  const [ct = ""] = /[A-Za-z0-9+/=]{22,}/.exec(raw.slice(at + iv.length)) ?? [];
  const ctAt = ct === "" ? raw.length : raw.indexOf(ct, at + iv.length);
  return [
    new Text(raw.slice(0, at)),
    el("span", { class: "iv" }, iv),
    new Text(raw.slice(at + iv.length, ctAt)),
    el("span", { class: "ct" }, ct),
    new Text(raw.slice(ctAt + ct.length))
  ];
}
function markedBytes({ raw, sealed }) {
  const bytes2 = Uint8Array.from(atob(raw), (char) => char.charCodeAt(0));
  const end = sealed ? Math.max(0, bytes2.length - TAG_BYTES2) : bytes2.length;
  const tag = groupedHex(bytes2.subarray(end));
  return [el("span", { class: "ct" }, groupedHex(bytes2.subarray(0, end))), new Text(" "), el("span", { class: "tag" }, tag)];
}
function colouredJson(value, indent = "") {
  if (typeof value !== "object" || value === null) {
    const kind = typeof value === "string" ? "json-string" : "json-other";
    return [el("span", { class: kind }, JSON.stringify(value))];
  }
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  if (entries.length === 0) return [new Text(list ? "[]" : "{}")];
  const inner = `${indent}  `;
  const lines = entries.flatMap(([name, item], index) => [
    new Text(`${index === 0 ? "" : ","}
${inner}`),
    ...list ? [] : [el("span", { class: "json-name" }, JSON.stringify(name)), new Text(": ")],
    ...colouredJson(item, inner)
  ]);
  return [new Text(list ? "[" : "{"), ...lines, new Text(`
${indent}${list ? "]" : "}"}`)];
}

// src/view/inspector.ts
var LIMIT2 = 60;
function inspectorCard() {
  let rows = [];
  let selected;
  let count = 0;
  const follow = el("input", { type: "checkbox", checked: true, onchange: () => {
    if (follow.checked) choose(rows[0]);
  } });
  const list = el("div", { class: "frames", role: "listbox", tabindex: 0, "aria-label": "Frames, newest first", onkeydown: (event) => move(event) });
  const facts = el("dl", { class: "facts inline" });
  const sealed = pane("On the wire", "inspector-sealed");
  const plain = pane("Opened here", "inspector-plain");
  const detail = el("div", { class: "frame-detail" }, facts, el("div", { class: "panes" }, sealed.element, plain.element));
  const choose = (row) => {
    if (row === void 0) return;
    selected?.element.setAttribute("aria-selected", "false");
    selected = row;
    row.element.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", row.element.id);
    const { record } = row;
    sealed.show(wireTitle(record), record.raw, markedFrame(record));
    plain.show(record.sealed ? "Opened here" : "The message in it", ...openedText(record));
    fill(facts, ...factsOf2(record));
  };
  const pick = (row) => {
    if (row === void 0) return;
    follow.checked = row === rows[0];
    choose(row);
    row.element.scrollIntoView({ block: "nearest" });
  };
  const move = (event) => {
    const at = selected === void 0 ? -1 : rows.indexOf(selected);
    const targets = { ArrowDown: at + 1, ArrowUp: Math.max(0, at - 1), Home: 0, End: rows.length - 1 };
    const target = targets[event.key];
    if (target === void 0) return;
    event.preventDefault();
    pick(rows[Math.min(target, rows.length - 1)]);
  };
  const show2 = (record) => {
    const row = { record, element: rowElement(record, count) };
    count += 1;
    row.element.addEventListener("click", () => pick(row));
    list.prepend(row.element);
    rows = [row, ...rows];
    for (const old of rows.splice(LIMIT2)) old.element.remove();
    if (follow.checked || selected === void 0) choose(row);
  };
  return {
    show: show2,
    element: el(
      "section",
      { class: "card inspector", "aria-labelledby": "inspector-title" },
      el("div", { class: "card-head" }, el("h2", { id: "inspector-title" }, "Frames"), el("label", { class: "check" }, follow, "Follow the newest")),
      el("div", { class: "inspector-body" }, list, detail)
    )
  };
}
function rowElement(record, index) {
  const way = record.direction === "in" ? "received" : "sent";
  return el(
    "div",
    {
      class: `frame ${record.direction}`,
      id: `frame-${index}`,
      role: "option",
      "aria-selected": "false",
      "data-testid": "inspector-row",
      "data-direction": record.direction,
      "data-event": record.event,
      "data-sealed": String(record.sealed),
      "data-encoding": record.encoding
    },
    icon(record.direction),
    el("span", { class: "visually-hidden" }, way),
    el("span", { class: "frame-event" }, shortEvent(record.event)),
    icon(record.sealed ? "lock" : "unlocked"),
    el("time", { class: "soft" }, clockTime(record.at))
  );
}
var shortEvent = (event) => event?.replace("observation/signal/", "") ?? "does not open";
function wireTitle({ sealed, encoding }) {
  if (!sealed) return "On the wire, clear";
  return encoding === "binary" ? "On the wire, in hex" : "On the wire, sealed";
}
function openedText(record) {
  if (record.plaintext === void 0) {
    return [record.sealed ? "This frame does not open under the key of this connection." : "This frame is not sealed, as it has to be.", []];
  }
  const value = JSON.parse(record.plaintext);
  return [JSON.stringify(value, null, 2), colouredJson(value)];
}
function factsOf2(record) {
  const rows = [
    ["Direction", record.direction === "in" ? "edge to this window" : "this window to edge"],
    ["Event", record.event ?? "–"],
    ["Size", bytes(record.size)],
    ...nonceFacts(record),
    ["Time", `${clockTime(record.at)}.${String(record.at % 1e3).padStart(3, "0")}`]
  ];
  return rows.map(([name, value, style]) => el("div", {}, el("dt", {}, name), el("dd", { class: style }, value)));
}
function nonceFacts({ iv, counter }) {
  if (counter !== void 0) return [["Nonce, not sent", nonceOf(counter), "mono"], ["Tag", `last ${TAG_BYTES2} bytes`, "tag"]];
  return [iv === void 0 ? ["IV", "none"] : ["IV", iv, "mono iv"]];
}
function pane(title, testid) {
  let copyable = "";
  const heading = el("h3", {}, title);
  const copied = el("span", { class: "soft", role: "status" });
  const copy = el("button", { type: "button", class: "quiet", "aria-label": `Copy: ${title}`, onclick: () => {
    void navigator.clipboard.writeText(copyable).then(() => {
      copied.textContent = "Copied";
    }, () => {
      copied.textContent = "Not allowed";
    });
  } }, icon("copy"), "Copy");
  const text = el("pre", { tabindex: 0, "data-testid": testid, "aria-label": title });
  return {
    element: el("div", { class: "pane" }, el("div", { class: "pane-head" }, heading, copied, copy), text),
    show: (newTitle, content, nodes) => {
      copyable = content;
      heading.textContent = newTitle;
      copied.textContent = "";
      fill(text, ...nodes.length === 0 ? [content] : nodes);
    }
  };
}

// src/view/mark.ts
function mark() {
  return el("span", { class: "mark" }, el("img", { src: "assets/icon.svg", alt: "", width: 28, height: 28 }), "Signal");
}

// src/view/field.ts
function field(label, control) {
  const about = `${control.id}-problem`;
  const problem = el("p", { id: about, class: "problem", hidden: true });
  return {
    element: el("div", { class: "field" }, el("label", { for: control.id }, label), control, problem),
    control,
    problem: (text) => {
      problem.textContent = text ?? "";
      problem.hidden = text === void 0;
      setAttribute(control, "aria-invalid", text === void 0 ? void 0 : "true");
      setAttribute(control, "aria-describedby", text === void 0 ? void 0 : about);
    }
  };
}

// src/view/payment.ts
var AMOUNTS = { VND: "125000", USD: "24.90", EUR: "18.50", JPY: "3200" };
var METHODS = [["CARD", "Card"], ["QR", "QR code"], ["CASH", "Cash"], ["BANK_TRANSFER", "Bank transfer"]];
function paymentCard(people, person, inbox) {
  const merchants = [...new Map(people.flatMap((one) => one.merchants).map((one) => [one.id, one])).values()];
  const own = person.merchants[0]?.id;
  const merchant = select("pay-merchant", merchants.map(({ id, name }) => [id, name]), own);
  const currency = select("pay-currency", Object.keys(AMOUNTS).map((code) => [code, code]));
  const amount = el("input", { id: "pay-amount", "data-testid": "pay-amount", inputmode: "decimal", autocomplete: "off", required: true, value: AMOUNTS["VND"] });
  const order = el("input", { id: "pay-order", "data-testid": "pay-order", autocomplete: "off", required: true, value: firstOrderCode() });
  const method = select("pay-method", METHODS);
  const leaveOut = el("input", { type: "checkbox", id: "pay-leave-out", "data-testid": "pay-leave-out" });
  const submit = el("button", { type: "submit", class: "button primary", "data-testid": "pay-submit" }, "Take payment");
  const notifies = el("p", { class: "notifies" });
  const result = el("div", { class: "result", role: "status", "data-testid": "pay-result" });
  const fields = {
    merchantId: field("Merchant", merchant),
    amount: field("Amount", amount),
    currency: field("Currency", currency),
    orderCode: field("Order", order),
    paymentMethod: field("Method", method)
  };
  const recipients = () => people.filter((one) => one.merchants.some(({ id }) => id === merchant.value) && !(leaveOut.checked && one.id === person.id));
  const showRecipients = () => fill(
    notifies,
    "Notifies: ",
    ...recipients().map((one) => el("span", { class: "chip still" }, el("span", { class: "avatar tiny", "aria-hidden": "true" }, initials(one.name)), one.id === person.id ? `${one.name} (you)` : one.name)),
    recipients().length === 0 && "nobody"
  );
  let taken;
  const showResult = () => {
    if (taken !== void 0) fill(result, ...outcome(taken, person, inbox.byEvent(taken.eventId)?.arrivedAt));
  };
  const pay = async (clickedAt) => {
    const to = recipients();
    for (const one of Object.values(fields)) one.problem(void 0);
    submit.disabled = true;
    try {
      const actor = leaveOut.checked ? { actorId: person.id } : {};
      const { eventId } = await takePayment({
        merchantId: merchant.value,
        amount: amount.value.trim(),
        currency: currency.value,
        orderCode: order.value.trim(),
        paymentMethod: method.value,
        ...actor
      });
      taken = { eventId, clickedAt, acceptedAt: performance.now(), recipients: to };
      order.value = nextOrderCode(order.value);
      showResult();
    } catch (error) {
      taken = void 0;
      showRefusal(error, fields, result);
    } finally {
      submit.disabled = false;
    }
  };
  currency.addEventListener("change", () => {
    if (Object.values(AMOUNTS).includes(amount.value)) amount.value = AMOUNTS[currency.value] ?? amount.value;
  });
  merchant.addEventListener("change", showRecipients);
  leaveOut.addEventListener("change", showRecipients);
  showRecipients();
  const form = el(
    "form",
    { novalidate: true, onsubmit: (event) => {
      event.preventDefault();
      void pay(performance.now());
    } },
    fields["merchantId"]?.element,
    notifies,
    el("div", { class: "row" }, fields["amount"]?.element, fields["currency"]?.element),
    el("div", { class: "row even" }, fields["orderCode"]?.element, fields["paymentMethod"]?.element),
    el("label", { class: "check" }, leaveOut, "Leave me out (I am the cashier)"),
    submit,
    result
  );
  const element = el("section", { class: "card payment", "aria-labelledby": "payment-title" }, el("h2", { id: "payment-title" }, "Take a payment"), form);
  return { element, arrived: (eventId) => {
    if (eventId === taken?.eventId) showResult();
  } };
}
function outcome(taken, person, arrivedAt) {
  const accepted = step("done", `Accepted in ${duration(taken.acceptedAt - taken.clickedAt)}`);
  const others = taken.recipients.filter(({ id }) => id !== person.id).map(({ name }) => name);
  if (!taken.recipients.some(({ id }) => id === person.id)) {
    return [accepted, step("plain", others.length === 0 ? "Nobody is left to notify" : `On its way to ${listed(others)}, not to you`)];
  }
  if (arrivedAt === void 0) return [accepted, step("pending", "On its way here")];
  const here = step("done", `Arrived in ${duration(arrivedAt - taken.clickedAt)}`);
  here.dataset["testid"] = "pay-arrived";
  return [accepted, here];
}
function step(kind, text) {
  return el("p", { class: `step ${kind}` }, kind === "done" ? icon("check") : el("span", { class: "dot", "aria-hidden": "true" }), text);
}
function showRefusal(error, fields, result) {
  const refusal2 = error instanceof ApiError ? error : new ApiError("Something went wrong in this page.");
  const homeless = refusal2.fields.filter(({ path, message }) => {
    const at = fields[String(path).split(/[./]/).at(-1) ?? ""];
    at?.problem(message);
    return at === void 0;
  });
  const first = Object.values(fields).find(({ control }) => control.getAttribute("aria-invalid") === "true");
  first?.control.focus();
  const texts = refusal2.fields.length === 0 ? [refusal2.message] : homeless.map(({ path, message }) => path === "" ? message : `${path}: ${message}`);
  if (first !== void 0 && texts.length === 0) texts.push("Not taken: please look at the marked field.");
  fill(
    result,
    ...texts.map((text) => el("p", { class: "problem" }, text)),
    refusal2.requestId !== void 0 && el("p", { class: "soft mono" }, `request ${refusal2.requestId}`)
  );
}
function select(id, options, chosen) {
  const element = el("select", { id, "data-testid": id }, ...options.map(([value, text]) => el("option", { value }, text)));
  if (chosen !== void 0) element.value = chosen;
  setAttribute(element, "required", true);
  return element;
}
var firstOrderCode = () => `A-${1e3 + Math.floor(Math.random() * 8e3)}`;
function nextOrderCode(code) {
  const found = /^(.*?)(\d{1,9})$/.exec(code.trim());
  return found === null ? firstOrderCode() : `${found[1]}${String(Number(found[2]) + 1).padStart(found[2]?.length ?? 0, "0")}`;
}

// src/view/desk.ts
function openDesk({ settings, pin }, people, person, leave) {
  const url = new URL(settings.streamPath, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const token = async () => (await signIn(person.id)).token;
  const make = (protocol) => new SignalClient({ url: url.href, token, protocol, ...pin === void 0 || protocol === 1 ? {} : { pin } });
  const over = new AbortController();
  const inbox = new Inbox(() => bell.update());
  const api = new NotificationsApi(settings.basePath, token);
  const bell = bellAndPanel(inbox, reading(inbox, api, (text) => bell.note(text), () => sync.recountSoon()), over.signal);
  const inspector = inspectorCard();
  const payment = paymentCard(people, person, inbox);
  const sync = new InboxSync(inbox, api, {
    found: (entries) => entries.forEach(({ notification: { eventId }, arrivedAt }) => payment.arrived(eventId, arrivedAt)),
    failed: (error) => bell.note(`The list cannot be read at the moment. ${inWords2(error)} It is tried again.`),
    done: () => bell.note(void 0)
  });
  const listen = (signal) => [
    signal.on("observation/signal/notification/created", (notification) => arrive(notification)),
    signal.on("observation/signal/notification/read", (read) => inbox.markRead(read)),
    signal.on("observation/signal/notification/unread", (count) => {
      inbox.pushed(count);
      sync.recountSoon();
    }),
    signal.on("resync", () => void sync.load()),
    signal.on("state", () => connection.update()),
    signal.on("frame", (record) => inspector.show(record))
  ];
  const line = new Line(make, listen);
  const connection = connectionCard(line, settings, (protocol) => void line.speak(protocol).then(() => sync.load()));
  const arrive = (notification) => {
    const arrivedAt = performance.now();
    if (!inbox.add(notification, arrivedAt)) return;
    payment.arrived(notification.eventId, arrivedAt);
    bell.ring();
    announce(`${notification.title}. ${notification.content}`);
    sync.recountSoon();
  };
  const pulse = setInterval(() => {
    bell.tick();
    connection.update();
  }, 1e3);
  document.title = `${person.name} · Signal`;
  connection.update();
  line.connect();
  void sync.load();
  const element = el(
    "div",
    { class: "desk" },
    el("header", { class: "bar" }, mark(), connection.pill, el("span", { class: "bar-space" }), themeButton(), whoAmI(person, leave), bell.button),
    el(
      "div",
      { class: "columns" },
      el(
        "main",
        { id: "main", tabindex: -1, class: "work" },
        intro(people, person),
        el("div", { class: "pair" }, payment.element, connection.element),
        inspector.element
      ),
      bell.panel
    ),
    el("footer", { class: "foot" }, footer(settings))
  );
  return {
    element,
    close: () => {
      clearInterval(pulse);
      over.abort();
      sync.close();
      line.close();
    }
  };
}
function reading(inbox, api, note, changed) {
  const tell = async (marking, read) => {
    try {
      await marking;
      inbox.markRead(read);
      changed();
    } catch (error) {
      note(`It could not be marked as read. ${inWords2(error)}`);
    }
  };
  return {
    read: (id) => void tell(api.read(id), { ids: [id] }),
    readAll: () => {
      const newest = inbox.entries[0]?.notification.createdAt;
      if (newest === void 0) return;
      const before = new Date(Date.parse(newest) + 1).toISOString();
      void tell(api.readAll(before), { all: true, before });
    }
  };
}
var inWords2 = (error) => error instanceof ApiError ? error.message : "Something went wrong in this page.";
function whoAmI(person, leave) {
  return el(
    "div",
    { class: "who" },
    el("span", { class: "avatar small", "aria-hidden": "true" }, initials(person.name)),
    el("span", { class: "who-name" }, person.name),
    el("button", { type: "button", class: "quiet", "data-testid": "sign-out", onclick: leave }, "Sign out")
  );
}
function intro(people, person) {
  const others = people.filter(({ id }) => id !== person.id).map((other) => el(
    "a",
    { class: "chip", href: `?as=${encodeURIComponent(other.id)}`, target: "_blank", rel: "noopener" },
    icon("window"),
    other.name,
    el("span", { class: "visually-hidden" }, " (opens a new window)")
  ));
  return el(
    "div",
    { class: "intro" },
    el(
      "div",
      {},
      el("h1", {}, `Hello, ${person.name}`),
      el("p", {}, `${person.role} at ${listed(person.merchants.map(({ name }) => name))}`)
    ),
    el("p", { class: "others" }, "Open a window as ", ...others)
  );
}
function footer({ version, embedded }) {
  const parts = Object.entries(embedded).map(([part, how]) => `${part}: ${typeof how === "string" ? how : how ? "embedded" : "external"}`);
  return [`Signal ${version}`, ...parts].join("  ·  ");
}

// src/view/sign_in.ts
function signInScreen(people, settings, choose) {
  return el(
    "div",
    { class: "welcome" },
    el("header", { class: "welcome-bar" }, themeButton()),
    el(
      "main",
      { id: "main", tabindex: -1, class: "welcome-main" },
      mark(),
      el("h1", { tabindex: -1 }, "The right people know, at once."),
      el(
        "p",
        { class: "lead" },
        "Take a payment in one window and watch the bell light up in another: through the broker, into the database, and over a sealed WebSocket to those whom it concerns."
      ),
      el("h2", { class: "eyebrow" }, "Sign in as"),
      el("ul", { class: "people" }, ...people.map((person) => el("li", {}, personButton(person, choose)))),
      el("p", { class: "hint" }, icon("window"), "Two windows can be two people.")
    ),
    el("footer", { class: "foot" }, `Signal ${settings.version}`)
  );
}
function personButton(person, choose) {
  return el(
    "button",
    { type: "button", class: "person", "data-testid": `person-${person.id}`, onclick: () => choose(person) },
    el("span", { class: "avatar", "aria-hidden": "true" }, initials(person.name)),
    el(
      "span",
      { class: "person-text" },
      el("strong", {}, person.name),
      el("span", {}, person.role),
      el("span", { class: "soft" }, listed(person.merchants.map(({ name }) => name)))
    )
  );
}

// src/app.ts
var KEY2 = "signal.person";
function chosenPerson(people) {
  const id = new URL(location.href).searchParams.get("as") ?? sessionStorage.getItem(KEY2);
  return people.find((person) => person.id === id);
}
function forgetPerson() {
  sessionStorage.removeItem(KEY2);
  const url = new URL(location.href);
  url.searchParams.delete("as");
  history.replaceState(null, "", url);
}
function show(root2, place, people, person) {
  if (person === void 0) {
    document.title = "Signal";
    fill(root2, signInScreen(people, place.settings, (chosen) => show(root2, place, people, chosen)));
    root2.querySelector("h1")?.focus();
    return;
  }
  sessionStorage.setItem(KEY2, person.id);
  const desk = openDesk(place, people, person, () => {
    desk.close();
    forgetPerson();
    show(root2, place, people, void 0);
  });
  fill(root2, desk.element);
}
async function start(root2) {
  try {
    const [settings, people] = await Promise.all([readSettings(), readPeople()]);
    const pin = await readIdentity(settings.basePath);
    show(root2, { settings, pin }, people, chosenPerson(people));
  } catch (error) {
    const again = el("button", { type: "button", class: "button", onclick: () => void start(root2) }, "Try again");
    const text = error instanceof Error ? error.message : "The server did not answer.";
    fill(root2, el("main", { id: "main", tabindex: -1, class: "sorry" }, el("h1", {}, "Not there yet"), el("p", {}, text), again));
  }
}
restoreTheme();
var root = document.querySelector("#app");
if (root !== null) void start(root);
