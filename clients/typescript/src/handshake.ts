import { BinaryChannel, type Channel, EnvelopeChannel } from './channel.js';
import { decodeBase64 } from './base64.js';
import { SignalError } from './errors.js';
import type { Identity, Pins } from './identity.js';
import type { Connected, Protocol } from './protocol.js';
import type { KeyAgreement } from './seal.js';
import { Cipher, IvSequence } from './seal/v1.js';
import { directionKey, Opener, Sealer, transcriptOf } from './seal/v2.js';

/** This end's part of a handshake, settled before anything is sent. */
export interface Offer {
  readonly agreement: KeyAgreement;
  readonly protocol: Protocol;
  readonly pins: Pins | undefined;
}

export interface Agreed {
  readonly channel: Channel;
  readonly identity: Identity;
}

/** Keys from the edge's answer; with pins, only once it has proven who it is. Throws `handshake` or `identity`. */
export async function completeHandshake(offer: Offer, connected: Connected): Promise<Agreed> {
  if (connected.protocol > offer.protocol) throw new SignalError('handshake', 'The edge chose a protocol that was not asked for');
  return connected.protocol === 1 ? completeV1(offer, connected) : completeV2(offer, connected);
}

async function completeV1({ agreement, pins }: Offer, { serverPublicKey, salt }: Connected): Promise<Agreed> {
  // Whoever stands between could have asked for v1 in our name.
  if (pins !== undefined) throw new SignalError('identity', 'The edge answered in protocol v1, which proves no identity');
  const secret = await agreement.agree(serverPublicKey);
  const random = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const cipher = await Cipher.derive(secret, salt, new IvSequence(random));
  return { channel: new EnvelopeChannel(cipher), identity: { verified: false } };
}

async function completeV2({ agreement, pins }: Offer, { id, serverPublicKey, salt, proof }: Connected): Promise<Agreed> {
  const clientPublicKey = decodeBase64(agreement.publicKey);
  const clientId = uuidBytes(id);
  if (clientPublicKey === undefined || clientId === undefined) throw new SignalError('handshake', 'The client id is not a UUID');
  const transcript = await transcriptOf({ clientPublicKey, serverPublicKey, salt, clientId });
  const identity: Identity = pins === undefined
    ? { verified: false, ...(proof.keyId === undefined ? {} : { claimedKeyId: proof.keyId }) }
    : { verified: true, keyId: await pins.verify(proof, transcript) };
  const secret = await agreement.agree(serverPublicKey);
  const [out, back] = await Promise.all([
    directionKey(secret, salt, transcript, 'client->server'),
    directionKey(secret, salt, transcript, 'server->client'),
  ]);
  return { channel: new BinaryChannel(new Sealer(out), new Opener(back)), identity };
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function uuidBytes(id: string): Uint8Array | undefined {
  if (!UUID.test(id)) return undefined;
  return Uint8Array.from(id.replaceAll('-', '').match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}
