/** `.modinfo` as the loader reads it: kernel/module/main.c get_modinfo() and its neighbours. */

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The strings of a `.modinfo` section in order, padding skipped.
 *
 * `image` may be the section alone, or the whole file with the section at `offset`, `size` bytes long. As in the
 * kernel only the start of a string has to lie inside the section: an unterminated last string runs on into what
 * follows in the image.
 */
export function modinfoStrings(image: Uint8Array, offset: number = 0, size: number = image.length - offset): string[] {
  const strings: string[] = [];
  for (let p = offset; p >= 0; p = nextString(image, p, offset + size)) {
    const end = stringEnd(image, p);
    if (end > p) strings.push(utf8.decode(image.subarray(p, end)));
  }
  return strings;
}

/** get_modinfo(): value of the first `tag=value`, or undefined. */
export function getModinfo(
  image: Uint8Array,
  tag: string,
  offset: number = 0,
  size: number = image.length - offset,
): string | undefined {
  const key = tagBytes(tag);
  for (let p = offset; p >= 0; p = nextString(image, p, offset + size)) {
    if (startsWith(image, p, key)) return valueAt(image, p + key.length);
  }
  return undefined;
}

/** for_each_modinfo_entry(): the values of every `tag=value`, in order. */
export function getModinfos(
  image: Uint8Array,
  tag: string,
  offset: number = 0,
  size: number = image.length - offset,
): string[] {
  const key = tagBytes(tag);
  const values: string[] = [];
  for (let p = offset; p >= 0; p = nextString(image, p, offset + size)) {
    if (startsWith(image, p, key)) values.push(valueAt(image, p + key.length));
  }
  return values;
}

/**
 * same_magic(): are two version magics equal? With CRCs (CONFIG_MODVERSIONS and a `__versions` section; the extended
 * tables of 7.2 do not count) everything up to the first space, the release, is left out on both sides.
 */
export function sameMagic(amagic: string, bmagic: string, hasCrcs: boolean): boolean {
  return hasCrcs ? fromFirstSpace(amagic) === fromFirstSpace(bmagic) : amagic === bmagic;
}

const GPL_COMPATIBLE: ReadonlySet<string> = new Set([
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
]);

/** license_is_gpl_compatible() of include/linux/license.h; a module without license= counts as "unspecified". */
export function licenseIsGplCompatible(license: string | undefined): boolean {
  return license !== undefined && GPL_COMPATIBLE.has(license);
}

/** module_next_tag_pair() (next_string() in 6.1): start of the string after the one at p, or -1 at the end. */
function nextString(image: Uint8Array, p: number, end: number): number {
  const limit = Math.min(end, image.length);
  while (p < limit && image[p] !== 0) p++;
  while (p < limit && image[p] === 0) p++;
  return p < limit ? p : -1;
}

function stringEnd(image: Uint8Array, p: number): number {
  const end = image.indexOf(0, p);
  return end < 0 ? image.length : end;
}

function valueAt(image: Uint8Array, p: number): string {
  return utf8.decode(image.subarray(p, stringEnd(image, p)));
}

function tagBytes(tag: string): Uint8Array {
  return new TextEncoder().encode(`${tag}=`);
}

function startsWith(image: Uint8Array, p: number, key: Uint8Array): boolean {
  for (let i = 0; i < key.length; i++) if (image[p + i] !== key[i]) return false;
  return true;
}

/** As strcspn(magic, " "): a magic without a space has nothing left to compare. */
function fromFirstSpace(magic: string): string {
  const space = magic.indexOf(' ');
  return space < 0 ? '' : magic.slice(space);
}
