import type { Notification, Pin, PublicJwk } from 'signal-client';

export interface Settings {
  readonly streamPath: string;
  readonly basePath: string;
  readonly version: string;
  readonly embedded: Readonly<Record<'database' | 'backplane' | 'broker' | 'issuer', boolean | string>>;
}

export interface Merchant {
  readonly id: string;
  readonly name: string;
}

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly merchants: readonly Merchant[];
}

export interface Payment {
  readonly merchantId: string;
  readonly amount: string;
  readonly currency: string;
  readonly orderCode: string;
  readonly paymentMethod: string;
  readonly actorId?: string;
}

export interface FieldProblem {
  readonly path: string;
  readonly message: string;
}

/** A refusal in the service's own error shape, or no answer at all. */
export class ApiError extends Error {
  readonly fields: readonly FieldProblem[];
  readonly requestId: string | undefined;
  /** `undefined` when there was no answer. */
  readonly status: number | undefined;

  constructor(message: string, status?: number, fields: readonly FieldProblem[] = [], requestId?: string) {
    super(message);
    this.status = status;
    this.fields = fields;
    this.requestId = requestId;
  }
}

export const readSettings = (): Promise<Settings> => request('/demo/settings');
export const readPeople = (): Promise<Person[]> => request('/demo/people');
/** The edge's identity keys, to pin; `undefined` when it has none. */
export async function readIdentity(basePath: string): Promise<Pin | undefined> {
  try {
    const set = await request<{ readonly keys: readonly PublicJwk[] }>(`${basePath}/identity`);
    return set.keys.length === 0 ? undefined : set;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

export const signIn = (userId: string): Promise<{ token: string; person: Person }> => post('/demo/sign-in', { userId });
export const takePayment = (payment: Payment): Promise<{ eventId: string }> => post('/demo/payments', payment);

/** A person's notifications over REST. A token is kept until it is refused. */
export class NotificationsApi {
  readonly #path: string;
  readonly #signIn: () => Promise<string>;
  #token: Promise<string> | undefined;

  constructor(basePath: string, signIn: () => Promise<string>) {
    this.#path = `${basePath}/notifications`;
    this.#signIn = signIn;
  }

  /** The newest. */
  async list(limit: number): Promise<readonly Notification[]> {
    return (await this.#ask<{ readonly data: readonly Notification[] }>('GET', `?limit=${limit}`)).data;
  }

  async unread(): Promise<number> {
    return (await this.#ask<{ readonly count: number }>('GET', '/count?unread=true')).count;
  }

  read(id: string): Promise<Notification> {
    return this.#ask('PATCH', `/${encodeURIComponent(id)}/read`);
  }

  /** All that were created before a moment. */
  readAll(before: string): Promise<{ readonly updated: number }> {
    return this.#ask('PATCH', '/read-all', { before });
  }

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const ask = async (token: string): Promise<T> => request(`${this.#path}${path}`, method, body, token);
    const known = this.#token;
    const token = known ?? this.#renew();
    try {
      return await ask(await token);
    } catch (error) {
      const expired = known !== undefined && error instanceof ApiError && error.status === 401;
      if (!expired) throw error;
      return ask(await this.#renew());
    }
  }

  #renew(): Promise<string> {
    const token = this.#signIn();
    this.#token = token;
    // One that could not be had is no token to keep.
    token.catch(() => { if (this.#token === token) this.#token = undefined; });
    return token;
  }
}

const post = <T>(path: string, body: unknown): Promise<T> => request(path, 'POST', body);

async function request<T>(path: string, method = 'GET', body?: unknown, token?: string): Promise<T> {
  const headers = {
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const content = body === undefined ? {} : { body: JSON.stringify(body) };
  let response: Response;
  try {
    response = await fetch(path, { method, headers, ...content, cache: 'no-store' });
  } catch {
    throw new ApiError('The server did not answer. Is it still running?');
  }
  const answer: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw refusal(response.status, answer);
  return answer as T;
}

interface Refusal {
  readonly message?: string;
  readonly requestId?: string;
  readonly details?: { readonly cause?: readonly FieldProblem[] };
}

function refusal(status: number, answer: unknown): ApiError {
  const { message, requestId, details }: Refusal = typeof answer === 'object' && answer !== null ? answer : {};
  const fields = Array.isArray(details?.cause) ? details.cause : [];
  return new ApiError(message ?? `The server answered ${status}.`, status, fields, requestId);
}
