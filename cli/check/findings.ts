/** What a check found, and the same grouped by cause, so that people see what to mend and how much it mends. */

export type Cause =
  | 'missing-symbol'
  | 'crc'
  | 'namespace'
  | 'licence'
  | 'vermagic'
  | 'struct-module'
  | 'invalid-file'
  | 'relocation-type'
  | 'relocation-range'
  | 'plt'
  | 'layout'
  | 'duplicate-export'
  | 'duplicate-module'
  | 'cycle'
  | 'dependency'
  | 'unreadable'
  | 'other';

/** A symbol that a module cannot get, and who nearly provides it. */
export interface SymbolFault {
  readonly symbol: string;
  readonly kind: 'missing' | 'crc' | 'namespace' | 'licence' | 'duplicate';
  /** `vmlinux` or a module. */
  readonly provider?: string;
  /** A sentence: who nearly provides it. */
  readonly near: string;
}

/** One module that would not load. */
export interface Finding {
  readonly module: string;
  /** Of its file, relative to the tree. */
  readonly path: string;
  readonly errno: string;
  readonly log: readonly string[];
  readonly reason: string;
  /** C29 … C104 of KERNEL-FACTS.md; '' where no check of the loader refuses. */
  readonly check: string;
  readonly cause: Cause;
  readonly symbols: readonly SymbolFault[];
  /** Modules that it needs and that would not load either. */
  readonly needs: readonly string[];
}

/** Something that leads nowhere but keeps no module from loading. */
export interface Warning {
  readonly kind: 'odd' | 'softdep' | 'alias' | 'tree';
  readonly module: string;
  readonly text: string;
}

export interface CheckResult {
  readonly dir: string;
  readonly kernel: string;
  readonly arch: string;
  readonly vendor: string;
  readonly vermagic: string;
  readonly modules: number;
  /** Modules looked at: fewer than `modules` after an interruption or with --shard. */
  readonly checked: number;
  readonly loaded: number;
  readonly failed: readonly Finding[];
  /** Findings that the baseline knows. */
  readonly accepted: readonly Finding[];
  /** Entries of the baseline that are no longer found. */
  readonly gone: readonly string[];
  readonly warnings: readonly Warning[];
  readonly relocations: number;
  readonly slots: number;
  readonly memory: number;
  readonly seconds: number;
  readonly interrupted: boolean;
  readonly notes: readonly string[];
  /** How many went through insmod, not the proof. */
  readonly judged: number;
}

/** The checks of the loader by what people have to do about them. */
export function causeOf(check: string, errno: string): Cause {
  const n = Number(check.slice(1));
  switch (check) {
    case 'C47':
      return 'struct-module';
    case 'C59':
    case 'C60':
      return 'vermagic';
    case 'C58':
    case 'C82':
      return 'crc';
    case 'C65':
      return 'plt';
    case 'C66':
    case 'C67':
    case 'C71':
      return 'layout';
    case 'C79':
      return 'missing-symbol';
    case 'C80':
    case 'C81':
      return 'licence';
    case 'C83':
      return 'namespace';
    case 'C87':
    case 'C89':
      return 'relocation-type';
    case 'C90':
      return 'relocation-range';
    case 'C93':
      return 'duplicate-export';
    case 'C62':
    case 'C63':
    case 'C70':
      return 'duplicate-module';
    case 'read':
      return errno === 'EINVAL' ? 'invalid-file' : 'unreadable';
    default:
      return n > 0 && n < 58 ? 'invalid-file' : 'other';
  }
}

/** Findings with one cause and one thing to mend. */
export interface Group {
  readonly cause: Cause;
  readonly title: string;
  /** What is nearly right, and what to do. */
  readonly detail: string;
  readonly modules: readonly string[];
}

const HEADINGS: Readonly<Record<Cause, string>> = {
  'missing-symbol': 'nobody exports it',
  crc: 'exported with another CRC',
  namespace: 'in a namespace that is not imported',
  licence: 'GPL-only, and the module is not',
  vermagic: 'built for another kernel',
  'struct-module': 'struct module of another size',
  'invalid-file': 'no valid module file',
  'relocation-type': 'a relocation type that this kernel does not handle',
  'relocation-range': 'a relocation that does not reach',
  plt: 'PLT or GOT',
  layout: 'does not fit into memory',
  'duplicate-export': 'exported twice',
  'duplicate-module': 'two modules of one name',
  cycle: 'depend on each other in a circle',
  dependency: 'needs a module that does not load',
  unreadable: 'cannot be read',
  other: 'refused',
};

export const headingOf = (cause: Cause): string => HEADINGS[cause];

/** Groups in order of size, what follows from others last. */
export function groupsOf(findings: readonly Finding[]): Group[] {
  const groups = new Map<string, { cause: Cause; title: string; detail: string; modules: string[] }>();
  const put = (cause: Cause, title: string, detail: string, module: string): void => {
    const key = `${cause}\0${title}\0${detail}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { cause, title, detail, modules: [module] });
    else if (!group.modules.includes(module)) group.modules.push(module);
  };
  for (const finding of findings) {
    const { cause, module, reason, symbols, needs } = finding;
    if (cause === 'dependency') put(cause, needs.join(', '), '', module);
    else if (cause === 'cycle') put(cause, needs.join(' → '), reason, '');
    else if (symbols.length === 0) put(cause, module, reason, module);
    else for (const { symbol, near } of symbols) put(cause, symbol, near, module);
    if (cause === 'cycle') for (const name of needs) put(cause, needs.join(' → '), reason, name);
  }
  const all = [...groups.values()].map((group) => ({ ...group, modules: group.modules.filter((name) => name !== '') }));
  return all.toSorted(
    (a, b) =>
      Number(a.cause === 'dependency') - Number(b.cause === 'dependency') || b.modules.length - a.modules.length,
  );
}

/** What a baseline remembers of a finding: all that tells it from another, nothing that moves. */
export const keyOf = ({ module, cause, symbols }: Finding): string =>
  [module, cause, ...symbols.map(({ symbol }) => symbol).toSorted()].join(' ');
