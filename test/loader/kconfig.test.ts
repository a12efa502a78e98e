import test from 'ava';
import { InputError } from '../../loader/input-error.ts';
import { parseKconfig } from '../../loader/kconfig.ts';

test('y, m and n, what is not set, numbers; strings are left out', (t) => {
  const config = parseKconfig(
    ['#', '# Automatically generated', '', 'CONFIG_SMP=y', 'CONFIG_VFAT_FS=m', 'CONFIG_A=n', '# CONFIG_B is not set']
      .concat('CONFIG_HZ=250', 'CONFIG_PHYS=0x1000', 'CONFIG_NEG=-1', 'CONFIG_NAME="y"', 'CONFIG_EMPTY=')
      .join('\n'),
  );
  t.is(config['SMP'], true);
  t.is(config['VFAT_FS'], true);
  t.is(config['A'], false);
  t.is(config['B'], false);
  t.is(config['HZ'], 250);
  t.is(config['PHYS'], 4096);
  t.is(config['NEG'], -1);
  t.false('NAME' in config);
  t.false('EMPTY' in config);
});

test('a common switch that is not named is off; a later line wins', (t) => {
  t.is(parseKconfig('')['MODVERSIONS'], false);
  t.is(parseKconfig('')['SMP'], false);
  t.is(parseKconfig('CONFIG_MITIGATION_RETPOLINE=y')['RETPOLINE'], true);
  t.is(parseKconfig('# CONFIG_MITIGATION_RETPOLINE is not set')['RETPOLINE'], false);
  t.is(parseKconfig('CONFIG_SMP=y\nCONFIG_SMP=n')['SMP'], false);
  t.is(parseKconfig('# CONFIG_SMP is not set\nCONFIG_SMP=y\r\n')['SMP'], true);
});

test('the page size, from the shift or from the names', (t) => {
  t.is(parseKconfig('CONFIG_PAGE_SHIFT=14\nCONFIG_PAGE_SIZE_4KB=y')['PAGE_SIZE'], 16384);
  t.is(parseKconfig('CONFIG_PAGE_SIZE_16KB=y')['PAGE_SIZE'], 16384);
  t.is(parseKconfig('CONFIG_ARM64_64K_PAGES=y')['PAGE_SIZE'], 65536);
  t.is(parseKconfig('CONFIG_PPC_4K_PAGES=y\nCONFIG_PPC_64K_PAGES=n')['PAGE_SIZE'], 4096);
  t.false('PAGE_SIZE' in parseKconfig('CONFIG_PAGE_SIZE_LESS_THAN_64KB=y\nCONFIG_X86_DIRECT_GBPAGES=y'));
});

test('a line that is none is named by its number', (t) => {
  const error = t.throws(() => parseKconfig('CONFIG_SMP=y\nELF'), { instanceOf: InputError });
  t.is(error.message, 'config, line 2: expected CONFIG_NAME=value or a comment');
  t.is(error.line, 2);
});
