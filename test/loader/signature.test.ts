import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { SIGNATURE_MARKER, stripSignature } from '../../loader/signature.ts';

const marker = new TextEncoder().encode(SIGNATURE_MARKER);

/** struct module_signature with everything zero but id_type and sig_len, and single bytes overridden. */
function trailer(sig_len: number, override: Record<number, number> = {}): Uint8Array {
  const struct = new Uint8Array(12);
  struct[2] = 2;
  new DataView(struct.buffer).setUint32(8, sig_len, false);
  for (const [at, byte] of Object.entries(override)) struct[Number(at)] = byte;
  return struct;
}

function join(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const body = Uint8Array.from({ length: 40 }, (_, i) => i + 1);
const pkcs7 = Uint8Array.of(0x30, 0x82, 0xaa, 0xbb);

test('the marker has 28 bytes', (t) => {
  t.is(marker.length, 28);
});

test('an unsigned file keeps its length and has neither signature nor error', (t) => {
  t.deepEqual(stripSignature(body), { len: 40, signature: undefined, error: undefined });
  t.deepEqual(stripSignature(new Uint8Array(0)), { len: 0, signature: undefined, error: undefined });
});

test('a file that is only the marker is unsigned: the kernel wants more than the marker', (t) => {
  t.deepEqual(stripSignature(marker), { len: 28, signature: undefined, error: undefined });
});

test('a signed file loses signature, struct and marker', (t) => {
  const file = join(body, pkcs7, trailer(4), marker);
  const verdict = stripSignature(file);
  t.is(verdict.len, 40);
  t.is(verdict.error, undefined);
  t.deepEqual(verdict.signature, {
    algo: 0,
    hash: 0,
    id_type: 2,
    signer_len: 0,
    key_id_len: 0,
    sig_len: 4,
    pkcs7,
  });
});

test('len limits what is looked at', (t) => {
  const file = join(body, pkcs7, trailer(4), marker, Uint8Array.of(0, 0));
  t.is(stripSignature(file).len, file.length);
  t.is(stripSignature(file, file.length - 2).len, 40);
});

test('a view into a larger buffer is read from its own start', (t) => {
  const file = join(body, body, pkcs7, trailer(4), marker);
  const verdict = stripSignature(file.subarray(40));
  t.is(verdict.len, 40);
  t.deepEqual(verdict.signature?.pkcs7, pkcs7);
});

test('C22: no room for the struct is EBADMSG, in silence', (t) => {
  for (const size of [1, 12]) {
    const { len, error } = stripSignature(join(body.subarray(0, size), marker));
    t.is(len, size);
    t.deepEqual(error, { check: 'C22', errno: 'EBADMSG', log: undefined, soft: false });
  }
  t.not(stripSignature(join(body.subarray(0, 13), marker)).error?.check, 'C22');
});

test('C23: a signature that leaves nothing of the file is EBADMSG, one byte less is fine', (t) => {
  const tooLong = stripSignature(join(body, trailer(40), marker));
  t.is(tooLong.len, 52);
  t.deepEqual(tooLong.error, { check: 'C23', errno: 'EBADMSG', log: undefined, soft: false });
  t.is(tooLong.signature?.sig_len, 40);

  const longest = stripSignature(join(body, trailer(39), marker));
  t.is(longest.error, undefined);
  t.is(longest.len, 1);
});

test('C23: sig_len is read as unsigned big endian', (t) => {
  const { error, signature } = stripSignature(join(body, trailer(0xffff_fffc), marker));
  t.is(error?.check, 'C23');
  t.is(signature?.sig_len, 0xffff_fffc);
  t.is(signature?.pkcs7.length, 0);
});

test('C24: another id_type is ENOPKG, soft, and only the marker is cut off', (t) => {
  for (const id_type of [0, 1, 3, 255]) {
    const verdict = stripSignature(join(body, pkcs7, trailer(4, { 2: id_type }), marker));
    t.is(verdict.len, 40 + 4 + 12);
    t.deepEqual(verdict.error, {
      check: 'C24',
      errno: 'ENOPKG',
      log: 'module: not signed with expected PKCS#7 message',
      soft: true,
    });
  }
});

test('C25: any other byte that is not zero is EBADMSG, padding included', (t) => {
  for (const at of [0, 1, 3, 4, 5, 6, 7]) {
    const verdict = stripSignature(join(body, pkcs7, trailer(4, { [at]: 1 }), marker));
    t.is(verdict.len, 56);
    t.deepEqual(verdict.error, {
      check: 'C25',
      errno: 'EBADMSG',
      log: 'module: PKCS#7 signature info has unexpected non-zero params',
      soft: false,
    });
  }
});

test('the checks come in order: length, then type, then parameters', (t) => {
  t.is(stripSignature(join(body, trailer(40, { 0: 1, 2: 1 }), marker)).error?.check, 'C23');
  t.is(stripSignature(join(body, trailer(4, { 0: 1, 2: 1 }), marker)).error?.check, 'C24');
});

testProp(
  'signing and stripping are inverse',
  [fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.uint8Array({ maxLength: 100 })],
  (t, image, message) => {
    const verdict = stripSignature(join(image, message, trailer(message.length), marker));
    t.is(verdict.error, undefined);
    t.is(verdict.len, image.length);
    t.deepEqual(verdict.signature?.pkcs7, message);
  },
);

testProp('no file makes it throw or grow', [fc.uint8Array({ maxLength: 60 }), fc.boolean()], (t, bytes, signed) => {
  const file = signed ? join(bytes, marker) : bytes;
  const verdict = stripSignature(file);
  t.true(verdict.len <= file.length);
});
