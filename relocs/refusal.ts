/** Error names of <asm-generic/errno*.h> that module loading can return. */
export const errnos = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENOEXEC: 8,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENODATA: 61,
  ENOPKG: 65,
  EBADMSG: 74,
  EOPNOTSUPP: 95,
  ENOKEY: 126,
  EKEYREJECTED: 129,
} as const;

export type Errno = keyof typeof errnos;

/** What the handler itself would have died of: a BUG_ON, or a signal in user space (an oops in a kernel). */
export type Crash = 'BUG' | 'signal 11';

/**
 * The kernel's "no", thrown by relocation and by the architecture hooks. The log line has already gone to the log
 * when this is thrown, in the kernel's order; the loader turns it into a `LoadError`.
 */
export class Refusal extends Error {
  readonly errno: Errno;
  readonly crash: Crash | undefined;

  /** `reason` is the sentence for people; the kernel's own words are in the log. */
  constructor(errno: Errno, reason: string, crash?: Crash) {
    super(reason);
    this.name = 'Refusal';
    this.errno = errno;
    this.crash = crash;
  }
}

/** The kernel does not handle the type: unknown, or known and refused. */
export class TypeRefusal extends Refusal {}

/** This kernel would not survive: the outcome is a crash, with the reason why. */
export const crashes = (how: Crash, why: string): Refusal =>
  new Refusal('EFAULT', `this kernel would crash here: ${why}`, how);
