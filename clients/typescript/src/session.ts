import { type Channel, textOf, type WireData } from './channel.js';
import { CLOSE } from './close.js';
import type { Clock, SocketConstructor, SocketLike } from './environment.js';
import { Timer } from './environment.js';
import { asSignalError, SignalError } from './errors.js';
import type { Meta } from './events.js';
import { completeHandshake, type Offer } from './handshake.js';
import type { Identity } from './identity.js';
import { type Crossing, type FrameRecord, maskToken, recordOf } from './inspect.js';
import { Lane } from './lane.js';
import { errorMessage, MAX_OUTBOUND_FRAME, type Message, parseConnected, parseMessage, type Protocol } from './protocol.js';
import type { End } from './retry.js';

export interface SessionOptions {
  readonly url: string;
  readonly token: string;
  readonly offer: Offer;
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
  readonly protocol: Protocol;
  readonly identity: Identity;
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
  #channel: Channel | undefined;
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
    const channel = this.#channel;
    if (channel === undefined || this.#over || this.#socket.bufferedAmount > UNSENT_LIMIT) return false;
    const plaintext = JSON.stringify(message);
    const size = channel.frameSize(new TextEncoder().encode(plaintext).length);
    if (size > MAX_OUTBOUND_FRAME) throw new RangeError('A message must fit a frame of 128 KiB when sealed');
    this.#outbound.add(() => this.#put(channel, plaintext, message));
    return true;
  }

  async #put(channel: Channel, plaintext: string, message: Message): Promise<void> {
    try {
      const { data, marks } = await channel.seal(plaintext);
      if (this.#over) return;
      this.#socket.send(data);
      this.#inspect({ direction: 'out', at: this.#options.clock.now(), data, sealed: true, marks }, message);
    } catch (error) {
      if (this.#over) return;
      // A frame that was numbered and did not leave would make every later one undecipherable.
      this.#hooks.problem(asSignalError(error, 'network', 'A frame could not be sealed and sent'));
      this.#end({ code: CLOSE.ABNORMAL, reason: 'A frame could not be sent' }, CLOSE.NORMAL);
    }
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
    const { clock, token, offer, handshakeTimeoutMs } = this.#options;
    this.#openedAt = clock.now();
    const asked = offer.protocol === 1 ? {} : { protocol: offer.protocol };
    const message = { event: 'authenticate', data: { type: 'Bearer', token, publicKey: offer.agreement.publicKey, ...asked } };
    this.#socket.send(JSON.stringify(message));
    const masked = maskToken(message);
    this.#inspect({ direction: 'out', at: this.#openedAt, data: JSON.stringify(masked), sealed: false }, masked);
    this.#deadline.set(handshakeTimeoutMs, () => this.#giveUp('The edge did not answer in time'));
    this.#hooks.authenticating();
  }

  #arrived(data: unknown): void {
    const at = this.#options.clock.now();
    this.#inbound.add(async () => {
      if (this.#over) return;
      try {
        // `binaryType` is ours, so there is nothing else.
        const frame = data as WireData;
        if (this.#channel === undefined) await this.#shake(frame, at);
        else await this.#open(frame, at, this.#channel);
      } catch (error) {
        this.#refuse(asSignalError(error, 'malformed-frame', 'A frame could not be handled'));
      }
    });
  }

  /** A frame before `connected`: in the clear, and only `connected` and `error` mean something. */
  async #shake(data: WireData, at: number): Promise<void> {
    const message = parseMessage(textOf(data));
    this.#inspect({ direction: 'in', at, data, sealed: false }, message);
    if (message.event === 'error') {
      const text = errorMessage(message.data);
      this.#unchecked = text === 'Authentication error';
      this.#hooks.problem(new SignalError('edge', text));
      return;
    }
    if (message.event !== 'connected') throw new SignalError('malformed-frame', 'Only `connected` and `error` may come before sealing');
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
      const problem = asSignalError(error, 'handshake', 'The key agreement failed');
      this.#break(problem, problem.kind === 'identity' ? problem.message : 'The key agreement failed');
    }
  }

  async #open(data: WireData, at: number, channel: Channel): Promise<void> {
    let crossing: Crossing = { direction: 'in', at, data, sealed: false };
    let plaintext: string;
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
    const size = typeof data === 'string' ? data.length : data.byteLength;
    this.#hooks.message(message, { receivedAt: at, size, ...(message.id === undefined ? {} : { id: message.id }) });
  }

  /** A frame that is dropped; or, when nothing after it can be trusted, the end. */
  #refuse(error: SignalError): void {
    if (error.kind === 'violation') this.#break(error, 'The sealed stream was broken');
    else this.#hooks.problem(error);
  }

  /**
   * The edge, or whoever speaks in its place, broke the protocol, and is told so. Unlike 4006 that is
   * said to us this is no verdict over this client: another connection may well be sound.
   */
  #break(error: SignalError, reason: string): void {
    this.#hooks.problem(error);
    this.#end({ code: CLOSE.ABNORMAL, reason }, CLOSE.PROTOCOL_VIOLATION);
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

  #inspect(crossing: Crossing, message?: Message, plaintext?: string): void {
    if (this.#hooks.inspecting()) this.#hooks.frame(recordOf(crossing, message, plaintext));
  }
}
