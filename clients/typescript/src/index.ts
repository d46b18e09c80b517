export { SignalClient } from './client.js';
export type { SignalOptions } from './options.js';
export { type BackoffOptions, backoffDelay } from './backoff.js';
export { CLOSE, CLOSE_RULES, closeRule, type CloseRule, type Retry } from './close.js';
export type { Clock, SocketConstructor, SocketLike } from './environment.js';
export { SignalError, type SignalErrorKind } from './errors.js';
export type {
  ClientEvents, Listener, Meta, Notification, NotificationsRead, NotificationsUnread, SignalEvents, Unsubscribe,
} from './events.js';
export type { Identity, Pin, PublicJwk } from './identity.js';
export type { FrameRecord } from './inspect.js';
export type { Protocol } from './protocol.js';
export { createSeen } from './seen.js';
export type { ConnectedState, Negotiated, State, WaitingState } from './state.js';
