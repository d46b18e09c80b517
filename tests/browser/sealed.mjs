import assert from 'node:assert/strict';

/** That the inspector's text is a sealed frame of the protocol, and that it tells nothing. */
export function assertSealed(text, protocol) {
  assert.doesNotMatch(text, /PAYMENT_SUCCESS/);
  if (protocol === 1) {
    assert.match(text, /"event":\s*"encrypted"/);
    assert.match(text, /"iv"/);
    return;
  }
  assert.equal(protocol, 2);
  assert.match(text, /^[0-9a-f]{8}(\s[0-9a-f]{1,8})+$/);
  const bytes = Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
  assert.ok(bytes.length > 100, `${bytes.length} bytes`);
  assert.ok(!bytes.includes('PAYMENT_SUCCESS'));
}
