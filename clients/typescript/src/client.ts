import { CLOSE, closeRule } from './close.js';
import { requireSupport, Timer } from './environment.js';
import { asSignalError, SignalError } from './errors.js';
import { CLIENT_EVENTS, type ClientEvents, Emitter, type Listener, type Meta, type SignalEvents, type Unsubscribe } from './events.js';
import { type Settings, settle, type SignalOptions } from './options.js';
import { errorMessage, type Message, reconnectDelay, refreshedUntil, resyncReason } from './protocol.js';
import { type End, planRetry } from './retry.js';
import { inFrames, Rooms } from './rooms.js';
import { KeyAgreement, SUITE } from './seal.js';
import { type Opening, Session } from './session.js';
import type { ConnectedState, State } from './state.js';
import { refreshDelay, tokenExpiry } from './token.js';

// An announced delay beyond this is a mistake of somebody's; the client would seem dead.
const LONGEST_ANNOUNCEMENT_MS = 300_000;

// How soon to try once the network is back, spread: a whole office comes back at once.
const NETWORK_BACK_MS = 250;

type KnownEvents<Events> = Omit<Events, keyof ClientEvents | keyof SignalEvents> & SignalEvents & ClientEvents;

/** One logical connection to Signal that outlives sockets, edges and tokens. */
export class SignalClient<Events extends object = Record<never, never>> {
  readonly #settings: Settings;
  readonly #emitter = new Emitter();
  readonly #rooms = new Rooms();
  readonly #retry: Timer;
  readonly #move: Timer;
  readonly #renewal: Timer;
  #state: State = { name: 'idle' };
  #session: Session | undefined;
  /** Grows with every start and stop; what was awaited under an older one is void. */
  #epoch = 0;
  #failures = 0;
  #wasConnected = false;
  #wentOffline = false;
  #hasty = false;
  #token: string | undefined;
  #pendingToken: string | undefined;
  #sameToken: 'present' | 'ask-later' | 'stop' = 'present';
  #announcedAt: number | undefined;
  #edgeClockAhead = 0;

  constructor(options: SignalOptions) {
    this.#settings = settle(options);
    this.#retry = new Timer(this.#settings.clock);
    this.#move = new Timer(this.#settings.clock);
    this.#renewal = new Timer(this.#settings.clock);
  }

  get state(): State {
    return this.#state;
  }

  on<K extends keyof KnownEvents<Events> & string>(event: K, listener: Listener<KnownEvents<Events>[K]>): Unsubscribe;
  on(event: string, listener: Listener<unknown>): Unsubscribe;
  on(event: string, listener: Listener<never>): Unsubscribe {
    return this.#emitter.on(event, listener);
  }

  /** Starts, or hurries a waiting retry; does nothing while a connection is there or on its way. */
  connect(): void {
    const { name } = this.#state;
    if (name === 'connecting' || name === 'authenticating' || name === 'connected') return;
    if (name !== 'waiting') {
      this.#failures = 0;
      this.#sameToken = 'present';
      this.#listenToNetwork(true);
    }
    void this.#open();
  }

  /** Ends it for good, until `connect()` is called. Listeners and rooms stay. */
  close(): void {
    if (this.#state.name === 'idle' || this.#state.name === 'closed') return;
    this.#stop({ code: CLOSE.NORMAL, reason: 'Closed by the application' });
  }

  /** The connected state, or a rejection once the client is closed. */
  ready(): Promise<ConnectedState> {
    return new Promise((resolve, reject) => {
      const settled = (state: State): boolean => {
        if (state.name === 'connected') resolve(state);
        else if (state.name === 'closed') reject(new SignalError('network', state.reason));
        else return false;
        return true;
      };
      if (settled(this.#state)) return;
      const off = this.on('state', (state) => { if (settled(state)) off(); });
    });
  }

  /** Enters rooms now and after every reconnect. Throws RangeError on a name that no edge takes. */
  join(rooms: readonly string[]): void {
    this.#rooms.add(rooms);
    this.#tellRooms('join', rooms);
  }

  leave(rooms: readonly string[]): void {
    this.#rooms.delete(rooms);
    this.#tellRooms('leave', rooms);
  }

  /** Sealed. `false` when not connected or the socket is full: nothing is queued behind your back. */
  send(event: string, data?: unknown): boolean {
    return this.#session?.send(data === undefined ? { event } : { event, data }) ?? false;
  }

  /** Asks the token function for the next token and hands it to the edge without reconnecting. */
  async refresh(): Promise<void> {
    const epoch = this.#epoch;
    const token = await this.#askForToken();
    if (epoch !== this.#epoch || token === undefined || token === this.#token) return;
    if (this.send('refresh', { token })) this.#pendingToken = token;
  }

  async #open(): Promise<void> {
    const epoch = ++this.#epoch;
    const { clock, url, protocol, pins, openTimeoutMs, handshakeTimeoutMs, heartbeatMs } = this.#settings;
    this.#retry.clear();
    this.#become({ name: 'connecting', attempt: this.#failures + 1 });
    try {
      const WebSocket = requireSupport(this.#settings.WebSocket);
      // A pin that can never match is found before anybody is told a token.
      await pins?.keys();
      if (epoch !== this.#epoch) return;
      const token = await this.#askForToken();
      if (epoch !== this.#epoch) return;
      if (token === undefined) return this.#lost({ code: CLOSE.ABNORMAL, reason: 'No token to connect with' });
      if (token === this.#token && this.#sameToken !== 'present') return this.#refuseSameToken();
      const agreement = await KeyAgreement.generate();
      if (epoch !== this.#epoch) return;
      this.#token = token;
      this.#sameToken = 'present';
      const options = { url, token, offer: { agreement, protocol, pins }, WebSocket, clock, openTimeoutMs, handshakeTimeoutMs, heartbeatMs };
      this.#session = new Session(options, {
        authenticating: () => this.#become({ name: 'authenticating', attempt: this.#failures + 1 }),
        connected: (opening) => this.#connected(opening),
        message: (message, meta) => this.#received(message, meta),
        problem: (error) => this.#problem(error),
        ended: (end) => this.#lost(end),
        inspecting: () => this.#emitter.has('frame'),
        frame: (record) => this.#emit('frame', record),
      });
    } catch (error) {
      const problem = asSignalError(error, 'unsupported', 'The WebSocket could not be created: check the url');
      this.#problem(problem);
      if (epoch === this.#epoch) this.#stop({ code: CLOSE.ABNORMAL, reason: problem.message });
    }
  }

  async #askForToken(): Promise<string | undefined> {
    try {
      const token: unknown = await this.#settings.token();
      if (typeof token === 'string' && token !== '') return token;
      this.#problem(new SignalError('token', 'The token function gave no token'));
    } catch {
      this.#problem(new SignalError('token', 'The token function failed'));
    }
    return undefined;
  }

  #refuseSameToken(): void {
    const code = this.#sameToken === 'stop' ? CLOSE.AUTHENTICATION_FAILED : CLOSE.TOKEN_EXPIRED;
    const end = { code, reason: closeRule(code).reason };
    this.#problem(new SignalError('token', 'The token function gave the token that the edge had refused'));
    if (this.#sameToken === 'stop') this.#stop(end);
    else this.#lost(end);
  }

  #connected(opening: Opening): void {
    const { openMs, handshakeMs, clientId, userId, edgeTime, protocol, identity } = opening;
    const since = this.#settings.clock.now();
    const edgeNow = Date.parse(edgeTime);
    this.#edgeClockAhead = Number.isNaN(edgeNow) ? 0 : edgeNow - since;
    this.#announcedAt = undefined;
    this.#wentOffline = false;
    const negotiated = { protocol, ...SUITE, identity };
    const epoch = this.#epoch;
    const returned = this.#wasConnected;
    this.#wasConnected = true;
    this.#become({ name: 'connected', clientId, userId, negotiated, since, edgeTime, openMs, handshakeMs });
    // A listener may have closed the client just now.
    if (epoch !== this.#epoch) return;
    this.#tellRooms('join', this.#rooms.all());
    this.#scheduleRenewal();
    if (returned) this.#emit('resync', { reason: 'reconnected' });
  }

  #received({ event, data }: Message, meta: Meta): void {
    switch (event) {
      case 'error': return this.#problem(new SignalError('edge', errorMessage(data)));
      case 'resync': return this.#emit('resync', { reason: resyncReason(data) }, meta);
      case 'reconnect': return this.#announced(data, meta);
      case 'refreshed': return this.#refreshed(data, meta);
      case 'connected': case 'encrypted':
        return this.#problem(new SignalError('malformed-frame', 'A handshake event came sealed'));
      default:
        this.#emit('message', { event, data }, meta);
        // An application may name its events as it likes; those listeners are promised another shape.
        if (!CLIENT_EVENTS.has(event)) this.#emitter.emit(event, data, meta);
    }
  }

  #announced(data: unknown, meta: Meta): void {
    const announced = reconnectDelay(data);
    if (announced === undefined) return this.#problem(new SignalError('malformed-frame', '`reconnect` carries no delay'));
    const afterMs = Math.min(announced, LONGEST_ANNOUNCEMENT_MS);
    this.#announcedAt = this.#settings.clock.now() + afterMs;
    // Waiting for the edge's close instead would bring everybody back at the same moment.
    this.#move.set(afterMs, () => this.#session?.end({ code: CLOSE.GOING_AWAY, reason: closeRule(CLOSE.GOING_AWAY).reason }));
    this.#emit('reconnect', { afterMs }, meta);
  }

  #refreshed(data: unknown, meta: Meta): void {
    const expiresAt = refreshedUntil(data);
    if (expiresAt === undefined) return this.#problem(new SignalError('malformed-frame', '`refreshed` carries no expiry'));
    this.#token = this.#pendingToken ?? this.#token;
    this.#pendingToken = undefined;
    if (expiresAt === null) this.#renewal.clear();
    else this.#scheduleRenewal();
    this.#emit('refreshed', { expiresAt }, meta);
  }

  #scheduleRenewal(): void {
    const expiry = this.#settings.fixedToken || this.#token === undefined ? undefined : tokenExpiry(this.#token);
    if (expiry === undefined) return this.#renewal.clear();
    const remaining = expiry - this.#settings.clock.now() - this.#edgeClockAhead;
    if (remaining > 0) this.#renewal.set(refreshDelay(remaining, this.#settings.random), () => void this.refresh());
  }

  #lost(end: End): void {
    const { clock, random, backoff, fixedToken, stableAfterMs } = this.#settings;
    const now = clock.now();
    const stable = this.#state.name === 'connected' && now - this.#state.since >= stableAfterMs;
    this.#failures = (stable ? 0 : this.#failures) + 1;
    const reason = end.reason === '' ? closeRule(end.code).reason : end.reason;
    const context = { failures: this.#failures, now, announcedAt: this.#announcedAt, fixedToken, random, backoff };
    const plan = planRetry(end, context);
    this.#dropSession();
    if (plan.kind === 'stop') return this.#stop({ code: end.code, reason });
    this.#hasty = plan.hasty;
    // A socket that broke before a refused token was replaced does not make that token better.
    if (plan.sameToken !== 'present') this.#sameToken = plan.sameToken;
    this.#retry.set(plan.delayMs, () => void this.#open());
    this.#become({ name: 'waiting', attempt: this.#failures, retryAt: now + plan.delayMs, code: end.code, reason });
  }

  #stop({ code, reason }: End): void {
    this.#epoch += 1;
    this.#retry.clear();
    this.#dropSession();
    this.#listenToNetwork(false);
    this.#become({ name: 'closed', code, reason });
  }

  #dropSession(): void {
    this.#session?.dispose();
    this.#session = undefined;
    this.#move.clear();
    this.#renewal.clear();
    this.#pendingToken = undefined;
  }

  #tellRooms(event: 'join' | 'leave', names: readonly string[]): void {
    for (const rooms of inFrames(names)) this.send(event, { rooms });
  }

  #listenToNetwork(listen: boolean): void {
    const method = listen ? 'addEventListener' : 'removeEventListener';
    this.#settings.network?.[method]('online', this.#online);
    this.#settings.network?.[method]('offline', this.#offline);
  }

  readonly #offline = (): void => {
    this.#wentOffline = true;
  };

  readonly #online = (): void => {
    const state = this.#state;
    const { clock, random } = this.#settings;
    if (state.name === 'waiting' && this.#hasty) {
      const delayMs = Math.min(Math.max(0, state.retryAt - clock.now()), random() * NETWORK_BACK_MS);
      this.#retry.set(delayMs, () => void this.#open());
      this.#become({ ...state, retryAt: clock.now() + delayMs });
    } else if (state.name === 'connected' && this.#wentOffline) {
      // Another network means another address: the old connection is dead but nothing would say so.
      this.#session?.end({ code: CLOSE.ABNORMAL, reason: 'The network changed' });
    }
    this.#wentOffline = false;
  };

  #problem(error: SignalError): void {
    this.#emit('error', error);
    // A push that does not open is a push that was missed. In v2 it ends the connection, and the next one tells.
    if (error.kind === 'undecryptable') this.#emit('resync', { reason: 'undecryptable' });
  }

  #become(state: State): void {
    this.#state = state;
    this.#emit('state', state);
  }

  #emit<K extends keyof ClientEvents>(event: K, data: ClientEvents[K], meta?: Meta): void {
    this.#emitter.emit(event, data, meta ?? { receivedAt: this.#settings.clock.now(), size: 0 });
  }
}
