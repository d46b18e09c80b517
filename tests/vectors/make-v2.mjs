// Makes v2.json: vectors of protocol v2, from Node's own cryptography, so that neither SDK nor the edge is measured
// against itself. Run by hand when the protocol changes: `node tests/vectors/make-v2.mjs > tests/vectors/v2.json`.
// Everything but the signatures (ECDSA is randomised) is a function of the seeds below.
import {
  createCipheriv, createECDH, createHash, createPrivateKey, createPublicKey, hkdfSync, sign,
} from 'node:crypto'

const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest()
const seeded = (label, bytes) => Buffer.concat([sha256(Buffer.from(label)), sha256(Buffer.from(`${label}, more`))]).subarray(0, bytes)

function pair(label) {
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(seeded(label, 32))
  return ecdh
}

function uuid(label) {
  const bytes = Buffer.from(seeded(label, 16))
  bytes[6] = (bytes[6] & 0x0f) | 0x40
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes
}

const dashed = (bytes) => bytes.toString('hex').replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')

function nonce(counter) {
  const bytes = Buffer.alloc(12)
  bytes.writeBigUInt64BE(BigInt(counter), 4)
  return bytes
}

function seal(key, counter, plaintext) {
  const cipher = createCipheriv('aes-256-gcm', key, nonce(counter))
  return Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()])
}

// An identity key from a fixed scalar: node takes private keys as JWK.
function identity(label) {
  const ecdh = pair(label)
  const point = ecdh.getPublicKey()
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString('base64url'))
  const key = createPrivateKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x, y, d: ecdh.getPrivateKey().toString('base64url') } })
  // RFC 7638: the required members, in this order, without whitespace.
  const keyId = sha256(Buffer.from(JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }))).toString('base64url')
  const jwk = createPublicKey(key).export({ format: 'jwk' })
  return { key, keyId, jwk: { ...jwk, kid: keyId, use: 'sig', alg: 'ES256' }, pem: key.export({ format: 'pem', type: 'pkcs8' }) }
}

const signer = identity('signal v2 identity')
const other = identity('signal v2 another identity')

const plaintexts = {
  'client->server': [[0, '{"event":"heartbeat"}'], [1, '{"event":"join","data":{"rooms":["orders","đơn hàng"]}}'], [2, '{"event":"refresh","data":{"token":"…"}}']],
  'server->client': [[0, '{"event":"observation/signal/notification/created","data":{"id":"IVUXjyIIOO","title":"125.000 ₫"}}'], [1, '{"event":"x"}'], [2, `{"event":"long","data":"${'a'.repeat(250)}"}`], [4294967296, '{"event":"late"}']],
}

const handshakes = ['one', 'two', 'three'].map((label) => {
  const client = pair(`client ${label}`)
  const server = pair(`server ${label}`)
  const salt = seeded(`salt ${label}`, 32)
  const clientId = uuid(`id ${label}`)
  const secret = client.computeSecret(server.getPublicKey())
  const transcript = sha256(Buffer.from('signal-v2'), client.getPublicKey(), server.getPublicKey(), salt, clientId)
  const key = (direction) => Buffer.from(hkdfSync('sha256', secret, salt, Buffer.concat([Buffer.from(`signal-v2 ${direction}`), transcript]), 32))
  const frames = Object.entries(plaintexts).flatMap(([direction, list]) =>
    list.map(([counter, plaintext]) => ({ direction, counter, plaintext, frame: seal(key(direction), counter, plaintext).toString('base64') })))
  const signature = sign('sha256', transcript, { key: signer.key, dsaEncoding: 'ieee-p1363' })
  return {
    clientPrivateKeyHex: client.getPrivateKey('hex').padStart(64, '0'),
    serverPrivateKeyHex: server.getPrivateKey('hex').padStart(64, '0'),
    clientPublicKey: client.getPublicKey('base64'),
    serverPublicKey: server.getPublicKey('base64'),
    salt: salt.toString('base64'),
    clientId: dashed(clientId),
    transcriptHex: transcript.toString('hex'),
    clientToServerKeyHex: key('client->server').toString('hex'),
    serverToClientKeyHex: key('server->client').toString('hex'),
    signature: signature.toString('base64'),
    frames,
  }
})

process.stdout.write(`${JSON.stringify({
  identity: { privateKeyPem: signer.pem, keyId: signer.keyId, jwk: signer.jwk },
  anotherIdentity: { keyId: other.keyId, jwk: other.jwk },
  handshakes,
}, null, 2)}\n`)
