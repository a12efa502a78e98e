/** A.5: which taints, in which order, with which words; and where 6.1 says them earlier. */
import test from 'ava';
import { ko } from '../../fixtures/build.ts';
import { taintLetters, taints } from '../../loader/taint.ts';
import { kernelOf, loads, moduleFor, profiles, refuses, specFor, UNSIGNED, unsigned, vermagic } from './bench.ts';

const staging = (name: string): string =>
  `${name}: module is from the staging directory, the quality is unknown, you have been warned.`;

/** A module with everything that taints. */
const everything = (profile: (typeof profiles)[number]): Uint8Array =>
  ko({
    ...specFor(profile),
    modinfo: ['name=minimal', `vermagic=${vermagic(profile)}`, 'staging=Y', 'livepatch=Y', 'license=Mine', 'test=Y'],
  });

for (const profile of profiles) {
  test(`${profile}: all taints of one module, in order`, (t) => {
    const kernel = kernelOf(profile, { config: { RETPOLINE: true } });
    const before = [
      'minimal: loading out-of-tree module taints kernel.',
      'Spectre V2 : System may be vulnerable to spectre v2',
      'minimal: loading module not compiled with retpoline compiler.',
      staging('minimal'),
      'minimal: tainting kernel with TAINT_LIVEPATCH',
      "minimal: module license 'Mine' taints kernel.",
      'minimal: loading test module taints kernel.',
    ];
    // 6.1 looks at licences again later, and finds it tainted already.
    const behind = profile === '6.1' ? [] : ['minimal: module license taints kernel.'];
    const m = loads(t, kernel, everything(profile), [...before, ...UNSIGNED, ...behind]);
    t.is(m?.taintLetters, 'PCOEKN');
    t.is(taintLetters(kernel.taints), 'PCOEKN');
    t.is(m?.license, 'Mine');
    t.is(m?.isLivepatch, true);
  });

  test(`${profile}: a second module is tainted, and only some things are said again`, (t) => {
    const kernel = kernelOf(profile);
    loads(t, kernel, everything(profile), lines(profile));
    const second = ko({
      ...specFor(profile),
      thisModule: { name: 'second' },
      modinfo: [`vermagic=${vermagic(profile)}`, 'staging=Y', 'livepatch=Y', 'license=Mine', 'test=Y'],
    });
    t.is(loads(t, kernel, second, [staging('second')])?.taintLetters, 'PCOEKN');
  });

  test(`${profile}: licences that are compatible with the GPL, to the letter`, (t) => {
    const good = ['GPL', 'GPL v2', 'GPL and additional rights', 'Dual BSD/GPL', 'Dual MIT/GPL', 'Dual MPL/GPL'];
    for (const license of good) {
      const m = loads(t, kernelOf(profile), moduleFor(profile, { modinfo: { license } }));
      t.is(m?.taintLetters, 'E', license);
    }
    const again = profile === '6.1' ? [] : ['minimal: module license taints kernel.'];
    for (const license of ['GPL v3', 'gpl', 'GPL ', 'GPL\t', 'Dual MIT/GPL ', 'BSD', '', 'Proprietary']) {
      const line = `minimal: module license '${license}' taints kernel.`;
      const log = profile === '6.1' ? [line, ...UNSIGNED] : [line, ...UNSIGNED, ...again];
      t.is(loads(t, kernelOf(profile), moduleFor(profile, { modinfo: { license } }), log)?.taintLetters, 'PE');
    }
    const none = ko({ ...specFor(profile), modinfo: [`vermagic=${vermagic(profile)}`, 'intree=Y'] });
    t.is(
      loads(t, kernelOf(profile), none, ["minimal: module license 'unspecified' taints kernel.", ...UNSIGNED, ...again])
        ?.license,
      'unspecified',
    );
    // The first license= counts.
    const two = moduleFor(profile, { modinfo: { license: ['GPL', 'Proprietary'] } });
    t.is(loads(t, kernelOf(profile), two)?.taintLetters, 'E');
  });

  test(`${profile}: ndiswrapper taints the kernel and not itself, driverloader and lve both`, (t) => {
    for (const [name, letters] of [
      ['ndiswrapper', 'E'],
      ['driverloader', 'PE'],
      ['lve', 'PE'],
    ] as const) {
      const kernel = kernelOf(profile);
      const file = moduleFor(profile, { thisModule: { name } });
      t.is(loads(t, kernel, file, [unsigned(name), `${name}: module license taints kernel.`])?.taintLetters, letters);
      t.true(kernel.taints.has('PROPRIETARY_MODULE'));
      // struct module's name, not modinfo's.
      const other = moduleFor(profile, { modinfo: { name }, thisModule: { name: 'other' } });
      t.is(loads(t, kernelOf(profile), other, [unsigned('other')])?.taintLetters, 'E');
    }
  });

  test(`${profile}: retpoline= is enough for a kernel with the mitigation`, (t) => {
    const file = moduleFor(profile, { modinfo: { retpoline: 'Y' } });
    loads(t, kernelOf(profile, { config: { RETPOLINE: true } }), file);
  });

  test(`${profile}: taints outlast a refusal, and 6.1 taints before it allocates`, (t) => {
    const kernel = kernelOf(profile, { config: { MODULE_SIG: false } });
    const wx = [{ name: '.wx', flags: 7, size: 4 }];
    const file = ko({ ...specFor(profile), sections: wx, modinfo: [`vermagic=${vermagic(profile)}`, 'license=GPL'] });
    const line = 'minimal: section .wx (index 1) has invalid WRITE|EXEC flags';
    const early = profile === '6.1' ? ['minimal: loading out-of-tree module taints kernel.'] : [];
    refuses(t, kernel, file, { errno: 'ENOEXEC', check: 'C66', log: [...early, line] });
    t.is(taintLetters(kernel.taints), profile === '6.1' ? 'O' : '');
  });
}

const lines = (profile: (typeof profiles)[number]): readonly string[] => [
  'minimal: loading out-of-tree module taints kernel.',
  staging('minimal'),
  'minimal: tainting kernel with TAINT_LIVEPATCH',
  "minimal: module license 'Mine' taints kernel.",
  'minimal: loading test module taints kernel.',
  ...UNSIGNED,
  ...(profile === '6.1' ? [] : ['minimal: module license taints kernel.']),
];

test('6.1 finds livepatching missing before it looks at the licence, and behind the other taints', (t) => {
  const kernel = kernelOf('6.1', { config: { LIVEPATCH: false } });
  refuses(t, kernel, everything('6.1'), {
    errno: 'ENOEXEC',
    check: 'C61',
    log: [
      'minimal: loading out-of-tree module taints kernel.',
      staging('minimal'),
      'minimal: module is marked as livepatch module, but livepatch support is disabled',
    ],
  });
  t.is(taintLetters(kernel.taints), 'CO');
});

test('letters come in the order of the bits', (t) => {
  const names = Object.keys(taints) as (keyof typeof taints)[];
  t.is(taintLetters(new Set(names.toReversed())), 'PFRUCOEKN');
  t.deepEqual(
    names.map((name) => taints[name].bit),
    [0, 1, 3, 6, 10, 12, 13, 15, 18],
  );
});
