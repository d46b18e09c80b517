import { decodeBase64, encodeBase64 } from './base64.js';
import { SignalError } from './errors.js';

/** A public key as JWK (RFC 7517); an identity key is EC with the curve P-256. */
export interface PublicJwk {
  readonly kty?: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
}

/** One or several keys, or a JWK set as `GET {base}/identity` answers; any one of them will do. */
export type Pin = PublicJwk | readonly PublicJwk[] | { readonly keys: readonly PublicJwk[] };

/** What `connected` offers as proof, unchecked. */
export interface Proof {
  readonly keyId: string | undefined;
  /** Padded base64 of r || s. */
  readonly signature: string | undefined;
}

export type Identity =
  /** The edge signed this very handshake with a pinned key, whose RFC 7638 thumbprint this is. */
  | { readonly verified: true; readonly keyId: string }
  /** Nothing was pinned. Anybody can claim a key id. */
  | { readonly verified: false; readonly claimedKeyId?: string };

interface Point {
  readonly x: string;
  readonly y: string;
}

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE_BYTES = 64;

// 32 bytes in base64url without padding.
const COORDINATE = /^[A-Za-z0-9_-]{43}$/;

const refused = (what: string): SignalError => new SignalError('identity', what);

/** The identity keys that an application accepts. */
export class Pins {
  readonly #points: readonly Point[];
  #imported: Promise<ReadonlyMap<string, CryptoKey>> | undefined;

  /** Throws TypeError for what cannot be a pin: silence would mean an identity that nobody checks. */
  constructor(pin: Pin) {
    const given: unknown = pin;
    if (isSet(given)) {
      // RFC 7517, section 5: a set may hold keys that its reader does not understand.
      this.#points = given.keys.filter(isP256).map(pointOf);
    } else {
      this.#points = (Array.isArray(given) ? (given as unknown[]) : [given]).map(pointOf);
    }
    if (this.#points.length === 0) throw new TypeError('`pin` holds no public key of P-256');
  }

  /** By key id. Rejects with `identity` when a pinned key is not a point of the curve. */
  keys(): Promise<ReadonlyMap<string, CryptoKey>> {
    this.#imported ??= Promise.all(this.#points.map(imported)).then((entries) => new Map(entries));
    return this.#imported;
  }

  /** The id of the key that signed; throws `identity` unless a pinned one did. */
  async verify({ keyId, signature }: Proof, transcript: Uint8Array<ArrayBuffer>): Promise<string> {
    if (keyId === undefined || signature === undefined) throw refused('The edge offers no proof of its identity');
    const key = (await this.keys()).get(keyId);
    if (key === undefined) throw refused('The edge has an identity key that is not pinned');
    const bytes = decodeBase64(signature);
    const genuine = bytes?.length === SIGNATURE_BYTES
      && await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, bytes, transcript);
    if (!genuine) throw refused('The identity key of the edge did not sign this handshake: somebody stands between');
    return keyId;
  }
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

const isSet = (pin: unknown): pin is { readonly keys: readonly unknown[] } => isFields(pin) && Array.isArray(pin['keys']);

const isP256 = (jwk: unknown): jwk is Fields => isFields(jwk) && jwk['kty'] === 'EC' && jwk['crv'] === 'P-256';

function pointOf(jwk: unknown): Point {
  if (!isP256(jwk)) throw new TypeError('`pin` takes public keys of P-256 as JWK');
  const { x, y } = jwk;
  if ('d' in jwk) throw new TypeError('`pin` takes public keys: this one has its private part');
  if (typeof x !== 'string' || typeof y !== 'string' || !COORDINATE.test(x) || !COORDINATE.test(y)) {
    throw new TypeError('A pinned key lacks the coordinates of P-256');
  }
  return { x, y };
}

async function imported({ x, y }: Point): Promise<readonly [string, CryptoKey]> {
  try {
    const jwk = { kty: 'EC', crv: 'P-256', x, y };
    return [await thumbprint(x, y), await crypto.subtle.importKey('jwk', jwk, ECDSA, false, ['verify'])];
  } catch {
    throw refused('A pinned key is not a point of P-256');
  }
}

/** RFC 7638: the required members in the order of their names, without whitespace. */
async function thumbprint(x: string, y: string): Promise<string> {
  const canonical = new TextEncoder().encode(JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }));
  const digest = encodeBase64(new Uint8Array(await crypto.subtle.digest('SHA-256', canonical)));
  return digest.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
