import type { Pin, PublicJwk } from 'signal-client';

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

export const signIn = (userId: string): Promise<{ token: string; person: Person }> => request('/demo/sign-in', { userId });
export const takePayment = (payment: Payment): Promise<{ eventId: string }> => request('/demo/payments', payment);

async function request<T>(path: string, body?: unknown): Promise<T> {
  const init: RequestInit = body === undefined
    ? {}
    : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  let response: Response;
  try {
    response = await fetch(path, { ...init, cache: 'no-store' });
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
