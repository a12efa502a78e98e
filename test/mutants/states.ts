/** States, references and interleavings (S). */
import type { Bug } from './bug.ts';

export const states: readonly Bug[] = [
  {
    id: 'X86-07',
    scope: ['S'],
    arch: 'x86',
    fixed: '2016, 4.9',
    wrong: 'alternatives were applied before the late relocations of a livepatch',
    because: 'alternatives depend on the CPU, and are not applied',
  },
  {
    id: 'X86-09',
    scope: ['S'],
    arch: 'x86',
    fixed: '2014, 3.15',
    wrong: 'the allocator took module_mutex, which others take around it',
    because: 'what a kernel does under a lock is one step here: no lock is held while another is waited for',
  },
  {
    id: 'IA-09',
    scope: ['S'],
    arch: 'ia64',
    fixed: '2021, 5.13 / 5.10.38',
    wrong: 'descriptors were looked up in section headers that had been freed',
    because: 'function descriptors are not looked up once a module is there',
  },
  {
    id: 'BF-03',
    scope: ['S'],
    arch: 'blackfin',
    fixed: '2008, 2.6.26',
    wrong: 'section headers that had been freed told what to free at unload',
    because: 'Linux has had no Blackfin since 4.17',
  },
  {
    id: 'MB-02',
    scope: ['S'],
    arch: 'microblaze',
    fixed: '2010, 2.6.35',
    wrong: 'patched text stayed in the data cache',
    because: 'there are no caches: what is written is there',
  },
  {
    id: 'CL-13',
    scope: ['S'],
    arch: 'core',
    fixed: '2005, 2.6.14',
    wrong: 'setters of parameters ran before the instruction cache was flushed',
    because: 'there are no caches: what is written is there',
  },
  {
    id: 'CL-14',
    scope: ['S'],
    arch: 'core',
    fixed: '2009, 2.6.31',
    wrong: 'exception table entries of init code outlived it',
    mutants: [
      {
        file: 'loader/init.ts',
        find: `  trimInitExtable(m);
`,
        replace: '',
        killedBy: 'test/loader/extable.test.ts > entries of init code go with it',
      },
    ],
  },
  {
    id: 'CM-07',
    scope: ['L', 'S'],
    arch: 'core',
    fixed: '2010, 2.6.35',
    wrong: 'a weak import with a wrong CRC was taken for an absent one; and a wait held the lock that its end needed',
    history: { scenario: 'libcrc32c', day: '2.6.34' },
    mutants: [
      {
        file: 'loader/symbols.ts',
        find: `    const crc = versions.get(name);
    return {
      errno: 'EINVAL',`,
        replace: `    const crc = versions.get(name);
    return {
      absent: true,`,
        killedBy: 'test/loader/symbols.test.ts > H30 weak helps only when the symbol is absent',
      },
      {
        file: 'loader/symbols.ts',
        find: "if ('errno' in found && found.errno === 'EBUSY') return i;",
        replace: '',
        killedBy: 'test/loader/wait.test.ts > who uses a symbol of a COMING module',
      },
    ],
  },
  {
    id: 'CR-01',
    scope: ['S'],
    arch: 'core',
    fixed: '2002, 2.5.52',
    wrong: 'references to a module that was still COMING were given to others',
    history: { scenario: 'init-race', day: '2.5.51' },
    mutants: [
      {
        file: 'loader/refcount.ts',
        find: `  if (m?.state === 'COMING') return 'EBUSY';
`,
        replace: '',
        killedBy: 'test/loader/refcount.test.ts > strong_try_module_get() by state',
      },
      {
        file: 'loader/refcount.ts',
        find: `  if (m?.state === 'COMING') return 'EBUSY';
`,
        replace: '',
        killedBy: 'test/loader/wait.test.ts > who uses a symbol of a COMING module waits for its init',
      },
    ],
  },
  {
    id: 'CR-02',
    scope: ['S'],
    arch: 'core',
    fixed: '2003, 2.5.63',
    wrong: 'a reference that was not given was taken for one',
    mutants: [
      {
        file: 'loader/symbols.ts',
        find: "  if (errno !== undefined || !m.kernel.switch('MODULE_UNLOAD')) return errno;",
        replace: "  if (!m.kernel.switch('MODULE_UNLOAD')) return errno;",
        killedBy: 'test/loader/symbols.test.ts > C85 one that is GOING',
      },
    ],
  },
  {
    id: 'CR-03',
    scope: ['S'],
    arch: 'core',
    fixed: '2003, 2.5.70',
    wrong: 'no reference was held during init, and a failing init must drop it once',
    mutants: [
      {
        file: 'loader/refcount.ts',
        find: 'm.refcnt = counts(m) ? MODULE_REF_BASE + 1 : MODULE_REF_BASE;',
        replace: 'm.refcnt = MODULE_REF_BASE;',
        killedBy: 'test/loader/refcount.test.ts > a load holds base and one more until init is done',
      },
      {
        file: 'loader/init.ts',
        find: `    modulePut(m);
    kernel.notifiers.call('GOING', m);`,
        replace: "    kernel.notifiers.call('GOING', m);",
        killedBy: 'test/loader/init.test.ts > a failing init drops the reference that it was given, once',
      },
    ],
  },
  {
    id: 'CR-05',
    scope: ['S'],
    arch: 'core',
    fixed: '2004, 2.6.6',
    wrong: 'the last put woke the wrong task of rmmod --wait',
    history: { scenario: 'rmmod-wait', day: '2.6.5' },
  },
  {
    id: 'CR-10',
    scope: ['S'],
    arch: 'core',
    fixed: '2010, 2.6.34/35',
    wrong: 'what was found before a wait was used after it',
    mutants: [
      {
        file: 'loader/symbols.ts',
        find: `  let found: Resolution | undefined;
  const settled = (): boolean => {
    found = resolveSymbol(m, info, name, versions);`,
        replace: `  const before = findSymbol(m.kernel, name, true)!;
  let found: Resolution | undefined;
  const settled = (): boolean => {
    found = before.owner?.state === 'COMING' ? resolveSymbol(m, info, name, versions) : { symbol: before };`,
        killedBy: 'test/loader/wait.test.ts > the owner fails while its symbol is waited for',
      },
    ],
  },
  {
    id: 'CR-11',
    scope: ['S'],
    arch: 'core',
    fixed: '2010, 2.6.34',
    wrong: 'references counted by CPU and summed one CPU after the other came out too low',
    history: { scenario: 'per-cpu-count', day: '2.6.33' },
  },
  {
    id: 'CR-12',
    scope: ['S'],
    arch: 'core',
    fixed: '2010, 2.6.36',
    wrong: 'two loads added to the list of BUG tables at once',
    because: 'no list of BUG tables is kept',
  },
  {
    id: 'CR-13',
    scope: ['S'],
    arch: 'core',
    fixed: '2013, 3.8',
    wrong: 'a name was looked for when all had been allocated; later, UNFORMED modules were shown',
    mutants: [
      {
        file: 'loader/load.ts',
        find: `    at('add_unformed_module');
    yield* patientCheckExists(load);`,
        replace: "    at('add_unformed_module');",
        killedBy: 'test/loader/early.test.ts > C62, C63, C70',
      },
      {
        file: 'loader/kernel.ts',
        find: "(evenUnformed || m.state !== 'UNFORMED')",
        replace: 'true',
        killedBy: 'test/loader/unload.test.ts > U05 an UNFORMED module is not found',
      },
      {
        file: 'loader/proc.ts',
        find: "(m.state === 'UNFORMED' ? '' : `${procLine(m, to)}\\n`)",
        replace: '`${procLine(m, to)}\\n`',
        killedBy: 'test/loader/proc.test.ts > one module, from before its load',
      },
    ],
  },
  {
    id: 'CR-15',
    scope: ['S'],
    arch: 'core',
    fixed: '2012, 3.7',
    wrong: 'EEXIST was said while the first load could still fail',
    history: { scenario: 'already-loaded', day: '3.6' },
    mutants: [
      {
        file: 'loader/load.ts',
        find: '  if (isLoading(other)) {',
        replace: `  if (isLoading(other)) throw load.fail('EEXIST', 'C70', undefined, 'there');
  if (isLoading(other)) {`,
        killedBy: 'test/loader/wait.test.ts > is waited for: EEXIST',
      },
    ],
  },
  {
    id: 'CR-16',
    scope: ['S'],
    arch: 'core',
    fixed: '2019, 5.3 / 5.2.7',
    wrong: 'EEXIST was said of a module that was going',
    history: { scenario: 'duplicates-going', day: '5.2' },
    mutants: [
      {
        file: 'loader/load.ts',
        find: "  if (other?.state === 'LIVE') throw",
        replace: "  if (other?.state === 'LIVE' || other?.state === 'GOING') throw",
        killedBy: 'test/loader/wait.test.ts > a GOING namesake is not waited for',
      },
    ],
  },
  {
    id: 'CR-17',
    scope: ['S'],
    arch: 'core',
    fixed: '2019..20, 5.5 / 5.4.9',
    wrong: 'who waited for a name was not woken by an unload',
    history: { scenario: 'duplicates-wake', day: '5.4' },
    mutants: [
      {
        file: 'loader/unload.ts',
        find: `  // Somebody may wait for the name.
  kernel.moduleWq.wakeAll();
`,
        replace: '',
        killedBy: 'test/loader/wait.test.ts > a load that meets the module UNFORMED in free_module() ends',
      },
    ],
  },
  {
    id: 'CR-18',
    scope: ['S'],
    arch: 'core',
    fixed: '2023, 6.2 / 6.1.9',
    wrong: 'duplicates waited for a module that was going, and then each tried again',
    history: { scenario: 'duplicates-storm', day: '6.0' },
    mutants: [
      {
        file: 'loader/load.ts',
        find: "m?.state === 'COMING' || m?.state === 'UNFORMED';",
        replace: "m?.state === 'COMING' || m?.state === 'UNFORMED' || m?.state === 'GOING';",
        killedBy: 'test/loader/wait.test.ts > a GOING namesake is not waited for',
      },
    ],
  },
  {
    id: 'CR-19',
    scope: ['S'],
    arch: 'core',
    fixed: '2024, 6.10.5',
    wrong:
      'a signal did not end the wait for another call of finit_module() (and who leaves must take its own entry out of a table: there is no such entry here, so that half is not made again)',
    history: { scenario: 'finit-signal', day: '6.10' },
    mutants: [
      {
        file: 'loader/idempotent.ts',
        find: '    const waited = yield* sleeping(load, load.step, waitEvent(kernel, first.complete, condition));',
        replace: `    let waited = yield* sleeping(load, load.step, waitEvent(kernel, first.complete, condition));
    while (waited === 'signal') waited = yield* sleeping(load, load.step, waitEvent(kernel, first.complete, condition));`,
        killedBy: 'test/loader/wait.test.ts > finit_module() looks at flags and mode first',
      },
    ],
  },
  {
    id: 'CR-24',
    scope: ['S'],
    arch: 'core',
    fixed: '2020, 5.10.5',
    wrong: 'user space was told of a module before its init had run',
    mutants: [
      {
        file: 'loader/init.ts',
        find: "  const ret = (yield* running('init', m.behaviour.init?.(m))) ?? 0;",
        replace: `  uevent('add', m);
  const ret = (yield* running('init', m.behaviour.init?.(m))) ?? 0;`,
        killedBy: 'test/loader/init.test.ts > udev is told of a module when its init has ended well',
      },
    ],
  },
  {
    id: 'CR-26',
    scope: ['S'],
    arch: 'core',
    fixed: '2016, 4.6',
    wrong: 'livepatch was told of a module that comes before ftrace was, and in the same order when it went',
    because: 'ftrace is not told of modules here: there is nobody for livepatch to come before',
  },
  {
    id: 'CR-27',
    scope: ['S'],
    arch: 'core',
    fixed: '2014, 3.19',
    wrong: 'memory was freed while readers of the module list could still be in it',
    mutants: [
      {
        file: 'loader/init.ts',
        find: `  yield* sleepingIn('synchronize_rcu', synchronizeRcu(m.kernel));
`,
        replace: '',
        killedBy: 'test/testing/explored.test.ts > free_module() waits for who reads',
      },
    ],
  },
  {
    id: 'CR-28',
    scope: ['S'],
    arch: 'core',
    fixed: '2016, 4.5',
    wrong: 'three fields of kallsyms were switched one after the other',
    because: 'a module has one symbol table, and a reader sees it in one step',
  },
  {
    id: 'CR-29',
    scope: ['S'],
    arch: 'core',
    fixed: '2026 and before (6.12 -> 7.2)',
    wrong: 'a pointer to kallsyms was published before what it points to was filled',
    because: 'a module has one symbol table, and a reader sees it in one step',
  },
  {
    id: 'CR-30',
    scope: ['S'],
    arch: 'core',
    fixed: '2025..26, 7.x',
    wrong: 'EEXIST of the own init told user space that the module was there',
    history: { scenario: 'init-eexist', day: '6.12' },
    mutants: [
      {
        file: 'loader/init.ts',
        find: "if (errno === 'EEXIST' && m.version === '7.2') errno = 'EBUSY';",
        replace: '',
        killedBy: "test/loader/init.test.ts > C104 a negative result is the load's",
      },
    ],
  },
  {
    id: 'CR-31',
    scope: ['S'],
    arch: 'core',
    fixed: '2008, 2.6.25',
    wrong: 'a positive result of init is suspicious, and no failure',
    mutants: [
      {
        file: 'loader/init.ts',
        find: '  if (ret < 0) {',
        replace: '  if (ret !== 0) {',
        killedBy: 'test/loader/init.test.ts > a positive result is suspicious',
      },
    ],
  },
  {
    id: 'CR-32',
    scope: ['S'],
    arch: 'core',
    fixed: '2007, 2.6.23',
    wrong: 'the count in sysfs was one too low',
    mutants: [
      {
        file: 'loader/proc.ts',
        find: "yield ['refcnt', `${m.refcount}\\n`]",
        replace: "yield ['refcnt', `${m.refcount - 1}\\n`]",
        killedBy: 'test/loader/proc.test.ts > one module, from before its load',
      },
    ],
  },
  {
    id: 'CE-07',
    scope: ['S'],
    arch: 'core',
    fixed: '2008, 2.6.28',
    wrong: 'an unload left something in sysfs (the object of its notes; here a relative of that: its directory)',
    mutants: [
      {
        file: 'loader/init.ts',
        find: `  m.sysfs = false;
`,
        replace: '',
        killedBy: 'test/loader/proc.test.ts > one module, from before its load',
      },
    ],
  },
  {
    id: 'CE-08',
    scope: ['S'],
    arch: 'core',
    fixed: '2024, 6.12 / 6.11.3 / 6.1.113',
    wrong: 'after a client had refused, GOING was told to it and to those behind it',
    mutants: [
      {
        file: 'loader/notifier.ts',
        find: 'this.run(down, m, calls - 1)',
        replace: 'this.run(down, m, calls)',
        killedBy: 'test/loader/notifier.test.ts > C96 a refusal',
      },
      {
        file: 'loader/notifier.ts',
        find: 'this.run(down, m, calls - 1)',
        replace: 'this.run(down, m, Infinity)',
        killedBy: 'test/loader/notifier.test.ts > C96 a refusal',
      },
    ],
  },
  {
    id: 'CE-09',
    scope: ['S'],
    arch: 'core',
    fixed: '2014..2018',
    wrong: 'jump labels in init code were patched when it had been freed',
    because: 'jump labels are not modelled',
  },
  {
    id: 'CK-07',
    scope: ['S'],
    arch: 'core',
    fixed: '2010, 2.6.36',
    wrong: 'the string table of the temporary image was used until init had ended',
    mutants: [
      {
        file: 'loader/load.ts',
        find: 'm.symtab = info.keptSymtab();',
        replace: 'm.symtab = info.symtab;',
        killedBy: 'test/loader/in-place.test.ts > the names of a module outlast the buffer',
      },
      {
        file: 'loader/kallsyms.ts',
        find: 'return m && findKallsymsSymbol(m, address);',
        replace: "return m?.state === 'LIVE' ? findKallsymsSymbol(m, address) : undefined;",
        killedBy: 'test/loader/kallsyms.test.ts > init code has its symbols until init is over',
      },
    ],
  },
];
