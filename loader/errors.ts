import { type Crash, type Errno, errnos, type Refusal } from '../relocs/refusal.ts';

export { type Errno, errnos } from '../relocs/refusal.ts';

/** An errno by its number; an unknown one counts as EINVAL. */
export const errnoOf = (n: number): Errno =>
  (Object.keys(errnos) as Errno[]).find((name) => errnos[name] === n) ?? 'EINVAL';

/** A check of KERNEL-FACTS.md, section A.3 (loading: 'C29' … 'C104') or D.3 (unloading: 'U01' … 'U09'). */
export type CheckId = `C${number}` | `U${number}`;

export interface LoadErrorInit {
  readonly errno: Errno;
  readonly check: CheckId;
  /** Kernel log lines of this refusal, in order; empty where the kernel is silent. */
  readonly log: readonly string[];
  /** What it means and what to do, for people. */
  readonly reason: string;
  readonly module?: string;
  /** Step of load_module() or delete_module() that refused. */
  readonly step?: string;
  readonly crash?: Crash;
}

/**
 * The one error of loading and unloading: what insmod or rmmod would have returned and dmesg would have shown, with the
 * check that failed and a sentence for people. Malformed input raises nothing else.
 */
export class LoadError extends Error {
  readonly errno: Errno;
  readonly check: CheckId;
  readonly log: readonly string[];
  readonly reason: string;
  readonly module: string | undefined;
  readonly step: string | undefined;
  readonly crash: Crash | undefined;

  constructor(init: LoadErrorInit) {
    super(`${init.errno}: ${init.log.at(-1) ?? init.reason}`);
    this.name = 'LoadError';
    this.errno = init.errno;
    this.check = init.check;
    this.log = init.log;
    this.reason = init.reason;
    this.module = init.module;
    this.step = init.step;
    this.crash = init.crash;
  }

  /** The negative number the system call returns. */
  get ret(): number {
    return -errnos[this.errno];
  }

  /** Makes a LoadError of an architecture's Refusal. */
  static from(refusal: Refusal, where: Omit<LoadErrorInit, 'errno' | 'reason' | 'crash'>): LoadError {
    return new LoadError({
      ...where,
      errno: refusal.errno,
      reason: refusal.message,
      ...(refusal.crash === undefined ? {} : { crash: refusal.crash }),
    });
  }
}

/** insmod's words for an errno (strerror of glibc). */
export const strerror: Readonly<Partial<Record<Errno, string>>> = {
  EPERM: 'Operation not permitted',
  ENOENT: 'No such file or directory',
  EINTR: 'Interrupted system call',
  EIO: 'Input/output error',
  ENOEXEC: 'Exec format error',
  EBADF: 'Bad file descriptor',
  EAGAIN: 'Resource temporarily unavailable',
  ENOMEM: 'Cannot allocate memory',
  EFAULT: 'Bad address',
  EBUSY: 'Device or resource busy',
  EEXIST: 'File exists',
  ENODEV: 'No such device',
  EINVAL: 'Invalid argument',
  EFBIG: 'File too large',
  ENOSPC: 'No space left on device',
  ERANGE: 'Numerical result out of range',
  ENAMETOOLONG: 'File name too long',
  ENOSYS: 'Function not implemented',
  ENODATA: 'No data available',
  ENOPKG: 'Package not installed',
  EBADMSG: 'Bad message',
  EOPNOTSUPP: 'Operation not supported',
  ENOKEY: 'Required key not available',
  EKEYREJECTED: 'Key was rejected by service',
};

/** insmod(8)'s explanation, which differs from strerror for some errors (libkmod, mod_strerror). */
export function insmodError(errno: Errno): string {
  switch (errno) {
    case 'ENOEXEC':
      return 'Invalid module format';
    case 'ENOENT':
      return 'Unknown symbol in module';
    case 'ENODEV':
      return 'Operation not permitted';
    case 'EINVAL':
      return 'Invalid parameters';
    default:
      return strerror[errno] ?? errno;
  }
}
