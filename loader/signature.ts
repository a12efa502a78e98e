/**
 * The signature appended to a module file: kernel/module/signing.c and kernel/module_signature.c.
 *
 * From the end of the file backwards: the marker, struct module_signature (12 bytes, sig_len big endian on every
 * machine), then sig_len bytes of PKCS#7. 6.1, 6.12 and 7.2 agree on everything here. Verifying the PKCS#7 message
 * needs a keyring and is not done here.
 */

/** MODULE_SIGNATURE_MARKER of 7.2, MODULE_SIG_STRING before: the same bytes. */
export const SIGNATURE_MARKER = '~Module signature appended~\n';

const MARKER: Uint8Array = new TextEncoder().encode(SIGNATURE_MARKER);
const SIZEOF_MODULE_SIGNATURE = 12;
const PKEY_ID_PKCS7 = 2;

/** struct module_signature as read, and the message in front of it. */
export interface ModuleSignature {
  readonly algo: number;
  readonly hash: number;
  readonly id_type: number;
  readonly signer_len: number;
  readonly key_id_len: number;
  readonly sig_len: number;
  /** The sig_len bytes in front of the struct (a view of the input); empty when the file is shorter than that. */
  readonly pkcs7: Uint8Array;
}

/** Why mod_verify_sig() refuses before it looks at the PKCS#7 message. */
export interface SignatureError {
  readonly check: 'C22' | 'C23' | 'C24' | 'C25';
  readonly errno: 'EBADMSG' | 'ENOPKG';
  /** The kernel's log line; undefined where it fails in silence. */
  readonly log: string | undefined;
  /** True where the load goes on unsigned unless signatures are enforced or lockdown is on (only ENOPKG). */
  readonly soft: boolean;
}

/**
 * What is left of the file and what was found behind it.
 *
 * No signature and no error means an unsigned module (the kernel's ENODATA, which is soft as well).
 */
export interface SignatureVerdict {
  /** info->len after the check: the bytes that the ELF reader may see. */
  readonly len: number;
  readonly signature: ModuleSignature | undefined;
  readonly error: SignatureError | undefined;
}

/**
 * module_sig_check() up to the call of verify_pkcs7_signature(), for the first `len` bytes of `bytes`.
 *
 * The kernel cuts in two steps, and so does this: a trailer that is refused has lost its marker but nothing else, so
 * the rest of the signature stays part of the image (seen after the soft C24). A kernel without CONFIG_MODULE_SIG, or
 * a load with MODULE_INIT_IGNORE_MODVERSIONS or MODULE_INIT_IGNORE_VERMAGIC, never calls this and keeps every byte.
 */
export function stripSignature(bytes: Uint8Array, len: number = bytes.length): SignatureVerdict {
  if (len <= MARKER.length || !endsWithMarker(bytes, len)) return { len, signature: undefined, error: undefined };

  const modlen = len - MARKER.length;
  if (modlen <= SIZEOF_MODULE_SIGNATURE) return refuse(modlen, undefined, 'C22', 'EBADMSG', undefined);

  const signature = readSignature(bytes, modlen);
  if (signature.sig_len >= modlen - SIZEOF_MODULE_SIGNATURE) {
    return refuse(modlen, signature, 'C23', 'EBADMSG', undefined);
  }
  if (signature.id_type !== PKEY_ID_PKCS7) {
    return refuse(modlen, signature, 'C24', 'ENOPKG', 'module: not signed with expected PKCS#7 message');
  }
  if (hasUnexpectedParams(bytes, modlen)) {
    const log = 'module: PKCS#7 signature info has unexpected non-zero params';
    return refuse(modlen, signature, 'C25', 'EBADMSG', log);
  }
  return { len: modlen - SIZEOF_MODULE_SIGNATURE - signature.sig_len, signature, error: undefined };
}

function refuse(
  len: number,
  signature: ModuleSignature | undefined,
  check: SignatureError['check'],
  errno: SignatureError['errno'],
  log: string | undefined,
): SignatureVerdict {
  return { len, signature, error: { check, errno, log, soft: errno === 'ENOPKG' } };
}

function endsWithMarker(bytes: Uint8Array, len: number): boolean {
  const at = len - MARKER.length;
  return MARKER.every((byte, i) => bytes[at + i] === byte);
}

/** struct module_signature: algo, hash, id_type, signer_len, key_id_len, __pad[3], __be32 sig_len. */
function readSignature(bytes: Uint8Array, modlen: number): ModuleSignature {
  const at = modlen - SIZEOF_MODULE_SIGNATURE;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, SIZEOF_MODULE_SIGNATURE);
  const sig_len = view.getUint32(8, false);
  return {
    algo: view.getUint8(0),
    hash: view.getUint8(1),
    id_type: view.getUint8(2),
    signer_len: view.getUint8(3),
    key_id_len: view.getUint8(4),
    sig_len,
    pkcs7: sig_len < at ? bytes.subarray(at - sig_len, at) : bytes.subarray(at, at),
  };
}

/** Everything but id_type and sig_len has to be zero, padding included. */
function hasUnexpectedParams(bytes: Uint8Array, modlen: number): boolean {
  const at = modlen - SIZEOF_MODULE_SIGNATURE;
  return [0, 1, 3, 4, 5, 6, 7].some((i) => bytes[at + i] !== 0);
}
