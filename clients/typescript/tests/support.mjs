// An edge in memory, and time that obeys.
import assert from 'node:assert/strict';
import { SignalClient } from '../dist/index.js';
import { EdgeSide } from './edge.mjs';

export const URL = 'ws://edge.test/stream';

/** Time that moves only when told to. */
export class ManualClock {
  #now = Date.parse('2026-11-23T08:00:00.000Z');
  #timers = new Map();
  #next = 1;

  now() { return this.#now; }
  setTimeout(callback, ms) {
    this.#timers.set(this.#next, { at: this.#now + ms, callback });
    return this.#next++;
  }
  clearTimeout(handle) { this.#timers.delete(handle); }
  get pending() { return this.#timers.size; }

  advance(ms) {
    const until = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].callback();
    }
    this.#now = until;
  }

  /** The machine sleeps: time passes and nothing fires until it wakes. */
  sleep(ms) { this.#now += ms; }
}

/** Turns the event loop until the condition holds; WebCrypto answers from a thread pool. */
export async function until(condition, what) {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `Gave up waiting for: ${what ?? condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The client's socket; the test holds the other end. */
class FakeSocket {
  binaryType = 'blob';
  bufferedAmount = 0;
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  closed;
  side;
  /** Everything that the client sent: as it crossed the wire, and opened. */
  frames = [];
  sent = [];

  constructor(edge, url) {
    this.url = url;
    this.side = new EdgeSide(edge.options);
    edge.sockets.push(this);
  }

  send(frame) {
    this.frames.push(frame);
    this.sent.push(this.side.protocol === undefined ? JSON.parse(frame) : this.side.open(frame));
  }
  close(code, reason) { this.closed ??= { code, reason }; }

  open() { this.onopen?.({}); }
  deliver(data) { this.onmessage?.({ data }); }
  say(message) { this.deliver(JSON.stringify(message)); }
  drop(code, reason = '') { this.onclose?.({ code, reason }); }

  get authenticate() { return this.sent.find(({ event }) => event === 'authenticate')?.data; }
  sentEvents(event) { return this.sent.filter((message) => message.event === event); }

  /** The edge's half of the handshake. */
  accept(override = {}) { this.say(this.side.accept(this.authenticate, override)); }
  push(event, data) { this.deliver(this.side.seal(JSON.stringify({ event, data }))); }
}

export class FakeEdge {
  sockets = [];
  options;

  /** As of an `EdgeSide`. */
  constructor(options) { this.options = options; }

  get WebSocket() {
    const edge = this;
    return class extends FakeSocket {
      constructor(url) { super(edge, url); }
    };
  }
  get last() { return this.sockets.at(-1); }
}

/** A client on a fake edge and a manual clock, with everything that it told written down. */
export function scene({ edge: edgeOptions, ...options } = {}) {
  const edge = new FakeEdge(edgeOptions);
  const clock = new ManualClock();
  const network = new EventTarget();
  const signal = new SignalClient({ url: URL, token: () => 'token-1', WebSocket: edge.WebSocket, clock, network, random: () => 0.5, ...options });
  const told = { states: [], errors: [], resyncs: [], messages: [] };
  signal.on('state', (state) => told.states.push(state));
  signal.on('error', (error) => told.errors.push(error));
  signal.on('resync', (resync) => told.resyncs.push(resync));
  signal.on('message', (message) => told.messages.push(message));
  const is = (name) => until(() => signal.state.name === name, `state ${name}, in ${JSON.stringify(signal.state)}`);
  return {
    edge, clock, network, signal, told, is,
    names: () => told.states.map(({ name }) => name),
    /** Up to the moment where the edge holds `authenticate`. */
    async authenticating() {
      const before = edge.sockets.length;
      if (signal.state.name === 'idle' || signal.state.name === 'closed') signal.connect();
      await until(() => edge.sockets.length > before, 'a socket');
      edge.last.open();
    },
    async connected() {
      await this.authenticating();
      edge.last.accept();
      await is('connected');
    },
    /** Lets a waiting retry fall due and the next socket open. */
    async retried() {
      const before = edge.sockets.length;
      clock.advance(Math.max(0, signal.state.retryAt - clock.now()));
      await until(() => edge.sockets.length > before, 'another socket');
      edge.last.open();
    },
  };
}
