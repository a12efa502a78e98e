import test from 'ava';
import { profileOf, vendorOf } from '../../cli/profile.ts';

for (const [release, version, note] of [
  ['6.1.0-56-amd64', '6.1', undefined],
  ['6.12.107+deb13-arm64', '6.12', undefined],
  ['7.2.0', '7.2', undefined],
  ['7.0.3-1-default', '7.2', /no profile of 7\.0: loading as 7\.2/],
  ['7.14.0', '7.2', /no profile of 7\.14/],
  ['6.11.0', '6.1', /no profile of 6\.11: loading as 6\.1/],
  ['6.18.2', '6.12', /no profile of 6\.18: loading as 6\.12/],
  ['5.10.0-9-amd64', '6.1', /no profile of 5\.10: loading as 6\.1/],
  ['8.0.0', '7.2', /no profile of 8\.0: loading as 7\.2/],
  ['custom', '7.2', /'custom' is no kernel version: loading as 7\.2/],
  [undefined, '7.2', /does not say which kernel it is for/],
] as const) {
  test(`the profile for ${release ?? 'no release'} is ${version}`, (t) => {
    const profile = profileOf(release);
    t.is(profile.version, version);
    if (note === undefined) t.is(profile.note, undefined);
    else t.regex(profile.note ?? '', note);
  });
}

for (const release of [
  '6.1.0-56-amd64',
  '6.1.0-56-cloud-amd64',
  '6.1.0-56-rt-arm64',
  '6.1.0-9-686-pae',
  '6.1.0-9-5kc-malta',
  '6.1.0-9-armmp-lpae',
  '6.12.107+deb13-riscv64',
  '6.12.107+deb13-m68k',
  '7.2.13-loong64',
  '6.1.0-9-powerpc64le',
  '6.12.1+bpo-amd64',
  '6.1.0-9-s390x',
]) {
  test(`${release} is Debian's`, (t) => {
    t.is(vendorOf(release), 'debian');
  });
}
for (const release of ['7.2.0', '6.12.0-komulator', '6.8.0-31-generic', '6.1.0-amd64x', 'amd64', undefined]) {
  test(`${release} is not Debian's`, (t) => {
    t.is(vendorOf(release), 'mainline');
  });
}
