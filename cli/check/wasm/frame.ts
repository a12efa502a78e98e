/** The kernel that a tree is for, as far as reading its modules goes, and the fields of its files. */
import { attachProof } from './proof';

export let is64: bool = true;
export let little: bool = true;
export let e_machine: i32 = 0;
/** V6_1 and so on. */
export let version: i32 = 0;
/** CONFIG_MODVERSIONS, and whether an unsigned module is refused. */
export let modversions: bool = true;
export let signed: bool = false;

/** `proof`: where its table lies; 0: there is none, and every module is doubted. */
export function frame(
  is64_: bool,
  little_: bool,
  machine: i32,
  version_: i32,
  versions: bool,
  signed_: bool,
  proof: usize,
): void {
  is64 = is64_;
  little = little_;
  e_machine = machine;
  version = version_;
  modversions = versions;
  signed = signed_;
  attachProof(proof);
}

export function half(at: usize): i32 {
  const value = load<u16>(at);
  return little ? value : bswap<u16>(value);
}

export function word(at: usize): i32 {
  const value = load<i32>(at);
  return little ? value : bswap<i32>(value);
}

/** A field of 64 bits in a file of 64 bits, else of 32; -1 when it is 2 GiB or more. */
export function addr(at: usize): i32 {
  if (!is64) return max(word(at), -1);
  const value = little ? load<u64>(at) : bswap<u64>(load<u64>(at));
  return value >> 31 === 0 ? <i32>value : -1;
}
