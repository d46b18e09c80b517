import type { Protocol, SignalClient, State, Unsubscribe } from 'signal-client';

/** The page's one connection. The client behind it is another one once another protocol is chosen. */
export class Line {
  readonly #make: (protocol: Protocol) => SignalClient;
  readonly #listen: (signal: SignalClient) => readonly Unsubscribe[];
  #asked: Protocol = 2;
  #signal: SignalClient;
  #subscriptions: readonly Unsubscribe[];

  constructor(make: (protocol: Protocol) => SignalClient, listen: (signal: SignalClient) => readonly Unsubscribe[]) {
    this.#make = make;
    this.#listen = listen;
    this.#signal = make(this.#asked);
    this.#subscriptions = listen(this.#signal);
  }

  get state(): State {
    return this.#signal.state;
  }

  get asked(): Protocol {
    return this.#asked;
  }

  connect(): void {
    this.#signal.connect();
  }

  /** Hangs up and asks anew. Resolves once connected; never, if that client is exchanged or ends before. */
  speak(protocol: Protocol): Promise<void> {
    this.close();
    this.#asked = protocol;
    this.#signal = this.#make(protocol);
    this.#subscriptions = this.#listen(this.#signal);
    this.#signal.connect();
    return new Promise((resolve) => { this.#signal.ready().then(() => resolve(), () => undefined); });
  }

  close(): void {
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#signal.close();
  }
}
