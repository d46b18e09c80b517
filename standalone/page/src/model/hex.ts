/** What AES-GCM appends to the ciphertext. */
export const TAG_BYTES = 16;

// More of a ciphertext teaches nothing, and a frame may have hundreds of kilobytes.
const SHOWN_BYTES = 4096;
const GROUP = /.{1,8}/g;

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Four bytes to a group, so that lines break between groups; of a long text its beginning. */
export function groupedHex(bytes: Uint8Array): string {
  const shown = hex(bytes.subarray(0, SHOWN_BYTES)).match(GROUP)?.join(' ') ?? '';
  const more = bytes.length - SHOWN_BYTES;
  return more > 0 ? `${shown} … ${more} bytes more …` : shown;
}

/** The nonce that a frame of protocol 2 has by its number: four zero bytes and 64 bits, big-endian. */
export const nonceOf = (counter: number): string => `00000000 ${counter.toString(16).padStart(16, '0')}`;
