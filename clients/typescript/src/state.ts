import type { Identity } from './identity.js';
import type { Protocol } from './protocol.js';
import type { SUITE } from './seal.js';

export interface Negotiated {
  readonly protocol: Protocol;
  readonly keyAgreement: (typeof SUITE)['keyAgreement'];
  readonly keyDerivation: (typeof SUITE)['keyDerivation'];
  readonly cipher: (typeof SUITE)['cipher'];
  readonly identity: Identity;
}

export interface ConnectedState {
  readonly name: 'connected';
  readonly clientId: string;
  readonly userId: string | number;
  readonly negotiated: Negotiated;
  /** This client's clock, ms since 1970. */
  readonly since: number;
  /** The edge's clock at that moment, RFC 3339. */
  readonly edgeTime: string;
  /** From the call to an open socket. */
  readonly openMs: number;
  /** From `authenticate` to `connected`: one round trip, the token check and the key agreement. */
  readonly handshakeMs: number;
}

export interface WaitingState {
  readonly name: 'waiting';
  /** Connections lost or failed in a row. */
  readonly attempt: number;
  /** This client's clock, ms since 1970. */
  readonly retryAt: number;
  /** Why the last one ended; 1006 for anything that the edge did not name. */
  readonly code: number;
  readonly reason: string;
}

export type State =
  | { readonly name: 'idle' }
  | { readonly name: 'connecting'; readonly attempt: number }
  | { readonly name: 'authenticating'; readonly attempt: number }
  | ConnectedState
  | WaitingState
  /** Final until `connect()` is called again. */
  | { readonly name: 'closed'; readonly code: number; readonly reason: string };
