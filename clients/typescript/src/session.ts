import { CLOSE } from './close.js';
import type { Clock, SocketConstructor, SocketLike } from './environment.js';
import { Timer } from './environment.js';
import { asSignalError, SignalError } from './errors.js';
import type { Meta } from './events.js';
import { type FrameRecord, maskToken } from './inspect.js';
import { Lane } from './lane.js';
import { errorMessage, MAX_OUTBOUND_FRAME, type Message, parseConnected, parseEnvelope, parseMessage } from './protocol.js';
import { type Cipher, IvSequence, type KeyAgreement } from './seal.js';
import type { End } from './retry.js';

export interface SessionOptions {
  readonly url: string;
  readonly token: string;
  readonly agreement: KeyAgreement;
  readonly WebSocket: SocketConstructor;
  readonly clock: Clock;
  readonly openTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly heartbeatMs: number;
}

export interface Opening {
  readonly clientId: string;
  readonly userId: string | number;
  readonly edgeTime: string;
  readonly openMs: number;
  readonly handshakeMs: number;
}

export interface SessionHooks {
  authenticating(): void;
  connected(opening: Opening): void;
  message(message: Message, meta: Meta): void;
  problem(error: SignalError): void;
  /** Called once, after everything that arrived before it. */
  ended(end: End): void;
  inspecting(): boolean;
  frame(record: FrameRecord): void;
}

// What the socket may hold unsent before `send` refuses more; the edge bounds its side alike.
const UNSENT_LIMIT = 1024 * 1024;

// The edge gives up on a client after 90 s of silence; a heartbeat that is this late was asleep.
const SILENCE_LIMIT_MS = 90_000;

// Envelope around the ciphertext: names, quotes, the IV and the tag, rounded up.
const ENVELOPE_OVERHEAD = 128;

/** One socket from opening to end: handshake, sealing, order, heartbeat. Never reused. */
export class Session {
  readonly #options: SessionOptions;
  readonly #hooks: SessionHooks;
  readonly #socket: SocketLike;
  readonly #inbound = new Lane();
  readonly #outbound = new Lane();
  readonly #deadline: Timer;
  readonly #heartbeat: Timer;
  readonly #startedAt: number;
  #openedAt = 0;
  #lastBeatAt = 0;
  #unsentAtLastBeat = 0;
  #cipher: Cipher | undefined;
  #over = false;
  #unchecked = false;

  /** Throws what the WebSocket constructor throws: an address that can never be opened. */
  constructor(options: SessionOptions, hooks: SessionHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#deadline = new Timer(options.clock);
    this.#heartbeat = new Timer(options.clock);
    this.#startedAt = options.clock.now();
    const socket = new options.WebSocket(options.url);
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#authenticate();
    socket.onmessage = ({ data }) => this.#arrived(data);
    socket.onclose = ({ code, reason }) => this.#inbound.add(() => this.#end({ code, reason }));
    // `close` follows and tells more. Without a listener the `ws` package would throw.
    socket.onerror = () => undefined;
    this.#deadline.set(options.openTimeoutMs, () => this.#giveUp('The edge did not answer in time'));
  }

  /** `false` when the session cannot take it now. Throws RangeError when it could never be sent. */
  send(message: Message): boolean {
    const cipher = this.#cipher;
    if (cipher === undefined || this.#over || this.#socket.bufferedAmount > UNSENT_LIMIT) return false;
    const plaintext = JSON.stringify(message);
    const sealedSize = Math.ceil(new TextEncoder().encode(plaintext).length / 3) * 4 + ENVELOPE_OVERHEAD;
    if (sealedSize > MAX_OUTBOUND_FRAME) throw new RangeError('A message must fit a frame of 128 KiB when sealed');
    this.#outbound.add(async () => {
      const data = await cipher.seal(plaintext);
      if (this.#over) return;
      const raw = JSON.stringify({ event: 'encrypted', data });
      this.#socket.send(raw);
      this.#inspect({ direction: 'out', at: this.#options.clock.now(), raw, sealed: true, iv: data.iv }, message);
    });
    return true;
  }

  /** Ends it from this side; `ended` is called. */
  end(end: End): void {
    this.#end(end, end.code);
  }

  /** Ends it from this side without another word. */
  dispose(): void {
    this.#finish(CLOSE.NORMAL);
  }

  #authenticate(): void {
    const { clock, token, agreement, handshakeTimeoutMs } = this.#options;
    this.#openedAt = clock.now();
    const message = { event: 'authenticate', data: { type: 'Bearer', token, publicKey: agreement.publicKey } };
    this.#socket.send(JSON.stringify(message));
    const masked = maskToken(message);
    this.#inspect({ direction: 'out', at: this.#openedAt, raw: JSON.stringify(masked), sealed: false }, masked);
    this.#deadline.set(handshakeTimeoutMs, () => this.#giveUp('The edge did not answer in time'));
    this.#hooks.authenticating();
  }

  #arrived(data: unknown): void {
    const at = this.#options.clock.now();
    this.#inbound.add(async () => {
      if (this.#over) return;
      try {
        const raw = typeof data === 'string' ? data : new TextDecoder('utf-8', { fatal: true }).decode(data as ArrayBuffer);
        if (this.#cipher === undefined) await this.#shake(raw, at);
        else await this.#open(raw, at, this.#cipher);
      } catch (error) {
        this.#hooks.problem(asSignalError(error, 'malformed-frame', 'A frame could not be handled'));
      }
    });
  }

  /** A frame before `connected`: in the clear, and only `connected` and `error` mean something. */
  async #shake(raw: string, at: number): Promise<void> {
    const message = parseMessage(raw);
    this.#inspect({ direction: 'in', at, raw, sealed: false }, message);
    if (message.event === 'error') {
      const text = errorMessage(message.data);
      this.#unchecked = text === 'Authentication error';
      this.#hooks.problem(new SignalError('edge', text));
      return;
    }
    if (message.event !== 'connected') throw new SignalError('malformed-frame', 'Only `connected` and `error` may come before sealing');
    try {
      const { id, userId, time, serverPublicKey, salt } = parseConnected(message.data);
      const random = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
      const cipher = await this.#options.agreement.agree(serverPublicKey, salt, new IvSequence(random));
      if (this.#over) return;
      this.#cipher = cipher;
      this.#deadline.clear();
      this.#lastBeatAt = this.#options.clock.now();
      this.#scheduleBeat();
      const openMs = this.#openedAt - this.#startedAt;
      this.#hooks.connected({ clientId: id, userId, edgeTime: time, openMs, handshakeMs: at - this.#openedAt });
    } catch (error) {
      this.#hooks.problem(asSignalError(error, 'handshake', 'The key agreement failed'));
      this.#end({ code: CLOSE.ABNORMAL, reason: 'The key agreement failed' }, CLOSE.PROTOCOL_VIOLATION);
    }
  }

  async #open(raw: string, at: number, cipher: Cipher): Promise<void> {
    const outer = parseMessage(raw);
    // Whoever can put plaintext into the stream is not the edge that holds the key.
    if (outer.event !== 'encrypted') throw new SignalError('malformed-frame', 'A frame in the clear came after `connected`');
    const { iv, ct } = parseEnvelope(outer.data);
    const record = { direction: 'in', at, raw, sealed: true, iv: (outer.data as { iv: string }).iv } as const;
    let plaintext: string;
    try {
      plaintext = await cipher.open(iv, ct);
    } catch (error) {
      this.#inspect(record, undefined);
      throw error;
    }
    if (this.#over) return;
    const message = parseMessage(plaintext);
    this.#inspect(record, message, plaintext);
    this.#hooks.message(message, { receivedAt: at, size: raw.length, ...(message.id === undefined ? {} : { id: message.id }) });
  }

  #scheduleBeat(): void {
    this.#heartbeat.set(this.#options.heartbeatMs, () => this.#beat());
  }

  /**
   * The edge never answers a heartbeat, so a dead connection shows in other ways: nothing leaves the
   * socket between two beats, or the machine slept for so long that the edge has given up.
   */
  #beat(): void {
    const now = this.#options.clock.now();
    const unsent = this.#socket.bufferedAmount;
    if (now - this.#lastBeatAt > SILENCE_LIMIT_MS) return this.#giveUp('The connection was silent for too long');
    if (unsent > 0 && unsent >= this.#unsentAtLastBeat && this.#unsentAtLastBeat > 0) {
      return this.#giveUp('The connection stopped taking data');
    }
    this.#lastBeatAt = now;
    this.#unsentAtLastBeat = unsent;
    this.send({ event: 'heartbeat' });
    this.#scheduleBeat();
  }

  #giveUp(reason: string): void {
    this.#hooks.problem(new SignalError('timeout', reason));
    this.#end({ code: CLOSE.ABNORMAL, reason }, CLOSE.NORMAL);
  }

  #end(end: End, tell?: number): void {
    if (!this.#finish(tell)) return;
    const unchecked = this.#unchecked && end.code === CLOSE.AUTHENTICATION_FAILED;
    this.#hooks.ended(unchecked ? { ...end, unchecked } : end);
  }

  #finish(tell?: number): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#deadline.clear();
    this.#heartbeat.clear();
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // 1001 and 1006 are not a client's to send.
    if (tell !== undefined) socket.close(tell === CLOSE.NORMAL || tell >= 3000 ? tell : CLOSE.NORMAL);
    return true;
  }

  #inspect(record: FrameRecord, message: Message | undefined, plaintext?: string): void {
    if (!this.#hooks.inspecting()) return;
    if (message === undefined) return this.#hooks.frame(record);
    this.#hooks.frame({ ...record, event: message.event, plaintext: plaintext ?? JSON.stringify(maskToken(message)) });
  }
}
